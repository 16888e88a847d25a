// 8-byte stores: through the queue, against one call each.
import { closeSync, openSync, writeSync } from 'node:fs';
import { emulate, mapFile, type Queue } from 'ismio';
import { type Batch, compare, timed } from '../compare.js';
import { floors } from '../floors.js';
import type { Effort, Outcome, Scenario } from '../scenario.js';
import { makeWindow, type Window } from '../window.js';

const windowBytes = 1 << 20;
const batch = 1 << 15;
const depth = 4096;

/** Offsets of 8-byte words: one after the other, or all over the window with none next to the one before. */
const sequential = Int32Array.from({ length: batch }, (_, i) => (i * 8) % windowBytes);
const scattered = Int32Array.from({ length: batch }, (_, i) => ((Math.imul(i, 0x9e3779b1) >>> 15) * 8) % windowBytes);

function throughQueue(queue: Queue, offsets: Int32Array): void {
  for (let i = 0; i < offsets.length; i++) {
    if (queue.storeWords(offsets[i] as number, i, 0)) continue;
    queue.submit();
    queue.storeWords(offsets[i] as number, i, 0);
  }
  queue.submit();
}

function oneCallEach(offsets: Int32Array): void {
  for (let i = 0; i < offsets.length; i++) floors.store(offsets[i] as number, i, 0);
}

/** The values of `throughQueue`, as 64-bit words that each become a BigInt when they are read. */
const bigValues = BigUint64Array.from({ length: batch }, (_, i) => BigInt(i));

function oneBigCallEach(offsets: Int32Array): void {
  for (let i = 0; i < offsets.length; i++) floors.storeBigInt(offsets[i] as number, bigValues[i] as bigint);
}

async function withWindow<T>(use: (window: Window) => Promise<T>): Promise<T> {
  const window = makeWindow(windowBytes);
  try {
    floors.open(window.path, window.bytes);
    return await use(window);
  } finally {
    window.remove();
  }
}

function measure(offsets: Int32Array, merge: 'none' | 'adjacent', floorOf: (window: Window) => Batch) {
  return ({ rounds, time }: Effort): Promise<Outcome> =>
    withWindow(async (window) => {
      using region = mapFile(window.path);
      const queue = region.queue({ depth, merge });
      const comparison = await compare(
        { operations: batch, run: () => timed(() => throughQueue(queue, offsets)) },
        floorOf(window),
        rounds,
        time,
      );
      const before = region.stats();
      throughQueue(queue, offsets);
      const after = region.stats();
      const issued = after.stores + after.storeBlocks - before.stores - before.storeBlocks;
      return { value: comparison.ratio, unit: 'x', comparison, issued, bytes: after.bytes - before.bytes };
    });
}

const plainCalls = (offsets: Int32Array) => (): Batch => ({
  operations: batch,
  run: () => timed(() => oneCallEach(offsets)),
});

const bigCalls = (offsets: Int32Array) => (): Batch => ({
  operations: batch,
  run: () => timed(() => oneBigCallEach(offsets)),
});

function writeSyncs(window: Window): Batch {
  const words = 2048;
  const word = Buffer.alloc(8);
  return {
    operations: words,
    run: () => {
      const file = openSync(window.path, 'r+');
      const took = timed(() => {
        for (let i = 0; i < words; i++) writeSync(file, word, 0, 8, sequential[i] as number);
      });
      closeSync(file);
      return took;
    },
  };
}

async function exactCount(): Promise<Outcome> {
  using region = emulate({ size: 2 ** 24 });
  const queue = region.queue({ depth: 1 << 17, merge: 'adjacent' });
  let worst = 0;
  for (const n of [1, 2, 511, 512, 513, 1000, 4096, 65_537, 100_000]) {
    for (let i = 0; i < n; i++) queue.storeWords(i * 8, i, 0);
    const ideal = Math.ceil((8 * n) / region.rules.maxStoreBlock);
    worst = Math.max(worst, Math.abs(queue.submit().issued - ideal));
  }
  return { value: worst, unit: 'operations', note: 'largest difference over 9 sizes, 1 to 100,000 stores' };
}

export const stores: Scenario[] = [
  {
    name: 'stores/sequential',
    subject: 'sequential 8-byte stores, queued and merged',
    floor: 'one plain Node-API call per store, the value in two 32-bit words',
    target: { atLeast: 8 },
    run: measure(sequential, 'adjacent', plainCalls(sequential)),
  },
  {
    name: 'stores/sequential-bigint',
    subject: 'sequential 8-byte stores, queued and merged',
    floor: 'one plain Node-API call per store, the value a BigInt',
    target: { atLeast: 8 },
    run: measure(sequential, 'adjacent', bigCalls(sequential)),
  },
  {
    name: 'stores/fs',
    subject: 'sequential 8-byte stores, queued and merged',
    floor: 'fs.writeSync of 8 bytes into the same tmpfs file',
    target: { atLeast: 100 },
    run: measure(sequential, 'adjacent', writeSyncs),
  },
  {
    name: 'stores/scattered',
    subject: 'scattered 8-byte stores, queued, nothing to merge',
    floor: 'one plain Node-API call per store, the value in two 32-bit words',
    target: { atLeast: 4 },
    run: measure(scattered, 'none', plainCalls(scattered)),
  },
  {
    name: 'stores/count',
    subject: 'device operations for n sequential 8-byte stores',
    floor: 'ceil(8n / maxStoreBlock)',
    target: { exactly: 0 },
    run: exactCount,
  },
];
