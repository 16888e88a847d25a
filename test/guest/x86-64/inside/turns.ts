// How long the event loop's turns take.

/** Follows the turns of the event loop from now on, until `end`. */
export class Turns {
  #began = performance.now();
  #longest = 0;
  #next: NodeJS.Immediate;

  constructor() {
    const turn = () => {
      this.#ended();
      this.#next = setImmediate(turn);
    };
    this.#next = setImmediate(turn);
  }

  /** Milliseconds of the longest turn, the one that ends now among them. */
  end(): number {
    clearImmediate(this.#next);
    this.#ended();
    return this.#longest;
  }

  #ended(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#began);
    this.#began = now;
  }
}
