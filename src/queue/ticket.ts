// A batch that was handed to the drain thread: it settles exactly once, in the order in which batches were handed over.
import { IsmioError } from '../errors.js';
import type { Completion } from './completion.js';
import type { LoadBack } from './loadback.js';
import type { HeldSource } from './sources.js';

/** On whose word a batch is stopped. */
export interface Stopped {
  readonly code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED';
  readonly cause: unknown;
}

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

/** The error of a stopped batch says where it stopped; this one says on whose word as well. */
export function renamed(error: Error, { code, cause }: Stopped): Error {
  const { message, code: _code, name: _name, stack: _stack, ...values } = error as IsmioError;
  const text = code === 'ERR_ISMIO_CLOSED' ? message.replace('on request', 'by close()') : message;
  return new IsmioError(code, text, values, cause);
}
