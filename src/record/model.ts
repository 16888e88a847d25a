// What a region must hold after the operations, worked out without the engine: pages of plain bytes, written in the order
// of the program. A byte that no operation has written is not known, and never compared.
import type { Hash } from 'node:crypto';
import { crypto } from '../support/builtins.js';
import type { Allowance } from './allowance.js';
import type { ReplayRegion } from './replay-region.js';
import type { Turns } from './turns.js';

const pageBytes = 4096;
/** Read back at once. */
const readBytes = 1 << 18;

interface Page {
  readonly bytes: Uint8Array;
  /** 1 where the byte is known. */
  readonly known: Uint8Array;
}

export interface Difference {
  readonly offset: number;
  readonly expected: number;
  readonly found: number;
}

interface Compared {
  readonly bytes: number;
  readonly sha256: string;
  readonly difference: Difference | null;
}

export class Model {
  readonly #pages = new Map<number, Page>();
  readonly #allowance: Allowance;
  #lastNumber = -1;
  #last: Page | null = null;

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  /** Gives back what its pages take. */
  release(): void {
    this.#allowance.give(this.#pages.size * 2 * pageBytes);
    this.#pages.clear();
    this.#last = null;
  }

  /** The bytes [start, start + length) of `source` are stored at `offset`. */
  write(offset: number, source: Uint8Array, start: number, length: number): void {
    for (let done = 0; done < length; ) {
      const { page, at } = this.#place(offset + done);
      const part = Math.min(length - done, pageBytes - at);
      if (part <= 16) {
        for (let index = 0; index < part; index++) {
          page.bytes[at + index] = source[start + done + index] as number;
          page.known[at + index] = 1;
        }
      } else {
        page.bytes.set(source.subarray(start + done, start + done + part), at);
        page.known.fill(1, at, at + part);
      }
      done += part;
    }
  }

  /** Nobody knows these bytes any more. How many were known. */
  forget(offset: number, length: number): number {
    let forgotten = 0;
    this.#parts(offset, length, (page, at, part) => {
      for (let index = at; index < at + part; index++) forgotten += page.known[index] as number;
      page.known.fill(0, at, at + part);
    });
    return forgotten;
  }

  /** `length` bytes at `from` of `source` are copied to `offset`, what is not known with them. */
  copy(offset: number, source: Model, from: number, length: number): void {
    this.forget(offset, length);
    source.#parts(from, length, (page, at, part, done) => {
      for (let index = 0; index < part; index++) {
        if (page.known[at + index] === 1) this.write(offset + done + index, page.bytes, at + index, 1);
      }
    });
  }

  /** The first byte of `found`, loaded from `offset`, that is known to be another; null if there is none. */
  difference(offset: number, found: Uint8Array, start: number, length: number): Difference | null {
    let first: Difference | null = null;
    this.#parts(offset, length, (page, at, part, done) => {
      for (let index = 0; index < part && first === null; index++) {
        const byte = found[start + done + index] as number;
        const expected = page.bytes[at + index] as number;
        if (page.known[at + index] === 1 && byte !== expected) {
          first = { offset: offset + done + index, expected, found: byte };
        }
      }
    });
    return first;
  }

  /**
   * Reads all pages back from the region and compares.
   * @returns how many bytes were compared, their SHA-256 in ascending order of offsets, and the first that differs
   */
  async compare(region: ReplayRegion, turns: Turns): Promise<Compared> {
    const numbers = [...this.#pages.keys()].sort((a, b) => a - b);
    const buffer = new Uint8Array(readBytes);
    const hash = crypto().createHash('sha256');
    let bytes = 0;
    let difference: Difference | null = null;
    for (let index = 0; index < numbers.length; ) {
      const first = numbers[index] as number;
      let pages = 1;
      while (pages * pageBytes < readBytes && numbers[index + pages] === first + pages) pages++;
      const offset = first * pageBytes;
      const length = Math.min(pages * pageBytes, region.size - offset);
      if (length <= 0) break; // a smaller region, of which nothing beyond its end was touched
      region.read(offset, buffer.subarray(0, length));
      difference ??= this.difference(offset, buffer, 0, length);
      for (let page = 0; page < pages; page++) {
        const { known } = this.#pages.get(first + page) as Page;
        const found = buffer.subarray(page * pageBytes, Math.min((page + 1) * pageBytes, length));
        bytes += hashKnown(hash, found, known);
      }
      index += pages;
      const turn = turns.after(length);
      if (turn !== undefined) await turn;
    }
    return { bytes, sha256: hash.digest('hex'), difference };
  }

  #place(offset: number): { page: Page; at: number } {
    const number = Math.floor(offset / pageBytes);
    const at = offset - number * pageBytes;
    if (number !== this.#lastNumber || this.#last === null) {
      this.#last = this.#pages.get(number) ?? this.#newPage(number);
      this.#lastNumber = number;
    }
    return { page: this.#last, at };
  }

  #newPage(number: number): Page {
    this.#allowance.take(2 * pageBytes, 'to check what the recording stores', ', or replay without verification');
    const page = { bytes: new Uint8Array(pageBytes), known: new Uint8Array(pageBytes) };
    this.#pages.set(number, page);
    return page;
  }

  /** The parts of [offset, offset + length) that have a page. */
  #parts(offset: number, length: number, use: (page: Page, at: number, part: number, done: number) => void): void {
    for (let done = 0; done < length; ) {
      const number = Math.floor((offset + done) / pageBytes);
      const at = offset + done - number * pageBytes;
      const part = Math.min(length - done, pageBytes - at);
      const page = this.#pages.get(number);
      if (page !== undefined) use(page, at, part, done);
      done += part;
    }
  }
}

/** Adds the known bytes of a page. How many they are. */
function hashKnown(hash: Hash, found: Uint8Array, known: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < found.length; ) {
    if (known[at] === 0) {
      at++;
      continue;
    }
    const from = at;
    while (at < found.length && known[at] === 1) at++;
    hash.update(found.subarray(from, at));
    count += at - from;
  }
  return count;
}
