// When the slots are looked at: at a signal; again for a moment while answers come at once, as ends of streams do
// (../../support/patience.ts); at the end of a turn, while something was seen half-way; and on a slow timer, since a signal
// is a hint, and one may be lost.
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import { native } from '../../addon/binding.js';
import { Patience } from '../../support/patience.js';
import { broken } from './wire.js';

/** Milliseconds. */
const slow = 250;
/** Milliseconds that a signal may come behind what it tells of. */
const late = 20;
/** Milliseconds for which what lies in memory may not belong together: a move takes microseconds. */
const longestDoubt = 1000;

/** What a look saw. */
export type Sight = 'nothing' | 'news' | 'doubt';

/** What is looked at. */
export interface Looked {
  /** Whether there is something that was not taken. */
  glance(): boolean;
  /** Takes what there is; what it throws ends the session. */
  look(): Sight;
  /** It threw this. */
  failed(error: Error): void;
}

export class Lookout {
  readonly #looked: Looked;
  readonly #patience = new Patience();
  readonly #timer: NodeJS.Timeout;
  #heard = 0;
  #rescued = 0;
  #doubtedSince: number | null = null;
  #isWaiting = false;
  /** While what no signal has told of yet is held back. */
  #holding: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(looked: Looked) {
    this.#looked = looked;
    this.#timer = setInterval(() => this.#lookSlowly(), slow);
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
    if (this.#holding !== null) clearTimeout(this.#holding);
  }

  #see(): void {
    if (this.#isClosed) return;
    let sight: Sight = 'nothing';
    try {
      sight = this.#looked.look();
      this.#doubt(sight === 'doubt');
    } catch (error) {
      this.close();
      this.#looked.failed(error as Error);
    }
    if (sight === 'news') this.#heard++;
    const isWorthIt = this.#patience.holds(this.#heard, performance.now());
    if (isWorthIt || sight === 'doubt') this.#again();
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

  /** What it finds is left for its signal for a moment. */
  #lookSlowly(): void {
    if (this.#holding !== null || !this.#looked.glance()) return;
    const heard = this.#heard;
    this.#holding = setTimeout(() => {
      this.#holding = null;
      this.#rescue(heard);
    }, late);
  }

  /** Timers come first in a turn of the event loop: a signal that waits in it is heard before it is called lost. */
  #rescue(heard: number): void {
    setImmediate(() => {
      if (this.#isClosed || heard !== this.#heard || !this.#looked.glance()) return;
      this.#rescued++;
      this.#see();
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
