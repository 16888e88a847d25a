// How long the event loop's turns take.

/** Follows the turns of the event loop from now on. */
export class Turns {
  #began = performance.now();
  #longest = 0;
  #next = setImmediate(() => this.#turned());

  /** Milliseconds of the longest turn, the one that ends now among them. */
  end(): number {
    this.#turned();
    clearImmediate(this.#next);
    return this.#longest;
  }

  #turned(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#began);
    this.#began = now;
    this.#next = setImmediate(() => this.#turned());
  }
}
