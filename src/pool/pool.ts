// The worker pool: transfers cut into shards, each a task for one of piscina's threads.
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Piscina } from 'piscina';
import {
  type BytesLike,
  bytesOf,
  checkBetween,
  checkCallback,
  checkOffset,
  checkOptions,
  checkWhole,
  type Whole,
} from '../check.js';
import { IsmioError, rangeError, shown, typeError } from '../errors.js';
import { memoryId } from '../memory.js';
import { packageRoot } from '../package.js';
import { idOf, type Region, tapOf } from '../region/region.js';
import { Job, type Plan, type Progress, type Transfer } from './job.js';
import type { Range } from './shards.js';
import type { RunContext, RunResult, RunTask } from './tasks.js';

export interface PoolOptions {
  /** Worker threads, 1 to 256. Default: as many as the machine runs at once. */
  threads?: number;
  /** Bytes in a shard, 4096 to 2^30. Default: a 16th of what a thread would do, from 64 KiB to 1 MiB. */
  shardBytes?: number;
}

export interface TransferOptions {
  /** Stops between two accesses; rejected with ERR_ISMIO_ABORTED. */
  signal?: AbortSignal;
  /** Called when a shard is done. What it throws rejects the transfer with ERR_ISMIO_CALLBACK. */
  onProgress?: (progress: Progress) => void;
}

export interface RunOptions {
  /** Handed to the function, attached in the worker. */
  regions?: readonly Region[];
  /** Handed to the function; anything that structuredClone takes. */
  args?: readonly unknown[];
  /** `context.stopped()` is true once it is aborted. The function is never cut off. */
  signal?: AbortSignal;
}

const transferNames = ['signal', 'onProgress'];

