// Queued operations: claimed, published, merged, executed on this thread or drained on another.
import type { Queue, QueueOptions, Region } from 'ismio';
import type { Engine, Running, Window, Workload } from '../workload.js';

const windowBytes = 1 << 20;
const words = 4096; // in one batch, and the depth of the queue
const block = 4096;
const blocks = windowBytes / block;
const piece = 64;
const pieces = 1024;

/** Offsets of 8-byte words: one after the other, or all over the window with none next to the one before. */
const sequential = Int32Array.from({ length: words }, (_, i) => i * 8);
const scattered = Int32Array.from({ length: words }, (_, i) => ((Math.imul(i, 0x9e3779b1) >>> 15) * 8) % windowBytes);

function full(): never {
  throw new Error('the queue is full: the batch would be shorter than it says');
}

function storeWords(queue: Queue, offsets: Int32Array): void {
  for (let i = 0; i < offsets.length; i++) if (!queue.storeWords(offsets[i] as number, i, 0)) full();
  queue.submit();
}

function writeBlocks(queue: Queue, source: Uint8Array): void {
  for (let at = 0; at < windowBytes; at += block) if (!queue.write(at, source, at, block)) full();
  queue.submit();
}

function writePieces(queue: Queue, source: Uint8Array): void {
  for (let i = 0; i < pieces; i++) if (!queue.write(i * piece, source)) full();
  queue.submit();
}

function drainBlocks(queue: Queue, source: Uint8Array): Promise<unknown> {
  for (let at = 0; at < windowBytes; at += block) if (!queue.write(at, source, at, block)) full();
  return queue.drain();
}

/** A workload on one queue of a mapping. */
function queued(options: QueueOptions, batchOf: (queue: Queue, engine: Engine, window: Window) => Running['batch']) {
  return (engine: Engine, window: Window): Running => {
    const region: Region = engine.mapFile(window.path);
    const batch = batchOf(region.queue({ depth: words, ...options }), engine, window);
    return { batch, counters: () => region.stats(), close: () => region.close() };
  };
}

export const workloads: Workload[] = [
  {
    name: 'queue/stores-8B/adjacent',
    title: 'sequential 8-byte stores, queued and merged',
    operations: words,
    bytes: words * 8,
    windowBytes,
    quick: true,
    open: queued({ merge: 'adjacent' }, (queue) => () => storeWords(queue, sequential)),
  },
  {
    name: 'queue/stores-8B/scattered',
    title: 'scattered 8-byte stores, queued, nothing to merge',
    operations: words,
    bytes: words * 8,
    windowBytes,
    quick: true,
    open: queued({ merge: 'none' }, (queue) => () => storeWords(queue, scattered)),
  },
  {
    name: 'queue/blocks-4KiB/in-place',
    title: '4 KiB blocks from allocBuffer, one operation each, memory region',
    operations: blocks,
    bytes: windowBytes,
    windowBytes,
    quick: true,
    open: queued({}, (queue, engine) => {
      const source = engine.allocBuffer(windowBytes).fill(0x5a);
      return () => writeBlocks(queue, source);
    }),
  },
  {
    name: 'queue/writes-64B/staged',
    title: 'sequential writes of 64 bytes from an ordinary Uint8Array, queued and merged',
    operations: pieces,
    bytes: pieces * piece,
    windowBytes,
    quick: true,
    open: queued({ merge: 'any' }, (queue, _engine, { ordinary }) => {
      const source = ordinary.subarray(0, piece);
      return () => writePieces(queue, source);
    }),
  },
  {
    name: 'queue/blocks-4KiB/drained',
    title: '4 KiB blocks from allocBuffer, drained on the thread of the queue',
    operations: blocks,
    bytes: windowBytes,
    windowBytes,
    quick: true,
    open: queued({}, (queue, engine) => {
      const source = engine.allocBuffer(windowBytes).fill(0x5a);
      return () => drainBlocks(queue, source) as Promise<void>;
    }),
  },
];
