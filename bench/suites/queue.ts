// Queued operations: claimed and filled, merged, published in batches of any size, executed on this thread.
import type { Queue, QueueOptions } from 'ismio';
import type { Engine, Floor, Running, Window, Workload } from '../workload.js';
import { nativeLoop, noPread, oneSource, openFloors, wholeSource } from './native-floor.js';

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

/** Submits whenever `together` stores are queued. */
function storeWords(queue: Queue, offsets: Int32Array, count: number, together: number): void {
  for (let i = 0; i < count; ) {
    const stop = i + together;
    for (; i < stop; i++) if (!queue.storeWords(offsets[i] as number, i, 0)) full();
    queue.submit();
  }
}

function storeMany(queue: Queue, offsets: Int32Array, values: Uint32Array): void {
  if (queue.storeMany(offsets, values) !== words) full();
  queue.submit();
}

function writeBlocks(queue: Queue, source: Uint8Array): void {
  for (let at = 0; at < windowBytes; at += block) if (!queue.write(at, source, at, block)) full();
  queue.submit();
}

function writeWhole(queue: Queue, source: Uint8Array): void {
  if (!queue.write(0, source)) full();
  queue.submit();
}

function writePieces(queue: Queue, source: Uint8Array): void {
  for (let i = 0; i < pieces; i++) if (!queue.write(i * piece, source)) full();
  queue.submit();
}

function writeEach(queue: Queue, source: Uint8Array): void {
  for (let at = 0; at < pieces * piece; at += piece) if (!queue.write(at, source, at, piece)) full();
  queue.submit();
}

function writeMany(queue: Queue, offsets: Int32Array, source: Uint8Array): void {
  if (queue.writeMany(offsets, piece, source) !== pieces) full();
  queue.submit();
}

function writeManyBlocks(queue: Queue, offsets: Int32Array, source: Uint8Array): void {
  if (queue.writeMany(offsets, block, source) !== blocks) full();
  queue.submit();
}

/** Words made in place, a block of them at a time; four a turn, as one that is a loop of its own takes as long again. */
function fillReserved(queue: Queue): void {
  for (let first = 0; first < words; first += block / 8) {
    const room = queue.reserve(first * 8, block) ?? full();
    const made = new Float64Array(room.bytes.buffer, room.bytes.byteOffset, block / 8);
    for (let i = 0; i < made.length; i += 4) {
      made[i] = first + i;
      made[i + 1] = first + i + 1;
      made[i + 2] = first + i + 2;
      made[i + 3] = first + i + 3;
    }
    room.commit();
  }
  queue.submit();
}

/** What filling an entry of the ring is at the least: 32 bytes, four words and two doubles of them. */
function fillEntries(entries: Int32Array, doubles: Float64Array): void {
  for (let i = 0; i < words; i++) {
    entries[i * 8] = 1;
    entries[i * 8 + 1] = 0;
    doubles[i * 4 + 1] = i * 8;
    entries[i * 8 + 4] = i;
    entries[i * 8 + 5] = 0;
    doubles[i * 4 + 3] = 0;
  }
}

type Store = (offset: number, low: number, high: number) => void;

function oneCallEach(store: Store, offsets: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) store(offsets[i] as number, i, 0);
}

/** Doubles that count up, as pairs of words. */
const counting = new Int32Array(Float64Array.from({ length: words }, (_, i) => i).buffer);

const doubleCalls: Floor = {
  title: 'one plain Node-API call per store, the value in two 32-bit words',
  operations: words,
  native: true,
  open(window, floors) {
    openFloors(floors, window);
    const storeAll = (): void => {
      for (let i = 0; i < words; i++) floors.store(i * 8, counting[2 * i] as number, counting[2 * i + 1] as number);
    };
    return { batch: storeAll, close: () => undefined };
  },
};

function plainCalls(offsets: Int32Array, count = words): Floor {
  return {
    title: 'one plain Node-API call per store, the value in two 32-bit words',
    operations: count,
    native: true,
    open(window, floors) {
      openFloors(floors, window);
      return { batch: () => oneCallEach(floors.store, offsets, count), close: () => undefined };
    },
  };
}

const fill: Floor = {
  title: 'the 32 bytes of an entry, filled by JavaScript, and nothing else',
  operations: words,
  open() {
    const memory = new ArrayBuffer(words * 32);
    const entries = new Int32Array(memory);
    const doubles = new Float64Array(memory);
    return { batch: () => fillEntries(entries, doubles), close: () => undefined };
  },
};

/** A mapping of the window as memory or as a device; or its file, by pread and pwrite. */
type Over = 'memory' | 'device' | 'pread';

