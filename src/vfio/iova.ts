// Addresses on a device's bus: which are valid, which are taken, where the next buffer goes. Pure.
import { hex, IsmioError, rangeError } from '../errors.js';

/** First and last address, both in it. */
export interface IovaRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** A bus address space: what the IOMMU translates, in pages. */
export class IovaSpace {
  readonly #ranges: readonly IovaRange[];
  readonly #page: bigint;
  /** What is taken, ascending. */
  readonly #taken: IovaRange[] = [];

  /** `ranges` as the kernel gives them: ascending, without overlap. */
  constructor(ranges: readonly IovaRange[], page: number) {
    this.#ranges = ranges;
    this.#page = BigInt(page);
  }

  get ranges(): readonly IovaRange[] {
    return this.#ranges;
  }

  /**
   * The lowest free place for `length` bytes, all of it at or below `limit`. Page 0 is left free, so that an address of 0
   * stays a mistake that shows.
   * @throws IsmioError ERR_ISMIO_DMA_LIMIT
   */
  take(length: bigint, limit: bigint): bigint {
    const size = this.#up(length);
    for (const range of this.#ranges) {
      let at = this.#up(range.first === 0n ? this.#page : range.first);
      for (const taken of this.#taken) {
        if (taken.last < at) continue;
        if (taken.first > at + size - 1n) break;
        at = taken.last + 1n;
      }
      if (at + size - 1n <= range.last && at + size - 1n <= limit) return this.#put(at, size);
    }
    throw new IsmioError(
      'ERR_ISMIO_DMA_LIMIT',
      `no room for ${length} bytes in the bus addresses up to ${hex(limit)}`,
      {
        length,
        limit,
      },
    );
  }

  /**
   * A place the caller has chosen.
   * @throws RangeError ERR_ISMIO_OPTION when it is not at a page, not valid for this IOMMU, past `limit`, or taken
   */
  claim(iova: bigint, length: bigint, limit: bigint): bigint {
    const size = this.#up(length);
    const last = iova + size - 1n;
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
    const other = this.#taken.find((taken) => iova <= taken.last && last >= taken.first);
    if (other !== undefined) throw wrong(`${hex(other.first)} to ${hex(other.last)} are mapped already`);
    return this.#put(iova, size);
  }

  /** Gives back what `take` or `claim` gave. */
  release(iova: bigint): void {
    const index = this.#taken.findIndex(({ first }) => first === iova);
    if (index >= 0) this.#taken.splice(index, 1);
  }

  #put(first: bigint, size: bigint): bigint {
    const index = this.#taken.findIndex((taken) => taken.first > first);
    this.#taken.splice(index < 0 ? this.#taken.length : index, 0, { first, last: first + size - 1n });
    return first;
  }

  #up(value: bigint): bigint {
    return ((value + this.#page - 1n) / this.#page) * this.#page;
  }
}
