// The operations of a recording in their order, each with its bytes. Those of queued loads come later than the loads do, when
// their batch has ended: what is listed behind such a load waits for it, but in a window only.
import type { Answer } from './loading.js';
import type { RecordedOperation } from './operation.js';

/** What is held back at most. */
const window = { operations: 1 << 16, bytes: 1 << 26 };

interface Held {
  operation: RecordedOperation;
  /** Of a queued load: where in the bytes of all loads of its batch its own begin; null for another operation. */
  readonly at: number | null;
  bytes: Uint8Array | null;
  /** Whether its bytes may still come. */
  waits: boolean;
  /** It could not wait any longer. */
  listed: boolean;
}

interface Loads {
  readonly loads: readonly Held[];
  /** The first that waits. */
  next: number;
}

export class Listing {
  #held: Held[] = [];
  #next = 0;
  #bytes = 0;
  /** Of the batch that is handed over next. */
  #queued: Held[] = [];
  readonly #batches = new Map<number, Loads>();
  #handedOver = 0;

  add(operation: RecordedOperation): void {
    this.#hold({ operation, at: null, bytes: null, waits: false, listed: false });
  }

  /** A queued load, whose bytes begin at `at` in those of its batch. */
  addLoad(operation: RecordedOperation, at: number): void {
    const load = { operation, at, bytes: null, waits: operation.length > 0, listed: false };
    this.#queued.push(load);
    this.#hold(load);
  }

  /** What was queued is a batch. */
  handedOver(): void {
    const batch = this.#handedOver++;
    if (this.#queued.length === 0) return;
    this.#batches.set(batch, { loads: this.#queued, next: 0 });
    this.#queued = [];
  }

  /** What loads of a batch gave. Those that it passes over have nothing, and one of which it has the first bytes has these. */
  answer({ batch, from, bytes, last }: Answer): void {
    const known = this.#batches.get(batch);
    if (known === undefined) return;
    const end = last ? Number.POSITIVE_INFINITY : from + bytes.length;
    for (; known.next < known.loads.length; known.next++) {
      const load = known.loads[known.next] as Held & { at: number };
      const ends = load.at + load.operation.length;
      const part = bytes.subarray(Math.max(0, load.at - from), Math.max(0, ends - from));
      if (part.length > 0 && !load.listed) this.#fill(load, part, Math.max(0, from - load.at));
      if (ends > end) return;
      load.waits = false;
    }
    this.#batches.delete(batch);
  }

  /** What is complete, in order. @param all also what is not: nothing comes any more */
  *ready(all = false): Generator<RecordedOperation> {
    for (; this.#next < this.#held.length; this.#next++) {
      const held = this.#held[this.#next] as Held;
      if (held.waits && !all && !this.#full) return;
      held.listed = true;
      this.#bytes -= held.operation.payload?.length ?? 0;
      yield held.waits ? { ...held.operation, payload: null } : held.operation;
    }
    this.#held = [];
    this.#next = 0;
  }

  get #full(): boolean {
    return this.#held.length - this.#next > window.operations || this.#bytes > window.bytes;
  }

  #hold(held: Held): void {
    this.#held.push(held);
    this.#bytes += held.operation.payload?.length ?? 0;
    if (this.#next < window.operations) return;
    this.#held = this.#held.slice(this.#next);
    this.#next = 0;
  }

  /** The load has these bytes, of which `from` are there already. */
  #fill(load: Held, part: Uint8Array, from: number): void {
    const { operation } = load;
    load.bytes ??= new Uint8Array(operation.length);
    load.bytes.set(part, from);
    const payload = load.bytes.subarray(0, from + part.length);
    this.#bytes += part.length;
    load.operation = { ...operation, payload };
  }
}
