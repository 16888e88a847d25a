// When an operation is due.
import type { Turns } from './turns.js';

/** A timer comes late by about this much; what is left is waited for turn by turn. */
const timerMilliseconds = 2;

export class Pace {
  readonly kept: boolean;
  readonly #turns: Turns;
  #began = 0;

  constructor(kept: boolean, turns: Turns) {
    this.kept = kept;
    this.#turns = turns;
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
      if (left > timerMilliseconds) await this.#turns.sleep(Math.min(left - timerMilliseconds, 2 ** 30));
      else await this.#turns.pass();
    }
  }

  /** Milliseconds. */
  #left(nanoseconds: number): number {
    return nanoseconds / 1e6 - (performance.now() - this.#began);
  }
}
