// The caller's handle on a region: bounds, widths, lifecycle. Everything else happens in the addon.
import { type CountsHandle, native, noHandle, type RegionHandle } from '../binding.js';
import {
  type BytesLike,
  bytesOf,
  checkAligned,
  checkFlag,
  checkOffset,
  checkWhole,
  checkWord,
  type Whole,
} from '../check.js';
import { IsmioError, rangeError, shown, typeError } from '../errors.js';
import { closedWith, disposedWith, type Ending, nothingLeft, together } from '../queue/ending.js';
import { checkQueueOptions, endQueue, Queue, type QueueOptions, tapQueue } from '../queue/queue.js';
import { ofThisThread } from '../thread.js';
import { type Fence, fences, type Stage, stages } from '../wire.js';
import { type Attempt, failure, impossible, thrown } from './failure.js';
import { possible, type Rules, ruleArguments, rulesFrom } from './rules.js';
import type { DirectKind, QueueTap, RegionTap } from './tap.js';

/** Order of the bytes of a value in the region. PCI and most devices: 'le'. All ISM structures: 'be'. */
export type ByteOrder = 'le' | 'be';

/**
 * Nanoseconds spent in each stage of the way of an access, by every thread together, since stages were last switched on.
 * `stamps` is what taking the times cost; it is in the others already.
 */
export type StageTimes = Readonly<Record<Stage | 'stamps', number>>;

/** What has been asked of a region since it was opened, by every thread. Counts of accesses that went through. */
export interface RegionStats {
  /** Load accesses of 1, 2, 4 or 8 bytes. */
  readonly loads: number;
  /** Store accesses of 1, 2, 4 or 8 bytes. */
  readonly stores: number;
  /** Store blocks, each one access however long. */
  readonly storeBlocks: number;
  /** Bytes moved by them, in either direction. */
  readonly bytes: number;
  /** Queued writes that were joined to the one before them and planned together with it. */
  readonly merged: number;
  /** Accesses tried again because the device was busy (condition code 2). */
  readonly retries: number;
  /** Accesses that failed, whatever the reason. */
  readonly errors: number;
  /** Calls into native code that reached the region or a queue on it: each access, submit, drain and shard of a pool. */
  readonly crossings: number;
  /** Times payload was copied between a caller's buffer and an access; docs/semantics.md has the list. */
  readonly copies: number;
  /** Null unless `timeStages` has switched them on. */
  readonly stages: StageTimes | null;
}

/** One access that a write would make. */
export interface PlannedStore {
  /** 'storeBlock': one store block. 'store': one of 1, 2, 4 or 8 bytes. */
  readonly kind: 'storeBlock' | 'store';
  /** Where in the region it begins, in bytes. */
  readonly offset: number;
  /** How many bytes it stores. */
  readonly length: number;
}

/** How many counts stand before the times of the stages. */
const counted = 9;

/** With fewer queues than this, nothing is gained by forgetting those that are closed. */
const fewestSwept = 16;

/** The longest plan that `region.plan` lists. */
const longestPlan = 1 << 22;

const abandoned = new FinalizationRegistry<RegionHandle>((handle) => native.close(handle, false));
const forgotten = new FinalizationRegistry<CountsHandle>((counts) => native.forget(counts));

