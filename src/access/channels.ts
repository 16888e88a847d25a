// What the package tells node:diagnostics_channel: batches and shards, each with when it began and ended. As long as nobody
// subscribes, nothing is measured and nothing is made.
import { channel } from 'node:diagnostics_channel';
import { answers, native } from '../addon/binding.js';
import { Field } from '../addon/wire.js';
import { isMainThread, threadNumber } from '../support/thread.js';

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

export const batches = channel('ismio:batch');
export const shards = channel('ismio:shard');

export const thisThread = isMainThread ? 'main' : `worker ${threadNumber()}`;

export type Moments = Pick<Observed, 'handedOver' | 'began' | 'ended'>;

/** Of the batch whose report is in the answers; the next call into the addon may overwrite them. */
export function momentsOf(handedOver: number): Moments {
  return { handedOver, began: answers[Field.began] as number, ended: answers[Field.ended] as number };
}

/** The addon's clock, by which it tells when batches began and ended. */
export function now(): number {
  return native.now();
}