/** A workload on one queue of a region over the window. */
function queued(
  options: QueueOptions & { over?: Over },
  batchOf: (queue: Queue, engine: Engine, window: Window) => Running['batch'],
) {
  const { over = 'memory', ...rest } = options;
  return (engine: Engine, window: Window): Running => {
    const region = engine.mapFile(window.path, over === 'pread' ? { access: 'pread' } : { kind: over });
    const batch = batchOf(region.queue({ depth: words, ...rest }), engine, window);
    return { batch, counters: () => region.stats(), close: () => region.close() };
  };
}

const stores = { operations: words, bytes: words * 8, windowBytes };

const claims: Workload[] = [
  {
    name: 'queue/stores-8B/adjacent',
    title: 'sequential 8-byte stores, queued and merged',
    ...stores,
    quick: true,
    floor: fill,
    note: 'the floor is what the ring itself costs JavaScript; peers/ has what one would write without a queue',
    open: queued({ merge: 'adjacent' }, (queue) => () => storeWords(queue, sequential, words, words)),
  },
  {
    name: 'queue/stores-8B/scattered',
    title: 'scattered 8-byte stores, queued, nothing to merge',
    ...stores,
    quick: true,
    floor: fill,
    open: queued({ merge: 'none' }, (queue) => () => storeWords(queue, scattered, words, words)),
  },
];

/** Builds from before there was one are compared with newer ones, too. */
function without(method: 'storeMany' | 'writeMany' | 'reserve') {
  return (engine: Engine): string | null => {
    const region = engine.emulate({ size: 8 });
    const known = method in region.queue({ depth: 1 });
    region.close();
    return known ? null : `this build has no queue.${method}`;
  };
}

