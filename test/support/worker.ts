// What the threads of the tests do. Says something through its port when it is at the interesting point.
import { truncateSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { allocBuffer, emulate, info, mapFile, type Queue } from 'ismio';

export type Job =
  | { readonly name: 'drainFor'; readonly accesses: number; readonly nanoseconds: number }
  | {
      readonly name: 'issueFor';
      readonly how: keyof typeof issues;
      readonly accesses: number;
      readonly nanoseconds: number;
    }
  | { readonly name: 'loseRegion'; readonly path: string }
  | { readonly name: 'leave' };

/** Calls that keep their thread until so many accesses have been made. */
const issues = {
  'a submit'(queue: Queue, accesses: number): void {
    for (let i = 0; i < accesses; i++) queue.storeWords(i * 8, i, i);
    queue.submit();
  },
  'a submit that loads'(queue: Queue, accesses: number): void {
    queue.load(0, new Uint8Array(accesses * 8));
    queue.submit();
  },
  write: ({ region }: Queue, accesses: number): void => region.write(0, new Uint8Array(accesses * 4096)),
  read: ({ region }: Queue, accesses: number): void => region.read(0, new Uint8Array(accesses * 8)),
};

const jobs = {
  issueFor({ how, accesses, nanoseconds }: Job & { name: 'issueFor' }): void {
    const region = emulate({ size: 2 ** 30, cost: { load: nanoseconds, store: nanoseconds, storeBlock: nanoseconds } });
    const queue = region.queue({ depth: accesses });
    parentPort?.postMessage('begun');
    issues[how](queue, accesses);
  },

  /** Drains costly stores: it takes accesses x nanoseconds. */
  drainFor({ accesses, nanoseconds }: Job & { name: 'drainFor' }): void {
    const region = emulate({ size: 2 ** 30, cost: { store: nanoseconds, storeBlock: nanoseconds } });
    const queue = region.queue({ depth: accesses });
    const source = allocBuffer(4096);
    for (let i = 0; i < accesses; i++) {
      if (i % 2 === 0) queue.storeWords(i * 8192, i, i);
      else queue.write(i * 8192, source);
    }
    void queue.drain();
    setImmediate(() => parentPort?.postMessage(region.stats()));
  },

  /** Truncates the file under its region, and says what a load then answers. */
  loseRegion({ path }: Job & { name: 'loseRegion' }): void {
    const region = mapFile(path);
    truncateSync(path, 0);
    let code: unknown = 'no error';
    try {
      region.load64(0);
    } catch (error) {
      code = (error as { code?: string }).code;
    }
    parentPort?.postMessage({ binary: info().binary, code });
  },

  /** Ends with a region and a queue left open. */
  leave(): void {
    const region = emulate({ size: 4096 });
    region.queue().storeWords(0, 1, 1);
    parentPort?.postMessage(info().binary);
  },
};

const job = workerData as Job;
(jobs[job.name] as (job: Job) => void)(job);
