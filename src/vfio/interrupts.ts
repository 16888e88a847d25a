// Interrupts as JavaScript hears them: events, an async iterable, and a wait for the next one. Of all vectors of a kind, and of
// each vector by itself.
import { EventEmitter } from 'node:events';
import { checkSignal, onAbort } from '../support/abort.js';
import { checkBetween, checkOptions } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';

/** How often a vector was signalled since it was last told. */
export interface Interrupt {
  /** Which of the vectors it is, from 0 on. */
  readonly vector: number;
  /** At least 1: signals that come faster than the event loop turns are counted together, and none is lost. */
  readonly count: number;
}

/** The longest wait, some 24 days: what timers of Node.js take. */
const mostMilliseconds = 2 ** 31 - 1;

/** How the waiting for an interrupt ends early. */
export interface WaitOptions {
  /** Ends the waiting: `AbortSignal.timeout(milliseconds)` is a time limit. */
  signal?: AbortSignal;
}

/**
 * Emits 'interrupt' with an Interrupt. `for await (const interrupt of interrupts)` takes those that come while it waits and
 * while its body runs; what is not taken yet is counted together for each vector. The iteration ends when what it listens to
 * is disabled.
 */
export abstract class Interrupts extends EventEmitter<{ interrupt: [Interrupt] }> {
  /** A symbol: with it, posting interrupts to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  readonly #iterations = new Set<Iteration>();
  #signalled = 0;

  /** Signals since the device was opened. */
  get signalled(): number {
    return this.#signalled;
  }

  /**
   * The next interrupt, of those that are told from now on: what was told before it is not waited for. So look first at what
   * the device has done, and wait where that is nothing.
   * @throws IsmioError ERR_ISMIO_CLOSED when the interrupts are not enabled, or disabled meanwhile; ERR_ISMIO_ABORTED
   */
  async wait(options: WaitOptions = {}): Promise<Interrupt> {
    checkOptions(options, ['signal'], 'wait');
    const signal = checkSignal(options.signal, 'wait');
    const iteration = this[Symbol.asyncIterator]();
    let aborted = false;
    const forget =
      signal === undefined
        ? () => undefined
        : onAbort(signal, () => {
            aborted = true;
            void iteration.return?.();
          });
    const { done, value } = await iteration.next();
    forget();
    void iteration.return?.();
    if (done !== true) return value;
    if (aborted) {
      throw new IsmioError('ERR_ISMIO_ABORTED', `the wait for ${this.title} was aborted`, {}, signal?.reason);
    }
    throw this.notEnabled();
  }

  /** @internal The error of a wait that nobody would end. */
  notEnabled(): IsmioError {
    return new IsmioError('ERR_ISMIO_CLOSED', `${this.title} is not enabled, so that nobody would end the wait`);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Interrupt> {
    const iteration = new Iteration(() => this.#iterations.delete(iteration));
    if (this.live) this.#iterations.add(iteration);
    else iteration.end();
    return iteration;
  }

  /** @internal What it is called in messages. */
  protected abstract readonly title: string;

  /** @internal Whether an interrupt can come. */
  protected abstract readonly live: boolean;

  /** @internal An interrupt came. */
  tell(interrupt: Interrupt): void {
    this.#signalled += interrupt.count;
    for (const iteration of this.#iterations) iteration.put(interrupt);
    this.emit('interrupt', interrupt);
  }

  /** @internal No further one comes. */
  endIterations(): void {
    for (const iteration of this.#iterations) iteration.end();
  }
}

/** The interrupts of one vector. Made by `irq.vector`. */
export class VfioVector extends Interrupts {
  /** Which of the vectors it is, from 0 on. */
  readonly vector: number;
  readonly #isEnabled: () => boolean;
  readonly #await: (milliseconds: number) => Interrupt | null;
  protected readonly title: string;

  /** @internal */
  constructor(
    vector: number,
    title: string,
    isEnabled: () => boolean,
    wait: (milliseconds: number) => Interrupt | null,
  ) {
    super();
    this.vector = vector;
    this.title = title;
    this.#isEnabled = isEnabled;
    this.#await = wait;
  }

  /**
   * Waits for the next interrupt on this thread, and so holds its event loop, for so many milliseconds at most; null when they
   * are over. What was signalled and not told yet ends it at once. Listeners hear of the interrupt as well, before this
   * returns. For a Worker that has nothing else to do: no turn of the event loop stands between the device and the answer.
   * A Worker that is terminated waits 10 ms longer at most.
   * @throws IsmioError ERR_ISMIO_CLOSED when the vector is not enabled, ERR_ISMIO_RUNTIME on other runtimes than Node.js
   */
  waitSync(milliseconds: number): Interrupt | null {
    return this.#await(checkBetween(milliseconds, 'milliseconds', 0, mostMilliseconds));
  }

  /** Whether the vector is one of those that are enabled. */
  get enabled(): boolean {
    return this.#isEnabled();
  }

  protected get live(): boolean {
    return this.enabled;
  }
}

/** One iteration. It never holds more than one count for each vector. */
class Iteration implements AsyncIterableIterator<Interrupt> {
  readonly #counts = new Map<number, number>();
  readonly #takers: ((result: IteratorResult<Interrupt>) => void)[] = [];
  readonly #forget: () => void;
  #ended = false;

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  put({ vector, count }: Interrupt): void {
    const taker = this.#takers.shift();
    if (taker !== undefined) taker({ done: false, value: { vector, count } });
    else this.#counts.set(vector, (this.#counts.get(vector) ?? 0) + count);
  }

  end(): void {
    this.#ended = true;
    this.#forget();
    for (const taker of this.#takers.splice(0)) taker({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<Interrupt>> {
    for (const [vector, count] of this.#counts) {
      this.#counts.delete(vector);
      return Promise.resolve({ done: false, value: { vector, count } });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  return(): Promise<IteratorResult<Interrupt>> {
    this.end();
    this.#counts.clear();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
