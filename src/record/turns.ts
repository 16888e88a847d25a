// Whose turn it is: a replay is one thread's work, and while it works nobody else on that thread does anything. After some
// milliseconds the others have theirs, and if one of them has aborted the replay it ends there.
import { timers } from '../support/builtins.js';
import { IsmioError } from '../support/errors.js';

/** Work between two looks at the clock: bytes, or what takes as long as so many. */
export const untilLook = 1 << 16;
const longestTurn = 20;

export class Turns {
  readonly signal: AbortSignal | undefined;
  #work = 0;
  #began = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal;
  }

  /** @throws IsmioError ERR_ISMIO_ABORTED */
  check(): void {
    if (this.signal?.aborted !== true) return;
    throw new IsmioError('ERR_ISMIO_ABORTED', 'the replay was aborted', {}, this.signal.reason);
  }

  /** So much more was done. */
  add(work: number): void {
    this.#work += work;
  }

  /** The same; a promise where others come before the next piece of work. */
  after(work: number): Promise<void> | void {
    this.#work += work;
    if (this.#work < untilLook) return;
    this.#work = 0;
    if (performance.now() - this.#began >= longestTurn) return this.pass();
  }

  /** Lets everybody else have a turn. */
  async pass(): Promise<void> {
    await timers().setImmediate();
    this.check();
    this.#began = performance.now();
  }

  /** Waits, until the signal at most. */
  async sleep(milliseconds: number): Promise<void> {
    const { signal } = this;
    await timers()
      .setTimeout(milliseconds, undefined, signal === undefined ? {} : { signal })
      .catch(() => undefined);
    this.check();
  }
}
