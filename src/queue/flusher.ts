// When a queue submits by itself, and where the errors of such a batch go.
import { IsmioError } from '../errors.js';
import { type Completion, nothingDone } from './completion.js';
import type { QueueSettings } from './options.js';

/** What the flusher needs of its queue. */
export interface Flushed {
  readonly queued: number;
  readonly inFlight: number;
  /** Submits what is queued; throws the batch's error. */
  flush(): Completion;
  /** An error waits to be thrown by the next call. */
  holding(): void;
}

export class Flusher {
  readonly #queue: Flushed;
  readonly #policy: NonNullable<QueueSettings['flush']>;
  readonly #onFlush: QueueSettings['onFlush'];
  #bytes = 0;
  #turn: NodeJS.Immediate | null = null;
  #due = false;
  #held: Error | null = null;

  constructor(queue: Flushed, policy: NonNullable<QueueSettings['flush']>, onFlush: QueueSettings['onFlush']) {
    this.#queue = queue;
    this.#policy = policy;
    this.#onFlush = onFlush;
  }

  /** An operation of `bytes` was queued. Throws the error of the batch that it set off. */
  queued(bytes: number): void {
    this.#bytes += bytes;
    if (this.#policy.turn && this.#turn === null) this.#turn = setImmediate(() => this.#endOfTurn());
    if (this.#queue.queued < this.#policy.ops && this.#bytes < this.#policy.bytes) return;
    this.#flush();
    this.throwHeld();
  }

  /** What was queued has been handed over. */
  published(): void {
    this.#bytes = 0;
  }

  /** Nothing is in flight any more: submits if that was waited for. */
  idle(): void {
    if (this.#due) this.#flush();
  }

  close(): void {
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#due = false;
  }

  throwHeld(): void {
    const error = this.#held;
    this.#held = null;
    if (error !== null) throw error;
  }

  #endOfTurn(): void {
    this.#turn = null;
    this.#flush();
  }

  /** Submits, or sees to it that the end of the drains in flight does: a submit would overtake them. */
  #flush(): void {
    this.#due = this.#queue.inFlight > 0;
    if (this.#due || this.#queue.queued === 0) return;
    let error: Error | null = null;
    let completion = nothingDone;
    try {
      completion = this.#queue.flush();
    } catch (thrown) {
      error = thrown as Error;
      completion = (thrown as { completion?: Completion }).completion ?? nothingDone;
    }
    if (this.#onFlush === undefined) {
      if (error !== null) this.#hold(error);
      return;
    }
    try {
      this.#onFlush(error as IsmioError | null, completion);
    } catch (thrown) {
      this.#hold(new IsmioError('ERR_ISMIO_CALLBACK', 'onFlush threw; what it threw is the cause', {}, thrown));
    }
  }

  #hold(error: Error): void {
    this.#held ??= error;
    this.#queue.holding();
  }
}
