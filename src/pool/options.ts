// What a pool is asked for, and what it answers. Nothing here knows of threads.
import type { Region } from '../region/region.js';
import { checkSignal } from '../support/abort.js';
import { checkBetween, checkCallback, checkFlag, checkOptions } from '../support/check.js';
import type { IsmioError } from '../support/errors.js';
import type { Range } from './shards.js';

/** How a pool is made: its threads, and the pieces they work on. */
export interface PoolOptions {
  /** Worker threads, 1 to 256. Default: as many as the machine runs at once. */
  threads?: number;
  /** Bytes in a shard, 4096 to 2^30. Default: a 16th of what a thread would do, from 64 KiB to 1 MiB. */
  shardBytes?: number;
}

/** How a transfer of a pool is watched and stopped. */
export interface TransferOptions {
  /** Stops the transfer between two accesses; it is rejected with ERR_ISMIO_ABORTED. */
  signal?: AbortSignal;
  /** Called when a shard is done. What it throws rejects the transfer with ERR_ISMIO_CALLBACK. */
  onProgress?: (progress: Progress) => void;
}

/** What `pool.run` gives to its function. */
export interface RunOptions {
  /** Regions for the function, which are attached in the worker. */
  regions?: readonly Region[];
  /** Arguments for the function: anything that structuredClone takes. They are copied when `run` is called. */
  args?: readonly unknown[];
  /**
   * `context.stopped()` is true once it is aborted; the function is never cut off. A run that no worker has begun by then is
   * rejected with ERR_ISMIO_ABORTED at once.
   */
  signal?: AbortSignal;
}

/** How long `pool.close` waits, and what it does then. */
export interface CloseOptions {
  /** Milliseconds that functions of `run` have to return. Without it `close` waits as long as they take; with `force`, 1000. */
  timeout?: number;
  /** Whether functions that have not returned by then are cut off. Otherwise `close` is rejected with ERR_ISMIO_TIMEOUT. */
  force?: boolean;
}

/** What a transfer resolves with. */
export interface Transfer {
  /** Bytes that were moved. */
  readonly bytes: number;
  /** Pieces that the transfer was cut into. */
  readonly shards: number;
}

/** What `onProgress` is called with. */
export interface Progress {
  /** Bytes done so far. */
  readonly bytes: number;
  /** Bytes of the whole transfer. */
  readonly total: number;
  /** The shard that has just been done. */
  readonly shard: Range;
}

/** The error that a transfer is rejected with. */
export interface TransferError extends IsmioError {
  /** The bytes that went through, in ascending order. */
  readonly done: readonly Range[];
  /** The bytes that did not, in ascending order. */
  readonly notDone: readonly Range[];
}

/** How long functions have where `force` comes without a `timeout`: enough for one that looks at `stopped()` at all. */
const forcedAfter = 1000;

/** The longest that setTimeout can wait. */
const longestTimeout = 2 ** 31 - 1;

export function checkPoolOptions(options: PoolOptions): {
  threads: number | undefined;
  shardBytes: number | undefined;
} {
  checkOptions(options, ['threads', 'shardBytes'], 'Pool');
  const { threads, shardBytes } = options;
  return {
    threads: threads === undefined ? undefined : checkBetween(threads, 'threads', 1, 256),
    shardBytes: shardBytes === undefined ? undefined : checkBetween(shardBytes, 'shardBytes', 4096, 2 ** 30),
  };
}

export function checkTransferOptions(options: TransferOptions, where: string): TransferOptions {
  checkOptions(options, ['signal', 'onProgress'], where);
  checkCallback(options.onProgress, 'onProgress');
  checkSignal(options.signal, where);
  return options;
}

/** Without a timeout, undefined: `close` waits as long as it takes. */
export function checkCloseOptions(options: CloseOptions): { timeout: number | undefined; force: boolean } {
  checkOptions(options, ['timeout', 'force'], 'pool.close');
  const force = options.force !== undefined && checkFlag(options.force, 'force');
  const timeout = options.timeout ?? (force ? forcedAfter : undefined);
  return { timeout: timeout === undefined ? undefined : checkBetween(timeout, 'timeout', 0, longestTimeout), force };
}
