// A disk in memory. It has memory for what was written alone, in pages, and finds them through tables, so that a hole of a TiB
// costs nothing, and is passed in a few steps.
import { setImmediate } from 'node:timers/promises';
import { checkOffset, checkOptions, checkWhole, type Whole } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import {
  addExtent,
  type BlockDevice,
  type BlockSizes,
  type DiskFeatures,
  type DiskZeroOptions,
  diskError,
  type Extent,
} from './disk.js';

const pageBytes = 65_536;
/** What is seen of a hole. */
const blank = new Uint8Array(pageBytes);
const tablePages = 1024;
const tableBytes = tablePages * pageBytes;
/** Bytes that are zeroed in one turn of the event loop. */
const turnBytes = 2 ** 24;

interface Table {
  readonly pages: (Uint8Array | undefined)[];
  used: number;
}

/** What `memoryDisk` takes. */
export interface MemoryDiskOptions {
  /** Bytes. */
  readonly size: Whole;
  /** What messages call it. Default: memory. */
  readonly name?: string;
}

/** Made by `memoryDisk`. What was written is gone when it is closed. */
export class MemoryDisk implements BlockDevice {
  readonly name: string;
  readonly size: number;
  readonly readOnly = false;
  readonly blockSize: BlockSizes = { minimum: 1, preferred: 4096, maximum: 2 ** 25 };
  readonly features: DiskFeatures = { trim: true, zero: true, fastZero: true, extents: true, cache: true };
  /** By their number. */
  readonly #tables = new Map<number, Table>();
  #isClosed = false;

  /** @internal */
  constructor(size: number, name: string) {
    this.size = size;
    this.name = name;
  }

