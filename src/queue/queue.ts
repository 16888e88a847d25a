// The submission queue: operations wait in a ring that the addon shares, and cross into native code all at once.
import { closedWith, disposedWith, type Ending, nothingLeft } from '../access/ending.js';
import { noSharedMemory } from '../access/memory.js';
import type { RegionLike } from '../access/region-like.js';
import { native } from '../addon/binding.js';
import type { QueueHandle, RegionHandle } from '../addon/handles.js';
import { type Fence, fenceNumber, Opcode } from '../addon/wire.js';
import { type BytesLike, bytesOf, checkOffset, checkValue, checkValue64, type Whole } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import { type DrainOptions, isPart, notANumber, partOutOfRange, signalOf } from './arguments.js';
import { Batches } from './batches.js';
import { Bounds } from './bounds.js';
import { checkWrites, holdWrites, type Lengths, lengthAt, type Offsets, type Stride, type Values } from './bulk.js';
import type { Completion } from './completion.js';
import { fillWrites } from './fill.js';
import { Flusher } from './flusher.js';
import { Intake } from './intake.js';
import { mergeModes, type QueueSettings } from './options.js';
import { Reservation, type Reserving } from './reservation.js';
import { entriesFor, Ring, seldom } from './ring.js';
import type { Sources } from './sources.js';
import { Staging } from './staging.js';
import { Stores } from './stores.js';
import type { QueueTap } from './tap.js';

export type { DrainOptions } from './arguments.js';
export type { Lengths, Offsets, Stride, Values } from './bulk.js';
export { checkQueueOptions, type FlushPolicy, type QueueOptions } from './options.js';

/** Stands for no source: nobody else has it. */
const noSource = new Uint8Array(0);

/** Stands for the slot of a source of which no operation has been taken yet: nothing holds it before that. */
const unheld = -1;

const abandoned = new FinalizationRegistry<QueueHandle>((queue) => native.closeQueue(queue));

/** Sets or takes away who listens to a queue. */
export let tapQueue: (queue: Queue, tap: QueueTap | null) => void;

/** Closes a queue, for its region: what `close` would have answered or thrown. */
export let endQueue: (queue: Queue) => Ending;

/** A submission queue of one region. Made by `region.queue`. */
export class Queue {
  /** The region that the queue was made by. */
  readonly region: RegionLike;
  /** Operations that can be queued or in flight at once. */
  readonly depth: number;
  /** Which queued writes are joined; 'none' where the region's rules say 'registers'. */
  readonly merge: 'none' | 'adjacent' | 'any';
  /** Whether writes between two fences may be issued in another order. */
  readonly order: 'strict' | 'relaxed';

  readonly #ring: Ring;
  readonly #intake: Intake;
  readonly #bounds: Bounds;
  // What each call looks at is at hand here: of the bounds, one look further away, a write takes longer.
  readonly #size: number;
  readonly #last: number; // the last offset of an 8-byte store; -1 where some are impossible
  readonly #lastPlain: number; // the same; -1 also where each is told to the flusher
  readonly #looksAtWrites: boolean; // whether some are impossible, and nothing may join them
  readonly #staging: Staging;
  readonly #sources: Sources;
  readonly #batches: Batches;
  readonly #flusher: Flusher | null;
  readonly #stores: Stores;

