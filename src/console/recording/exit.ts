// The exit of a command, as one number and as words.
import { constants } from 'node:os';
import { harmless } from '../../support/text.js';
import type { ConsoleExit } from './format.js';

/** The number that a shell gives: the status, or 128 and the number of the signal. */
export function exitNumber({ status, signal }: ConsoleExit): number {
  if (status !== null) return status;
  const numbers: Readonly<Record<string, number>> = constants.signals;
  return 128 + (signal !== null && Object.hasOwn(numbers, signal) ? (numbers[signal] as number) : 0);
}

export function exitWords({ status, signal }: ConsoleExit): string {
  return signal === null ? `the command ended with status ${status}` : `the command ended by ${harmless(signal)}`;
}
