// The submission queue: operations wait in a ring that the addon shares, and cross into native code all at once.
import { onAbort } from '../abort.js';
import { answers, native, noHandle, type QueueHandle } from '../binding.js';
import { type BatchMessage, batches, type Moments, momentsOf, now, tellBatch, thisThread } from '../channels.js';
import { type BytesLike, bytesOf, checkAligned, checkOffset, type Whole } from '../check.js';
import { type ErrorValues, IsmioError, rangeError } from '../errors.js';
import { noSharedMemory } from '../memory.js';
import { impossible, thrown } from '../region/failure.js';
import { checkValue, checkValue64, fenceNumber, handleOf, type Region } from '../region/region.js';
import { blocksOnly, possible } from '../region/rules.js';
import type { QueueTap, SourceBytes } from '../region/tap.js';
import { type Fence, Field, Opcode } from '../wire.js';
import { type DrainOptions, notANumber, nothingToDrain, partOutOfRange, signalOf } from './arguments.js';
import {
  checkStores,
  checkStride,
  checkWrites,
  holdStores,
  holdWrites,
  isOffsets,
  type Lengths,
  lengthAt,
  type Offsets,
  type Stride,
  type Values,
  wordsOf,
} from './bulk.js';
import { type Completion, completionFrom, nothingDone } from './completion.js';
import { closedWith, disposedWith, type Ending, nothingLeft } from './ending.js';
import { Flusher } from './flusher.js';
import { type LoadBack, loadBack } from './loadback.js';
import { mergeModes, type QueueSettings } from './options.js';
import { type BatchError, batchError, Outcomes } from './outcomes.js';
import { entriesFor, Ring } from './ring.js';
import { ownSource, Sources } from './sources.js';
import { Staging } from './staging.js';
import { type Stopped, Ticket } from './ticket.js';

export type { DrainOptions } from './arguments.js';
export type { Lengths, Offsets, Stride, Values } from './bulk.js';
export { checkQueueOptions, type FlushPolicy, type QueueOptions } from './options.js';

/** Stands for no source: nobody else has it. */
const noSource = new Uint8Array(0);

/** Stands for the slot of a source of which no operation has been taken yet: nothing holds it before that. */
const unheld = -1;

/** Queues with a batch in flight: somebody waits for it, even when nobody holds the queue. */
const draining = new Set<Queue>();

/** Of this thread. */
let queuesMade = 0;

const abandoned = new FinalizationRegistry<QueueHandle>((queue) => native.closeQueue(queue));

/** Sets or takes away who listens to a queue. */
export let tapQueue: (queue: Queue, tap: QueueTap | null) => void;

/** Closes a queue, for its region: what `close` would have answered or thrown. */
export let endQueue: (queue: Queue) => Ending;

/** A submission queue of one region. Made by `region.queue`. */
export class Queue {
  /** The region that the queue was made by. */
  readonly region: Region;
  /** Operations that can be queued or in flight at once. */
  readonly depth: number;
  /** Which queued writes are joined; 'none' where the region's rules say 'registers'. */
  readonly merge: 'none' | 'adjacent' | 'any';
  /** Whether writes between two fences may be issued in another order. */
  readonly order: 'strict' | 'relaxed';

  #queue: QueueHandle;
  /** Among the queues of this thread, for people. */
  readonly #number: number;
  readonly #ring: Ring;
  readonly #size: number;
  readonly #last: number; // the last offset of an 8-byte access; -1 where each is looked at
  readonly #looksAtWrites: boolean; // whether some are impossible, and nothing may join them
  readonly #staging: Staging;
  readonly #sources: Sources;
  readonly #flusher: Flusher | null;

  #closed = false;
  #tap: QueueTap | null = null;
  #loads: LoadBack[] = [];
  #tickets: Ticket[] = [];
  #nextTicket = 0;

  // The source of the last write that was taken into the batch, so that a run of writes from it looks it up once.
  #lastSource: Uint8Array = noSource;
  #lastSlot = unheld;
  #lastStart = 0;
  #lastLength = 0;

