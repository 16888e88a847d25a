// Bytes that two operations of a replay touch at the same time, one of which stores to them: in what order, nobody knows.
import type { Batch } from './batch.js';
import { eachCommon, type Interval } from './intervals.js';
import type { ReplayRegion } from './replay-region.js';

export class Contests {
  /** Notes what the batch has in common with others that are in flight on its region. */
  add(batch: Batch, inFlight: Iterable<Batch>): void {
    for (const other of inFlight) {
      if (other.region !== batch.region) continue;
      const [touched, stored] = [batch.touched, batch.stored];
      const [otherTouched, otherStored] = [other.touched, other.stored];
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
    region: ReplayRegion,
    offset: number,
    length: number,
    loads: boolean,
    inFlight: Iterable<Batch>,
    use: (both: Interval) => void,
  ): void {
    const mine = [{ start: offset, end: offset + length }];
    for (const other of inFlight) {
      if (other.region !== region) continue;
      eachCommon(mine, loads ? other.stored : other.touched, (both) => {
        other.contest(both);
        use(both);
      });
    }
  }
}
