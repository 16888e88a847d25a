// The pool's threads, which are piscina's, and the errands that wait for one. A thread is handed one errand at a time: what
// waits can be called off without its knowledge, and what was handed over can be as long as the thread has not begun it.
//
//   send -> waiting -> handed over -> begun (by the thread) -> ended
//              |            |
//              +------------+--> called off
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { MessagePort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { IsmioError } from '../support/errors.js';
import { bundled, bundledAdvice, packageRoot } from '../support/package.js';
import { claimAs, type Task } from './tasks.js';

/** What an errand ends with when it was called off. */
export const calledOff = Symbol('called off');

export interface Errand<Result> {
  /** Rejects with ERR_ISMIO_WORKER_DIED when the thread has ended in the middle of it. */
  readonly ended: Promise<Result | typeof calledOff>;
  /** Ends it now if no thread has begun it; otherwise it does nothing. */
  callOff(): void;
}

interface Pending {
  readonly task: Task;
  readonly transfer: readonly MessagePort[];
  readonly settle: (result: unknown) => void;
  readonly fail: (error: Error) => void;
}

export class Crew {
  readonly #piscina: Piscina;
  readonly #threads: number;
  /** In the order in which they came. */
  readonly #waiting = new Set<Pending>();
  readonly #handed = new Set<Pending>();
  #ending: Promise<void> | null = null;

  constructor(threads: number) {
    this.#threads = threads;
    this.#piscina = started(threads);
    // A thread that ends while it has no errand: those that it might have been given would wait for ever.
    this.#piscina.on('error', (cause: unknown) => this.#failUnbegun(cause));
  }

  /** Errands that wait for a thread. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Errands that threads have. */
  get running(): number {
    return this.#handed.size;
  }

  /** A task that was stopped before is called off at once. */
  send<Result>(task: Task, transfer: readonly MessagePort[] = []): Errand<Result> {
    let callOff = (): void => undefined;
    const ended = new Promise<unknown>((settle, fail) => {
      const pending = { task, transfer, settle, fail };
      callOff = () => {
        if (!claimAs(task, 'calledOff')) return;
        this.#waiting.delete(pending);
        settle(calledOff);
      };
      this.#waiting.add(pending);
    });
    if (Atomics.load(task.control, 0) !== 0) callOff();
    this.#handOver();
    return { ended: ended as Promise<Result | typeof calledOff>, callOff };
  }

  /** Ends the threads, also in the middle of an errand: V8 ends a thread between two calls of native code. */
  end(): Promise<void> {
    this.#ending ??= this.#piscina.destroy();
    return this.#ending;
  }

  #handOver(): void {
    for (const pending of this.#waiting) {
      if (this.#handed.size >= this.#threads) return;
      this.#waiting.delete(pending);
      this.#handed.add(pending);
      void this.#carry(pending);
    }
  }

  async #carry(pending: Pending): Promise<void> {
    const { task, transfer, settle, fail } = pending;
    try {
      settle(await this.#piscina.run(task, { transferList: [...transfer] }));
    } catch (cause) {
      fail(died(cause));
    } finally {
      this.#handed.delete(pending);
      this.#handOver();
    }
  }

  #failUnbegun(cause: unknown): void {
    for (const pending of [...this.#handed, ...this.#waiting]) {
      if (!claimAs(pending.task, 'calledOff')) continue;
      this.#handed.delete(pending);
      this.#waiting.delete(pending);
      pending.fail(died(cause));
    }
  }
}

function died(cause: unknown): IsmioError {
  const why = cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : '';
  const text = `a worker of the pool ended in the middle of its work${why}`;
  return new IsmioError('ERR_ISMIO_WORKER_DIED', text, {}, cause);
}

function started(threads: number): Piscina {
  const file = join(packageRoot, 'dist', 'worker.cjs');
  if (bundled || !existsSync(file)) {
    const why = bundled ? bundledAdvice : `it is not at ${file}. Reinstall ismio`;
    throw new IsmioError('ERR_ISMIO_NO_WORKER', `the module of the pool's threads is not there: ${why}`, {
      path: file,
    });
  }
  // Loaded here because most programs that import ismio have no pool, and piscina takes its time.
  const { Piscina } = createRequire(file)('piscina') as typeof import('piscina');
  try {
    return new Piscina({
      filename: pathToFileURL(file).href,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 1,
      recordTiming: false,
    });
  } catch (cause) {
    throw refused(cause);
  }
}

function refused(cause: unknown): IsmioError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const advice = code === 'ERR_ACCESS_DENIED' ? '. Start Node.js with --allow-worker as well' : '';
  const text = `the pool's threads could not be started: ${message}${advice}`;
  return new IsmioError('ERR_ISMIO_NO_WORKER', text, {}, cause);
}
