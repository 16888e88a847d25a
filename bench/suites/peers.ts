// Other ways to do the same from Node.js: the floor of each workload is the other way. Some need a package that this one
// does not depend on; they are skipped where it is not installed.
import { closeSync, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Queue } from 'ismio';
import type { Engine, Floor, Running, Window, Workload } from '../workload.js';
import { openFloors } from './native-floor.js';

const windowBytes = 1 << 20;
const words = 4096;
const block = 4096;
const blocks = windowBytes / block;

const sequential = Int32Array.from({ length: words }, (_, i) => i * 8);
const scattered = Int32Array.from({ length: words }, (_, i) => ((Math.imul(i, 0x9e3779b1) >>> 15) * 8) % windowBytes);
const bigValues = BigUint64Array.from({ length: words }, (_, i) => BigInt(i));

const require = createRequire(import.meta.url);

/** Why a package cannot be loaded; null where it can. */
function lacking(name: string, advice: string): () => string | null {
  return () => {
    try {
      require(name);
      return null;
    } catch (error) {
      return `${name} cannot be loaded (${(error as Error).message.split('\n')[0]}); ${advice}`;
    }
  };
}

function full(): never {
  throw new Error('the queue is full: the batch would be shorter than it says');
}

function storeWords(queue: Queue, offsets: Int32Array): void {
  for (let i = 0; i < words; i++) if (!queue.storeWords(offsets[i] as number, i, 0)) full();
  queue.submit();
}

function writeBlocks(queue: Queue, source: Uint8Array): void {
  for (let at = 0; at < windowBytes; at += block) if (!queue.write(at, source, at, block)) full();
  queue.submit();
}

function plainCalls(offsets: Int32Array): Floor {
  return {
    title: 'one plain Node-API call per store, the value in two 32-bit words',
    operations: words,
    native: true,
    open(window, floors) {
      openFloors(floors, window);
      const batch = (): void => {
        for (let i = 0; i < words; i++) floors.store(offsets[i] as number, i, 0);
      };
      return { batch, close: () => undefined };
    },
  };
}

const bigCalls: Floor = {
  title: 'one plain Node-API call per store, the value a BigInt',
  operations: words,
  native: true,
  open(window, floors) {
    openFloors(floors, window);
    const batch = (): void => {
      for (let i = 0; i < words; i++) floors.storeBigInt(sequential[i] as number, bigValues[i] as bigint);
    };
    return { batch, close: () => undefined };
  },
};

/** As many bytes as the engine reads, in pieces, and memory that begins at a page as well: either changes a copy's time. */
function pieces(engine: Engine, operations: number, bytes: number): Uint8Array[] {
  const source = engine.allocBuffer(operations * bytes).fill(0x5a);
  return Array.from({ length: operations }, (_, i) => source.subarray(i * bytes, (i + 1) * bytes));
}

/** `operations` calls of fs.writeSync with so many bytes each. */
function writeSyncs(operations: number, bytes: number): Floor {
  return {
    title: `fs.writeSync of ${bytes} bytes into the same tmpfs file`,
    operations,
    open(window, _floors, engine) {
      const file = openSync(window.path, 'r+');
      const sources = pieces(engine, operations, bytes);
      const batch = (): void => {
        for (let i = 0; i < operations; i++) writeSync(file, sources[i] as Uint8Array, 0, bytes, i * bytes);
      };
      return { batch, close: () => closeSync(file) };
    },
  };
}

interface Koffi {
  load(path: null): { func(prototype: string): (...values: unknown[]) => unknown };
  address(pointer: unknown): bigint;
}

/** The same mmap and memcpy that a C program would call, through a foreign-function interface. */
function koffiCopies(operations: number, bytes: number): Floor {
  return {
    title: `koffi calling memcpy of ${bytes} bytes into a mapping`,
    operations,
    open(window, _floors, engine) {
      const library = (require('koffi') as Koffi).load(null);
      const map = library.func(
        'uintptr_t mmap(uintptr_t at, size_t length, int access, int how, int file, int64_t from)',
      );
      const unmap = library.func('int munmap(uintptr_t at, size_t length)');
      const copy = library.func('void memcpy(uintptr_t to, const void *from, size_t length)');
      const file = openSync(window.path, 'r+');
      const [readWrite, shared] = [3, 1]; // PROT_READ | PROT_WRITE and MAP_SHARED, as on every Linux
      const mapped = Number(map(0, windowBytes, readWrite, shared, file, 0));
      closeSync(file);
      const sources = pieces(engine, operations, bytes);
      const batch = (): void => {
        for (let i = 0; i < operations; i++) copy(mapped + i * bytes, sources[i], bytes);
      };
      return { batch, close: () => void unmap(mapped, windowBytes) };
    },
  };
}

