// A batch that was handed to the drain thread: it settles exactly once, in the order in which batches were handed over.
import { IsmioError } from '../errors.js';
import type { Completion } from './completion.js';
import type { LoadBack } from './loadback.js';

type StopCode = 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED';

export class Ticket {
  readonly promise: Promise<Completion>;
  #resolve!: (completion: Completion) => void;
  #reject!: (error: Error) => void;
  #stopped: { readonly code: StopCode; readonly cause: unknown } | null = null;

  constructor(
    readonly number: number,
    /** Ring indices [from, to). */
    readonly from: number,
    readonly to: number,
    /** Where its copies in the staging memory end. */
    readonly mark: number,
    readonly loads: readonly LoadBack[],
    /** When it was handed over; null where nobody observes. */
    readonly handedOver: number | null,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Notes on whose word it is stopped; the first word counts. */
  stop(code: StopCode, cause: unknown): void {
    this.#stopped ??= { code, cause };
  }

  resolve(completion: Completion): void {
    this.#resolve(completion);
  }

  reject(error: Error): void {
    this.#reject(this.#stopped === null ? error : because(error, this.#stopped));
  }
}

/** The batch's own error says where it stopped; this says on whose word. */
function because(error: Error, stopped: { readonly code: StopCode; readonly cause: unknown }): Error {
  if ((error as IsmioError).code !== 'ERR_ISMIO_ABORTED') return error;
  const { message, code: _code, name: _name, stack: _stack, ...values } = error as IsmioError;
  const text = stopped.code === 'ERR_ISMIO_CLOSED' ? message.replace('on request', 'by close()') : message;
  return new IsmioError(stopped.code, text, values, stopped.cause);
}
