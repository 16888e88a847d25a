// Errors: one stable code each, the values that mattered as properties, and what to do about it in the message.
import { getSystemErrorName, types } from 'node:util';

/** Every code this package throws or rejects with. Messages may change; these do not. */
export type ErrorCode =
  // the caller's mistakes: RangeError or TypeError
  | 'ERR_ISMIO_ARGUMENT_TYPE' // an argument of the wrong type
  | 'ERR_ISMIO_OPTION' // an option with a value that is not allowed
  | 'ERR_ISMIO_OFFSET' // an offset that is no whole number from 0 to 2^53 - 1
  | 'ERR_ISMIO_OUT_OF_RANGE' // offset + length lies past the end
  | 'ERR_ISMIO_MISALIGNED' // a load or store that is not at a multiple of its width
  | 'ERR_ISMIO_VALUE' // a value that does not fit the width
  | 'ERR_ISMIO_RULE' // a store block that the region's rules refuse
  | 'ERR_ISMIO_DETACHED' // a buffer that was detached, or resized below its view
  | 'ERR_ISMIO_TOO_LONG' // more than can be held at once
  | 'ERR_ISMIO_OVERLAP' // source and target overlap
  // the region's and the device's answers: IsmioError
  | 'ERR_ISMIO_CLOSED' // the region, queue, pool or recorder was closed
  | 'ERR_ISMIO_READ_ONLY' // a store to a region opened without write access
  | 'ERR_ISMIO_DEVICE' // condition code 1; deviceStatus says more
  | 'ERR_ISMIO_BUSY' // condition code 2, after every retry
  | 'ERR_ISMIO_INVALID_HANDLE' // condition code 3
  | 'ERR_ISMIO_UNANSWERED' // a device's handlers did not answer in time
  | 'ERR_ISMIO_DEADLOCK' // an access that could only wait for itself
  | 'ERR_ISMIO_REGION_LOST' // the memory behind the region has gone
  | 'ERR_ISMIO_SYSTEM' // the kernel refused; errno in cause
  | 'ERR_ISMIO_NO_MEMORY'
  | 'ERR_ISMIO_RUNTIME' // this JavaScript runtime cannot do it
  | 'ERR_ISMIO_NO_EXTERNAL_BUFFERS' // a runtime that lets no addon share its memory with JavaScript
  | 'ERR_ISMIO_INTERNAL' // a ring entry that this package did not write
  // opening
  | 'ERR_ISMIO_OPEN' // a file or resource that could not be opened or mapped; errno in cause
  | 'ERR_ISMIO_FILE_EMPTY'
  | 'ERR_ISMIO_FILE_TOO_SHORT'
  // VFIO
  | 'ERR_ISMIO_NOT_A_DEVICE' // no such PCI function, or a path that is no VFIO device
  | 'ERR_ISMIO_NOT_BOUND' // the function is not bound to a VFIO driver
  | 'ERR_ISMIO_GROUP_NOT_VIABLE' // another function of its IOMMU group has another driver
  | 'ERR_ISMIO_DEVICE_BUSY' // somebody has it open
  | 'ERR_ISMIO_DMA_LIMIT' // no more mappings, pinned memory or bus addresses are to be had
  | 'ERR_ISMIO_VFIO' // the kernel refused; call, and errno in cause
  | 'ERR_ISMIO_VFIO_USER' // no server at the socket, or one whose version or answers do not fit
  | 'ERR_ISMIO_DMA' // a device reads or writes what is not mapped for it, or may not; errno
  | 'ERR_ISMIO_ISM' // an ISM function refused a command; command, returnCode
  | 'ERR_ISMIO_DISK' // a disk could not do what it was asked for; errno
  | 'ERR_ISMIO_STATE' // a state that is not one of the device which is to take it
  // who has a PCI function
  | 'ERR_ISMIO_IN_USE' // a function that carries a mounted disk or the only link, or that a process has open
  | 'ERR_ISMIO_SYSFS' // sysfs refused what was written; errno in cause
  | 'ERR_ISMIO_BIND' // a driver that is not loaded, or that did not take the function
  // streams between ISM functions
  | 'ERR_ISMIO_ISM_REFUSED' // a stream that the peer did not open, or not in time; reason
  | 'ERR_ISMIO_ISM_STREAM' // the peer broke the protocol of streams; reason
  | 'ERR_ISMIO_ISM_ABORTED' // the peer gave the stream up; reason
  | 'ERR_ISMIO_ISM_PEER_DIED' // the peer is gone, or silent
  // consoles
  | 'ERR_ISMIO_CONSOLE' // a console that refused a client, or a peer that broke the protocol; reason
  | 'ERR_ISMIO_CONSOLE_LINE' // a line of a console that cannot be had
  // disks over ISM
  | 'ERR_ISMIO_BLOCK' // a target that refused an initiator, or a peer that broke the protocol; reason
  | 'ERR_ISMIO_BLOCK_DIGEST' // data of a disk over ISM that were changed on their way; offset, length, expected, computed
  | 'ERR_ISMIO_BLOCK_LOST' // a target that was not there for longer than was allowed, or that lost what was written; errno
  // disks of NBD servers
  | 'ERR_ISMIO_NBD' // a server that cannot be reached, refuses, broke the protocol or is gone; reason, errno
  // queue and pool
  | 'ERR_ISMIO_ABORTED' // stopped by an AbortSignal; its reason in cause
  | 'ERR_ISMIO_QUEUE_BUSY' // submit while a drain is in flight
  | 'ERR_ISMIO_RESERVATION' // one that was committed or cancelled before
  | 'ERR_ISMIO_CALLBACK' // a callback threw; what it threw in cause
  | 'ERR_ISMIO_WORKER_DIED' // a pool's worker ended in the middle of its work
  | 'ERR_ISMIO_WORKER' // code that was run in a worker threw, or gave what cannot be cloned; what it threw in cause
  | 'ERR_ISMIO_NO_WORKER' // a pool whose threads cannot be started
  | 'ERR_ISMIO_TIMEOUT' // what did not end in the time that it was given
  // the addon
  | 'ERR_ISMIO_NO_BINARY' // no addon for this platform
  | 'ERR_ISMIO_LAYOUT' // an addon from another build
  | 'ERR_ISMIO_BUILD' // `ismio build` could not build the addon
  | 'ERR_ISMIO_MISMATCH' // `ismio demo` did not read back what it had moved
  // measuring
  | 'ERR_ISMIO_WRITE_FILE' // a file of results that could not be written; errno in cause
  | 'ERR_ISMIO_BENCH' // a benchmark that could not be measured; what it threw in cause
  | 'ERR_ISMIO_SUITE' // a module of workloads that cannot be loaded, or has none that can be measured
  | 'ERR_ISMIO_BASELINE' // a side of a comparison that cannot be had, built or loaded
  | 'ERR_ISMIO_RESULTS' // results of another schema, or that are not of theirs
  | 'ERR_ISMIO_RECORDING' // a recording that is truncated, corrupt or not one at all
  | 'ERR_ISMIO_MODULE' // a module of `ismio serve` that cannot be loaded, or gives no device; what it threw in cause
  | 'ERR_ISMIO_USAGE'; // the command line