interface MmapIo {
  readonly PROT_READ: number;
  readonly PROT_WRITE: number;
  readonly MAP_SHARED: number;
  map(length: number, access: number, how: number, file: number, offset: number): Buffer;
}

/** The file as a Buffer over its mapping. */
function mapBuffer(window: Window): Buffer {
  const mmap = require('@riaskov/mmap-io') as MmapIo;
  const file = openSync(window.path, 'r+');
  try {
    return mmap.map(windowBytes, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, 0);
  } finally {
    closeSync(file);
  }
}

const bufferWords: Floor = {
  title: "Buffer's writeUInt32LE, twice per store, on a mapping by @riaskov/mmap-io",
  operations: words,
  open(window) {
    const buffer = mapBuffer(window);
    const batch = (): void => {
      for (let i = 0; i < words; i++) {
        buffer.writeUInt32LE(i, i * 8);
        buffer.writeUInt32LE(0, i * 8 + 4);
      }
    };
    return { batch, close: () => undefined };
  },
};

const bufferBlocks: Floor = {
  title: "Buffer's set of 4096 bytes on a mapping by @riaskov/mmap-io",
  operations: blocks,
  open(window, _floors, engine) {
    const buffer = mapBuffer(window);
    const sources = pieces(engine, blocks, block);
    const batch = (): void => {
      for (let i = 0; i < blocks; i++) buffer.set(sources[i] as Uint8Array, i * block);
    };
    return { batch, close: () => undefined };
  },
};

function queued(merge: 'none' | 'adjacent', batchOf: (queue: Queue, engine: Engine) => Running['batch']) {
  return (engine: Engine, window: Window): Running => {
    const region = engine.mapFile(window.path);
    const batch = batchOf(region.queue({ depth: words, merge }), engine);
    return { batch, counters: () => region.stats(), close: () => region.close() };
  };
}

const sequentialStores = {
  title: 'sequential 8-byte stores, queued and merged',
  operations: words,
  bytes: words * 8,
  windowBytes,
  open: queued('adjacent', (queue) => () => storeWords(queue, sequential)),
};

const scatteredStores = {
  title: 'scattered 8-byte stores, queued, nothing to merge',
  operations: words,
  bytes: words * 8,
  windowBytes,
  open: queued('none', (queue) => () => storeWords(queue, scattered)),
};

const wholeBlocks = {
  title: '4 KiB blocks from allocBuffer, one operation each, memory region',
  operations: blocks,
  bytes: windowBytes,
  windowBytes,
  open: queued('none', (queue, engine) => {
    const source = engine.allocBuffer(windowBytes).fill(0x5a);
    return () => writeBlocks(queue, source);
  }),
};

const noKoffi = lacking('koffi', 'npm ci of a checkout installs it');
const noMmapIo = lacking('@riaskov/mmap-io', 'npm run bench:peers of a checkout builds it');

export const workloads: Workload[] = [
  {
    name: 'peers/node-api-words/sequential',
    ...sequentialStores,
    floor: plainCalls(sequential),
    target: { atLeast: 8 },
  },
  { name: 'peers/node-api-bigint/sequential', ...sequentialStores, floor: bigCalls, target: { atLeast: 8 } },
  { name: 'peers/node-api-words/scattered', ...scatteredStores, floor: plainCalls(scattered), target: { atLeast: 4 } },
  { name: 'peers/write-sync/sequential', ...sequentialStores, floor: writeSyncs(words, 8), target: { atLeast: 100 } },
  { name: 'peers/write-sync/blocks-4KiB', ...wholeBlocks, floor: writeSyncs(blocks, block) },
  { name: 'peers/koffi-memcpy/sequential', ...sequentialStores, missing: noKoffi, floor: koffiCopies(words, 8) },
  { name: 'peers/koffi-memcpy/blocks-4KiB', ...wholeBlocks, missing: noKoffi, floor: koffiCopies(blocks, block) },
  {
    name: 'peers/mmap-io/sequential',
    ...sequentialStores,
    missing: noMmapIo,
    floor: bufferWords,
    note: 'ordinary memory writes: V8 may split, join or reorder them; no device access can be made so',
  },
  { name: 'peers/mmap-io/blocks-4KiB', ...wholeBlocks, missing: noMmapIo, floor: bufferBlocks },
];