/** Threads that work on regions side by side. A region's memory is shared, not copied. */
export class Pool {
  readonly threads: number;
  readonly #shardBytes: number | undefined;
  readonly #piscina: Piscina;
  readonly #jobs = new Set<{
    stop(code: 'ERR_ISMIO_CLOSED', cause: unknown): void;
    readonly ended: Promise<unknown>;
  }>();
  #closing: Promise<void> | null = null;

  constructor(options: PoolOptions = {}) {
    checkOptions(options, ['threads', 'shardBytes'], 'Pool');
    this.threads = checkBetween(options.threads ?? availableParallelism(), 'threads', 1, 256);
    this.#shardBytes =
      options.shardBytes === undefined ? undefined : checkBetween(options.shardBytes, 'shardBytes', 4096, 2 ** 30);
    // Loaded here because most programs that import ismio have no pool, and piscina takes its time.
    const { Piscina } = createRequire(import.meta.url)('piscina') as typeof import('piscina');
    this.#piscina = new Piscina({
      filename: pathToFileURL(join(packageRoot, 'dist/src/pool/worker.js')).href,
      minThreads: this.threads,
      maxThreads: this.threads,
      concurrentTasksPerWorker: 1,
    });
  }

  /** Stores `source` at `offset`, in shards. Memory from allocBuffer and shared buffers are read in place. */
  async write(region: Region, offset: Whole, source: BytesLike, options: TransferOptions = {}): Promise<Transfer> {
    return this.#transfer('write', region, offset, bytesOf(source, 'source'), options);
  }

  /** Fills `target` from `offset` on, in shards. */
  async read(region: Region, offset: Whole, target: BytesLike, options: TransferOptions = {}): Promise<Transfer> {
    return this.#transfer('read', region, offset, bytesOf(target, 'target'), options);
  }

  /**
   * Copies `length` bytes from one region to another, or within one.
   * @throws RangeError ERR_ISMIO_OVERLAP when the two overlap in one region
   */
  async copy(
    source: Region,
    sourceOffset: Whole,
    target: Region,
    targetOffset: Whole,
    length: Whole,
    options: TransferOptions = {},
  ): Promise<Transfer> {
    const bytes = checkWhole(length, 'length');
    const from = checkOffset(sourceOffset, bytes, source.size, source.name);
    const to = checkOffset(targetOffset, bytes, target.size, target.name);
    const sourceId = idOf(source);
    const targetId = idOf(target);
    if (sourceId === targetId && from < to + bytes && to < from + bytes && bytes > 0) {
      throw rangeError(
        'ERR_ISMIO_OVERLAP',
        `source [${from}, ${from + bytes}) and target [${to}, ${to + bytes}) overlap`,
        {
          offset: to,
          sourceOffset: from,
          length: bytes,
        },
      );
    }
    const make: Plan['make'] = (shard, controls) => ({
      kind: 'copy',
      source: sourceId,
      sourceOffset: from + (shard.offset - to),
      region: targetId,
      ...shard,
      ...controls,
    });
    const tap = tapOf(target);
    return this.#start(target, to, bytes, options, { make, holds: source }, (done) =>
      tap?.copied(done.offset, done.length, sourceId, from + (done.offset - to)),
    );
  }

  /**
   * Runs a function in a worker. It gets the regions, attached there, and a context with `args` and `stopped()`; its result
   * comes back as structuredClone makes it. A function crosses as its text, so it sees nothing around it; a URL names a
   * module whose default export is called.
   */
  async run<T>(
    what: ((regions: readonly Region[], context: RunContext) => T | Promise<T>) | URL,
    options: RunOptions = {},
  ): Promise<T> {
    this.#checkOpen();
    checkOptions(options, ['regions', 'args', 'signal'], 'run');
    const code = codeOf(what);
    options.signal?.throwIfAborted();
    const control = new Int32Array(new SharedArrayBuffer(4));
    const stop = (): void => void Atomics.store(control, 0, 1);
    options.signal?.addEventListener('abort', stop, { once: true });
    const regions = (options.regions ?? []).map(idOf);
    const task: RunTask = { kind: 'run', code, regions, args: options.args ?? [], control };
    const ended = this.#piscina.run(task) as Promise<RunResult>;
    const job = { stop, ended: ended.catch(() => undefined) };
    this.#jobs.add(job);
    try {
      return valueIn(await ended.catch(diedIn)) as T;
    } finally {
      this.#jobs.delete(job);
      options.signal?.removeEventListener('abort', stop);
    }
  }

  /** Stops what is running, between two accesses, and ends the threads. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const jobs = [...this.#jobs];
    for (const job of jobs) job.stop('ERR_ISMIO_CLOSED', undefined);
    await Promise.all(jobs.map((job) => job.ended));
    await this.#piscina.destroy();
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new IsmioError('ERR_ISMIO_CLOSED', 'the pool is closed');
  }

  async #transfer(
    kind: 'write' | 'read',
    region: Region,
    offset: Whole,
    bytes: Uint8Array,
    options: TransferOptions,
  ): Promise<Transfer> {
    const start = checkOffset(offset, bytes.byteLength, region.size, region.name);
    const id = memoryId(bytes.buffer);
    const shared = id ?? (bytes.buffer instanceof SharedArrayBuffer ? bytes : undefined);
    const base = id === undefined ? 0 : bytes.byteOffset;
    const regionId = idOf(region);
    const make: Plan['make'] = (shard, controls) => ({
      kind,
      region: regionId,
      ...shard,
      bytes: shared ?? 0,
      position: base + (shard.offset - start),
      staged: false,
      ...controls,
    });
    const staged = shared === undefined ? { kind, bytes, start } : undefined;
    const tap = tapOf(region);
    return this.#start(region, start, bytes.byteLength, options, { make, staged, holds: bytes }, (done) =>
      tap?.pooled(kind, done.offset, done.length, bytes.subarray(done.offset - start)),
    );
  }

  /** @param moved is told what went through, when the transfer has ended */
  async #start(
    region: Region,
    offset: number,
    length: number,
    options: TransferOptions,
    how: Plan,
    moved: (done: Range) => void,
  ): Promise<Transfer> {
    this.#checkOpen();
    checkOptions(options, transferNames, 'the transfer');
    checkCallback(options.onProgress, 'onProgress');
    const shardBytes = this.#shardBytes ?? Math.min(2 ** 20, Math.max(2 ** 16, length / (this.threads * 16)));
    const job = new Job(this.#piscina, region, { offset, length }, this.threads, shardBytes, how);
    const onAbort = (): void => job.stop('ERR_ISMIO_ABORTED', options.signal?.reason);
    if (options.signal?.aborted === true) onAbort();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.#jobs.add(job);
    try {
      return await job.run(options.onProgress);
    } finally {
      for (const done of job.done) moved(done);
      this.#jobs.delete(job);
      options.signal?.removeEventListener('abort', onAbort);
    }
  }
}

function codeOf(what: unknown): RunTask['code'] {
  if (what instanceof URL) return { url: what.href };
  if (typeof what !== 'function') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `run takes a function or the URL of a module, not ${shown(what)}`);
  }
  const text = what.toString();
  try {
    new Function(`return (${text})`);
  } catch (cause) {
    throw Object.assign(
      typeError(
        'ERR_ISMIO_ARGUMENT_TYPE',
        'the function cannot cross to a worker as text; write it as an arrow function or a function expression, or give the URL of a module',
      ),
      { cause },
    );
  }
  return { text };
}

function valueIn(result: RunResult): unknown {
  if ('value' in result) return result.value;
  const { threw } = result;
  throw new IsmioError(
    'ERR_ISMIO_WORKER',
    `the code run in a worker threw: ${(threw as Error)?.message ?? shown(threw)}`,
    {},
    threw,
  );
}

function diedIn(cause: unknown): never {
  throw new IsmioError('ERR_ISMIO_WORKER_DIED', 'the worker ended before the code it ran did', {}, cause);
}
