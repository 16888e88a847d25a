// How an end leaves a stream behind what it said last: a peer that does not read that, or does not end its side, is not waited for.
import type { Duplex } from 'node:stream';
import { clearTimeout, setTimeout } from 'node:timers';

/** Milliseconds that a peer has for what was sent last. */
export const farewell = 2000;

export function hangUp(stream: Duplex): void {
  stream.end();
  stream.resume();
  if (stream.closed) return;
  const gone = setTimeout(() => stream.destroy(), farewell);
  gone.unref();
  stream.once('close', () => clearTimeout(gone));
}
