// The caller's handle on a region: bounds, widths, lifecycle. Everything else happens in the addon.
import { closedWith, disposedWith, type Ending, nothingLeft, together } from '../access/ending.js';
import { type Attempt, failure, impossible, thrown } from '../access/failure.js';
import type { ByteOrder, RegionLike } from '../access/region-like.js';
import { possible, type Rules, rulesFrom } from '../access/rules.js';
import { native } from '../addon/binding.js';
import { type CountsHandle, noHandle, type RegionHandle } from '../addon/handles.js';
import { type Fence, fenceNumber } from '../addon/wire.js';
import { checkQueueOptions, endQueue, Queue, type QueueOptions, tapQueue } from '../queue/queue.js';
import type { QueueTap } from '../queue/tap.js';
import {
  type BytesLike,
  bytesOf,
  checkAligned,
  checkFlag,
  checkOffset,
  checkValue,
  checkValue64,
  checkWhole,
  checkWord,
  type Whole,
} from '../support/check.js';
import { IsmioError, shown, typeError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';
import { type PlannedStore, planned } from './plan.js';
import { Singles } from './singles.js';
import { type RegionStats, statsOf } from './stats.js';
import type { DirectKind, RegionTap } from './tap.js';

export type { PlannedStore } from './plan.js';
export type { RegionStats, StageTimes } from './stats.js';

/** With fewer queues than this, nothing is gained by forgetting those that are closed. */
const fewestSwept = 16;

const abandoned = new FinalizationRegistry<RegionHandle>((handle) => native.close(handle, false));
const forgotten = new FinalizationRegistry<CountsHandle>((counts) => native.forget(counts));

/** How the rest of this package gets at a region's number in the addon. */
export let handleOf: (region: Region) => RegionHandle;
export let idOf: (region: Region) => number;
export let adopt: (handle: RegionHandle, owner: boolean, singles?: Singles) => Region;

/** Who listens to a region: nobody, or a recorder. */
export let tapOf: (region: Region) => RegionTap | null;
/** Sets or takes away who listens; `queueTap` makes listeners for the queues that there are. */
export let tapRegion: (region: Region, tap: RegionTap | null, queueTap: (queue: Queue) => QueueTap | null) => void;

let opened: ((region: Region) => void) | null = null;

/** Has `watch` called with every region that this thread opens from now on; null for nobody. */
export function watchOpened(watch: ((region: Region) => void) | null): void {
  opened = watch;
}

/**
 * A window of bytes behind one backend. Made by `emulate`, `mapFile` or `openResource`.
 *
 * Offsets are bytes from its start, as numbers or bigints. Every method throws `ERR_ISMIO_CLOSED` after `close`,
 * `ERR_ISMIO_REGION_LOST` once the memory behind it has gone, and the device's answer (`ERR_ISMIO_DEVICE`, `_BUSY`,
 * `_INVALID_HANDLE`) where one failed.
 */
export class Region implements RegionLike {
  /** How long the region is, in bytes. */
  readonly size: number;
  /** What one store to it may be. */
  readonly rules: Rules;
  /** 'device': touched with exactly the accesses asked for. 'memory': copied in the fastest way. */
  readonly kind: 'device' | 'memory';
  /** What messages call it: the path, the function and BAR, or the name that was given. */
  readonly name: string;
  /** Whether it may be stored to; a store to one that may not throws ERR_ISMIO_READ_ONLY. */
  readonly writable: boolean;
  /** Name of the access kernel: 'emulated', 'x86-64 8-byte', 's390x mio', .. */
  readonly access: string;
  /** A symbol: with it, posting a region to another thread is refused with a DataCloneError. A `Pool` takes regions along. */
  readonly thread: symbol = ofThisThread;

  #handle: RegionHandle;
  readonly #singles: Singles;
  /** What `stats` tells of, once the region is closed. */
  #counts: CountsHandle | undefined;
  readonly #id: number;
  readonly #owner: boolean;
  #tap: RegionTap | null = null;
  readonly #queues = new Set<WeakRef<Queue>>();
  /** The next sweep comes with so many queues: each is paid for by as many that were opened. */
  #sweptAt = fewestSwept;

  static {
    handleOf = (region) => {
      if (region.closed) throw region.#closedError();
      return region.#handle;
    };
    idOf = (region) => {
      if (region.closed) throw region.#closedError();
      return region.#id;
    };
    adopt = (handle, owner, singles = new Singles(handle)) => {
      const region = new Region(handle, owner, singles);
      if (owner) opened?.(region);
      return region;
    };
    tapOf = (region) => region.#tap;
    tapRegion = (region, tap, queueTap) => {
      region.#tap = tap;
      for (const reference of region.#queues) {
        const queue = reference.deref();
        if (queue?.closed === false) tapQueue(queue, queueTap(queue));
      }
    };
  }

  /** @internal */
  private constructor(handle: RegionHandle, owner: boolean, singles: Singles) {
    const traits = native.traits(handle);
    if (traits === undefined) throw new IsmioError('ERR_ISMIO_CLOSED', 'the region is closed');
    this.#handle = handle;
    this.#singles = singles;
    this.#id = traits.id;
    this.#owner = owner;
    this.size = traits.size;
    this.rules = rulesFrom(traits);
    this.kind = traits.memory ? 'memory' : 'device';
    this.name = traits.name;
    this.writable = traits.writable;
    this.access = traits.access;
    abandoned.register(this, handle, this);
  }

  /** Whether the region was closed: it takes nothing more. */
  get closed(): boolean {
    return this.#handle === noHandle;
  }

  /** Makes one 1-byte load. */
  load8(offset: Whole): number {
    const place = checkAligned(offset, 1, this.size, this.name);
    const value = this.#singles.load8(place) ?? this.#failed('load', place, 1);
    if (this.#tap !== null) this.#tap.loaded(place, 1, value, false);
    return value;
  }

  /** One 2-byte load at a multiple of 2. */
  load16(offset: Whole, order: ByteOrder = 'le'): number {
    const place = checkAligned(offset, 2, this.size, this.name);
    const value = this.#singles.load16(place, bigEndian(order)) ?? this.#failed('load', place, 2);
    if (this.#tap !== null) this.#tap.loaded(place, 2, value, order === 'be');
    return value;
  }

  /** One 4-byte load at a multiple of 4. */
  load32(offset: Whole, order: ByteOrder = 'le'): number {
    const place = checkAligned(offset, 4, this.size, this.name);
    const value = this.#singles.load32(place, bigEndian(order)) ?? this.#failed('load', place, 4);
    if (this.#tap !== null) this.#tap.loaded(place, 4, value, order === 'be');
    return value;
  }

  /** One 8-byte load at a multiple of 8. */
  load64(offset: Whole, order: ByteOrder = 'le'): bigint {
    const place = checkAligned(offset, 8, this.size, this.name);
    const value = this.#singles.load64(place, bigEndian(order)) ?? this.#failed('load', place, 8);
    if (this.#tap !== null) this.#tap.loaded(place, 8, value, order === 'be');
    return value;
  }

  /** Makes one 1-byte store. */
  store8(offset: Whole, value: number): void {
    const place = checkAligned(offset, 1, this.size, this.name);
    checkValue(value, 0xff);
    if (!this.#singles.store8(place, value)) this.#failed('store', place, 1);
    if (this.#tap !== null) this.#tap.stored(place, 1, value, false);
  }

  /** One 2-byte store at a multiple of 2. */
  store16(offset: Whole, value: number, order: ByteOrder = 'le'): void {
    const place = checkAligned(offset, 2, this.size, this.name);
    checkValue(value, 0xffff);
    if (!this.#singles.store16(place, value, bigEndian(order))) this.#failed('store', place, 2);
    if (this.#tap !== null) this.#tap.stored(place, 2, value, order === 'be');
  }

  /** One 4-byte store at a multiple of 4. */
  store32(offset: Whole, value: number, order: ByteOrder = 'le'): void {
    const place = checkAligned(offset, 4, this.size, this.name);
    checkValue(value, 0xffff_ffff);
    if (!this.#singles.store32(place, value, bigEndian(order))) this.#failed('store', place, 4);
    if (this.#tap !== null) this.#tap.stored(place, 4, value, order === 'be');
  }

  /** One 8-byte store at a multiple of 8. */
  store64(offset: Whole, value: bigint, order: ByteOrder = 'le'): void {
    const place = checkAligned(offset, 8, this.size, this.name);
    checkValue64(value);
    if (!this.#singles.store64(place, value, bigEndian(order))) this.#failed('store', place, 8);
    if (this.#tap !== null) this.#tap.stored(place, 8, value, order === 'be');
  }

  /** Fills `target` from `offset` on: any length, any alignment. 8-byte loads, and narrower ones at the edges. */
  read(offset: Whole, target: BytesLike): void {
    const bytes = bytesOf(target, 'target');
    const place = checkOffset(offset, bytes.length, this.size, this.name);
    if (native.read(this.#handle, place, bytes) !== undefined) this.#failed('read', place, bytes.length, bytes);
    if (this.#tap !== null) this.#tap.moved('read', place, bytes);
  }

  /**
   * Exactly one store block.
   * @throws RangeError ERR_ISMIO_RULE, with the `rule` it breaks and the `errno` that ism-vfio-pci would give
   */
  storeBlock(offset: Whole, source: BytesLike): void {
    const bytes = bytesOf(source, 'source');
    const place = checkOffset(offset, bytes.length, this.size, this.name);
    if (native.storeBlock(this.#handle, place, bytes) !== undefined)
      this.#failed('storeBlock', place, bytes.length, bytes);
    if (this.#tap !== null) this.#tap.moved('storeBlock', place, bytes);
  }

  /**
   * Stores `source` at `offset` in the fewest store blocks and stores that the rules allow.
   * @throws RangeError ERR_ISMIO_RULE, and nothing is stored, where the rules know store blocks alone and none can carry it
   */
  write(offset: Whole, source: BytesLike): void {
    const bytes = bytesOf(source, 'source');
    const place = checkOffset(offset, bytes.length, this.size, this.name);
    if (native.write(this.#handle, place, bytes) !== undefined) this.#failed('write', place, bytes.length, bytes);
    if (this.#tap !== null) this.#tap.moved('write', place, bytes);
  }

  /**
   * What `write` would issue for `length` bytes at `offset`, without issuing it. At most 2^22 accesses.
   * @throws RangeError ERR_ISMIO_RULE where `write` would refuse it
   */
  plan(offset: Whole, length: Whole): PlannedStore[] {
    const whole = checkWhole(length, 'length');
    const place = checkOffset(offset, whole, this.size, this.name);
    if (this.closed) throw this.#closedError();
    if (!possible(this.rules, place, whole)) throw thrown(impossible(this.#attempt('write', place, whole)));
    return planned(this.rules, place, whole);
  }

  /** Also of a closed region: what was asked of it until the last access that was on its way had ended. */
  stats(): RegionStats {
    const stats = statsOf(this.#counts ?? this.#handle);
    if (stats === undefined) throw this.#closedError();
    return stats;
  }

  /**
   * Switches the times of stages on, from zero, or off. For every thread and queue that uses the region. They are off at
   * first: taking them costs two stamps of some ten nanoseconds for each access, or run of short ones.
   */
  timeStages(on: boolean): void {
    if (!native.timeStages(this.#handle, checkFlag(on, 'on'))) throw this.#closedError();
  }

  /**
   * Keeps accesses on either side of it apart. 'full': every store before it is visible to the device before any access after
   * it. 'beforeDoorbell': a device that sees a store after it sees every store before it, to memory that it reads by itself
   * as well. 'afterStatus': what is loaded after it is as new as what was loaded before it, such as a word of status.
   */
  fence(purpose: Fence = 'full'): void {
    if (native.fence(this.#handle, fenceNumber(purpose)) !== undefined) throw this.#closedError();
    if (this.#tap !== null) this.#tap.fenced(purpose);
  }

  /** A submission queue on this region. */
  queue(options: QueueOptions = {}): Queue {
    if (this.closed) throw this.#closedError();
    const queue = new Queue(this, this.#handle, checkQueueOptions(options, this));
    this.#queues.add(new WeakRef(queue));
    if (this.#queues.size > this.#sweptAt) this.#sweep();
    if (this.#tap !== null) this.#tap.opened(queue);
    return queue;
  }

  /**
   * Ends every access to the region, in this thread and in the workers of a pool. What is in flight stops between two
   * accesses and is rejected with `ERR_ISMIO_CLOSED`; the memory goes when the last of it has stopped.
   * @returns how many operations were queued on its queues and never submitted
   * @throws the error of an automatic flush that nobody has been told yet; the region and its queues are closed all the same
   */
  close(): number {
    return closedWith(this.#close());
  }

  /**
   * Closes the region, and throws what `close` throws. Operations that were queued and never submitted are told by a warning of
   * the process (`process.on('warning')`) with the code ISMIO_DROPPED, since nobody reads an answer here.
   */
  [Symbol.dispose](): void {
    disposedWith(this.#close(), this.name);
  }

  #close(): Ending {
    if (this.closed) return nothingLeft;
    const endings = Array.from(this.#queues, (reference) => {
      const queue = reference.deref();
      return queue === undefined ? nothingLeft : endQueue(queue);
    });
    this.#queues.clear();
    const handle = this.#handle;
    this.#handle = noHandle;
    abandoned.unregister(this);
    this.#counts = native.counts(handle);
    if (this.#counts !== undefined) forgotten.register(this, this.#counts);
    this.#singles.close();
    native.close(handle, this.#owner);
    if (this.#tap !== null) this.#tap.closed();
    return together(endings);
  }

  /** Forgets the queues that were closed or collected. */
  #sweep(): void {
    for (const known of this.#queues) if (known.deref()?.closed !== false) this.#queues.delete(known);
    this.#sweptAt = Math.max(fewestSwept, 2 * this.#queues.size);
  }

  #closedError(): IsmioError {
    return new IsmioError('ERR_ISMIO_CLOSED', `region ${this.name} is closed`, { region: this.name });
  }

  #attempt(what: string, offset: number, length: number): Attempt {
    return { what, offset, length, region: this.name, rules: this.rules };
  }

  #failed(kind: Exclude<DirectKind, 'fence'>, offset: number, length: number, bytes: Uint8Array | null = null): never {
    if (this.closed) throw this.#closedError();
    const what = kind === 'storeBlock' ? 'store block' : kind;
    const error = thrown(failure(this.#attempt(what, offset, length)));
    this.#tap?.failed(kind, offset, length, (error as IsmioError).bytesDone ?? 0, bytes);
    throw error;
  }
}

export function checkRegion(value: unknown, what: string): Region {
  if (value instanceof Region) return value;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a Region, not ${shown(value)}`, { [what]: value });
}

function bigEndian(order: ByteOrder): boolean {
  if (order === 'le') return false;
  return checkWord(order, 'the byte order', ['le', 'be']) === 'be';
}
