// One queue of a replay: claims the recorded operations, hands them over as they were, and hears what became of them.
import { layout, states } from '../addon/wire.js';
import type { QueueOptions } from '../queue/options.js';
import type { BatchError, OperationOutcome } from '../queue/outcomes.js';
import { entriesFor } from '../queue/ring.js';
import { Batch } from './batch.js';
import { bytesBetween, type Cursor, claim, claimOne, type Load } from './claims.js';
import type { ReplayContext } from './context.js';
import { type Outcome, pieceBytes } from './format.js';
import type { ReplayQueue, ReplayRegion } from './replay-region.js';
import { behind, lengthAt, placeOf, type Run } from './run.js';

const partial = states.indexOf('partial');

/** Bytes that a batch may move. A longer one goes in parts, as one does whose payload is in more blocks than are held. */
const mostBytes = 80 * 2 ** 20;
/** What an operation takes on its way, in bytes that are moved in the same time. */
const operationWork = 64;

export class ReplayedQueue {
  readonly region: ReplayRegion;
  readonly #queue: ReplayQueue;
  readonly #ringBytes: number;
  readonly #context: ReplayContext;
  readonly #load: Load = (offset, length) => this.#loadKept(offset, length);
  #batch: Batch;
  /** Batches in flight, in order. */
  readonly #drains: Batch[] = [];
  #loadAt = 0;
  /** Of the recorded batch that is being claimed: its number, and operations so far. */
  #number = 0;
  #position = 0;
  /** Where in the recorded outcomes it is, and where the operation began of which pieces are claimed. */
  #outcome = 0;
  #operationAt = 0;

  constructor(
    region: ReplayRegion,
    depth: number,
    modes: Pick<QueueOptions, 'merge' | 'order'>,
    context: ReplayContext,
  ) {
    this.region = region;
    this.#context = context;
    this.#ringBytes = entriesFor(depth) * layout.entryBytes;
    context.allowance.take(this.#ringBytes, 'what the queues of the recording have room for');
    this.#queue = region.queue({ depth, bytes: 8, ...modes });
    this.#batch = new Batch(region);
  }

  /**
   * Claims a run of the batch with this number. `recorded` says what of the batch did not go through when it was recorded: it
   * is left out.
   */
  claim(
    run: Run,
    offsets: Float64Array,
    number: number,
    recorded: readonly Outcome[] | undefined,
  ): Promise<void> | void {
    this.#number = number;
    const first = run.continued ? this.#position - 1 : this.#position;
    this.#position = first + run.count;
    const words = run.kind === 'store' && run.lengths === 8;
    if (run.regular && (recorded !== undefined || !words)) run.offsets(offsets);
    if (recorded !== undefined) return this.#claimPart(run, offsets, first, recorded);
    const claimed = this.#claim(run, offsets, { index: 0, at: run.bytesAt });
    if (claimed.index < run.count) return this.#claimRest(run, offsets, claimed);
  }

  submit(): void {
    const batch = this.#next();
    let error: Error | null = null;
    try {
      this.#queue.submit();
    } catch (thrown) {
      error = thrown as Error;
    }
    this.#ended(batch, error);
  }

  drain(): void {
    const batch = this.#next();
    batch.settled = this.#queue.drain({ signal: this.#context.turns.signal }).then(
      () => null,
      (error: Error) => error,
    );
    this.#drains.push(batch);
    this.#context.inFlight.add(batch);
  }

  /** Whether operations are claimed and not handed over. */
  get waiting(): boolean {
    return this.#batch.operations > 0;
  }

  get inFlight(): boolean {
    return this.#drains.length > 0;
  }

  /** Whether the recorded batch with this number, a part of it or one before it is in flight. */
  hasInFlight(number: number): boolean {
    const [oldest] = this.#drains;
    return oldest !== undefined && oldest.number <= number;
  }

