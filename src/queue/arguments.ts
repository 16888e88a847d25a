// Arguments of a queue's methods: what is checked only when something is odd.
import { checkSignal } from '../support/abort.js';
import { checkOptions, checkWhole, type Whole } from '../support/check.js';
import { IsmioError, rangeError, shown, typeError } from '../support/errors.js';
import { type Completion, nothingDone } from './completion.js';

/** How `queue.drain` is stopped. */
export interface DrainOptions {
  /** Stops the batch between two accesses; it is then rejected with ERR_ISMIO_ABORTED. */
  signal?: AbortSignal | undefined;
}

/** Whether [start, start + count) is a part of a source. */
export function isPart(start: unknown, count: unknown, available: number): count is number {
  return (
    typeof start === 'number' &&
    typeof count === 'number' &&
    start >= 0 &&
    count >= 0 &&
    start + count <= available &&
    Math.floor(start) === start &&
    Math.floor(count) === count
  );
}

/** What is wrong with a part [start, start + count) of a source. */
export function partOutOfRange(start: unknown, count: unknown, available: number): Error {
  if (typeof start !== 'number') return notANumber('start', start);
  if (typeof count !== 'number') return notANumber('length', count);
  if (checkWhole(start as Whole, 'start') <= available) checkWhole(count as Whole, 'length');
  return rangeError(
    'ERR_ISMIO_OUT_OF_RANGE',
    `${count} bytes from ${start} on reach past the end of the source, which has ${available}`,
    { start, length: count, available },
  );
}

export function notANumber(what: string, value: unknown): Error {
  return typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a number, not ${shown(value)}`, { [what]: value });
}

export function signalOf(options: DrainOptions): AbortSignal | undefined {
  checkOptions(options, ['signal'], 'drain');
  return checkSignal(options.signal, 'drain');
}

/** What a drain with nothing queued or in flight answers. */
export function nothingToDrain(signal: AbortSignal | undefined): Promise<Completion> {
  if (signal?.aborted !== true) return Promise.resolve(nothingDone);
  const text = 'the drain was aborted before anything was issued';
  return Promise.reject(
    new IsmioError('ERR_ISMIO_ABORTED', text, { completion: nothingDone, operations: [] }, signal.reason),
  );
}
