// What the package tells node:diagnostics_channel: batches and shards, each with when it began and ended. As long as nobody
// subscribes, nothing is measured and nothing is made.
import { channel } from 'node:diagnostics_channel';
import { isMainThread, threadId } from 'node:worker_threads';
import { answers } from './binding.js';
import type { Completion } from './queue/completion.js';
import type { Queue } from './queue/queue.js';
import type { Region } from './region/region.js';
import { Field } from './wire.js';

/** Moments in nanoseconds, on the clock of `process.hrtime` (CLOCK_MONOTONIC), and where it ran. */
export interface Observed {
  /** When it was handed over: to native code, or to the pool's workers. */
  readonly handedOver: number;
  readonly began: number;
  readonly ended: number;
  /** 'main', 'worker 3', 'main drain 1': as in no other thread of the process. */
  readonly thread: string;
}

/** Published on 'ismio:batch' when the caller is about to have the batch's completion. */
export interface BatchMessage extends Observed {
  readonly region: Region;
  readonly queue: Queue;
  readonly how: 'submit' | 'drain';
  /** What it did; of a batch that failed, what it did until then. */
  readonly completion: Completion;
  readonly error: Error | null;
}

/** Published on 'ismio:shard' when a shard of a pool's transfer is done, or has failed. */
export interface ShardMessage extends Observed {
  readonly region: Region;
  readonly kind: 'write' | 'read' | 'copy';
  readonly offset: number;
  readonly length: number;
  readonly failed: boolean;
}

export const batches = channel('ismio:batch');
export const shards = channel('ismio:shard');

export const thisThread = isMainThread ? 'main' : `worker ${threadId}`;

/** Of the batch whose report is in the answers. */
export function tellBatch(batch: Omit<BatchMessage, 'began' | 'ended'>): void {
  const [began, ended] = [answers[Field.began] as number, answers[Field.ended] as number];
  batches.publish({ ...batch, began, ended } satisfies BatchMessage);
}

export function now(): number {
  return Number(process.hrtime.bigint());
}
