// Times of very many requests, in buckets that are as wide as a hundredth of what is in them.

const perOctave = 64;
/** Up to 2^44 ns, which is hours. */
const octaves = 44;

export class Latencies {
  readonly #buckets = new Float64Array(perOctave * octaves);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(nanoseconds: number): void {
    const bucket = Math.floor(Math.log2(Math.max(nanoseconds, 1)) * perOctave);
    const index = Math.min(bucket, this.#buckets.length - 1);
    this.#buckets[index] = (this.#buckets[index] as number) + 1;
    this.#count++;
  }

  /** The time within which this share of them ended; 0 where there are none. */
  at(share: number): number {
    let left = share * this.#count;
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count;
      if (count > 0 && left <= 0) return 2 ** ((bucket + 0.5) / perOctave);
    }
    return 0;
  }
}
