// Which blocks of a disk there are: a bit for each, in pages that come to be with the first of their blocks.

const pageBlocks = 32_768;

/** A set of blocks, from 0 to a number that is known. */
export class BlockMap {
  readonly #count: number;
  /** By their number; null where all of its blocks are in the set. */
  readonly #pages = new Map<number, Uint8Array | null>();

  constructor(count: number) {
    this.#count = count;
  }

  has(block: number): boolean {
    const page = this.#pages.get(Math.floor(block / pageBlocks));
    if (page === undefined || page === null) return page === null;
    const bit = block % pageBlocks;
    return (((page[bit >>> 3] as number) >>> (bit & 7)) & 1) !== 0;
  }

  /** Adds the blocks from `first` on, up to `end`. */
  add(first: number, end: number): void {
    for (let block = first; block < end; ) {
      const number = Math.floor(block / pageBlocks);
      const next = Math.min((number + 1) * pageBlocks, end);
      this.#addTo(number, block - number * pageBlocks, next - number * pageBlocks);
      block = next;
    }
  }

  /** The first block behind `block` that is not as it is, or `end`. */
  endOfRun(block: number, end: number): number {
    const isThere = this.has(block);
    let at = block + 1;
    while (at < end) {
      const number = Math.floor(at / pageBlocks);
      const page = this.#pages.get(number);
      const next = Math.min((number + 1) * pageBlocks, end);
      if (page === undefined || page === null) {
        if ((page === null) !== isThere) return at;
        at = next;
      } else {
        const word = isThere ? 0xff : 0;
        for (; at < next; at++) {
          // Eight at a time, where they are all alike.
          if ((at & 7) === 0 && at + 8 <= next && page[(at % pageBlocks) >>> 3] === word) at += 7;
          else if (this.has(at) !== isThere) return at;
        }
      }
    }
    return end;
  }

  #addTo(number: number, from: number, to: number): void {
    const known = this.#pages.get(number);
    if (known === null) return;
    const all = Math.min(pageBlocks, this.#count - number * pageBlocks);
    if (from === 0 && to === all) {
      this.#pages.set(number, null);
      return;
    }
    const page = known ?? new Uint8Array(pageBlocks / 8);
    for (let bit = from; bit < to; ) {
      if ((bit & 7) === 0 && bit + 8 <= to) {
        const whole = (to - bit) >>> 3;
        page.fill(0xff, bit >>> 3, (bit >>> 3) + whole);
        bit += whole * 8;
      } else {
        page[bit >>> 3] = (page[bit >>> 3] as number) | (1 << (bit & 7));
        bit++;
      }
    }
    this.#pages.set(number, page);
  }
}
