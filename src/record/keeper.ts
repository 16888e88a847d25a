// Sees to it that what was recorded is soon in the file: a program may be ended at any moment.

/** From a record to its block. */
const longestDelay = 100;

export class Keeper {
  readonly #store: () => void;
  #timer: NodeJS.Timeout | null = null;
  #due = 0;

  /** @param store has what there is written; called from the event loop */
  constructor(store: () => void) {
    this.#store = store;
  }

  /**
   * Something was recorded, at this moment of `performance.now()`.
   * @returns whether it has to be written at once: the event loop has not turned for so long that nobody else would
   */
  noted(now: number): boolean {
    if (this.#timer === null) {
      this.#due = now + longestDelay;
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#store();
      }, longestDelay);
      this.#timer.unref();
      return false;
    }
    if (now < this.#due + longestDelay) return false;
    this.#due = now;
    return true;
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
