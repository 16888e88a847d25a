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
  /** When its execution began. */
  readonly began: number;
  /** When its last access had been made, or had failed. */
  readonly ended: number;
  /** 'main', 'worker 3', 'main drain 1': as in no other thread of the process. */
  readonly thread: string;
}

/** Published on 'ismio:batch' when the caller is about to have the batch's completion. */
export interface BatchMessage extends Observed {
  /** The region that the batch was executed on. */
  readonly region: Region;
  /** The queue that the batch was handed over by. */
  readonly queue: Queue;
  /** 'submit': executed on the calling thread. 'drain': executed on the queue's own. */
  readonly how: 'submit' | 'drain';
  /** What it did; of a batch that failed, what it did until then. */
  readonly completion: Completion;
  /** Why the batch failed; null where all of it went through. */
  readonly error: Error | null;
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
