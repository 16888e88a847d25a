// What the package tells node:diagnostics_channel: batches and shards, each with when it began and ended. As long as nobody
// subscribes, nothing is measured and nothing is made.
import { channel } from 'node:diagnostics_channel';
import { answers, native } from './binding.js';
import type { Completion } from './queue/completion.js';
import type { Queue } from './queue/queue.js';
import type { Region } from './region/region.js';
import { isMainThread, threadNumber } from './thread.js';
import { Field } from './wire.js';

/**
 * Moments in nanoseconds of CLOCK_MONOTONIC, and where it ran. That is the clock of `process.hrtime` on Node.js; on Bun and Deno
 * `process.hrtime` counts from the start of the process.
 */
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

export const thisThread = isMainThread ? 'main' : `worker ${threadNumber()}`;

export type Moments = Pick<Observed, 'handedOver' | 'began' | 'ended'>;

/** Of the batch whose report is in the answers; the next call into the addon may overwrite them. */
export function momentsOf(handedOver: number): Moments {
  return { handedOver, began: answers[Field.began] as number, ended: answers[Field.ended] as number };
}

/**
 * Whoever listens may use the queue and the region, submit and close: by now the batch is settled in every other respect. (What
 * a subscriber throws Node.js takes to 'uncaughtException', in a later tick.)
 */
export function tellBatch(batch: BatchMessage): void {
  batches.publish(batch);
}

/** The addon's clock, by which it tells when batches began and ended. */
export function now(): number {
  return native.now();
}
