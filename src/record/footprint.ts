// What the emulated regions of a replay hold: the pages that were stored to. They may be as large as regions can be.
import type { Allowance } from './allowance.js';
import { stores } from './format.js';
import type { ReplayRegion } from './replay-region.js';
import { lengthAt, type Run } from './run.js';

const pageBytes = 4096;

interface Pages {
  readonly known: Set<number>;
  /** Bytes of which all pages are known: most runs store where one before them did. */
  from: number;
  end: number;
}

export class Footprint {
  readonly #allowance: Allowance;
  readonly #pages = new Map<ReplayRegion, Pages>();

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  /** Counts the pages of this region from now on. */
  watch(region: ReplayRegion): void {
    this.#pages.set(region, { known: new Set(), from: 0, end: 0 });
  }

  /** The region has been closed. */
  leave(region: ReplayRegion): void {
    this.#allowance.give((this.#pages.get(region)?.known.size ?? 0) * pageBytes);
    this.#pages.delete(region);
  }

  /** Counts what a run is about to store. Where it has as many operations as pages between its ends, all of these count. */
  add(region: ReplayRegion, run: Run, offsets: Float64Array): void {
    const { lowest, end } = run.extent;
    const pages = this.#pages.get(region);
    if (pages === undefined || !(stores(run.kind) || run.kind === 'copy')) return;
    if (lowest >= pages.from && end <= pages.end) return;
    const { known } = pages;
    if ((end - lowest) / pageBytes <= run.count) {
      this.#touch(known, lowest, end);
      const joins = lowest <= pages.end && end >= pages.from;
      pages.from = joins ? Math.min(lowest, pages.from) : lowest;
      pages.end = joins ? Math.max(end, pages.end) : end;
      return;
    }
    for (let index = 0; index < run.count; index++) {
      const offset = run.regular ? run.firstOffset + index * run.stride : (offsets[index] as number);
      this.#touch(known, offset, offset + lengthAt(run.lengths, index));
    }
  }

  #touch(known: Set<number>, from: number, end: number): void {
    for (let page = Math.floor(from / pageBytes); page * pageBytes < end; page++) {
      if (known.has(page)) continue;
      this.#allowance.take(pageBytes, 'what is stored to emulated regions', ', or replay on a region of your own');
      known.add(page);
    }
  }
}
