// One queue of a replay: claims the recorded operations, hands them over as they were, and hears what became of them.
import type { BatchError, OperationOutcome } from '../queue/outcomes.js';
import type { Queue } from '../queue/queue.js';
import { states } from '../wire.js';
import type { Allowance } from './allowance.js';
import { Batch, behind, lengthAt, placeOf } from './batch.js';
import type { Buffers } from './buffers.js';
import type { Contests } from './contests.js';
import type { Outcome } from './format.js';
import { pieceBytes } from './format.js';
import type { Recall } from './recall.js';
import type { Lengths, Run } from './run.js';
import type { Turns } from './turns.js';
import type { Verifier } from './verifier.js';

/** What the queues of one replay share. */
export interface Shared {
  readonly verifier: Verifier | null;
  /** Null where what is loaded is not compared with what was loaded when it was recorded. */
  readonly recall: Recall | null;
  /** Null where nothing is compared. */
  readonly contests: Contests | null;
  readonly buffers: Buffers;
  readonly allowance: Allowance;
  readonly turns: Turns;
  readonly inFlight: Set<Batch>;
  /** Where loads go that nobody looks at. */
  readonly unseen: Uint8Array;
  /** An operation that the device refused; throws what is no answer of a device. */
  failed(error: Error): void;
  /** A batch that did not fit and went in two parts. */
  split(): void;
}

const partial = states.indexOf('partial');

/** Bytes that a batch may move. A longer one goes in parts, as one does whose payload is in more blocks than are held. */
const mostBytes = 80 * 2 ** 20;
/** What an operation takes on its way, in bytes that are moved in the same time. */
const operationWork = 64;

export class Player {
  readonly queue: Queue;
  readonly #shared: Shared;
  #batch: Batch;
  readonly #flying: Batch[] = [];
  #loadAt = 0;
  /** Of the recorded batch that is being claimed: its number, and operations so far. */
  #number = 0;
  #position = 0;
  /** Where in the recorded outcomes it is, and where the operation began of which pieces are claimed. */
  #outcome = 0;
  #operationAt = 0;

  constructor(queue: Queue, shared: Shared) {
    this.queue = queue;
    this.#shared = shared;
    this.#batch = new Batch(queue.region);
  }

  /**
   * Claims a run of the batch with this number. `recorded` says what of the batch did not go through when it was recorded: it
   * is left out.
   */
  claim(
    run: Run,
    offsets: Float64Array,
    lengths: Lengths,
    number: number,
    recorded: readonly Outcome[] | undefined,
  ): Promise<void> | void {
    this.#number = number;
    const first = run.continued ? this.#position - 1 : this.#position;
    this.#position = first + run.count;
    const words = run.kind === 'store' && lengths === 8;
    if (run.regular && (recorded !== undefined || !words)) run.offsets(offsets, lengths);
    if (recorded !== undefined) return this.#claimPart(run, offsets, lengths, first, recorded);
    const claimed = this.#claim(run, offsets, lengths, 0, run.bytesAt);
    if (claimed.index < run.count) return this.#claimRest(run, offsets, lengths, claimed);
  }

  submit(): void {
    const batch = this.#next();
    let error: Error | null = null;
    try {
      this.queue.submit();
    } catch (thrown) {
      error = thrown as Error;
    }
    this.#ended(batch, error);
  }

