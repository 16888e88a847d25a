// A batch that was handed to the drain thread: it settles exactly once, in the order in which batches were handed over.
import type { Completion } from './completion.js';
import type { LoadBack } from './loadback.js';
import type { HeldSource } from './sources.js';
import type { Stopped } from './stopped.js';

export class Ticket {
  readonly promise: Promise<Completion>;
  #resolve!: (completion: Completion) => void;
  #reject!: (error: Error) => void;
  #stopped: Stopped | null = null;

  constructor(
    readonly number: number,
    /** Ring indices [from, to). */
    readonly from: number,
    readonly to: number,
    /** Where its copies in the staging memory end. */
    readonly mark: number,
    readonly loads: readonly LoadBack[],
    readonly sources: readonly HeldSource[],
    /** When it was handed over; null where nobody observes. */
    readonly handedOver: number | null,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** On whose word it is stopped: the first one counts. */
  get stopped(): Stopped | null {
    return this.#stopped;
  }

  stop(code: Stopped['code'], cause: unknown): void {
    this.#stopped ??= { code, cause };
  }

  resolve(completion: Completion): void {
    this.#resolve(completion);
  }

  reject(error: Error): void {
    this.#reject(error);
  }
}
