// Turns what a native call answered into an error. The one place where a failure gets its words.
import { answers } from '../addon/binding.js';
import { Field, type Loss, layout, losses, rules, type Status, statuses } from '../addon/wire.js';
import { type ErrorCode, type ErrorValues, hex, IsmioError, rangeError, systemError } from '../support/errors.js';
import type { Rules } from './rules.js';

/** The access that went wrong, as the caller asked for it. */
export interface Attempt {
  /** For people: 'store block', 'write', 'load', .. */
  readonly what: string;
  readonly offset: number;
  readonly length: number;
  readonly region: string;
  readonly rules: Rules;
}

/** A native failure, as the words of the answers array. Copied where it has to outlive the next call. */
export type Answer = Float64Array | readonly number[];

type Told = { code: ErrorCode; message: string; values?: ErrorValues; cause?: unknown };

const ruleWords: Record<string, (attempt: Attempt) => string> = {
  length: (a) =>
    a.length === 0 ? 'it is empty' : `a strict region takes store blocks of more than 8 bytes${shorter(a)}`,
  maxStoreBlock: (a) => `the device takes at most ${a.rules.maxStoreBlock} bytes at once (maxStoreBlock)`,
  boundary: (a) => `it crosses a ${a.rules.boundary}-byte boundary at ${hex(nextBoundary(a))}`,
  offsetAlignment: () => 'a strict region takes store blocks at multiples of 8 only',
  lengthAlignment: () => 'a strict region takes store blocks of a multiple of 8 bytes only',
  singleStores: ({ what, rules }) => {
    const least = rules.maxStoreBlock < 24 ? 'a multiple of 16 bytes' : 'a multiple of 8 bytes, 16 at least,';
    const merging =
      what === 'store' && rules.merge === 'window'
        ? ", or queue it beside its neighbours with { merge: 'adjacent' }"
        : '';
    return `the region takes store blocks alone, which begin at multiples of 8 and have more than 8 bytes. Write ${least} from a multiple of 8 on, and so much on each side of a multiple of ${rules.boundary}${merging}`;
  },
};

function shorter({ length, rules }: Attempt): string {
  if (!rules.singleStores) return ', and has no single stores';
  return length === 8 ? '; use store64 or write for 8' : `; use write for ${length}`;
}

const lossWords: Record<Loss, string> = {
  unknown: 'the memory behind the region has gone, and nobody told why. Close it and open it again',
  truncated:
    'the file was truncated below the end of the region. Give it its size back, close the region and open it again',
  noSpace:
    'the file system had no page left for a part of the file that has none yet (a full tmpfs, no free huge page). Make ' +
    'room, close the region and open it again; fallocate gives a file all of its pages beforehand',
  device: 'memory decode is off, or the device has gone. Close the region and open it again when it is back',
  ioError: 'the file system could not read the page, or may not give one (an I/O error, a quota)',
  memoryError: 'the memory is broken: the kernel has taken the page away (a hardware error)',
};

function nextBoundary({ offset, rules }: Attempt): number {
  return (Math.floor(offset / rules.boundary) + 1) * rules.boundary;
}

function errnoName(answer: Answer): string | undefined {
  const errno = answer[Field.errno] ?? 0;
  return errno > 0 ? systemError(errno, '').code : undefined;
}

