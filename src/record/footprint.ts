// What the emulated regions of a replay hold: the pages that were stored to. They may be as large as regions can be.
import type { Region } from '../region/region.js';
import type { Allowance } from './allowance.js';
import { lengthAt } from './batch.js';
import { carriesPayload } from './format.js';
import type { Extent, Lengths, Run } from './run.js';

const pageBytes = 4096;

export class Footprint {
  readonly #allowance: Allowance;
  readonly #pages = new Map<Region, Set<number>>();

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  /** Counts the pages of this region from now on. */
  watch(region: Region): void {
    this.#pages.set(region, new Set());
  }

  /** The region has been closed. */
  leave(region: Region): void {
    this.#allowance.give((this.#pages.get(region)?.size ?? 0) * pageBytes);
    this.#pages.delete(region);
  }

  /** Counts what a run is about to store. Where it has as many operations as pages between its ends, all of these count. */
  add(region: Region, run: Run, offsets: Float64Array, lengths: Lengths, { lowest, end }: Extent): void {
    const known = this.#pages.get(region);
    if (known === undefined || !(carriesPayload(run.kind) || run.kind === 'copy')) return;
    if ((end - lowest) / pageBytes <= run.count) {
      this.#touch(known, lowest, end);
      return;
    }
    for (let index = 0; index < run.count; index++) {
      const offset = run.regular ? run.firstOffset + index * run.stride : (offsets[index] as number);
      this.#touch(known, offset, offset + lengthAt(lengths, index));
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
