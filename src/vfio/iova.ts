// Addresses on a device's bus: which are valid, which are taken, where the next buffer goes. Pure.
import { hex, IsmioError, rangeError } from '../support/errors.js';

/** First and last address, both in it. */
export interface IovaRange {
  /** The first bus address in it. */
  readonly first: bigint;
  /** The last bus address in it. */
  readonly last: bigint;
}

/** A piece of one of the ranges, in whole pages. */
interface Piece extends IovaRange {
  readonly range: number;
}

/** A bus address space: what the IOMMU translates, in pages. */
export class IovaSpace {
  readonly #ranges: readonly IovaRange[];
  readonly #page: bigint;
  /** What is free, ascending; neighbours of one range are one piece. Tens of thousands of buffers in a row leave one. */
  readonly #free: Piece[] = [];
  /** What is taken, by its first address. */
  readonly #taken = new Map<bigint, Piece>();

  /** `ranges` as the kernel gives them: ascending, without overlap. */
  constructor(ranges: readonly IovaRange[], page: number) {
    this.#ranges = ranges;
    this.#page = BigInt(page);
    for (const [range, { first, last }] of ranges.entries()) {
      const piece = { first: this.#up(first), last: ((last + 1n) / this.#page) * this.#page - 1n, range };
      if (piece.first <= piece.last) this.#free.push(piece);
    }
  }

  get ranges(): readonly IovaRange[] {
    return this.#ranges;
  }

  /**
   * The lowest free place for `length` bytes, all of it at or below `limit`, and within one piece of `boundary` bytes where that
   * is given. Page 0 is left free, so that an address of 0 stays a mistake that shows.
   * @throws IsmioError ERR_ISMIO_DMA_LIMIT
   */
  take(length: bigint, limit: bigint, boundary?: bigint): bigint {
    const size = this.#up(length);
    for (const [index, { first, last }] of this.#free.entries()) {
      const lowest = first === 0n ? this.#page : first;
      const crosses = boundary !== undefined && (lowest % boundary) + size > boundary;
      const at = crosses ? (lowest / boundary + 1n) * boundary : lowest;
      const end = at + size - 1n;
      if (end <= last && end <= limit) return this.#cut(index, at, end);
    }
    const text = `no room for ${length} bytes in the bus addresses up to ${hex(limit)}`;
    throw new IsmioError('ERR_ISMIO_DMA_LIMIT', text, { length, limit });
  }

  /**
   * A place the caller has chosen.
   * @throws RangeError ERR_ISMIO_OPTION when it is not at a page, not valid for this IOMMU, past `limit`, or taken
   */
  claim(iova: bigint, length: bigint, limit: bigint): bigint {
    const last = iova + this.#up(length) - 1n;
    const wrong = (why: string) =>
      rangeError('ERR_ISMIO_OPTION', `${length} bytes cannot be mapped at bus address ${hex(iova)}: ${why}`, {
        iova,
        length,
      });
    if (iova < 0n || iova % this.#page !== 0n) throw wrong(`it is not a multiple of the page size, ${this.#page}`);
    if (!this.#ranges.some((range) => iova >= range.first && last <= range.last)) {
      const valid = this.#ranges.map((range) => `${hex(range.first)} to ${hex(range.last)}`).join(', ');
      throw wrong(`the IOMMU translates ${valid}`);
    }
    if (last > limit) throw wrong(`it would end at ${hex(last)}, and the limit is ${hex(limit)}`);
    const index = this.#free.findIndex((piece) => iova >= piece.first && last <= piece.last);
    if (index >= 0) return this.#cut(index, iova, last);
    const other = [...this.#taken.values()].find((taken) => iova <= taken.last && last >= taken.first) as Piece;
    throw wrong(`${hex(other.first)} to ${hex(other.last)} are mapped already`);
  }

  /** Gives back what `take` or `claim` gave. */
  release(iova: bigint): void {
    const piece = this.#taken.get(iova);
    if (piece === undefined) return;
    this.#taken.delete(iova);
    let { first, last } = piece;
    const { range } = piece;
    const behind = this.#free.findIndex((free) => free.first > first);
    const at = behind < 0 ? this.#free.length : behind;
    const [before, after] = [this.#free[at - 1], this.#free[at]];
    const joinsBefore = before?.range === range && before.last + 1n === first;
    const joinsAfter = after?.range === range && last + 1n === after.first;
    if (joinsBefore) first = before.first;
    if (joinsAfter) last = after.last;
    this.#free.splice(at - (joinsBefore ? 1 : 0), (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), { first, last, range });
  }

  /** Takes [first, last] out of a free piece; what is left of that on either side stays free. */
  #cut(index: number, first: bigint, last: bigint): bigint {
    const whole = this.#free[index] as Piece;
    const rest: Piece[] = [];
    if (whole.first < first) rest.push({ ...whole, last: first - 1n });
    if (last < whole.last) rest.push({ ...whole, first: last + 1n });
    this.#free.splice(index, 1, ...rest);
    this.#taken.set(first, { first, last, range: whole.range });
    return first;
  }

  #up(value: bigint): bigint {
    return ((value + this.#page - 1n) / this.#page) * this.#page;
  }
}
