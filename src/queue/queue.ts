// The submission queue: operations wait in a ring that the addon shares, and cross into native code all at once.
//
// Indices (head, published, tail) count for ever as 32-bit integers; native/wire/wire.h has the drawing.
import { endianness } from 'node:os';
import { answers, native } from '../binding.js';
import { type BytesLike, bytesOf, checkAligned, checkOffset, checkWhole, detached, type Whole } from '../check.js';
import { IsmioError, rangeError, typeError } from '../errors.js';
import { memoryId } from '../memory.js';
import { checkValue, checkValue64, handleOf, type Region } from '../region/region.js';
import { Field, layout } from '../wire.js';
import { batchError, type Completion, completionFrom, type Entries, nothingDone } from './completion.js';
import { mergeModes, type QueueSettings } from './options.js';
import { full, Staging } from './staging.js';

export { checkQueueOptions, type FlushPolicy, type QueueOptions } from './options.js';

export interface DrainOptions {
  /** Stops the batch between two accesses; it is then rejected with ERR_ISMIO_ABORTED. */
  signal?: AbortSignal | undefined;
}

/** A load whose bytes were put into staging memory, to be copied out when its batch has ended. */
interface LoadBack {
  readonly target: Uint8Array;
  readonly position: number;
}

/** A batch that was handed to the drain thread: it settles exactly once, in the order in which batches were handed over. */
interface Ticket {
  readonly number: number;
  readonly from: number;
  readonly to: number;
  readonly mark: number;
  readonly loads: readonly LoadBack[];
  readonly resolve: (completion: Completion) => void;
  readonly reject: (error: Error) => void;
  /** Why it was stopped, if it was. */
  stopped: { code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED'; cause: unknown } | null;
  readonly forget: () => void;
}

// Where a store's value stands in an entry, in 32-bit words.
const lowWord = layout.entryValue / 4 + (endianness() === 'LE' ? 0 : 1);
const highWord = layout.entryValue / 4 + (endianness() === 'LE' ? 1 : 0);
const opcodeWord = layout.entryOpcode / 4;
const sourceWord = layout.entrySource / 4;
const positionDouble = layout.entryPosition / 8;
const lengthDouble = layout.entryLength / 8;
const store8Bytes = layout.opStore | (8 << 8);

/** Queues with a batch in flight: somebody waits for it, even when nobody holds the queue. */
const draining = new Set<Queue>();

const abandoned = new FinalizationRegistry<number>((queue) => native.closeQueue(queue));

/** A submission queue of one region. Made by `region.queue`. */
export class Queue {
  readonly region: Region;
  /** Operations that can be queued or in flight at once. */
  readonly depth: number;
  readonly merge: 'none' | 'adjacent' | 'any';
  readonly order: 'strict' | 'relaxed';

  readonly #queue: number;
  readonly #header: Int32Array;
  readonly #doubles: Float64Array;
  readonly #words: Uint32Array;
  readonly #values: BigUint64Array;
  readonly #mask: number;
  readonly #size: number;
  readonly #last: number; // the last offset of an 8-byte access
  readonly #staging: Staging;
  readonly #settings: QueueSettings;
  readonly #policy: boolean;

  #limit: number; // depth; 0 once closed, so that a closed queue is a full one
  #head = 0;
  #published = 0;
  #tail = 0;
  #closed = false;
  #loads: LoadBack[] = [];
  #tickets: Ticket[] = [];
  #nextTicket = 0;

  // The allocBuffer memory of the last write, so that a run of writes from it looks it up once. (The addon holds on to
  // the memory, so what is remembered of it stays true even if its ArrayBuffer is detached.)
  #lastSource: Uint8Array | null = null;
  #lastSlot = 0;
  #lastStart = 0;
  #lastLength = 0;
  readonly #slots = new Map<ArrayBufferLike, number>();

  #queuedBytes = 0;
  #turn: NodeJS.Immediate | null = null;
  #flushDue = false;
  #held: Error | null = null;

