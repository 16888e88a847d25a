// Memory of one connection that is used again: what is new is cleared by the kernel page by page, and taken away by the
// collector, which costs more than the bytes that pass through it.
//
//   slab   | given back | taken | taken | free ..           |
//                                       ^ used
//
// A slab is begun again when all that was taken of it was given back.

/** Slabs that are kept for later. */
const mostSpare = 4;

export class Slab {
  readonly bytes: Buffer;
  /** Where the free part begins. */
  used = 0;
  /** Parts that were taken, and not given back yet. */
  live = 0;

  /** One that is longer than others, or for one part alone, is not used again. */
  readonly isUsedAgain: boolean;

  constructor(length: number, isUsedAgain = false) {
    this.bytes = Buffer.allocUnsafeSlow(length);
    this.isUsedAgain = isUsedAgain;
  }
}

export class Slabs {
  readonly #bytes: number;
  readonly #spare: Slab[] = [];
  #slab: Slab;
  #held = 0;

  /** @param bytes of a slab */
  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#slab = new Slab(bytes, true);
  }

  /** Slabs that are not used any further, of which a part was not given back. */
  get held(): number {
    return this.#held;
  }

  /** One with so many bytes free behind `used`: who takes them adds to that, and to `live`. */
  having(length: number): Slab {
    if (length > this.#bytes) return new Slab(length);
    if (this.#slab.live === 0) this.#slab.used = 0;
    if (this.#slab.used + length > this.#bytes) {
      this.#held++;
      this.#slab = this.#spare.pop() ?? new Slab(this.#bytes, true);
      this.#slab.used = 0;
    }
    return this.#slab;
  }

  giveBack(slab: Slab, parts: number): void {
    slab.live -= parts;
    if (slab.live > 0 || slab === this.#slab || !slab.isUsedAgain) return;
    this.#held--;
    if (this.#spare.length < mostSpare) this.#spare.push(slab);
  }
}