  drain(): void {
    const batch = this.#next();
    batch.settled = this.queue.drain({ signal: this.#shared.turns.signal }).then(
      () => null,
      (error: Error) => error,
    );
    this.#flying.push(batch);
    this.#shared.inFlight.add(batch);
  }

  /** Whether operations are claimed and not handed over. */
  get waiting(): boolean {
    return this.#batch.operations > 0;
  }

  get inFlight(): boolean {
    return this.#flying.length > 0;
  }

  /** Whether the recorded batch with this number, a part of it or one before it is in flight. */
  hasInFlight(number: number): boolean {
    const [oldest] = this.#flying;
    return oldest !== undefined && oldest.number <= number;
  }

  /** Waits for the oldest batch in flight, if there is one. */
  async settle(): Promise<void> {
    const batch = this.#flying[0];
    if (batch === undefined) return;
    const error = await batch.settled;
    if (this.#flying[0] !== batch) return;
    this.#flying.shift();
    this.#shared.inFlight.delete(batch);
    this.#ended(batch, error);
  }

  async settleAll(): Promise<void> {
    while (this.inFlight) await this.settle();
  }

  /** Lets go of everything; the queue has been closed. */
  async abandon(): Promise<void> {
    await Promise.all(this.#flying.map((batch) => batch.settled));
    for (const batch of [this.#batch, ...this.#flying]) batch.release();
    this.#flying.length = 0;
  }

  /** Frees a block: ends a batch in flight, or hands over what is claimed so far. */
  async makeRoom(): Promise<void> {
    if (this.inFlight) return this.settle();
    if (this.#batch.operations === 0) return;
    this.#shared.split();
    const [position, outcome] = [this.#position, this.#outcome];
    this.submit();
    [this.#position, this.#outcome] = [position, outcome];
  }

  #next(): Batch {
    const batch = this.#batch;
    batch.number = this.#number;
    this.#shared.contests?.add(batch, this.#others());
    this.#shared.turns.add(operationWork * (1 + batch.operations) + batch.bytes);
    this.#batch = new Batch(this.queue.region);
    this.#loadAt = 0;
    this.#position = 0;
    this.#outcome = 0;
    return batch;
  }

  #others(): Batch[] {
    return [...this.#shared.inFlight].filter((batch) => !this.#flying.includes(batch));
  }

  #ended(batch: Batch, error: Error | null): void {
    const { verifier, recall, buffers, allowance, failed } = this.#shared;
    let outcomes: readonly OperationOutcome[] = [];
    if (error !== null) {
      failed(error);
      outcomes = (error as BatchError).operations;
    }
    verifier?.ended(batch, outcomes);
    recall?.ended(batch, outcomes);
    for (const memory of batch.memory) buffers.give(memory);
    allowance.give(batch.memory.length * pieceBytes);
    batch.release();
  }

  async #claimRest(run: Run, offsets: Float64Array, lengths: Lengths, claimed: Cursor): Promise<void> {
    let { index, at } = claimed;
    while (index < run.count) {
      await this.makeRoom();
      const turn = this.#shared.turns.after(0);
      if (turn !== undefined) await turn;
      ({ index, at } = this.#claim(run, offsets, lengths, index, at));
    }
  }

  /** Claims what there is room for. */
  #claim(run: Run, offsets: Float64Array, lengths: Lengths, first: number, at: number): Cursor {
    const { kind } = run;
    const end = this.#reach(run, lengths, first);
    const claimed =
      kind === 'store' && lengths === 8
        ? this.#stores(run, offsets, first, end, at)
        : kind === 'write'
          ? this.#writes(run, offsets, lengths, first, end, at)
          : this.#operations(run, offsets, lengths, first, end, at, null);
    const { index } = claimed;
    if (index > first) {
      this.#batch.add({ run, first, count: index - first, at, cut: null }, bytesOf(run, lengths, first, index));
    }
    return claimed;
  }

  /** Up to which operation of the run the batch has room for their bytes. */
  #reach(run: Run, lengths: Lengths, first: number): number {
    const { count } = run;
    let room = mostBytes - this.#batch.bytes;
    if (run.sum <= room) return count;
    let end = first;
    while (end < count && room >= lengthAt(lengths, end)) room -= lengthAt(lengths, end++);
    return end;
  }

  #stores(run: Run, offsets: Float64Array, first: number, end: number, from: number): Cursor {
    let index = first;
    let at = from;
    while (index < end) {
      at = placeOf(run, at, 8);
      const most = Math.min(end - index, Math.floor((run.bytesEnd - at) / 8));
      const places = run.regular
        ? { first: run.firstOffset + index * run.stride, stride: run.stride }
        : offsets.subarray(index, index + most);
      const stored = this.queue.storeMany(places, run.words(at, most), 0, most);
      index += stored;
      at += 8 * stored;
      if (stored < most) break;
    }
    return { index, at };
  }

  /** As many at once as there is payload up to its end; made-up bytes go on at 0 then. */
  #writes(run: Run, offsets: Float64Array, lengths: Lengths, first: number, end: number, from: number): Cursor {
    const { queue } = this;
    let at = from;
    let index = first;
    while (index < end) {
      at = placeOf(run, at, lengthAt(lengths, index));
      const reach = reachOf(run, lengths, index, end, at);
      const places = offsets.subarray(index, reach);
      const queued = queue.writeMany(
        places,
        typeof lengths === 'number' ? lengths : lengths.subarray(index),
        run.bytes,
        at,
      );
      at += bytesOf(run, lengths, index, index + queued);
      index += queued;
      if (index < reach) break;
    }
    return { index, at };
  }

  #operations(
    run: Run,
    offsets: Float64Array,
    lengths: Lengths,
    first: number,
    end: number,
    from: number,
    cut: number | null,
  ): Cursor {
    const { queue } = this;
    const { kind, source } = { kind: run.kind, source: run.bytes };
    let at = from;
    let index = first;
    for (; index < end; index++) {
      const offset = offsets[index] as number;
      const length = lengthAt(lengths, index);
      at = placeOf(run, at, length);
      const taken =
        kind === 'write' || (kind === 'store' && cut !== null && cut < length)
          ? queue.write(offset, source, at, cut ?? length)
          : kind === 'load'
            ? this.#load(offset, cut ?? length)
            : kind === 'fence'
              ? queue.fence(run.purpose)
              : this.#store(offset, length, source, at);
      if (!taken) break;
      at = behind(run, at, length);
    }
    return { index, at };
  }

  #store(offset: number, width: number, source: Uint8Array, at: number): boolean {
    const { queue } = this;
    const low = source[at] as number;
    if (width === 1) return queue.store8(offset, low);
    const half = low | ((source[at + 1] as number) << 8);
    if (width === 2) return queue.store16(offset, half);
    const view = new DataView(source.buffer, source.byteOffset + at, width);
    return width === 4
      ? queue.store32(offset, view.getUint32(0, true))
      : queue.store64(offset, view.getBigUint64(0, true));
  }