const tell: Record<Exclude<Status, 'ok' | 'ruleBroken'>, (attempt: Attempt, answer: Answer) => Told> = {
  outOfRange: () => ({ code: 'ERR_ISMIO_OUT_OF_RANGE', message: 'it reaches past the end of the region' }),
  misaligned: () => ({ code: 'ERR_ISMIO_MISALIGNED', message: 'it is not at a multiple of its width' }),
  readOnly: () => ({
    code: 'ERR_ISMIO_READ_ONLY',
    message: 'the region was opened without write access; open it with { writable: true }',
  }),
  closed: () => ({ code: 'ERR_ISMIO_CLOSED', message: 'the region is closed' }),
  aborted: () => ({ code: 'ERR_ISMIO_ABORTED', message: 'it was stopped on request' }),
  // Through a file descriptor the kernel says EIO for every condition code, and for memory decode that is off.
  deviceError: (_, answer) => {
    const told = answer[Field.conditionCode] !== 0;
    const status = answer[Field.deviceStatus] ?? 0;
    const what = told
      ? `the device answered with condition code 1, status ${hex(status)} (EIO)`
      : 'the device, or the kernel for it, answered EIO (a condition code that is not 0, or memory decode is off)';
    return {
      code: 'ERR_ISMIO_DEVICE',
      message: `${what}. It may have acted on it, so it was not repeated`,
      values: { errno: 'EIO', ...(told && { deviceStatus: status }) },
    };
  },
  busy: (_, answer) => ({
    code: 'ERR_ISMIO_BUSY',
    message: `the device was busy (condition code 2) at each of ${answer[Field.tries]} tries`,
    values: { errno: 'EIO', tries: answer[Field.tries] ?? layout.busyTries },
  }),
  invalidHandle: () => ({
    code: 'ERR_ISMIO_INVALID_HANDLE',
    message: 'the function handle is invalid (condition code 3): the function was disabled or removed; open it again',
    values: { errno: 'EIO' },
  }),
  regionLost: (_, answer) => {
    const reason = losses[answer[Field.loss] ?? 0] ?? 'unknown';
    return { code: 'ERR_ISMIO_REGION_LOST', message: lossWords[reason], values: { reason } };
  },
  systemError: (attempt, answer) => ({
    code: 'ERR_ISMIO_SYSTEM',
    message: `the kernel refused it: ${errnoName(answer)}`,
    values: { errno: errnoName(answer) as string },
    cause: systemError(answer[Field.errno] ?? 0, attempt.what),
  }),
  badEntry: () => ({
    code: 'ERR_ISMIO_INTERNAL',
    message: 'it reached the addon in a form that this package does not write; please report this',
  }),
  noMemory: () => ({ code: 'ERR_ISMIO_NO_MEMORY', message: 'the system has no memory left for the emulated bytes' }),
  unanswered: () => ({
    code: 'ERR_ISMIO_UNANSWERED',
    message: `the thread that runs the device's handlers did not answer within ${layout.answerMilliseconds} ms`,
    values: { errno: 'ETIMEDOUT' },
  }),
  deadlock: () => ({
    code: 'ERR_ISMIO_DEADLOCK',
    message:
      'the handler answers by a promise, which this thread could not settle while it waits for it. Queue the access and ' +
      'drain the queue, or answer at once',
    values: { errno: 'EDEADLK' },
  }),
};

/** Mistakes of a caller who is told by the call itself. */
const mistakes: readonly ErrorCode[] = ['ERR_ISMIO_RULE', 'ERR_ISMIO_OUT_OF_RANGE', 'ERR_ISMIO_MISALIGNED'];

/** The error as the call itself throws it: a RangeError where the caller was wrong. */
export function thrown(error: IsmioError): Error {
  if (!mistakes.includes(error.code)) return error;
  const { name: _, code, ...values } = error;
  return rangeError(code, error.message, values);
}

/** The error of a write that `possible` says no to. */
export function impossible(attempt: Attempt): IsmioError {
  const values = { ...valuesOf(attempt), bytesDone: 0, rule: 'singleStores', errno: 'ENXIO' };
  return new IsmioError('ERR_ISMIO_RULE', ruleText(attempt, 'singleStores'), values);
}

function placeOf({ what, offset, length, region }: Attempt): string {
  return `${what} of ${length} bytes at offset ${hex(offset)} of ${region}`;
}

function valuesOf({ offset, length, region }: Attempt): ErrorValues {
  return { offset, length, region };
}

function ruleText(attempt: Attempt, rule: string): string {
  return `${placeOf(attempt)} breaks the rule '${rule}': ${ruleWords[rule]?.(attempt)}`;
}

/** The error for `answer`, whose status is not 0. `more` goes into its properties. */
export function failure(attempt: Attempt, answer: Answer = answers, more: ErrorValues = {}): IsmioError {
  const status = statuses[answer[Field.status] ?? 0] as Exclude<Status, 'ok'>;
  const base: ErrorValues = { ...valuesOf(attempt), ...more };
  if (status === 'ruleBroken') {
    const rule = rules[answer[Field.rule] ?? 0] as string;
    const errno = errnoName(answer) ?? (rule === 'maxStoreBlock' || rule === 'boundary' ? 'EINVAL' : 'ENXIO');
    const values = { ...base, bytesDone: base.bytesDone ?? answer[Field.done] ?? 0, rule, errno };
    return new IsmioError('ERR_ISMIO_RULE', ruleText(attempt, rule), values);
  }
  const { code, message, values, cause } = tell[status](attempt, answer);
  const all: ErrorValues = { ...base, ...values };
  const conditionCode = answer[Field.conditionCode] ?? 0;
  if (conditionCode !== 0) all.conditionCode = conditionCode;
  if (all.bytesDone === undefined) all.bytesDone = answer[Field.done] ?? 0;
  const unknown = answer[Field.unknownLoads] ?? 0;
  if (unknown > 0) all.unknownLoads = unknown;
  const loads = unknown > 0 ? `; up to ${unknown} loads of 8 bytes behind them may have been made` : '';
  const done = all.bytesDone > 0 ? `; ${all.bytesDone} bytes of it were done before` : '';
  const text = `${placeOf(attempt)} failed: ${message}${done}${loads}`;
  return new IsmioError(code, text, all, cause);
}
