// A signal ends a process without its 'exit' if nobody listens. As long as there is something to clear away then, it is heard.
import { constants } from 'node:os';

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

let holders = 0;

/** The exit code is the one by which a shell tells of the signal. */
function leave(signal: (typeof signals)[number]): void {
  process.exit(128 + constants.signals[signal]);
}

/** From now on such a signal ends this process by way of its 'exit', until `releaseSignals` was called as often as this. */
export function holdSignals(): void {
  if (holders === 0) for (const signal of signals) process.on(signal, leave);
  holders++;
}

export function releaseSignals(): void {
  holders--;
  if (holders === 0) for (const signal of signals) process.off(signal, leave);
}