  /** Bytes of memory that it has for what was written. */
  get allocated(): number {
    let pages = 0;
    for (const { used } of this.#tables.values()) pages += used;
    return pages * pageBytes;
  }

  read(offset: number, target: Uint8Array): undefined {
    this.#check(offset, target.length);
    let at = 0;
    while (at < target.length) {
      const place = offset + at;
      const start = place % pageBytes;
      const length = Math.min(pageBytes - start, target.length - at);
      const page = this.#page(place);
      if (page === undefined) target.fill(0, at, at + length);
      else target.set(length === pageBytes ? page : page.subarray(start, start + length), at);
      at += length;
    }
  }

  view(offset: number, length: number): Uint8Array[] {
    this.#check(offset, length);
    const pieces: Uint8Array[] = [];
    for (let at = offset; at < offset + length; ) {
      const start = at % pageBytes;
      const end = Math.min(pageBytes, start + offset + length - at);
      pieces.push((this.#page(at) ?? blank).subarray(start, end));
      at += end - start;
    }
    return pieces;
  }

  write(offset: number, source: Uint8Array): undefined {
    this.#check(offset, source.length);
    let at = 0;
    while (at < source.length) {
      const place = offset + at;
      const start = place % pageBytes;
      const length = Math.min(pageBytes - start, source.length - at);
      const bytes = length === source.length ? source : source.subarray(at, at + length);
      (this.#page(place) ?? this.#allocate(place)).set(bytes, start);
      at += length;
    }
  }

  writePieces(offset: number, pieces: readonly Uint8Array[]): undefined {
    let at = offset;
    for (const piece of pieces) {
      this.write(at, piece);
      at += piece.length;
    }
  }

  flush(): undefined {
    this.#check(0, 0);
  }

  /** Gives back the pages that lie within the range. */
  trim(offset: number, length: number): undefined {
    this.#check(offset, length);
    const first = Math.ceil(offset / pageBytes) * pageBytes;
    const end = offset + length === this.size ? this.size : Math.floor((offset + length) / pageBytes) * pageBytes;
    if (first < end) this.#release(first, end);
  }

  /** Pages that lie within the range are given back, where that may be; else they get memory. */
  zero(offset: number, length: number, { mayTrim = false }: DiskZeroOptions = {}): Promise<void> | undefined {
    this.#check(offset, length);
    if (!mayTrim) return this.#fill(offset, length);
    const end = offset + length;
    const first = Math.min(Math.ceil(offset / pageBytes) * pageBytes, end);
    const last = end === this.size ? end : Math.max(Math.floor(end / pageBytes) * pageBytes, first);
    this.#blank(offset, first);
    if (first < last) this.#release(first, last);
    this.#blank(last, end);
    return undefined;
  }

  /** It is in memory already. */
  cache(offset: number, length: number): undefined {
    this.#check(offset, length);
  }

  extents(offset: number, length: number, most: number): Extent[] {
    this.#check(offset, length);
    const found: Extent[] = [];
    const end = offset + length;
    // One more than are wanted, so that the last of them is whole.
    for (let at = offset; at < end && found.length <= most; ) {
      const table = this.#tables.get(Math.floor(at / tableBytes));
      const stretch = table === undefined ? tableBytes : pageBytes;
      const next = Math.min(Math.floor(at / stretch) * stretch + stretch, end);
      const hole = table?.pages[Math.floor(at / pageBytes) % tablePages] === undefined;
      addExtent(found, { length: next - at, hole, zero: hole });
      at = next;
    }
    return found.slice(0, most);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#tables.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(offset: number, length: number): void {
    if (this.#isClosed) throw new IsmioError('ERR_ISMIO_CLOSED', `${this.name} was closed`);
    checkOffset(offset, length, this.size, this.name);
  }

  #page(place: number): Uint8Array | undefined {
    const table = this.#tables.get(Math.floor(place / tableBytes));
    return table?.pages[Math.floor(place / pageBytes) % tablePages];
  }

  #allocate(place: number): Uint8Array {
    const number = Math.floor(place / tableBytes);
    let table = this.#tables.get(number);
    try {
      const page = new Uint8Array(pageBytes);
      if (table === undefined) {
        table = { pages: new Array<Uint8Array | undefined>(tablePages).fill(undefined), used: 0 };
        this.#tables.set(number, table);
      }
      table.pages[Math.floor(place / pageBytes) % tablePages] = page;
      table.used++;
      return page;
    } catch (cause) {
      throw diskError(this.name, 'a write', 'ENOMEM', { offset: place }, cause);
    }
  }

  /** Of whole pages; the last may end with the disk. */
  #release(first: number, end: number): void {
    const [from, to] = [Math.floor(first / tableBytes), Math.floor((end - 1) / tableBytes)];
    // Whichever are fewer: the tables of the range, or those that there are.
    const numbers =
      to - from < this.#tables.size
        ? Array.from({ length: to - from + 1 }, (_, i) => from + i)
        : [...this.#tables.keys()].filter((number) => number >= from && number <= to);
    for (const number of numbers) {
      const table = this.#tables.get(number);
      if (table === undefined) continue;
      const start = number * tablePages;
      const begin = Math.max(first / pageBytes - start, 0);
      const stop = Math.min(Math.ceil(end / pageBytes) - start, tablePages);
      for (let i = begin; i < stop; i++) {
        if (table.pages[i] === undefined) continue;
        table.pages[i] = undefined;
        table.used--;
      }
      if (table.used === 0) this.#tables.delete(number);
    }
  }

  /** Zeros in pages that are there. */
  #blank(from: number, to: number): void {
    for (let at = from; at < to; ) {
      const start = at % pageBytes;
      const length = Math.min(pageBytes - start, to - at);
      this.#page(at)?.fill(0, start, start + length);
      at += length;
    }
  }

  /** Zeros in pages that stay, or come to be; others have their turn meanwhile. */
  #fill(offset: number, length: number): Promise<void> | undefined {
    const part = Math.min(length, turnBytes);
    for (let at = offset; at < offset + part; at += pageBytes - (at % pageBytes)) {
      if (this.#page(at) === undefined) this.#allocate(at);
    }
    this.#blank(offset, offset + part);
    if (part === length) return undefined;
    return setImmediate().then(() => {
      this.#check(offset, length);
      return this.#fill(offset + part, length - part);
    });
  }
}

/**
 * Makes a disk in memory, of zeros. Memory is taken for what is written, in pages of 64 KiB.
 * @throws RangeError ERR_ISMIO_OPTION
 */
export function memoryDisk(options: MemoryDiskOptions): MemoryDisk {
  checkOptions(options, ['size', 'name'], 'memoryDisk');
  const { size, name = 'memory' } = options;
  return new MemoryDisk(checkWhole(size, 'size'), name);
}
