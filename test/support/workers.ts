// Threads that use the package. What they do is in worker.ts, by name.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Job } from './worker.js';

export function startWorker(job: Job, env: Readonly<Record<string, string>> = {}): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { workerData: job, env: { ...process.env, ...env } });
}

/** What the thread says next. Rejects with what it threw. */
export async function nextMessage(worker: Worker): Promise<unknown> {
  const ended = new AbortController();
  const { signal } = ended;
  try {
    const [message] = await Promise.race([
      once(worker, 'message', { signal }),
      once(worker, 'exit', { signal }).then(([code]) => Promise.reject(new Error(`the worker ended with ${code}`))),
    ]);
    return message;
  } finally {
    ended.abort();
  }
}

/** Waits until the thread has ended by itself. */
export async function ended(worker: Worker): Promise<void> {
  await once(worker, 'exit');
}
