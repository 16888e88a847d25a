// Keeps the addon's handler of SIGBUS in front of the program's own.
import { native } from '../addon/binding.js';
import { IsmioError, systemError } from '../support/errors.js';
import { isMainThread } from '../support/thread.js';

let listening = false;

/**
 * Called when a mapped region was opened. A listener for SIGBUS makes Node.js put a handler of its own in the place of the
 * addon's, and the last that is removed puts the default there. Node.js does so in listeners of these two events that were
 * there before ours, so the addon's handler is in front again before the call that adds or removes returns. A Worker has no
 * listeners for signals: it has the first thread watch its own.
 */
export function keepGuard(): void {
  if (!isMainThread) native.tellGuarded();
  else if (!listening) watchListeners();
}

function watchListeners(): void {
  listening = true;
  process.on('newListener', changed);
  process.on('removeListener', changed);
}

if (isMainThread) native.whenGuarded(guardedElsewhere);

/** By the time that this is heard, a listener may be there already. */
function guardedElsewhere(): void {
  keepGuard();
  guardAgain();
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
