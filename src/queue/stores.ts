// Stores by the thousand: `storeMany`. As many are filled in at once as have room, and one at a time where each is told to the
// flusher, whose callback may do anything.
import type { Bounds } from './bounds.js';
import {
  checkStores,
  checkStride,
  holdStores,
  isOffsets,
  type Offsets,
  type Stride,
  type Values,
  wordsOf,
} from './bulk.js';
import { fillStores, fillStoresEvery } from './fill.js';
import type { Flusher } from './flusher.js';
import type { Intake } from './intake.js';
import type { Ring } from './ring.js';

export class Stores {
  readonly #intake: Intake;
  readonly #bounds: Bounds;
  readonly #ring: Ring;
  readonly #flusher: Flusher | null;

  constructor(intake: Intake, bounds: Bounds, ring: Ring, flusher: Flusher | null) {
    this.#intake = intake;
    this.#bounds = bounds;
    this.#ring = ring;
    this.#flusher = flusher;
  }

  queue(offsets: Offsets | Stride, values: Values, start: number, count: number | undefined): number {
    const { from, wanted } = checkStores(offsets, values, start, count);
    const { words, low } = wordsOf(values);
    let places: Offsets | null = null;
    let [first, stride] = [0, 0];
    if (isOffsets(offsets)) places = offsets;
    else {
      stride = checkStride(offsets);
      if (wanted > 0) first = this.#bounds.checkEnds(offsets.first, stride, from, wanted);
    }
    this.#intake.checkUsable();
    const end = from + wanted;
    let done = 0;
    while (done < wanted) {
      const ring = this.#ring;
      if (ring.at === ring.stop && !this.#intake.claim()) return done;
      const most = Math.min(wanted - done, this.#flusher === null ? (ring.stop - ring.at) >> 2 : 1);
      const index = from + done;
      if (places === null) {
        fillStoresEvery(ring, first + index * stride, stride, words, low, index, most);
        done += most;
      } else {
        const filled = fillStores(ring, places, words, low, index, most, this.#bounds.last);
        done += filled;
        if (filled < most) throw this.#badStore(places[from + done] as number, from + done);
      }
      if (this.#flusher === null) continue;
      this.#flusher.queued(8);
      if (this.#intake.interrupted || !holdStores(places, words, end)) return done;
    }
    return done;
  }

  #badStore(offset: number, index: number): unknown {
    try {
      this.#bounds.checkPlace(offset, 8);
    } catch (error) {
      return Object.assign(error as Error, { index });
    }
    return this.#intake.closedError();
  }
}
