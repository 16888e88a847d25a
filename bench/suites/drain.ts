// Draining: the same batches on the queue's own thread, while the event loop stays free.
import type { Queue } from 'ismio';
import type { Engine, Floor, Running, Window, Workload } from '../workload.js';

const block = 4096;
const windowBytes = 1 << 20;
const blocks = windowBytes / block;

const MiB = 1 << 20;
const largeWindow = 16 * MiB;
const large = 256 * MiB;

function full(): never {
  throw new Error('the queue is full: the batch would be shorter than it says');
}

function writeBlocks(queue: Queue, source: Uint8Array): void {
  for (let at = 0; at < windowBytes; at += block) if (!queue.write(at, source, at, block)) full();
}

function writeLarge(queue: Queue, source: Uint8Array): void {
  for (let at = 0; at < large; at += MiB) {
    const offset = at % largeWindow;
    if (!queue.write(offset, source, offset, MiB)) full();
  }
}

function queued(
  engine: Engine,
  window: Window,
  batchOf: (queue: Queue, source: Uint8Array) => Running['batch'],
): Running {
  const region = engine.mapFile(window.path);
  const source = engine.allocBuffer(window.bytes).fill(0x5a);
  const batch = batchOf(region.queue({ depth: 4096 }), source);
  return { batch, counters: () => region.stats(), close: () => region.close() };
}

function submitted(title: string, operations: number, fill: (queue: Queue, source: Uint8Array) => void): Floor {
  return {
    title,
    operations,
    open: (window, _floors, engine) =>
      queued(engine, window, (queue, source) => () => {
        fill(queue, source);
        queue.submit();
      }),
  };
}

export const workloads: Workload[] = [
  {
    name: 'drain/blocks-4KiB/memory',
    title: 'drain of 256 blocks of 4 KiB',
    operations: blocks,
    bytes: windowBytes,
    windowBytes,
    quick: true,
    floor: submitted('submit of the same', blocks, writeBlocks),
    open: (engine, window) =>
      queued(engine, window, (queue, source) => async () => {
        writeBlocks(queue, source);
        await queue.drain();
      }),
  },
  {
    name: 'drain/write-256MiB/memory',
    title: 'drain of 256 MiB',
    operations: large / block,
    bytes: large,
    windowBytes: largeWindow,
    floor: submitted('submit of the same', large / block, writeLarge),
    target: { atLeast: 0.9 },
    open: (engine, window) =>
      queued(engine, window, (queue, source) => async () => {
        writeLarge(queue, source);
        await queue.drain();
      }),
  },
];