const many: Workload[] = (['adjacent', 'none'] as const).map((merge) => {
  const offsets = merge === 'adjacent' ? sequential : scattered;
  const what = merge === 'adjacent' ? 'sequential' : 'scattered';
  return {
    name: `queue/many-8B/${merge === 'adjacent' ? merge : what}`,
    title: `${what} 8-byte stores, queued by one storeMany${merge === 'adjacent' ? ', merged' : ''}`,
    ...stores,
    missing: without('storeMany'),
    floor: plainCalls(offsets),
    open: queued({ merge }, (queue) => {
      const values = Uint32Array.from({ length: 2 * words }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
      return () => storeMany(queue, offsets, values);
    }),
  };
});

/** Offsets that are a stride: one series after another. */
const strided: Workload = {
  name: 'queue/many-8B/stride',
  title: 'sequential 8-byte stores, queued by one storeMany with a stride, merged',
  ...stores,
  missing: without('storeMany'),
  floor: plainCalls(sequential),
  target: { atLeast: 30 },
  open: queued({ merge: 'adjacent' }, (queue) => {
    const values = Uint32Array.from({ length: 2 * words }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
    return () => {
      if (queue.storeMany({ first: 0 }, values) !== words) full();
      queue.submit();
    };
  }),
};

/** The same words as one write: what an array of them is, where its bytes are in the order of the region's. */
const written: Workload = {
  name: 'queue/written-8B/memory',
  title: 'an array of 8-byte words, queued by one write',
  ...stores,
  floor: doubleCalls,
  target: { atLeast: 30 },
  open: queued({ merge: 'none' }, (queue) => {
    const values = new Uint8Array(counting.buffer);
    return () => {
      if (!queue.write(0, values)) full();
      queue.submit();
    };
  }),
};

const reserved: Workload = {
  name: 'queue/reserved-4KiB/memory',
  title: '8-byte words made in the memory of the queue, 512 to a reserve, stored as blocks',
  ...stores,
  missing: without('reserve'),
  floor: doubleCalls,
  target: { atLeast: 20 },
  open: queued({ merge: 'none' }, (queue) => () => fillReserved(queue)),
};

const modes: readonly { name: string; title: string; options: QueueOptions; offsets: Int32Array }[] = [
  { name: 'none-sequential', title: 'none', options: { merge: 'none' }, offsets: sequential },
  { name: 'adjacent-scattered', title: 'adjacent', options: { merge: 'adjacent' }, offsets: scattered },
  { name: 'any-sequential', title: 'any', options: { merge: 'any' }, offsets: sequential },
  { name: 'any-scattered', title: 'any', options: { merge: 'any' }, offsets: scattered },
  {
    name: 'relaxed-scattered',
    title: "any, order 'relaxed'",
    options: { merge: 'any', order: 'relaxed' },
    offsets: scattered,
  },
];

/** Merge modes on stores that suit them, and on stores that do not. */
const merging: Workload[] = modes.map(({ name, title, options, offsets }) => ({
  name: `queue/merge/${name}`,
  title: `${offsets === sequential ? 'sequential' : 'scattered'} 8-byte stores, merge ${title}`,
  ...stores,
  floor: plainCalls(offsets),
  open: queued(options, (queue) => () => storeWords(queue, offsets, words, words)),
}));

/** What publishing costs: the fewer stores share it, the more. */
const batchSizes: Workload[] = [1, 4, 16, 64, 256, 1024, 4096].map((together) => {
  const count = Math.min(words, together * 256);
  return {
    name: `queue/batch/${together}`,
    title: `sequential 8-byte stores, merged, ${together} to a submit`,
    operations: count,
    bytes: count * 8,
    windowBytes,
    scale: { curve: 'queue/batch', at: together, unit: 'stores to a submit' },
    floor: plainCalls(sequential, count),
    open: queued({ merge: 'adjacent' }, (queue) => () => storeWords(queue, sequential, count, together)),
  };
});

const fromMemory = { operations: blocks, bytes: windowBytes, windowBytes };
const kinds = [
  { over: 'memory', title: 'memory region', loop: 'copyLoop' },
  { over: 'device', title: 'device mapping', loop: 'storeLoop' },
  { over: 'pread', title: 'file by pread and pwrite', loop: 'pwriteLoop', missing: noPread },
] as const;

/** Blocks that are read in place: one operation each, or one for all of them, which the planner cuts. */
const inPlace: Workload[] = kinds.flatMap(({ over, title, loop, ...rest }) => [
  {
    name: `queue/blocks-4KiB/${over}`,
    title: `4 KiB blocks from allocBuffer, one operation each, ${title}`,
    ...fromMemory,
    ...rest,
    quick: over === 'memory',
    floor: nativeLoop(loop, { operations: blocks, bytes: block, memory: wholeSource }),
    target: { atLeast: 0.95 },
    open: queued({ over }, (queue, engine, window) => {
      const source = wholeSource(window, engine);
      return () => writeBlocks(queue, source);
    }),
  },
  {
    name: `queue/write-1MiB/${over}`,
    title: `4 KiB blocks from allocBuffer, planned from writes of 1 MiB, ${title}`,
    ...fromMemory,
    ...rest,
    floor: nativeLoop(loop, { operations: blocks, bytes: block, memory: wholeSource }),
    target: { atLeast: 0.95 },
    open: queued({ over }, (queue, engine, window) => {
      const source = wholeSource(window, engine);
      return () => writeWhole(queue, source);
    }),
  },
]);

const manyBlocks: Workload = {
  name: 'queue/blocks-4KiB/many',
  title: '4 KiB blocks from allocBuffer, queued by one writeMany, memory region',
  ...fromMemory,
  missing: without('writeMany'),
  floor: nativeLoop('copyLoop', { operations: blocks, bytes: block, memory: wholeSource }),
  target: { atLeast: 0.97 },
  open: queued({ over: 'memory' }, (queue, engine, window) => {
    const source = wholeSource(window, engine);
    const offsets = Int32Array.from({ length: blocks }, (_, i) => i * block);
    return () => writeManyBlocks(queue, offsets, source);
  }),
};

const small = { operations: pieces, bytes: pieces * piece, windowBytes };
const smallInPlace = {
  ...small,
  floor: nativeLoop('copyLoop', { operations: pieces, bytes: piece, memory: wholeSource }),
};

/** Writes that are no whole block, one call each, or one for all of them. */
const smallWrites: Workload[] = [
  {
    name: 'queue/writes-64B/in-place',
    title: 'writes of 64 bytes from allocBuffer, queued one by one, not merged',
    ...smallInPlace,
    open: queued({ merge: 'none' }, (queue, engine, window) => {
      const source = wholeSource(window, engine);
      return () => writeEach(queue, source);
    }),
  },
  {
    name: 'queue/writes-64B/many',
    title: 'writes of 64 bytes from allocBuffer, queued by one writeMany, not merged',
    ...smallInPlace,
    missing: without('writeMany'),
    open: queued({ merge: 'none' }, (queue, engine, window) => {
      const source = wholeSource(window, engine);
      const offsets = Int32Array.from({ length: pieces }, (_, i) => i * piece);
      return () => writeMany(queue, offsets, source);
    }),
  },
  {
    name: 'queue/writes-64B/staged',
    title: 'sequential writes of 64 bytes from an ordinary Uint8Array, queued and merged',
    ...small,
    quick: true,
    floor: nativeLoop('copyLoop', { operations: pieces, bytes: piece, memory: (window) => oneSource(window, piece) }),
    open: queued({ merge: 'any' }, (queue, _engine, window) => {
      const source = oneSource(window, piece);
      return () => writePieces(queue, source);
    }),
  },
];

export const workloads: Workload[] = [
  ...claims,
  ...many,
  strided,
  written,
  reserved,
  ...merging,
  ...batchSizes,
  ...inPlace,
  manyBlocks,
  ...smallWrites,
];
