// Keeps the addon's handler of SIGBUS in front of the program's own.
import { native } from '../binding.js';
import { IsmioError, systemError } from '../errors.js';
import { isMainThread } from '../thread.js';

let listening = false;

/**
 * A listener for SIGBUS makes Node.js put a handler of its own in the place of the addon's, and the last that is removed puts
 * the default there. Node.js does so in listeners of these two events that were there before ours, so the addon's handler is
 * in front again before the call that adds or removes returns. Called when the package is imported, because the mapped region
 * may be a Worker's, where there are no listeners for signals, and by whoever opens one.
 */
export function keepGuard(): void {
  if (listening || !isMainThread) return;
  listening = true;
  process.on('newListener', changed);
  process.on('removeListener', changed);
}

function changed(event: string | symbol): void {
  if (event !== 'SIGBUS') return;
  guardAgain();
  queueMicrotask(guardAgain); // for a runtime that takes the signal only after the event
}

function guardAgain(): void {
  const errno = native.guardAgain();
  if (errno === 0) return;
  const cause = systemError(errno, 'sigaction');
  const text = `the handler of SIGBUS cannot be put back: ${cause.code}. A mapped region that is lost would end the process`;
  throw new IsmioError('ERR_ISMIO_SYSTEM', text, { errno: cause.code }, cause);
}
