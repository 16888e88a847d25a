// When the slots are looked at: at a signal; again for a moment while answers come at once, as ends of streams do
// (../../ism/stream/patience.ts); at the end of a turn, while something was seen half-way; and on a slow timer, since a signal
// is a hint, and one may be lost.
import { clearInterval, setImmediate, setInterval } from 'node:timers';
import { native } from '../../addon/binding.js';
import { Patience } from '../../ism/stream/patience.js';
import { broken } from './wire.js';

/** Milliseconds. */
const slow = 250;
/** Milliseconds for which what lies in memory may not belong together: a move takes microseconds. */
const longestDoubt = 1000;

/** What a look saw. */
export type Sight = 'nothing' | 'news' | 'doubt';

export class Lookout {
  readonly #look: () => Sight;
  readonly #failed: (error: Error) => void;
  readonly #patience = new Patience();
  readonly #timer: NodeJS.Timeout;
  #heard = 0;
  #rescued = 0;
  #doubtedSince: number | null = null;
  #isWaiting = false;
  #isClosed = false;

  /**
   * @param look takes what there is; what it throws ends the session
   * @param failed is told what was thrown, once
   */
  constructor(look: () => Sight, failed: (error: Error) => void) {
    this.#look = look;
    this.#failed = failed;
    this.#timer = setInterval(() => this.#rescue(), slow);
  }

  /** News that no signal brought, but the slow timer. */
  get rescued(): number {
    return this.#rescued;
  }

  signalled(): void {
    this.#see();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }

  #see(): boolean {
    if (this.#isClosed) return false;
    let sight: Sight = 'nothing';
    try {
      sight = this.#look();
      this.#doubt(sight === 'doubt');
    } catch (error) {
      this.close();
      this.#failed(error as Error);
    }
    if (sight === 'news') this.#heard++;
    const isWorthIt = this.#patience.holds(this.#heard, performance.now());
    if (isWorthIt || sight === 'doubt') this.#again();
    return sight === 'news';
  }

  #again(): void {
    if (this.#isWaiting || this.#isClosed) return;
    this.#isWaiting = true;
    setImmediate(() => {
      this.#isWaiting = false;
      native.yieldProcessor(); // the peer may wait for this very CPU
      this.#see();
    });
  }

  /** Timers come first in a turn of the event loop: a signal that waits in it is heard before it is called lost. */
  #rescue(): void {
    setImmediate(() => {
      if (this.#see()) this.#rescued++;
    });
  }

  #doubt(isDoubt: boolean): void {
    if (!isDoubt) {
      this.#doubtedSince = null;
      return;
    }
    const now = performance.now();
    this.#doubtedSince ??= now;
    if (now - this.#doubtedSince > longestDoubt) {
      throw broken(`what it moved into a slot has a wrong check, and still has after ${longestDoubt} ms`);
    }
  }
}
