// Threads that end with one of everything open: leaver.ts is what runs in them.
import { Worker } from 'node:worker_threads';
import type { Trees } from './kernel-trees.js';

/** How a thread ends. Those that begin with 'in' do not: they are to be terminated. */
export const endings = [
  'return',
  'throw',
  'exit',
  'rejection',
  'in idleness',
  'in a drain',
  'in a submit',
  'in a write',
] as const;
export type Ending = (typeof endings)[number];

export interface Leaving {
  readonly ending: Ending;
  readonly api: 'group' | 'cdev';
  /** A file to map. */
  readonly path: string;
  readonly trees: Trees;
}

/** Starts a thread and waits until it has ended so. */
export async function endThread(workerData: Leaving): Promise<void> {
  const worker = new Worker(new URL('./leaver.js', import.meta.url), { workerData });
  const exit = new Promise((resolve) => worker.once('exit', resolve));
  const died = new Promise((_, reject) => {
    worker.once('exit', () => reject(new Error('the thread ended before it had opened anything')));
  });
  died.catch(() => undefined);
  worker.once('error', () => undefined);
  await Promise.race([new Promise((resolve) => worker.once('message', resolve)), died]);
  if (workerData.ending.startsWith('in ')) {
    await new Promise((resolve) => setTimeout(resolve, 10)); // until it is in the midst of it
    void worker.terminate();
  }
  await exit;
}
