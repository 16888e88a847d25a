// Threads that use the package. What they do is in worker.ts, by name.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Job } from './worker.js';

export interface Running {
  /** What the thread says first; rejects with what it threw, or when it ends without a word. */
  readonly said: Promise<unknown>;
  /** Settles when the thread has ended. */
  readonly ended: Promise<unknown>;
  terminate(): Promise<unknown>;
}

export function startWorker(job: Job, env: Readonly<Record<string, string>> = {}): Running {
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: job,
    env: { ...process.env, ...env },
  });
  // Both are listened for from the start: a thread may say its word and end in one turn of the event loop.
  const ended = once(worker, 'exit');
  const said = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code} and said nothing`)));
  });
  return { said, ended, terminate: () => worker.terminate() };
}
