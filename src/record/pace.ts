// When an operation is due.
import { setImmediate, setTimeout } from 'node:timers/promises';

/** A timer comes late by about this much; what is left is waited for turn by turn. */
const timerMilliseconds = 2;

export class Pace {
  readonly kept: boolean;
  #began = 0;

  constructor(kept: boolean) {
    this.kept = kept;
  }

  begin(): void {
    this.#began = performance.now();
  }

  /** Waits until so many nanoseconds after the beginning; undefined where that is past, or nobody asks. */
  until(nanoseconds: number): Promise<void> | void {
    if (this.kept && this.#left(nanoseconds) > 0) return this.#wait(nanoseconds);
  }

  async #wait(nanoseconds: number): Promise<void> {
    for (let left = this.#left(nanoseconds); left > 0; left = this.#left(nanoseconds)) {
      if (left > timerMilliseconds) await setTimeout(Math.min(left - timerMilliseconds, 2 ** 30));
      else await setImmediate();
    }
  }

  /** Milliseconds. */
  #left(nanoseconds: number): number {
    return nanoseconds / 1e6 - (performance.now() - this.#began);
  }
}
