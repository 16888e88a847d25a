// Batches whose loads have no bytes yet: these come when the batch has ended, in the order of its loads.
import { Damage } from './bytes.js';
import { limits } from './format.js';
import type { RecordedQueue } from './run.js';

interface Loads {
  readonly queue: RecordedQueue;
  /** Of all loads together, and how many of them have come. */
  readonly bytes: number;
  done: number;
}

/** Some of the bytes of a batch's loads, one load's after the other's. */
export interface Answer {
  readonly batch: number;
  readonly queue: RecordedQueue;
  /** Of the bytes of all its loads, where these begin. Those before it that did not come are not known. */
  readonly from: number;
  /** Good as long as the block is. */
  readonly bytes: Uint8Array;
  /** Whether no more come. */
  readonly last: boolean;
}

export class Loading {
  readonly #batches = new Map<number, Loads>();
  /** Bytes of the loads that the next batch to be handed over has so far. */
  waiting = 0;

  /** The batch has the loads that waited. */
  handedOver(batch: number, queue: RecordedQueue): void {
    if (this.waiting > 0) this.#batches.set(batch, { queue, bytes: this.waiting, done: 0 });
    this.waiting = 0;
    if (this.#batches.size > limits.loading) throw new Damage(`more than ${limits.loading} batches with loads at once`);
  }

  /** The bytes of its loads that come next; before them, so many that nobody knows. */
  answer(batch: number, unknown: number, bytes: Uint8Array): Answer {
    const loads = this.#batches.get(batch);
    if (loads === undefined) throw new Damage(`batch ${batch} has no loads that could have ended`);
    const from = loads.done + unknown;
    loads.done = from + bytes.length;
    const last = loads.done === loads.bytes;
    if (loads.done > loads.bytes)
      throw new Damage(`the loads of batch ${batch} have ${loads.bytes} bytes, and no more`);
    if (last) this.#batches.delete(batch);
    return { batch, queue: loads.queue, from, bytes, last };
  }
}
