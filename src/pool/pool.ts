// The worker pool: transfers cut into shards, each a task for one of its threads, and code of the caller's own.
import { availableParallelism } from 'node:os';
import { memoryId } from '../access/memory.js';
import { checkRegion, idOf, type Region, tapOf } from '../region/region.js';
import { onAbort } from '../support/abort.js';
import { timers } from '../support/builtins.js';
import { type BytesLike, bytesOf, checkOffset, checkWhole, type Whole } from '../support/check.js';
import { IsmioError, rangeError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';
import { Crew } from './crew.js';
import { Job, type Plan } from './job.js';
import {
  type CloseOptions,
  checkCloseOptions,
  checkPoolOptions,
  checkTransferOptions,
  type PoolOptions,
  type RunOptions,
  type Transfer,
  type TransferOptions,
} from './options.js';
import { Run } from './run.js';
import type { Range } from './shards.js';
import type { RunContext } from './tasks.js';

/** Threads that work on regions side by side. A region's memory is shared with them, not copied. */
export class Pool {
  /** A symbol: with it, posting a pool to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /** How many worker threads the pool has. */
  readonly threads: number;
  readonly #shardBytes: number | undefined;
  readonly #crew: Crew;
  readonly #transfers = new Set<Job>();
  readonly #runs = new Set<Run>();
  #closed = false;

  /**
   * Starts the threads.
   * @throws IsmioError ERR_ISMIO_NO_WORKER where none can be started: the message says why
   */
  constructor(options: PoolOptions = {}) {
    const { threads = availableParallelism(), shardBytes } = checkPoolOptions(options);
    this.threads = threads;
    this.#shardBytes = shardBytes;
    this.#crew = new Crew(threads);
  }

  /** How many threads have something to do: a shard of a transfer, or a function of `run`. */
  get running(): number {
    return this.#crew.running;
  }

  /** How many shards and functions wait for a thread. */
  get queueSize(): number {
    return this.#crew.waiting;
  }

  /** Whether `close` was called: a closed pool takes nothing new. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Stores `source` at `offset`, in shards. Memory from allocBuffer and shared buffers are read in place. */
  async write(region: Region, offset: Whole, source: BytesLike, options: TransferOptions = {}): Promise<Transfer> {
    return this.#transfer('write', region, offset, source, options);
  }

  /** Fills `target` from `offset` on, in shards. */
  async read(region: Region, offset: Whole, target: BytesLike, options: TransferOptions = {}): Promise<Transfer> {
    return this.#transfer('read', region, offset, target, options);
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
    checkRegion(source, 'source');
    checkRegion(target, 'target');
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
    return this.#start('copy', target, to, bytes, options, { make, stores: true, holds: source }, (done) =>
      tap?.copied(done.offset, done.length, sourceId, from + (done.offset - to)),
    );
  }

  /**
   * Runs a function in a worker. It gets the regions, attached there, and a context with `args` and `stopped()`; its result
   * comes back as structuredClone makes it. A function crosses as its text, so it sees nothing around it; a URL names a
   * module whose default export is called. What it throws is the cause of an IsmioError ERR_ISMIO_WORKER, with its class,
   * code and values.
   */
  async run<T>(
    what: ((regions: readonly Region[], context: RunContext) => T | Promise<T>) | URL,
    options: RunOptions = {},
  ): Promise<T> {
    this.#checkOpen();
    const run = new Run(this.#crew, what, options);
    this.#runs.add(run);
    try {
      return (await run.result()) as T;
    } finally {
      this.#runs.delete(run);
    }
  }

  /**
   * Stops transfers between two accesses, asks functions of `run` to return, and ends the threads when they have. With
   * `timeout` it waits so many milliseconds for the functions and then rejects with ERR_ISMIO_TIMEOUT, or with `force` cuts
   * them off: they are rejected with ERR_ISMIO_CLOSED. A transfer is never cut off. May be called again.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { timeout, force } = checkCloseOptions(options);
    this.#closed = true;
    for (const job of [...this.#transfers, ...this.#runs]) job.stop('ERR_ISMIO_CLOSED', undefined);
    const runs = Promise.all([...this.#runs].map((run) => run.ended));
    if (timeout === undefined) await runs;
    else if (!(await settledWithin(runs, timeout)) && !force) throw this.#timedOut(timeout);
    await Promise.all([...this.#transfers].map((job) => job.ended));
    await this.#crew.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #timedOut(timeout: number): IsmioError {
    const still = [...this.#runs].map(({ name }) => name);
    const text =
      `after ${timeout} ms the pool still runs ${still.join(', ')}. The pool takes nothing new; a function that does not ` +
      'look at stopped() is cut off by close({ force: true })';
    return new IsmioError('ERR_ISMIO_TIMEOUT', text, { timeout, running: still });
  }

  #checkOpen(): void {
    if (this.#closed) throw new IsmioError('ERR_ISMIO_CLOSED', 'the pool is closed');
  }

  async #transfer(
    kind: 'write' | 'read',
    region: Region,
    offset: Whole,
    buffer: BytesLike,
    options: TransferOptions,
  ): Promise<Transfer> {
    checkRegion(region, 'region');
    const bytes = bytesOf(buffer, kind === 'write' ? 'source' : 'target');
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
    return this.#start(
      kind,
      region,
      start,
      bytes.byteLength,
      options,
      { make, staged, stores: kind === 'write', holds: bytes },
      (done) => tap?.pooled(kind, done.offset, done.length, bytes, done.offset - start),
    );
  }

  /** @param moved is told what went through, when the transfer has ended */
  async #start(
    kind: 'write' | 'read' | 'copy',
    region: Region,
    offset: number,
    length: number,
    options: TransferOptions,
    how: Plan,
    moved: (done: Range) => void,
  ): Promise<Transfer> {
    this.#checkOpen();
    const { signal, onProgress } = checkTransferOptions(options, `pool.${kind}`);
    const shardBytes = this.#shardBytes ?? Math.min(2 ** 20, Math.max(2 ** 16, length / (this.threads * 16)));
    const job = new Job(this.#crew, region, { offset, length }, this.threads, shardBytes, how);
    const endWaiting = signal && onAbort(signal, () => job.stop('ERR_ISMIO_ABORTED', signal.reason));
    this.#transfers.add(job);
    try {
      return await job.run(onProgress);
    } finally {
      for (const done of job.done) moved(done);
      this.#transfers.delete(job);
      endWaiting?.();
    }
  }
}

/** Whether it settled in time. The timer is ended with it, and keeps the process alive no longer. */
async function settledWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const timer = new AbortController();
  const { signal } = timer;
  const late = timers()
    .setTimeout(milliseconds, false, { signal })
    .catch(() => false);
  const inTime = await Promise.race([promise.then(() => true), late]);
  timer.abort();
  return inTime;
}