  static {
    tapQueue = (queue, tap) => {
      queue.#tap = tap;
    };
    endQueue = (queue) => queue.#close();
  }

  /** @internal */
  constructor(region: Region, settings: QueueSettings) {
    this.region = region;
    this.depth = settings.depth;
    this.merge = settings.merge;
    this.order = settings.order;
    this.#size = region.size;
    this.#looksAtWrites = settings.merge === 'none' && blocksOnly(region.rules);
    this.#last = this.#looksAtWrites ? -1 : region.size - 8;
    const entries = entriesFor(settings.depth);
    // The addon keeps this function; through a weak reference, so that it does not keep the queue.
    const self = new WeakRef(this);
    const made = native.createQueue(
      handleOf(region),
      entries,
      settings.bytes,
      mergeModes.indexOf(settings.merge),
      settings.order === 'relaxed',
      (ticket) => {
        const queue = self.deref();
        if (queue !== undefined) queue.#settle(ticket);
      },
    );
    if (typeof made === 'number') {
      const what = `a queue of ${entries} entries and ${settings.bytes} bytes`;
      throw noSharedMemory(made, what, { depth: entries, bytes: settings.bytes });
    }
    this.#queue = made.queue;
    this.#number = ++queuesMade;
    this.#ring = new Ring(made.ring, settings.depth);
    this.#staging = new Staging(made.staging, this.#ring.copied);
    this.#sources = new Sources(made.queue);
    this.#flusher = settings.flush === null ? null : this.#makeFlusher(settings.flush, settings.onFlush);
    abandoned.register(this, made.queue, this);
  }

  /** Whether the queue was closed: it takes nothing more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Operations queued and not yet submitted. */
  get queued(): number {
    return this.#ring.filled;
  }

