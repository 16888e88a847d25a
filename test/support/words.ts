// Queued words that are easy to count.
import assert from 'node:assert/strict';
import type { Queue, Region } from 'ismio';
import { contents } from './bytes.js';

/** Queues an 8-byte store for each of the words [from, from + count) of the region. */
export function fill(queue: Queue, count: number, from = 0): void {
  for (let i = from; i < from + count; i++) assert.ok(queue.storeWords(i * 8, i + 1, 1));
}

/** How many of the region's first `count` words have been stored by `fill`. */
export function stored(region: Region, count: number): number {
  const view = new DataView(contents(region, 0, count * 8).buffer);
  return Array.from({ length: count }, (_, i) => view.getUint32(i * 8 + 4, true)).filter((high) => high === 1).length;
}
