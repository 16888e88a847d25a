// How long to wait until what failed is tried again: longer each time, and never in step with others.

const first = 50;
const longest = 2000;

export class Retry {
  #next = first;

  /** Milliseconds. */
  next(): number {
    const pause = this.#next;
    this.#next = Math.min(2 * pause, longest);
    return pause / 2 + (Math.random() * pause) / 2;
  }

  succeeded(): void {
    this.#next = first;
  }
}