  /** @internal */
  constructor(region: Region, settings: QueueSettings) {
    this.region = region;
    this.depth = settings.depth;
    this.#limit = settings.depth;
    this.merge = settings.merge;
    this.order = settings.order;
    this.#settings = settings;
    this.#size = region.size;
    this.#last = region.size - 8;
    this.#policy = settings.flush !== null;
    const entries = settings.depth === 1 ? 1 : 1 << (32 - Math.clz32(settings.depth - 1));
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
    if (made === undefined) {
      throw new IsmioError('ERR_ISMIO_NO_MEMORY', `no memory for a queue of ${entries} entries and ${settings.bytes} bytes`, {
        depth: entries,
        bytes: settings.bytes,
      });
    }
    this.#queue = made.queue;
    this.#header = new Int32Array(made.ring, 0, layout.headerBytes / 4);
    this.#doubles = new Float64Array(made.ring, layout.headerBytes);
    this.#words = new Uint32Array(made.ring, layout.headerBytes);
    this.#values = new BigUint64Array(made.ring, layout.headerBytes);
    this.#mask = entries - 1;
    this.#staging = new Staging(made.staging);
    abandoned.register(this, made.queue, this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Operations queued and not yet submitted. */
  get queued(): number {
    return (this.#tail - this.#published) | 0;
  }

  /** Operations handed to the drain thread and not yet settled. */
  get inFlight(): number {
    return (this.#published - this.#head) | 0;
  }

  /** Queues an 8-byte store of two 32-bit words, least significant first, at a multiple of 8. False when full. */
  storeWords(offset: Whole, low: number, high: number): boolean {
    const place =
      typeof offset === 'number' && offset >= 0 && offset <= this.#last && (offset & 7) === 0 && isWhole(offset)
        ? offset
        : this.#checkPlace(offset, 8);
    if (low >>> 0 !== low) checkValue(low, 0xffff_ffff);
    if (high >>> 0 !== high) checkValue(high, 0xffff_ffff);
    const tail = this.#tail;
    if (((tail - this.#head) | 0) >= this.#limit && !this.#reap()) return false;
    const double = (tail & this.#mask) << 2;
    const word = double << 1;
    const words = this.#words;
    this.#doubles[double] = place;
    words[word + lowWord] = low;
    words[word + highWord] = high;
    words[word + opcodeWord] = store8Bytes;
    this.#tail = (tail + 1) | 0;
    if (this.#policy) this.#applyPolicy(8);
    return true;
  }

  /** Queues an 8-byte store, least significant byte first, at a multiple of 8. False when full. */
  store64(offset: Whole, value: bigint): boolean {
    const place = this.#checkPlace(offset, 8);
    checkValue64(value);
    if (!this.#hasRoom()) return false;
    const double = (this.#tail & this.#mask) << 2;
    this.#doubles[double] = place;
    this.#values[double + layout.entryValue / 8] = value;
    return this.#fill(double, store8Bytes, 8);
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
    const known = source === this.#lastSource || this.#adopt(source);
    const available = known ? this.#lastLength : bytesOf(source, 'source').byteLength;
    const count = length === undefined ? available - start : length;
    if (!(start >= 0 && count >= 0 && start + count <= available && isWhole(start) && isWhole(count))) {
      throw partOutOfRange(start, count, available);
    }
    const place = checkOffset(offset, count, this.#size, this.region.name);
    const tail = this.#tail;
    if (((tail - this.#head) | 0) >= this.#limit && !this.#reap()) return false;
    let slot = 0;
    let position: number;
    if (known) {
      slot = this.#lastSlot;
      position = this.#lastStart + start;
    } else {
      position = this.#stage(bytesOf(source, 'source'), start, count);
      if (position === full) return false;
    }
    const double = (tail & this.#mask) << 2;
    this.#fillBytes(double, place, slot, position, count);
    return this.#fill(double, layout.opWrite, count);
  }

  /**
   * Queues loads that fill `target`, which has its bytes when the batch has ended. They wait for queued writes to the
   * same bytes. False when full.
   */
  load(offset: Whole, target: BytesLike): boolean {
    const bytes = bytesOf(target, 'target');
    const count = bytes.byteLength;
    const place = checkOffset(offset, count, this.#size, this.region.name);
    if (!this.#hasRoom()) return false;
    const slot = this.#slotOf(bytes.buffer);
    let position = bytes.byteOffset;
    if (slot === 0) {
      this.#checkFitsStaging(count);
      position = this.#staging.reserve(count);
      if (position === full) return false;
      this.#loads.push({ target: bytes, position });
    }
    const double = (this.#tail & this.#mask) << 2;
    this.#fillBytes(double, place, slot, position, count);
    return this.#fill(double, layout.opLoad, count);
  }

  /** Queues a fence: nothing after it is merged or moved across it, or visible to the device before it. False when full. */
  fence(): boolean {
    if (!this.#hasRoom()) return false;
    return this.#fill((this.#tail & this.#mask) << 2, layout.opFence, 0);
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
      const signal = checkSignal(options.signal);
      return this.#drain(signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Ends the queue. Batches in flight stop between two accesses and are rejected with ERR_ISMIO_CLOSED.
   * @returns how many operations were queued and never submitted
   */
  close(): number {
    if (this.#closed) return 0;
    const dropped = this.queued;
    this.#closed = true;
    this.#limit = 0;
    if (this.#turn !== null) clearImmediate(this.#turn);
    for (const ticket of this.#tickets) this.#stop(ticket, 'ERR_ISMIO_CLOSED', undefined);
    if (this.#tickets.length === 0) this.#end();
    return dropped;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #end(): void {
    abandoned.unregister(this);
    native.closeQueue(this.#queue);
  }

  #checkPlace(offset: Whole, width: number): number {
    return checkAligned(offset, width, this.#size, this.region.name);
  }

  #hasRoom(): boolean {
    return ((this.#tail - this.#head) | 0) < this.#limit || this.#reap();
  }

  /** Full: looks how far the drain thread is, and whether anything may be queued at all. */
  #reap(): boolean {
    if (this.#closed) throw this.#closedError();
    const oldest = this.#tickets[0];
    if (oldest === undefined) return false;
    const done = (Atomics.load(this.#header, 0) - oldest.from) | 0;
    // Beyond its end it has settled, and the states in its entries are still to be read.
    if (done > 0 && done <= ((oldest.to - oldest.from) | 0)) this.#head = (oldest.from + done) | 0;
    return ((this.#tail - this.#head) | 0) < this.#limit;
  }

  #storeNarrow(offset: Whole, value: number, width: number, largest: number): boolean {
    const place = this.#checkPlace(offset, width);
    checkValue(value, largest);
    if (!this.#hasRoom()) return false;
    const double = (this.#tail & this.#mask) << 2;
    this.#doubles[double] = place;
    this.#words[(double << 1) + lowWord] = value;
    this.#words[(double << 1) + highWord] = 0;
    return this.#fill(double, layout.opStore | (width << 8), width);
  }

  #fillBytes(double: number, place: number, slot: number, position: number, count: number): void {
    const doubles = this.#doubles;
    doubles[double] = place;
    doubles[double + positionDouble] = position;
    doubles[double + lengthDouble] = count;
    this.#words[(double << 1) + sourceWord] = slot;
  }

  #fill(double: number, opcode: number, bytes: number): boolean {
    this.#words[(double << 1) + opcodeWord] = opcode;
    this.#tail = (this.#tail + 1) | 0;
    if (this.#policy) this.#applyPolicy(bytes);
    return true;
  }

  /** Makes `source` the one that is looked at first, if it is memory that needs no copy. */
  #adopt(source: BytesLike): boolean {
    const bytes = bytesOf(source, 'source');
    const slot = this.#slotOf(bytes.buffer);
    if (slot === 0 || bytes !== source) return false;
    this.#lastSource = bytes;
    this.#lastSlot = slot;
    this.#lastStart = bytes.byteOffset;
    this.#lastLength = bytes.byteLength;
    return true;
  }

  /** The slot under which the addon finds this buffer, 0 for one that has to be copied. */
  #slotOf(buffer: ArrayBufferLike): number {
    let slot = this.#slots.get(buffer);
    if (slot === undefined) {
      const id = memoryId(buffer);
      slot = id === undefined ? 0 : native.holdSource(this.#queue, id);
      if (slot !== 0) this.#slots.set(buffer, slot);
    }
    return slot;
  }

  #stage(bytes: Uint8Array, start: number, count: number): number {
    this.#checkFitsStaging(count);
    try {
      return this.#staging.copy(bytes, start, count);
    } catch {
      throw detached('source');
    }
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

  /** Hands what is queued over: from here on the entries are the addon's. */
  #publish(): { from: number; to: number; loads: LoadBack[] } {
    const batch = { from: this.#published, to: this.#tail, loads: this.#loads };
    this.#published = this.#tail;
    if (this.#loads.length > 0) this.#loads = [];
    this.#queuedBytes = 0;
    return batch;
  }

  #submit(): Completion {
    if (this.#tail === this.#published) return nothingDone;
    const { from, to, loads } = this.#publish();
    const status = native.submit(this.#queue, from, to);
    const completion = completionFrom(answers);
    const error = status === 0 ? this.#loadBack(loads) : batchError(answers, this.#entries(), from, this.region);
    this.#settled(to, this.#staging.mark);
    if (error !== null) throw error;
    return completion;
  }

  #drain(signal: AbortSignal | undefined): Promise<Completion> {
    if (this.#tail === this.#published && this.#tickets.length === 0) {
      if (signal?.aborted === true) return Promise.reject(stoppedError(signal.reason));
      return Promise.resolve(nothingDone);
    }
    const { from, to, loads } = this.#publish();
    const number = this.#nextTicket;
    this.#nextTicket = (number + 1) >>> 0;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#stop(ticket, 'ERR_ISMIO_ABORTED', signal?.reason);
      const forget = (): void => signal?.removeEventListener('abort', onAbort);
      const mark = this.#staging.mark;
      const ticket: Ticket = { number, from, to, mark, loads, resolve, reject, stopped: null, forget };
      this.#tickets.push(ticket);
      draining.add(this);
      native.drain(this.#queue, from, to, number);
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #stop(ticket: Ticket, code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED', cause: unknown): void {
    ticket.stopped ??= { code, cause };
    native.stop(this.#queue, ticket.number);
  }

  /** Called by the addon when the oldest batch in flight has ended; its report is in the answers. */
  #settle(number: number): void {
    const ticket = this.#tickets.shift();
    if (ticket === undefined || ticket.number !== number) return;
    ticket.forget();
    const completion = completionFrom(answers);
    const ok = answers[Field.status] === 0;
    const error = ok ? this.#loadBack(ticket.loads) : batchError(answers, this.#entries(), ticket.from, this.region);
    this.#settled(ticket.to, ticket.mark);
    if (error === null) {
      ticket.resolve(completion);
    } else {
      ticket.reject(ticket.stopped === null || ok ? error : because(error, ticket.stopped));
    }
    if (this.#tickets.length > 0) return;
    draining.delete(this);
    if (this.#closed) this.#end();
    else if (this.#flushDue) this.#flush();
  }

  #settled(to: number, mark: number): void {
    this.#head = to;
    this.#staging.release(mark);
    if (this.#head !== this.#tail) return;
    this.#lastSource = null;
    if (this.#slots.size === 0) return;
    this.#slots.clear();
    native.releaseSources(this.#queue);
  }

  #loadBack(loads: readonly LoadBack[]): Error | null {
    try {
      for (const { target, position } of loads) this.#staging.copyOut(position, target);
      return null;
    } catch {
      return detached('target');
    }
  }

  #entries(): Entries {
    return { doubles: this.#doubles, words: this.#words, mask: this.#mask };
  }

  #applyPolicy(bytes: number): void {
    const { flush } = this.#settings;
    if (flush === null) return;
    this.#queuedBytes += bytes;
    if (flush.turn && this.#turn === null) {
      this.#turn = setImmediate(() => {
        this.#turn = null;
        if (!this.#closed) this.#flush();
      });
    }
    if (this.queued >= flush.ops || this.#queuedBytes >= flush.bytes) this.#flush();
    this.#throwHeld();
  }

  /** Submits as the policy says, or as soon as the drains in flight have ended. */
  #flush(): void {
    this.#flushDue = this.#tickets.length > 0;
    if (this.#flushDue || this.queued === 0) return;
    let error: Error | null = null;
    let completion = nothingDone;
    try {
      completion = this.#submit();
    } catch (thrown) {
      error = thrown as Error;
      completion = (thrown as { completion?: Completion }).completion ?? nothingDone;
    }
    const { onFlush } = this.#settings;
    if (onFlush === undefined) {
      this.#held ??= error;
      return;
    }
    try {
      onFlush(error as IsmioError | null, completion);
    } catch (thrown) {
      this.#held ??= new IsmioError('ERR_ISMIO_CALLBACK', 'onFlush threw; what it threw is the cause', {}, thrown);
    }
  }

  #throwHeld(): void {
    const error = this.#held;
    if (error === null) return;
    this.#held = null;
    throw error;
  }

  #checkUsable(): void {
    this.#throwHeld();
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): IsmioError {
    return new IsmioError('ERR_ISMIO_CLOSED', `the queue on ${this.region.name} is closed`, { region: this.region.name });
  }
}

function isWhole(number: number): boolean {
  return Math.floor(number) === number;
}

function partOutOfRange(start: unknown, count: unknown, available: number): Error {
  checkWhole(start as Whole, 'start');
  checkWhole(count as Whole, 'length');
  return rangeError(
    'ERR_ISMIO_OUT_OF_RANGE',
    `${count} bytes from ${start} on reach past the end of the source, which has ${available}`,
    { start, length: count as number, available },
  );
}

function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', 'signal must be an AbortSignal', { signal });
}

function stoppedError(reason: unknown): IsmioError {
  return new IsmioError('ERR_ISMIO_ABORTED', 'the drain was aborted before anything was issued', {}, reason);
}

/** The batch's own error says where it stopped; this says on whose word. */
function because(error: Error, stopped: { code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED'; cause: unknown }): Error {
  if ((error as { code?: string }).code !== 'ERR_ISMIO_ABORTED') return error;
  const { message, code: _code, name: _name, stack: _stack, ...values } = error as IsmioError;
  const text = stopped.code === 'ERR_ISMIO_CLOSED' ? message.replace('stopped on request', 'stopped by close()') : message;
  return new IsmioError(stopped.code, text, values, stopped.cause);
}