  /** Waits for the oldest batch in flight, if there is one. */
  async settle(): Promise<void> {
    const batch = this.#drains[0];
    if (batch === undefined) return;
    const error = await batch.settled;
    if (this.#drains[0] !== batch) return;
    this.#drains.shift();
    this.#context.inFlight.delete(batch);
    this.#ended(batch, error);
  }

  async settleAll(): Promise<void> {
    while (this.inFlight) await this.settle();
  }

  /** Nothing is in flight any more. */
  close(): void {
    this.#queue.close();
    this.#context.allowance.give(this.#ringBytes);
  }

  /** Lets go of everything, wherever it is. */
  async abandon(): Promise<void> {
    this.close();
    await Promise.all(this.#drains.map((batch) => batch.settled));
    for (const batch of [this.#batch, ...this.#drains]) batch.release();
    this.#drains.length = 0;
  }

  /** Frees a block: ends a batch in flight, or hands over what is claimed so far. */
  async makeRoom(): Promise<void> {
    if (this.inFlight) return this.settle();
    if (this.#batch.operations === 0) return;
    this.#context.split();
    const [position, outcome] = [this.#position, this.#outcome];
    this.submit();
    [this.#position, this.#outcome] = [position, outcome];
  }

  #next(): Batch {
    const batch = this.#batch;
    batch.number = this.#number;
    this.#context.contests?.add(batch, this.#others());
    this.#context.turns.add(operationWork * (1 + batch.operations) + batch.bytes);
    this.#batch = new Batch(this.region);
    this.#loadAt = 0;
    this.#position = 0;
    this.#outcome = 0;
    return batch;
  }

  #others(): Batch[] {
    return [...this.#context.inFlight].filter((batch) => !this.#drains.includes(batch));
  }

  #ended(batch: Batch, error: Error | null): void {
    const { verifier, recall, buffers, allowance, failed } = this.#context;
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

  async #claimRest(run: Run, offsets: Float64Array, claimed: Cursor): Promise<void> {
    let from = claimed;
    while (from.index < run.count) {
      await this.#makeRoomInTurn();
      from = this.#claim(run, offsets, from);
    }
  }

  async #makeRoomInTurn(): Promise<void> {
    await this.makeRoom();
    const turn = this.#context.turns.after(0);
    if (turn !== undefined) await turn;
  }

  /** Claims what there is room for. */
  #claim(run: Run, offsets: Float64Array, from: Cursor): Cursor {
    const { index: first, at } = from;
    const claimed = claim(this.#queue, run, offsets, from, this.#reach(run, first), this.#load);
    const { index } = claimed;
    if (index > first)
      this.#batch.add({ run, first, count: index - first, at, cut: null }, bytesBetween(run, first, index));
    return claimed;
  }

  /** Up to which operation of the run the batch has room for their bytes. */
  #reach({ count, sum, lengths }: Run, first: number): number {
    let room = mostBytes - this.#batch.bytes;
    if (sum <= room) return count;
    let end = first;
    while (end < count && room >= lengthAt(lengths, end)) room -= lengthAt(lengths, end++);
    return end;
  }

  #loadKept(offset: number, length: number): boolean {
    const { verifier, recall, unseen } = this.#context;
    if (verifier === null && recall === null) return this.#queue.load(offset, unseen.subarray(0, length));
    const memory = this.#loadMemory(length);
    const fits = this.#loadAt + length <= memory.length;
    const at = fits ? this.#loadAt : 0;
    const target = fits ? memory.subarray(at, at + length) : unseen.subarray(0, length);
    if (!this.#queue.load(offset, target)) return false;
    this.#batch.loads.push(fits ? { bytes: memory, at } : null);
    if (fits) this.#loadAt += Math.ceil(length / 8) * 8;
    return true;
  }

  /** Where the next load goes. One batch has one piece of memory for it, unless all of its loads are to be looked at. */
  #loadMemory(length: number): Uint8Array {
    const known = this.#batch.memory.at(-1);
    if (known !== undefined && (this.#context.recall === null || this.#loadAt + length <= known.length)) return known;
    this.#loadAt = 0;
    this.#context.allowance.take(pieceBytes, 'to check what batches load', ', or replay without verification');
    const memory = this.#context.buffers.take(pieceBytes);
    this.#batch.memory.push(memory);
    return memory;
  }

  /** The part of a run that went through when it was recorded. */
  async #claimPart(run: Run, offsets: Float64Array, first: number, recorded: readonly Outcome[]): Promise<void> {
    let at = run.bytesAt;
    for (let index = 0; index < run.count; index++) {
      const length = lengthAt(run.lengths, index);
      const offset = offsets[index] as number;
      at = placeOf(run, at, length);
      if (!run.continued) this.#operationAt = offset;
      const done = this.#recordedDone(first + index, recorded) - (offset - this.#operationAt);
      const cut = Math.max(0, Math.min(length, done));
      if (cut > 0 || done === Number.POSITIVE_INFINITY) {
        const full = (): boolean => this.#batch.bytes + cut > mostBytes;
        while (full() || !claimOne(this.#queue, run, offset, cut, at, this.#load)) await this.#makeRoomInTurn();
        this.#batch.add({ run, first: index, count: 1, at, cut }, cut);
      }
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
}
