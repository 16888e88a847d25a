// When a queue submits by itself, and where the errors of such batches go: an error is told once, to whoever asks first.
// Nobody may be waiting for it when it comes, so it is held until then, or until nobody can come any more (untold.ts).
import { clearImmediate, setImmediate } from 'node:timers';
import { IsmioError } from '../support/errors.js';
import { type Completion, nothingDone } from './completion.js';
import type { QueueSettings } from './options.js';
import { forget, remember, type Untold } from './untold.js';

/** What the flusher needs of its queue. */
export interface Flushed {
  /** The name of its region. */
  readonly region: string;
  readonly queued: number;
  readonly inFlight: number;
  /** Submits what is queued; throws the batch's error. */
  flush(): Completion;
  /** An error is held: the next call of the queue has to ask for it. */
  holding(): void;
}

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Flusher {
  readonly #queue: Flushed;
  readonly #policy: NonNullable<QueueSettings['flush']>;
  readonly #onFlush: QueueSettings['onFlush'];
  #bytes = 0;
  #turn: NodeJS.Immediate | null = null;
  /** A batch is to be submitted as soon as no drain is in flight. */
  #due = false;
  #held: Untold | null = null;
  #waiting: Waiting | null = null;

  constructor(queue: Flushed, policy: NonNullable<QueueSettings['flush']>, onFlush: QueueSettings['onFlush']) {
    this.#queue = queue;
    this.#policy = policy;
    this.#onFlush = onFlush;
  }

  /** An operation of `bytes` was queued. */
  queued(bytes: number): void {
    this.#bytes += bytes;
    if (this.#policy.turn && this.#turn === null) this.#turn = setImmediate(() => this.#endOfTurn());
    if (this.#queue.queued >= this.#policy.ops || this.#bytes >= this.#policy.bytes) this.#flush();
  }

  /** What was queued has been handed over. */
  published(): void {
    this.#bytes = 0;
  }

  /** Nothing is in flight any more: submits if that was waited for. */
  idle(): void {
    if (this.#due) this.#flush();
  }

  /** Settles when what is due has been submitted and executed. Rejects with the error that is held, or the next one. */
  get flushed(): Promise<void> {
    const error = this.take();
    if (error !== null) return Promise.reject(error);
    if (this.#turn === null && !this.#due) return Promise.resolve();
    this.#waiting ??= waiting();
    return this.#waiting.promise;
  }

  get holds(): boolean {
    return this.#held !== null;
  }

  /** The error that is held, which is held no more: whoever takes it tells it. */
  take(): Error | null {
    const untold = this.#held;
    if (untold === null) return null;
    this.#held = null;
    forget(untold);
    const { error, later } = untold;
    return later > 0 ? Object.assign(error, { laterErrors: later }) : error;
  }

  /** @param dropped says what will not be submitted any more; null where nothing is queued */
  close(dropped: Error | null): void {
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#due = false;
    if (dropped === null) this.#settle();
    else this.#rejectWaiting(dropped);
  }

  #endOfTurn(): void {
    this.#turn = null;
    this.#flush();
  }

  /** Submits, or sees to it that the end of the drains in flight does: a submit would overtake them. */
  #flush(): void {
    this.#due = this.#queue.inFlight > 0;
    if (this.#due) return;
    if (this.#queue.queued > 0) this.#submit();
    this.#settle();
  }

  #submit(): void {
    let error: Error | null = null;
    let completion = nothingDone;
    try {
      completion = this.#queue.flush();
    } catch (thrown) {
      error = thrown as Error;
      completion = (thrown as { completion?: Completion }).completion ?? nothingDone;
    }
    if (this.#onFlush === undefined) {
      if (error !== null) this.#failed(error);
      return;
    }
    try {
      this.#onFlush(error as IsmioError | null, completion);
    } catch (thrown) {
      this.#failed(new IsmioError('ERR_ISMIO_CALLBACK', 'onFlush threw; what it threw is the cause', {}, thrown));
    }
  }

  #settle(): void {
    if (this.#turn !== null || this.#due || this.#waiting === null) return;
    this.#waiting.resolve();
    this.#waiting = null;
  }

  #failed(error: Error): void {
    if (this.#waiting !== null) {
      this.#rejectWaiting(error);
      return;
    }
    if (this.#held !== null) this.#held.later++;
    else this.#held = remember(this, error, this.#queue.region);
    this.#queue.holding();
  }

  #rejectWaiting(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = null;
  }
}

function waiting(): Waiting {
  let resolve!: Waiting['resolve'];
  let reject!: Waiting['reject'];
  const promise = new Promise<void>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}