/** How the rest of this package gets at a region's number in the addon. */
export let handleOf: (region: Region) => RegionHandle;
export let idOf: (region: Region) => number;
export let adopt: (handle: RegionHandle, owner: boolean) => Region;

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
export class Region {
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
    adopt = (handle, owner) => {
      const region = new Region(handle, owner);
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
  private constructor(handle: RegionHandle, owner: boolean) {
    const traits = native.traits(handle);
    if (traits === undefined) throw new IsmioError('ERR_ISMIO_CLOSED', 'the region is closed');
    this.#handle = handle;
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
    const value = native.load8(this.#handle, place, false) ?? this.#failed('load', place, 1);
    if (this.#tap !== null) this.#tap.loaded(place, 1, value, false);
    return value;
  }

  /** One 2-byte load at a multiple of 2. */
  load16(offset: Whole, order: ByteOrder = 'le'): number {
    const place = checkAligned(offset, 2, this.size, this.name);
    const value = native.load16(this.#handle, place, bigEndian(order)) ?? this.#failed('load', place, 2);
    if (this.#tap !== null) this.#tap.loaded(place, 2, value, order === 'be');
    return value;
  }

  /** One 4-byte load at a multiple of 4. */
  load32(offset: Whole, order: ByteOrder = 'le'): number {
    const place = checkAligned(offset, 4, this.size, this.name);
    const value = native.load32(this.#handle, place, bigEndian(order)) ?? this.#failed('load', place, 4);
    if (this.#tap !== null) this.#tap.loaded(place, 4, value, order === 'be');
    return value;
  }

  /** One 8-byte load at a multiple of 8. */
  load64(offset: Whole, order: ByteOrder = 'le'): bigint {
    const place = checkAligned(offset, 8, this.size, this.name);
    const value = native.load64(this.#handle, place, bigEndian(order)) ?? this.#failed('load', place, 8);
    if (this.#tap !== null) this.#tap.loaded(place, 8, value, order === 'be');
    return value;
  }

  /** Makes one 1-byte store. */
  store8(offset: Whole, value: number): void {
    const place = checkAligned(offset, 1, this.size, this.name);
    checkValue(value, 0xff);
    if (native.store8(this.#handle, place, value, false) !== undefined) this.#failed('store', place, 1);
    if (this.#tap !== null) this.#tap.stored(place, 1, value, false);
  }

  /** One 2-byte store at a multiple of 2. */
  store16(offset: Whole, value: number, order: ByteOrder = 'le'): void {
    const place = checkAligned(offset, 2, this.size, this.name);
    checkValue(value, 0xffff);
    if (native.store16(this.#handle, place, value, bigEndian(order)) !== undefined) this.#failed('store', place, 2);
    if (this.#tap !== null) this.#tap.stored(place, 2, value, order === 'be');
  }

  /** One 4-byte store at a multiple of 4. */
  store32(offset: Whole, value: number, order: ByteOrder = 'le'): void {
    const place = checkAligned(offset, 4, this.size, this.name);
    checkValue(value, 0xffff_ffff);
    if (native.store32(this.#handle, place, value, bigEndian(order)) !== undefined) this.#failed('store', place, 4);
    if (this.#tap !== null) this.#tap.stored(place, 4, value, order === 'be');
  }

  /** One 8-byte store at a multiple of 8. */
  store64(offset: Whole, value: bigint, order: ByteOrder = 'le'): void {
    const place = checkAligned(offset, 8, this.size, this.name);
    checkValue64(value);
    if (native.store64(this.#handle, place, value, bigEndian(order)) !== undefined) this.#failed('store', place, 8);
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
    let left = checkWhole(length, 'length');
    let place = checkOffset(offset, left, this.size, this.name);
    if (this.closed) throw this.#closedError();
    if (!possible(this.rules, place, left)) throw thrown(impossible(this.#attempt('write', place, left)));
    const plan: PlannedStore[] = [];
    const words = new Float64Array(3 * Math.min(1024, left));
    while (left > 0) {
      const pieces = native.plan(...ruleArguments(this.rules), place, left, words);
      for (let i = 0; i < pieces * 3; i += 3) {
        const [at, bytes, block] = words.subarray(i, i + 3) as unknown as [number, number, number];
        plan.push({ kind: block === 1 ? 'storeBlock' : 'store', offset: at, length: bytes });
        place += bytes;
        left -= bytes;
      }
      if (plan.length > longestPlan) {
        throw rangeError(
          'ERR_ISMIO_TOO_LONG',
          `a plan of ${length} bytes has more than ${longestPlan} accesses; plan a part of it`,
          { length, longest: longestPlan },
        );
      }
    }
    return plan;
  }

  /** Also of a closed region: what was asked of it until the last access that was on its way had ended. */
  stats(): RegionStats {
    const words = new Float64Array(counted + stages.length + 1);
    const timed = native.stats(this.#counts ?? this.#handle, words);
    if (timed === undefined) throw this.#closedError();
    const [loads, stores, storeBlocks, bytes, merged, retries, errors, crossings, copies] =
      words as unknown as number[];
    const times = timed ? stageTimes(words.subarray(counted)) : null;
    const counts = { loads, stores, storeBlocks, bytes, merged, retries, errors, crossings, copies };
    return { ...counts, stages: times } as RegionStats;
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
    const queue = new Queue(this, checkQueueOptions(options, this));
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

/** The number of a fence's purpose in the wire. */
export function fenceNumber(purpose: Fence): number {
  return fences.indexOf(checkWord(purpose, 'purpose', fences));
}

export function checkRegion(value: unknown, what: string): Region {
  if (value instanceof Region) return value;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a Region, not ${shown(value)}`, { [what]: value });
}

function stageTimes(words: Float64Array): StageTimes {
  return Object.fromEntries([...stages, 'stamps'].map((name, i) => [name, words[i]])) as StageTimes;
}

function bigEndian(order: ByteOrder): boolean {
  if (order === 'le') return false;
  return checkWord(order, 'the byte order', ['le', 'be']) === 'be';
}

export function checkValue(value: number, largest: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= largest) return;
  throw valueRefused(value, largest);
}

/** Apart from the check, which V8 then puts where it is called. */
function valueRefused(value: unknown, largest: number): Error {
  if (typeof value !== 'number') {
    return typeError('ERR_ISMIO_ARGUMENT_TYPE', `the value must be a number, not ${shown(value)}`, { value });
  }
  const advice = Number.isInteger(value) && value < 0 && value >= -(2 ** 31) ? unsignedAdvice(largest) : '';
  const text = `the value must be a whole number from 0 to ${largest}, not ${shown(value)}${advice}`;
  return rangeError('ERR_ISMIO_VALUE', text, { value });
}

/** What to do about a negative number, as JavaScript's bit operations give it. */
function unsignedAdvice(largest: number): string {
  const unsigned = largest === 0xffff_ffff ? 'value >>> 0' : `value & 0x${largest.toString(16)}`;
  return `; bit operations of JavaScript give signed numbers: ${unsigned} has the same bits`;
}

const largest64 = 2n ** 64n - 1n;

export function checkValue64(value: bigint): void {
  if (typeof value !== 'bigint' || value < 0n || value > largest64) throw value64Refused(value);
}

function value64Refused(value: unknown): Error {
  if (typeof value !== 'bigint') {
    return typeError('ERR_ISMIO_ARGUMENT_TYPE', `the value must be a bigint, not ${shown(value)}`, { value });
  }
  const advice = value < 0n ? '; BigInt.asUintN(64, value) has the same bits' : '';
  const text = `the value must be from 0n to 2n ** 64n - 1n, not ${shown(value)}${advice}`;
  return rangeError('ERR_ISMIO_VALUE', text, { value });
}