  readonly #reserving: Reserving = {
    claim: () => this.#claimed(),
    queue: ({ offset, position, length, held }) => {
      this.#staging.settle(held);
      this.#ring.bytes(Opcode.write, offset, 0, position, length);
      this.#queued(length);
    },
    cancel: ({ held }) => this.#batches.giveBack(held),
  };

  // The source of the last write that was taken into the batch, so that a run of writes from it looks it up once. It is here, and
  // not in an object of its own, which each write would have to look at: that took a write from memory 7 % more instructions.
  #lastSource: Uint8Array = noSource;
  #lastSlot = unheld;
  #lastStart = 0;
  #lastLength = 0;

  static {
    tapQueue = (queue, tap) => {
      queue.#batches.tap = tap;
    };
    endQueue = (queue) => queue.#close();
  }

  /** @internal */
  constructor(region: RegionLike, handle: RegionHandle, settings: QueueSettings) {
    this.region = region;
    this.depth = settings.depth;
    this.merge = settings.merge;
    this.order = settings.order;
    this.#size = region.size;
    this.#bounds = new Bounds(region, settings.merge);
    this.#looksAtWrites = this.#bounds.looksAtWrites;
    this.#last = this.#bounds.last;
    this.#lastPlain = settings.flush === null ? this.#last : -1;
    const entries = entriesFor(settings.depth);
    // The addon keeps this function; through a weak reference, so that it does not keep the queue.
    const self = new WeakRef(this);
    const made = native.createQueue(
      handle,
      entries,
      settings.bytes,
      mergeModes.indexOf(settings.merge),
      settings.order === 'relaxed',
      (ticket) => {
        const queue = self.deref();
        if (queue !== undefined) queue.#batches.settle(ticket);
      },
    );
    if (typeof made === 'number') {
      const what = `a queue of ${entries} entries and ${settings.bytes} bytes`;
      throw noSharedMemory(made, what, { depth: entries, bytes: settings.bytes });
    }
    this.#ring = new Ring(made.ring, settings.depth);
    this.#staging = new Staging(made.staging, this.#ring.copied);
    this.#batches = new Batches(this, region, made.queue, this.#ring, this.#staging);
    this.#sources = this.#batches.sources;
    this.#flusher = settings.flush === null ? null : this.#makeFlusher(settings.flush, settings.onFlush);
    this.#batches.flusher = this.#flusher;
    this.#intake = new Intake(region, made.queue, this.#ring, this.#flusher);
    this.#stores = new Stores(this.#intake, this.#bounds, this.#ring, this.#flusher);
    abandoned.register(this, made.queue, this);
  }

  /** Whether the queue was closed: it takes nothing more. */
  get closed(): boolean {
    return this.#intake.closed;
  }

  /** Operations queued and not yet submitted. */
  get queued(): number {
    return this.#ring.filled;
  }

  /** Operations handed to the drain thread and not yet settled. */
  get inFlight(): number {
    return this.#batches.inFlight;
  }

  /**
   * Resolves when every automatic flush that has come due so far has been executed: marks that were reached while drains
   * were in flight, and the end of this turn of the event loop where `flush.turn` waits for it. Operations that no mark has
   * been reached for are not waited for. Rejects with the error of an automatic flush that nobody has been told yet, or that
   * comes before; with ERR_ISMIO_CLOSED when the queue is closed before. Made when it is asked for: a queue whose `flushed`
   * nobody reads rejects nothing.
   */
  get flushed(): Promise<void> {
    return this.#flusher?.flushed ?? Promise.resolve();
  }

  /** Queues an 8-byte store of two 32-bit words, least significant first, at a multiple of 8. False when full. */
  storeWords(offset: Whole, low: number, high: number): boolean {
    const ring = this.#ring;
    const halves = typeof low === 'number' && low >>> 0 === low && typeof high === 'number' && high >>> 0 === high;
    if (halves && offset === ring.next) {
      ring.append(low, high);
      return true;
    }
    const plain =
      halves &&
      typeof offset === 'number' &&
      offset >= 0 &&
      offset <= this.#lastPlain &&
      (offset & 7) === 0 &&
      Math.floor(offset) === offset &&
      ring.at !== ring.stop &&
      (ring.at & seldom) !== 0;
    if (!plain) return this.#storeWord(offset, low, high);
    ring.store(Opcode.store64, offset, low, high);
    return true;
  }

  /**
   * Queues one 8-byte store for each of `count` offsets, from index `start` on: of the bigint with the same index, or of
   * the two 32-bit words, least significant first, at twice that index. Stops where the queue is full, and behind the store
   * that set off an automatic flush which failed: the next call of the queue throws its error.
   * @returns how many were queued
   * @throws as storeWords does, with the `index` of the offset; the stores before it are queued
   */
  storeMany(offsets: Offsets | Stride, values: Values, start = 0, count?: number): number {
    return this.#stores.queue(offsets, values, start, count);
  }

  /** Queues an 8-byte store, least significant byte first, at a multiple of 8. False when full. */
  store64(offset: Whole, value: bigint): boolean {
    const place = this.#bounds.checkPlace(offset, 8);
    checkValue64(value);
    if (!this.#claimed()) return false;
    this.#ring.store64(place, value);
    return this.#queued(8);
  }

  /** Queues a 4-byte store at a multiple of 4. False when full. */
  store32(offset: Whole, value: number): boolean {
    return this.#storeNarrow(offset, value, 4, 0xffff_ffff);
  }

  /** Queues a 2-byte store at a multiple of 2. False when full. */
  store16(offset: Whole, value: number): boolean {
    return this.#storeNarrow(offset, value, 2, 0xffff);
  }

  /** Queues a 1-byte store. False when full. */
  store8(offset: Whole, value: number): boolean {
    return this.#storeNarrow(offset, value, 1, 0xff);
  }

  /**
   * Queues a write of [start, start + length) of `source`. Memory from `allocBuffer` is read when it is stored, so leave
   * it as it is until then; any other source is copied now. False when full.
   * @throws RangeError ERR_ISMIO_TOO_LONG when the copy could never fit: give the queue more `bytes`, or use allocBuffer
   */
  write(offset: Whole, source: BytesLike, start = 0, length?: number): boolean {
    if (source !== this.#lastSource || this.#lastSource.length !== this.#lastLength) this.#lookUp(source);
    const available = this.#lastLength;
    const count = length === undefined && typeof start === 'number' ? available - start : length;
    if (!isPart(start, count, available)) throw partOutOfRange(start, count, available);
    const place = checkOffset(offset, count, this.#size, this.region.name);
    if (this.#looksAtWrites) this.#bounds.checkPossible('write', place, count);
    const ring = this.#ring;
    if (ring.at === ring.stop && !this.#intake.claim()) return false;
    const position = this.#lastSlot > 0 ? this.#lastStart + start : this.#copyOrHold(source, start, count);
    if (position < 0) return false; // full
    ring.bytes(Opcode.write, place, this.#lastSlot, position, count);
    if (this.#flusher !== null) this.#flusher.queued(count);
    return true;
  }

  /**
   * Room for a write of `length` bytes at `offset` in the queue's own memory, to be filled in place and then committed: no
   * byte is copied but by the store itself. Null when the queue is full.
   * @throws as write does; RangeError ERR_ISMIO_TOO_LONG when it could never fit
   */
  reserve(offset: Whole, length: number): Reservation | null {
    if (!isPart(0, length, Number.MAX_SAFE_INTEGER)) throw partOutOfRange(0, length, this.#size);
    const place = checkOffset(offset, length, this.#size, this.region.name);
    if (this.#looksAtWrites) this.#bounds.checkPossible('write', place, length);
    this.#staging.checkFits(length);
    if (!this.#claimed()) return null;
    const held = this.#staging.hold();
    const position = this.#staging.reserve(length);
    if (position < 0) {
      this.#staging.settle(held);
      return null;
    }
    const bytes = new Uint8Array(this.#staging.bytes.buffer, position, length);
    return new Reservation(bytes, this.#reserving, { offset: place, position, length, held });
  }

  /**
   * Queues one write for each of the offsets: of the length with the same index, or of the one length, from `source`, one
   * piece behind the other from `start` on. Stops where the queue is full, and behind the write that set off an automatic
   * flush which failed: the next call of the queue throws its error.
   * @returns how many were queued
   * @throws as write does, with the `index` of the offset; the writes before it are queued
   */
  writeMany(offsets: Offsets, lengths: Lengths, source: BytesLike, start = 0): number {
    checkWrites(offsets, lengths);
    this.#intake.checkUsable();
    const known = this.#lastSource;
    if (source !== known || known.length !== this.#lastLength) this.#lookUp(source);
    if (typeof start !== 'number') throw notANumber('start', start);
    if (!(Number.isInteger(start) && start >= 0 && start <= this.#lastLength))
      throw partOutOfRange(start, 0, this.#lastLength);
    // The first by itself: from then on the source is known, and held.
    const total = offsets.length;
    let done = this.#writeEach(offsets, lengths, source, start, 0, Math.min(1, total));
    if (done === 0 || done === total || this.#intake.interrupted || !holdWrites(offsets, lengths, total)) return done;
    const second = start + lengthAt(lengths, 0);
    const slot = this.#lastSlot;
    if (slot <= 0 || this.#flusher !== null || this.#looksAtWrites) {
      return this.#writeEach(offsets, lengths, source, second, 1);
    }
    const from = this.#lastStart;
    const left = { slot, position: from + second, end: from + this.#lastLength };
    const ring = this.#ring;
    while (done < offsets.length) {
      if (ring.at === ring.stop && !this.#intake.claim()) break;
      const most = Math.min(offsets.length - done, (ring.stop - ring.at) >> 2);
      const filled = fillWrites(ring, offsets, lengths, done, most, left, this.#size);
      done += filled;
      if (filled < most) return this.#writeEach(offsets, lengths, source, left.position - from, done);
    }
    return done;
  }

  /**
   * Queues loads that fill `target`, which has its bytes when the batch has ended. They wait for queued writes to the
   * same bytes. False when full.
   */
  load(offset: Whole, target: BytesLike): boolean {
    const bytes = bytesOf(target, 'target');
    const count = bytes.byteLength;
    const place = checkOffset(offset, count, this.#size, this.region.name);
    if (!this.#claimed()) return false;
    const slot = this.#sources.slotOf(bytes.buffer);
    let position = bytes.byteOffset;
    if (slot === 0) {
      this.#staging.checkFits(count);
      position = this.#staging.reserve(count);
      if (position < 0) return false; // full
      this.#batches.loads.push({ index: this.#ring.tail, target: bytes, position });
    }
    this.#ring.bytes(Opcode.load, place, slot, position, count);
    return this.#queued(count);
  }

  /**
   * Queues a fence: nothing after it is merged or moved across it, or visible to the device before it. What it is for, as
   * with `region.fence`. False when full.
   */
  fence(purpose: Fence = 'full'): boolean {
    const number = fenceNumber(purpose);
    if (!this.#claimed()) return false;
    this.#ring.fence(number);
    return this.#queued(0);
  }

  /**
   * Executes everything queued, now, on this thread.
   * @throws BatchError when an operation failed; IsmioError ERR_ISMIO_QUEUE_BUSY while a drain is in flight
   */
  submit(): Completion {
    this.#intake.checkUsable();
    if (this.#batches.draining > 0) {
      throw new IsmioError(
        'ERR_ISMIO_QUEUE_BUSY',
        `${this.inFlight} operations are being drained; await drain() before submit(), which would overtake them`,
        { inFlight: this.inFlight },
      );
    }
    return this.#submit();
  }

  /** Executes everything queued on the queue's own thread. The event loop stays free; more may be queued meanwhile. */
  drain(options: DrainOptions = {}): Promise<Completion> {
    try {
      this.#intake.checkUsable();
      this.#lastSource = noSource;
      return this.#batches.drain(signalOf(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Ends the queue. Batches in flight stop between two accesses and are rejected with ERR_ISMIO_CLOSED.
   * @returns how many operations were queued and never submitted
   * @throws the error of an automatic flush that nobody has been told yet; the queue is closed all the same
   */
  close(): number {
    return closedWith(this.#close());
  }

  /**
   * Closes the queue, and throws what `close` throws. Operations that were queued and never submitted are told by a warning of
   * the process (`process.on('warning')`) with the code ISMIO_DROPPED, since nobody reads an answer here.
   */
  [Symbol.dispose](): void {
    disposedWith(this.#close(), this.region.name);
  }

  #close(): Ending {
    if (this.#intake.closed) return nothingLeft;
    const dropped = this.queued;
    this.#intake.close();
    this.#lastSource = noSource;
    const error = this.#flusher?.take() ?? null;
    this.#flusher?.close(dropped === 0 ? null : this.#intake.closedError({ dropped }));
    abandoned.unregister(this);
    this.#batches.close();
    return { dropped, error };
  }

  /** A source may be freed, or change, before the next batch uses it. */
  #submit(): Completion {
    this.#lastSource = noSource;
    return this.#batches.submit();
  }

  /** Room for one more: the whole of a claim, where a comparison more does not matter. */
  #claimed(): boolean {
    return this.#ring.at !== this.#ring.stop || this.#intake.claim();
  }

  #queued(bytes: number): true {
    if (this.#flusher !== null) this.#flusher.queued(bytes);
    return true;
  }

  /** The writes [from, to), one after the other: how many there are with those before them. */
  #writeEach(
    offsets: Offsets,
    lengths: Lengths,
    source: BytesLike,
    start: number,
    from: number,
    to = offsets.length,
  ): number {
    let at = start;
    for (let index = from; index < to; index++) {
      const length = lengthAt(lengths, index);
      try {
        if (!this.write(offsets[index] as number, source, at, length)) return index;
      } catch (error) {
        throw Object.assign(error as Error, { index });
      }
      if (this.#intake.interrupted || !holdWrites(offsets, lengths, to)) return index + 1;
      at += length;
    }
    return to;
  }

  /** storeWords, where there is more to look at. */
  #storeWord(offset: Whole, low: number, high: number): boolean {
    const place = this.#bounds.checkPlace(offset, 8);
    checkValue(low, 0xffff_ffff);
    checkValue(high, 0xffff_ffff);
    if (!this.#claimed()) return false;
    const ring = this.#ring;
    if (this.#flusher !== null || !ring.begin(place, low, high, this.#last)) {
      ring.store(Opcode.store64, place, low, high);
    }
    return this.#queued(8);
  }

  #storeNarrow(offset: Whole, value: number, width: number, largest: number): boolean {
    const place = this.#bounds.checkPlace(offset, width);
    checkValue(value, largest);
    if (!this.#claimed()) return false;
    this.#ring.store(Opcode.store | (width << 8), place, value, 0);
    return this.#queued(width);
  }

  /** Finds out about a source. Until a write from its buffer is taken into the batch, nothing keeps it. */
  #lookUp(source: BytesLike): void {
    const bytes = bytesOf(source, 'source');
    const slot = this.#sources.slotInBatch(bytes.buffer);
    this.#lastSource = slot === undefined || bytes !== source ? noSource : bytes;
    this.#lastSlot = slot ?? unheld;
    this.#lastStart = bytes.byteOffset;
    this.#lastLength = bytes.byteLength;
  }

  /** Of a source that no operation of this batch has used in place. Its position, or -1 when there is no room. */
  #copyOrHold(source: BytesLike, start: number, count: number): number {
    return this.#lastSlot === 0 ? this.#stage(source, start, count) : this.#take(source, start, count);
  }

  /** Takes a part of the source that was looked up, in place or as a copy. Its position, or -1 when there is no room. */
  #take(source: BytesLike, start: number, count: number): number {
    const bytes = bytesOf(source, 'source');
    const slot = this.#sources.slotOf(bytes.buffer);
    const position = slot === 0 ? this.#stage(bytes, start, count) : this.#lastStart + start;
    if (position < 0) return position;
    this.#lastSlot = slot;
    if (bytes === source) this.#lastSource = bytes;
    return position;
  }

  #stage(source: BytesLike, start: number, count: number): number {
    this.#staging.checkFits(count);
    return this.#staging.copy(bytesOf(source, 'source'), start, count);
  }

  #makeFlusher(policy: NonNullable<QueueSettings['flush']>, onFlush: QueueSettings['onFlush']): Flusher {
    const queue = this;
    const flushed = {
      region: this.region.name,
      get queued() {
        return queue.queued;
      },
      get inFlight() {
        return queue.#batches.draining;
      },
      flush: () => queue.#submit(),
      holding: () => queue.#ring.halt(),
    };
    return new Flusher(flushed, policy, onFlush);
  }
}