  /** Operations handed to the drain thread and not yet settled. */
  get inFlight(): number {
    const oldest = this.#tickets[0];
    return oldest === undefined ? 0 : (this.#ring.published - oldest.from) | 0;
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
    const place =
      typeof offset === 'number' &&
      offset >= 0 &&
      offset <= this.#last &&
      (offset & 7) === 0 &&
      Math.floor(offset) === offset
        ? offset
        : this.#checkPlace(offset, 8);
    if (typeof low !== 'number' || low >>> 0 !== low) checkValue(low, 0xffff_ffff);
    if (typeof high !== 'number' || high >>> 0 !== high) checkValue(high, 0xffff_ffff);
    const ring = this.#ring;
    if (ring.at === ring.stop && !this.#claim()) return false;
    ring.store(Opcode.store64, place, low, high);
    if (this.#flusher !== null) this.#flusher.queued(8);
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
    const { from, wanted } = checkStores(offsets, values, start, count);
    const { words, low } = wordsOf(values);
    const places = isOffsets(offsets) ? offsets : null;
    const stride = isOffsets(offsets) ? 0 : checkStride(offsets);
    const first = isOffsets(offsets) || wanted === 0 ? 0 : this.#checkEnds(offsets.first, stride, from, wanted);
    this.#checkUsable();
    const end = from + wanted;
    let done = 0;
    while (done < wanted) {
      const ring = this.#ring;
      if (ring.at === ring.stop && !this.#claim()) return done;
      const most = Math.min(wanted - done, this.#flusher === null ? (ring.stop - ring.at) >> 2 : 1);
      const index = from + done;
      const filled =
        places === null
          ? ring.storesEvery(first + index * stride, stride, words, low, index, most)
          : ring.stores(places, words, low, index, most, this.#last);
      done += filled;
      if (filled < most) throw this.#badStore((places as Offsets)[from + done] as number, from + done);
      if (this.#flusher === null) continue;
      this.#flusher.queued(8);
      if (this.#interrupted || !holdStores(places, words, end)) return done;
    }
    return done;
  }

  /** Queues an 8-byte store, least significant byte first, at a multiple of 8. False when full. */
  store64(offset: Whole, value: bigint): boolean {
    const place = this.#checkPlace(offset, 8);
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
    const known = this.#lastSource;
    if (source !== known || known.length !== this.#lastLength) this.#lookUp(source);
    const available = this.#lastLength;
    if (typeof start !== 'number') throw notANumber('start', start);
    const count = length === undefined ? available - start : length;
    if (
      !(
        typeof count === 'number' &&
        start >= 0 &&
        count >= 0 &&
        start + count <= available &&
        Math.floor(start) === start &&
        Math.floor(count) === count
      )
    ) {
      throw partOutOfRange(start, count, available);
    }
    const place = checkOffset(offset, count, this.#size, this.region.name);
    if (this.#looksAtWrites) this.#checkPossible('write', place, count);
    const ring = this.#ring;
    if (ring.at === ring.stop && !this.#claim()) return false;
    const position = this.#lastSlot > 0 ? this.#lastStart + start : this.#copyOrHold(source, start, count);
    if (position < 0) return false; // full
    ring.bytes(Opcode.write, place, this.#lastSlot, position, count);
    if (this.#flusher !== null) this.#flusher.queued(count);
    return true;
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
    this.#checkUsable();
    const known = this.#lastSource;
    if (source !== known || known.length !== this.#lastLength) this.#lookUp(source);
    if (typeof start !== 'number') throw notANumber('start', start);
    if (!(Number.isInteger(start) && start >= 0 && start <= this.#lastLength))
      throw partOutOfRange(start, 0, this.#lastLength);
    // The first by itself: from then on the source is known, and held.
    const total = offsets.length;
    let done = this.#writeEach(offsets, lengths, source, start, 0, Math.min(1, total));
    if (done === 0 || done === total || this.#interrupted || !holdWrites(offsets, lengths, total)) return done;
    const second = start + lengthAt(lengths, 0);
    const slot = this.#lastSlot;
    if (slot <= 0 || this.#flusher !== null || this.#looksAtWrites) {
      return this.#writeEach(offsets, lengths, source, second, 1);
    }
    const from = this.#lastStart;
    const left = { slot, position: from + second, end: from + this.#lastLength };
    const ring = this.#ring;
    while (done < offsets.length) {
      if (ring.at === ring.stop && !this.#claim()) break;
      const most = Math.min(offsets.length - done, (ring.stop - ring.at) >> 2);
      const filled = ring.writes(offsets, lengths, done, most, left, this.#size);
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
      this.#checkFitsStaging(count);
      position = this.#staging.reserve(count);
      if (position < 0) return false; // full
      this.#loads.push({ index: this.#ring.tail, target: bytes, position });
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
    this.#checkUsable();
    if (this.#tickets.length > 0) {
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
      this.#checkUsable();
      return this.#drain(signalOf(options));
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
    if (this.#closed) return nothingLeft;
    const dropped = this.queued;
    this.#closed = true;
    this.#ring.halt();
    this.#lastSource = noSource;
    this.#loads = [];
    const error = this.#flusher?.take() ?? null;
    this.#flusher?.close(dropped === 0 ? null : this.#closedError({ dropped }));
    for (const ticket of this.#tickets) this.#cancel(ticket, 'ERR_ISMIO_CLOSED', undefined);
    if (this.#tickets.length === 0) this.#end();
    return { dropped, error };
  }

  #end(): void {
    abandoned.unregister(this);
    this.#sources.forget();
    native.closeQueue(this.#queue);
    this.#queue = noHandle;
    if (this.#tap !== null) this.#tap.closed();
  }

  #checkPlace(offset: Whole, width: number): number {
    const place = checkAligned(offset, width, this.#size, this.region.name);
    if (this.#looksAtWrites) this.#checkPossible('store', place, width);
    return place;
  }

  /** Where the region takes store blocks alone and nothing is merged, what cannot be carried is known when it is queued. */
  #checkPossible(what: 'store' | 'write', offset: number, length: number): void {
    const { rules, name } = this.region;
    if (!possible(rules, offset, length)) throw thrown(impossible({ what, offset, length, region: name, rules }));
  }

  /** Checks the first and the last of the stores: then all between them are legal as well. */
  #checkEnds(first: number, stride: number, start: number, count: number): number {
    if (typeof first !== 'number') throw notANumber('first', first);
    this.#checkPlace(first + start * stride, 8);
    this.#checkPlace(first + (start + count - 1) * stride, 8);
    return first;
  }

  #badStore(offset: number, index: number): unknown {
    try {
      this.#checkPlace(offset, 8);
    } catch (error) {
      return Object.assign(error as Error, { index });
    }
    return this.#closedError();
  }

  /** Room for one more: the whole of a claim, where a comparison more does not matter. */
  #claimed(): boolean {
    return this.#ring.at !== this.#ring.stop || this.#claim();
  }

  /** The part of a claim that looks. */
  #claim(): boolean {
    this.#checkUsable();
    if (this.#ring.timed && this.queued === 0) native.enqueueBegins(this.#queue);
    return this.#ring.claim();
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
      if (this.#interrupted || !holdWrites(offsets, lengths, to)) return index + 1;
      at += length;
    }
    return to;
  }

  /** Whether an automatic flush has left something to throw, or a callback has closed the queue: what was taken is taken. */
  get #interrupted(): boolean {
    return this.#closed || this.#flusher?.holds === true;
  }

  #queued(bytes: number): true {
    if (this.#flusher !== null) this.#flusher.queued(bytes);
    return true;
  }

  #storeNarrow(offset: Whole, value: number, width: number, largest: number): boolean {
    const place = this.#checkPlace(offset, width);
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
    this.#checkFitsStaging(count);
    return this.#staging.copy(bytesOf(source, 'source'), start, count);
  }

  #checkFitsStaging(count: number): void {
    if (count <= this.#staging.size) return;
    throw rangeError(
      'ERR_ISMIO_TOO_LONG',
      `${count} bytes never fit the queue's ${this.#staging.size} bytes for copies; use memory from allocBuffer, which is ` +
        'not copied, or a queue with more { bytes }',
      { length: count, bytes: this.#staging.size },
    );
  }

  #takeLoads(): LoadBack[] {
    const loads = this.#loads;
    if (loads.length > 0) this.#loads = [];
    return loads;
  }

  /** Hands what is queued over: from here on the entries are the addon's. */
  #publish(how: 'submit' | 'drain'): number {
    this.#flusher?.published();
    const ring = this.#ring;
    if (this.#tap !== null) {
      this.#tap.handedOver(how, { entries: ring, from: ring.published, to: ring.tail, sourceAt: this.#sourceAt });
    }
    this.#lastSource = noSource;
    return ring.publish();
  }

  readonly #sourceAt = (slot: number): SourceBytes => this.#sources.sourceAt(slot) ?? ownSource(this.#staging.bytes);

  /** Before a batch is handed over: the moment, if somebody observes. */
  #observe(): number | null {
    const observed = batches.hasSubscribers;
    this.#ring.observe(observed);
    return observed ? now() : null;
  }

  #tell(how: BatchMessage['how'], moments: Moments, completion: Completion, error: Error | null): void {
    const thread = how === 'submit' ? thisThread : `${thisThread} drain ${this.#number}`;
    tellBatch({ region: this.region, queue: this, how, thread, ...moments, completion, error });
  }

  #submit(): Completion {
    if (this.queued === 0) return nothingDone;
    const from = this.#ring.published;
    const to = this.#publish('submit');
    const loads = this.#takeLoads();
    const sources = this.#sources.handOver();
    const handedOver = this.#observe();
    const failed = native.submit(this.#queue, from, to);
    const completion = completionFrom(answers);
    const moments = handedOver === null ? null : momentsOf(handedOver);
    const error = this.#outcome(failed !== undefined, from, loads, null);
    this.#settled(this.#staging.mark);
    this.#sources.release(sources);
    if (this.#ring.timed) this.#completed();
    // Whoever is told may use the queue: nothing of this batch is left to do.
    if (moments !== null) this.#tell('submit', moments, completion, error);
    if (error !== null) throw error;
    return completion;
  }

  #drain(signal: AbortSignal | undefined): Promise<Completion> {
    if (this.queued === 0 && this.#tickets.length === 0) {
      const reading = this.#tap === null ? null : this.#tap.reading();
      return reading === null ? nothingToDrain(signal) : reading.then(() => nothingToDrain(signal));
    }
    const from = this.#ring.published;
    const to = this.#publish('drain');
    const [loads, sources] = [this.#takeLoads(), this.#sources.handOver()];
    const ticket = new Ticket(this.#nextTicket, from, to, this.#staging.mark, loads, sources, this.#observe());
    this.#nextTicket = (ticket.number + 1) >>> 0;
    this.#tickets.push(ticket);
    draining.add(this);
    native.drain(this.#queue, from, to, ticket.number, signal?.aborted === true);
    if (this.#ring.timed) this.#ring.halt();
    if (signal === undefined) return ticket.promise;
    return ticket.promise.finally(onAbort(signal, () => this.#cancel(ticket, 'ERR_ISMIO_ABORTED', signal.reason)));
  }

  #cancel(ticket: Ticket, code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED', cause: unknown): void {
    ticket.stop(code, cause);
    native.stop(this.#queue, ticket.number);
  }

  /** Called by the addon when the oldest batch in flight has ended; its report is in the answers. */
  #settle(number: number): void {
    const ticket = this.#tickets.shift();
    if (ticket === undefined || ticket.number !== number) return;
    const completion = completionFrom(answers);
    const moments = ticket.handedOver === null ? null : momentsOf(ticket.handedOver);
    const error = this.#outcome(answers[Field.status] !== 0, ticket.from, ticket.loads, ticket.stopped);
    this.#settled(ticket.mark);
    if (this.#ring.timed) this.#completed();
    const reading = this.#tap === null ? null : this.#tap.reading();
    const end = (): void => {
      this.#sources.release(ticket.sources);
      if (error === null) ticket.resolve(completion);
      else ticket.reject(error);
    };
    if (reading === null) end();
    else void reading.then(end);
    if (this.#tickets.length === 0) {
      draining.delete(this);
      if (this.#closed) this.#end();
    }
    // Whoever is told may use the queue: nothing of this batch is left to do. The promise's own readers come later.
    if (moments !== null) this.#tell('drain', moments, completion, error);
    if (this.#tickets.length === 0 && !this.#closed) this.#flusher?.idle();
  }

  /** Where stages are timed: the caller has what a batch came to, and the next claim begins another. */
  #completed(): void {
    native.completed(this.#queue);
    this.#ring.halt();
  }

  /** The error of a batch whose report is in the answers, if it has one. Loads get their bytes. */
  #outcome(failed: boolean, from: number, loads: readonly LoadBack[], stopped: Stopped | null): Error | null {
    const outcomes = failed ? new Outcomes(answers, native.takeOutcomes(this.#queue)) : null;
    const error: BatchError | null = outcomes === null ? null : batchError(answers, outcomes, this.region, stopped);
    if (this.#tap !== null) this.#tap.settled(from, error);
    const gone = loads.length === 0 ? null : loadBack(loads, this.#staging, from, outcomes);
    if (error !== null && gone !== null) error.cause ??= gone;
    return error ?? gone;
  }

  #settled(mark: number): void {
    this.#ring.ended();
    this.#staging.release(mark);
  }

  #makeFlusher(policy: NonNullable<QueueSettings['flush']>, onFlush: QueueSettings['onFlush']): Flusher {
    const queue = this;
    const flushed = {
      region: this.region.name,
      get queued() {
        return queue.queued;
      },
      get inFlight() {
        return queue.#tickets.length;
      },
      flush: () => queue.#submit(),
      holding: () => queue.#ring.halt(),
    };
    return new Flusher(flushed, policy, onFlush);
  }

  #checkUsable(): void {
    if (this.#closed) throw this.#closedError();
    const error = this.#flusher?.take() ?? null;
    if (error !== null) throw error;
  }

  #closedError(values: ErrorValues = {}): IsmioError {
    const region = this.region.name;
    return new IsmioError('ERR_ISMIO_CLOSED', `the queue on ${region} is closed`, { region, ...values });
  }
}