/** The values an error carries, where they apply. */
export interface ErrorValues {
  /** Name of the region. */
  region?: string;
  /** Where in the region, in bytes: of the operation that failed. */
  offset?: number | bigint;
  /** Of the operation that failed, in bytes. */
  length?: number | bigint;
  /** Size of the region in bytes. */
  size?: number;
  /** Index of the operation in its batch, from 0. */
  index?: number;
  /** Which rule was broken. */
  rule?: string;
  /** Condition code of the instruction: 1 error, 2 busy, 3 invalid handle. */
  conditionCode?: number;
  /** Status byte that comes with condition code 1. */
  deviceStatus?: number;
  /** Name of the errno that the kernel gives, or would give, for it. */
  errno?: string;
  /**
   * Why a region is lost: 'truncated', 'noSpace', 'device', 'ioError', 'memoryError' or 'unknown'. Docs: api/errors.md.
   */
  reason?: unknown;
  /** What the platform told of a function in error: `ZpciErrorReport` each. Empty where it told nothing. */
  reports?: readonly unknown[];
  /** How often a busy access was tried. */
  tries?: number;
  /** Automatic flushes that failed after the one whose error this is, and whose own errors were not kept. */
  laterErrors?: number;
  /** Operations that were queued and will never be submitted. */
  dropped?: number;
  /** Bytes of the operation that went through before it failed. */
  bytesDone?: number;
  /**
   * Of a read through a file descriptor: how many of the 8-byte loads behind `bytesDone` may have been made all the same. The
   * kernel says that one failed, and not which.
   */
  unknownLoads?: number;
  [value: string]: unknown;
}

