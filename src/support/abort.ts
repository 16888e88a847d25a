// What can be aborted waits for its signal here. A signal that stops much at once - a program's own, at its shutdown - has
// one listener, however many operations wait for it: Node.js takes an eleventh for a leak, and says so.
import { shown, typeError } from './errors.js';

interface Waiter {
  readonly aborted: () => void;
}

interface Wait {
  readonly waiters: Set<Waiter>;
  readonly end: () => void;
}

const waits = new WeakMap<AbortSignal, Wait>();

/**
 * Calls `aborted`, which must not throw, once the signal is aborted; at once, before it returns, where it is already.
 * @returns ends the waiting: `aborted` is not called any more. May be called again, and after the end
 */
export function onAbort(signal: AbortSignal, aborted: () => void): () => void {
  if (signal.aborted) {
    aborted();
    return () => undefined;
  }
  const { waiters, end } = waits.get(signal) ?? listen(signal);
  const waiter = { aborted };
  waiters.add(waiter);
  return () => {
    if (waiters.delete(waiter) && waiters.size === 0) end();
  };
}

/**
 * The signal among the options of `where`, if one is given. Taken by what it can do and not by its class: one that jsdom,
 * another realm or a library made is as good as this realm's.
 * @throws TypeError ERR_ISMIO_ARGUMENT_TYPE
 */
export function checkSignal(signal: unknown, where: string): AbortSignal | undefined {
  if (signal === undefined || isSignal(signal)) return signal;
  const text = `the signal of ${where} must be an AbortSignal, not ${shown(signal)}`;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { signal });
}

export function isSignal(value: unknown): value is AbortSignal {
  if (value === null || typeof value !== 'object') return false;
  const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>;
  return (
    typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof removeEventListener === 'function'
  );
}

function listen(signal: AbortSignal): Wait {
  const waiters = new Set<Waiter>();
  const end = (): void => {
    waits.delete(signal);
    signal.removeEventListener('abort', tell);
  };
  // Whoever is told may end the waiting of others, who are then not told.
  const tell = (): void => {
    end();
    for (const waiter of waiters) {
      waiters.delete(waiter);
      waiter.aborted();
    }
  };
  signal.addEventListener('abort', tell);
  const wait = { waiters, end };
  waits.set(signal, wait);
  return wait;
}
