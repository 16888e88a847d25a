// The messages of this package on node:diagnostics_channel.
import type { Observed } from '../access/channels.js';
import type { BatchTold } from '../queue/message.js';
import type { Queue } from '../queue/queue.js';
import type { Region } from './region.js';

/** Published on 'ismio:batch' when the caller is about to have the batch's completion. */
export interface BatchMessage extends BatchTold {
  /** The region that the batch was executed on. */
  readonly region: Region;
  /** The queue that the batch was handed over by. */
  readonly queue: Queue;
}

/** Published on 'ismio:shard' when a shard of a pool's transfer is done, or has failed. */
export interface ShardMessage extends Observed {
  /** The region that was read or written; of a copy, the target. */
  readonly region: Region;
  /** Which call of the pool the shard is of. */
  readonly kind: 'write' | 'read' | 'copy';
  /** Where the shard begins in the region, in bytes. */
  readonly offset: number;
  /** How long the shard is, in bytes. */
  readonly length: number;
  /** Whether it failed, or was stopped, before its end. */
  readonly failed: boolean;
}