/**
 * Marks what this package throws: 'answer' an IsmioError, 'mistake' a RangeError or TypeError of the caller. Registered, so
 * that copies of the package know each other's errors: one that was imported and one that was required, two versions, a
 * worker's.
 */
const mark = Symbol.for('ismio.error');

type Marked = { readonly [mark]?: unknown } | null | undefined;

/** Whether it is an IsmioError, of whichever copy of this package. */
export function isAnswer(value: unknown): value is IsmioError {
  return typeof value === 'object' && (value as Marked)?.[mark] === 'answer';
}

/** The error of what a region, device, queue or pool answers. A mistake of the caller is a RangeError or TypeError instead. */
export class IsmioError extends Error {
  /** What happened, in a word that does not change between versions. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, values: ErrorValues = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'IsmioError';
    this.code = code;
    Object.assign(this, values);
  }
}
export interface IsmioError extends ErrorValues {}
Object.defineProperty(IsmioError.prototype, mark, { value: 'answer' });
// `instanceof IsmioError` knows the errors of other copies, too. A class that extends it is asked as any other class is.
Object.defineProperty(IsmioError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    return this === IsmioError ? isAnswer(value) : Function.prototype[Symbol.hasInstance].call(this, value);
  },
});

/** An error of this package: an IsmioError, or a RangeError or TypeError with the same properties. */
export type IsmioFailure<Code extends ErrorCode = ErrorCode> = Error & ErrorValues & { readonly code: Code };

/**
 * Whether a thrown value is an error of this package, and one with this code if a code is given. It knows mistakes of the
 * caller (RangeError, TypeError) as well as IsmioErrors, of whichever copy of this package.
 */
export function isIsmioError<Code extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: Code,
): error is IsmioFailure<Code> {
  if (typeof error !== 'object' || (error as Marked)?.[mark] === undefined) return false;
  return code === undefined || (error as IsmioError).code === code;
}

type Mistake = (RangeError | TypeError) & ErrorValues & { readonly code: ErrorCode };

export function rangeError(code: ErrorCode, message: string, values: ErrorValues = {}): Mistake {
  return mistake(new RangeError(message), code, values);
}

export function typeError(code: ErrorCode, message: string, values: ErrorValues = {}): Mistake {
  return mistake(new TypeError(message), code, values);
}

function mistake(error: RangeError | TypeError, code: ErrorCode, values: ErrorValues): Mistake {
  markMistake(error);
  return Object.assign(error, { code }, values);
}

export function markMistake(error: Error): void {
  Object.defineProperty(error, mark, { value: 'mistake' });
}

/** The error that the system itself would have thrown. */
export function systemError(errno: number, call: string): Error & { errno: number; code: string; syscall: string } {
  const code = errno > 0 ? getSystemErrorName(-errno) : 'UNKNOWN';
  return Object.assign(new Error(`${call}: ${code}`), { errno, code, syscall: call });
}

/** A value as a message shows it: the type where the value says nothing, hex where that is how one reads it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (value === null || typeof value !== 'object') return String(value);
  return types.isProxy(value) ? 'a Proxy' : `an instance of ${classNameOf(value)}`;
}

function classNameOf(value: object): string {
  try {
    return value.constructor?.name ?? 'Object';
  } catch {
    return 'Object'; // a getter of that name may throw
  }
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