  #load(offset: number, length: number): boolean {
    const { verifier, recall, unseen } = this.#shared;
    if (verifier === null && recall === null) return this.queue.load(offset, unseen.subarray(0, length));
    const memory = this.#loadMemory(length);
    const fits = this.#loadAt + length <= memory.length;
    const at = fits ? this.#loadAt : 0;
    const target = fits ? memory.subarray(at, at + length) : unseen.subarray(0, length);
    if (!this.queue.load(offset, target)) return false;
    this.#batch.loads.push(fits ? { bytes: memory, at } : null);
    if (fits) this.#loadAt += Math.ceil(length / 8) * 8;
    return true;
  }

  /** Where the next load goes. One batch has one piece of memory for it, unless all of its loads are to be looked at. */
  #loadMemory(length: number): Uint8Array {
    const known = this.#batch.memory.at(-1);
    if (known !== undefined && (this.#shared.recall === null || this.#loadAt + length <= known.length)) return known;
    this.#loadAt = 0;
    this.#shared.allowance.take(pieceBytes, 'to check what batches load', ', or replay without verification');
    const memory = this.#shared.buffers.take(pieceBytes);
    this.#batch.memory.push(memory);
    return memory;
  }

  /** The part of a run that went through when it was recorded. */
  async #claimPart(
    run: Run,
    offsets: Float64Array,
    lengths: Lengths,
    first: number,
    recorded: readonly Outcome[],
  ): Promise<void> {
    let at = run.bytesAt;
    for (let index = 0; index < run.count; index++) {
      const length = lengthAt(lengths, index);
      const offset = offsets[index] as number;
      at = placeOf(run, at, length);
      if (!run.continued) this.#operationAt = offset;
      const done = this.#recordedDone(first + index, recorded) - (offset - this.#operationAt);
      const cut = Math.max(0, Math.min(length, done));
      if (cut > 0 || done === Number.POSITIVE_INFINITY) await this.#claimOne(run, offsets, lengths, index, at, cut);
      at = behind(run, at, length);
    }
  }

  /** How many bytes of the operation with this index went through; infinity for all of them. */
  #recordedDone(index: number, recorded: readonly Outcome[]): number {
    for (; this.#outcome < recorded.length; this.#outcome++) {
      const [first, count, state, bytesDone] = recorded[this.#outcome] as Outcome;
      if (index < first) break;
      if (index < first + count) return state === partial ? bytesDone : 0;
    }
    return Number.POSITIVE_INFINITY;
  }

  async #claimOne(
    run: Run,
    offsets: Float64Array,
    lengths: Lengths,
    index: number,
    at: number,
    cut: number,
  ): Promise<void> {
    while (
      this.#batch.bytes + cut > mostBytes ||
      this.#operations(run, offsets, lengths, index, index + 1, at, cut).index === index
    ) {
      await this.makeRoom();
      const turn = this.#shared.turns.after(0);
      if (turn !== undefined) await turn;
    }
    this.#batch.add({ run, first: index, count: 1, at, cut }, cut);
  }
}

/** Up to which operation the payload lies in one piece, from `at` on. */
function reachOf(run: Run, lengths: Lengths, first: number, end: number, at: number): number {
  if (at + run.sum <= run.bytesEnd) return end;
  let next = first;
  for (let left = run.bytesEnd - at; next < end && lengthAt(lengths, next) <= left; next++)
    left -= lengthAt(lengths, next);
  return next;
}

/** Of the operations [first, end). */
function bytesOf(run: Run, lengths: Lengths, first: number, end: number): number {
  if (end - first === run.count) return run.sum;
  if (typeof lengths === 'number') return (end - first) * lengths;
  let bytes = 0;
  for (let index = first; index < end; index++) bytes += lengths[index] as number;
  return bytes;
}

interface Cursor {
  readonly index: number;
  readonly at: number;
}
