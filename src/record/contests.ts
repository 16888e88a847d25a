// Bytes that two operations of a replay touch at the same time, one of which stores to them: in what order, nobody knows.
import type { Region } from '../region/region.js';
import { type Batch, eachCommon, type Interval } from './batch.js';
import { limits } from './format.js';

export class Contests {
  readonly #scratch = new Float64Array(limits.run);

  /** Notes what the batch has in common with others that are in flight on its region. */
  add(batch: Batch, inFlight: Iterable<Batch>): void {
    for (const other of inFlight) {
      if (other.region !== batch.region) continue;
      const [touched, stored] = [batch.touched(this.#scratch), batch.stored(this.#scratch)];
      const [otherTouched, otherStored] = [other.touched(this.#scratch), other.stored(this.#scratch)];
      const contest = (both: Interval): void => {
        batch.contest(both);
        other.contest(both);
      };
      // Where one of them stores to all that it touches, the other half of it says nothing more.
      if (stored !== touched || otherStored === otherTouched) eachCommon(touched, otherStored, contest);
      if (otherStored !== otherTouched) eachCommon(stored, otherTouched, contest);
    }
  }

  /**
   * Notes what an operation that was not queued has in common with batches in flight, and calls `use` with it.
   * @param loads whether it stores nothing
   */
  addDirect(
    region: Region,
    offset: number,
    length: number,
    loads: boolean,
    inFlight: Iterable<Batch>,
    use: (both: Interval) => void,
  ): void {
    const mine = [{ start: offset, end: offset + length }];
    for (const other of inFlight) {
      if (other.region !== region) continue;
      eachCommon(mine, loads ? other.stored(this.#scratch) : other.touched(this.#scratch), (both) => {
        other.contest(both);
        use(both);
      });
    }
  }
}
