// What the package is for: words that go out as store blocks, against a store for each word.
import type { Queue, Region } from 'ismio';
import type { Engine, Floor, Window, Workload } from '../workload.js';

const bytes = 65_536;
const words = bytes / 8;
/** Of the floor on what is emulated: a batch of all words would take most of a second where each costs 100 us. */
const fewWords = 512;
const values = Array.from({ length: words }, (_, i) => BigInt(i));
/** 8-byte stores in a 4 KiB store block. */
const ideal = 512;

function merged(queue: Queue): void {
  for (let i = 0; i < words; i++) {
    if (!queue.storeWords(i * 8, i, 0)) throw new Error('the queue is full: the batch would be shorter than it says');
  }
  queue.submit();
}

function perWord(region: Region, count: number): void {
  for (let i = 0; i < count; i++) region.store64(i * 8, values[i] as bigint);
}

type Open = (engine: Engine, window: Window) => Region;

function batched(name: string, title: string, windowBytes: number, open: Open): Workload {
  const count = windowBytes === 0 ? fewWords : words;
  const floor: Floor = {
    title: 'one store each: region.store64 for every word',
    operations: count,
    open(window, _floors, engine) {
      const region = open(engine, window);
      return { batch: () => perWord(region, count), counters: () => region.stats(), close: () => region.close() };
    },
  };
  return {
    name: `headline/merged-64KiB/${name}`,
    title: `64 KiB as merged 8-byte stores, ${title}`,
    operations: words,
    bytes,
    windowBytes,
    floor,
    open(engine, window) {
      const region = open(engine, window);
      const queue = region.queue({ depth: words, merge: 'adjacent' });
      return { batch: () => merged(queue), counters: () => region.stats(), close: () => region.close() };
    },
  };
}

/** On a device that one waits for. The costs are synthetic: no latency of PCILG or PCISTB is public. */
const emulated: Workload[] = [1, 10, 100].map((microseconds) => {
  const cost = { store: microseconds * 1000, storeBlock: microseconds * 1000 };
  const title = `emulated, synthetic cost of ${microseconds} us`;
  return {
    ...batched(`emulated-${microseconds}us`, title, 0, (engine) => engine.emulate({ size: bytes, cost })),
    note: `synthetic ${microseconds} us per access; ideal is ${ideal}x`,
    scale: { curve: 'headline/merged-64KiB', at: microseconds, unit: 'us per access' },
    ...(microseconds === 100 ? { target: { atLeast: 0.95 * ideal } } : {}),
  };
});

export const workloads: Workload[] = [
  ...emulated,
  {
    ...batched('mapping', 'device mapping', bytes, (engine, window) => engine.mapFile(window.path, { kind: 'device' })),
    note: 'memory, not a bus: what is saved here is crossings alone',
  },
];
