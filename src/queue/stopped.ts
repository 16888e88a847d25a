// Batches that were stopped: on whose word, and how that is told.
import { IsmioError } from '../support/errors.js';

/** On whose word a batch is stopped. */
export interface Stopped {
  readonly code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED';
  readonly cause: unknown;
}

/** The error of a stopped batch says where it stopped; this one says on whose word as well. */
export function renamed(error: Error, { code, cause }: Stopped): Error {
  const { message, code: _code, name: _name, stack: _stack, ...values } = error as IsmioError;
  const text = code === 'ERR_ISMIO_CLOSED' ? message.replace('on request', 'by close()') : message;
  return new IsmioError(code, text, values, cause);
}
