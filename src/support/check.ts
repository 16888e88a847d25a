// Checks of arguments. The good case is a handful of comparisons; what is wrong is worked out only when something is.
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { isSignal } from './abort.js';
import { hex, rangeError, shown, typeError } from './errors.js';

/** Where bytes come from or go to. */
export type BytesLike = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** An offset or length: exact as a number up to 2^53 - 1. */
export type Whole = number | bigint;

/**
 * The offset of an access of `length` bytes in a region of `size`, as a number.
 * @throws TypeError ERR_ISMIO_ARGUMENT_TYPE, RangeError ERR_ISMIO_OFFSET, ERR_ISMIO_OUT_OF_RANGE
 */
export function checkOffset(offset: Whole, length: number, size: number, region: string): number {
  if (typeof offset === 'number' && offset >= 0 && offset <= size - length && Math.floor(offset) === offset) {
    return offset;
  }
  const whole = checkWhole(offset, 'offset', 'ERR_ISMIO_OFFSET');
  if (whole > size - length) throw outOfRange(whole, length, size, region);
  return whole;
}

/** The offset of a load or store of `width` bytes, which has to be a multiple of it. */
export function checkAligned(offset: Whole, width: number, size: number, region: string): number {
  const place = checkOffset(offset, width, size, region);
  if (place % width !== 0) {
    throw rangeError(
      'ERR_ISMIO_MISALIGNED',
      `offset ${hex(place)} is not a multiple of ${width}, as an access of ${width} bytes needs. Use read or write for any alignment.`,
      { offset: place, length: width, region },
    );
  }
  return place;
}

export function outOfRange(offset: number, length: number, size: number, region: string): Error {
  return rangeError(
    'ERR_ISMIO_OUT_OF_RANGE',
    `${length} bytes at offset ${hex(offset)} reach past the end of ${region}, which has ${size} (${hex(size)}) bytes`,
    { offset, length, size, region },
  );
}

/** A whole number from 0 to 2^53 - 1, as a number. */
export function checkWhole(
  value: Whole,
  what: string,
  code: 'ERR_ISMIO_OFFSET' | 'ERR_ISMIO_OPTION' = 'ERR_ISMIO_OPTION',
): number {
  const number = checkNumber(value, what);
  if (!Number.isSafeInteger(number) || number < 0) {
    throw rangeError(code, `${what} must be a whole number from 0 to 2^53 - 1, not ${shown(value)}`, { [what]: value });
  }
  return number;
}

/** A whole number from `least` to `most`. */
export function checkBetween(value: Whole, what: string, least: number, most: number): number {
  const number = checkNumber(value, what);
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  const kind = Number.isSafeInteger(number) ? '' : 'a whole number ';
  const text = `${what} must be ${kind}from ${least} to ${most}, not ${shown(value)}`;
  throw rangeError('ERR_ISMIO_OPTION', text, { [what]: value });
}

function checkNumber(value: Whole, what: string): number {
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a number or bigint, not ${shown(value)}`, {
    [what]: value,
  });
}

/** The bytes behind a source or target, without a copy. */
export function bytesOf(source: BytesLike, what: 'source' | 'target'): Uint8Array {
  if (ArrayBuffer.isView(source)) {
    if (!isUint8Array(source)) return bytesOfView(source, what);
    if (source.length === 0) checkAttached(source, what); // length, not byteLength: V8 inlines it
    return source;
  }
  if (types.isAnyArrayBuffer(source)) {
    try {
      return new Uint8Array(source);
    } catch {
      throw detached(what);
    }
  }
  throw typeError(
    'ERR_ISMIO_ARGUMENT_TYPE',
    `${what} must be an ArrayBufferView, ArrayBuffer or SharedArrayBuffer, not ${shown(source)}`,
    { [what]: source },
  );
}

function bytesOfView(view: ArrayBufferView, what: 'source' | 'target'): Uint8Array {
  try {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    if (bytes.byteLength === 0) checkAttached(view, what);
    return bytes;
  } catch {
    throw detached(what);
  }
}

/** Of whichever realm: a vm context, such as Jest's or jsdom's, has classes of its own. The common case is the quicker one. */
function isUint8Array(view: ArrayBufferView): view is Uint8Array {
  return view instanceof Uint8Array || types.isUint8Array(view);
}

/** A view of nothing is fine when it was made so, and a mistake when its buffer was taken away or shrank under it. */
export function checkAttached(view: ArrayBufferView, what: string): void {
  if (view.byteLength > 0) return;
  try {
    if (types.isDataView(view)) view.byteLength;
    else Uint8Array.prototype.at.call(view as Uint8Array, 0);
  } catch {
    throw detached(what);
  }
}

export function detached(what: string): Error {
  return typeError(
    'ERR_ISMIO_DETACHED',
    `the buffer of ${what} was detached (transferred) or resized below the view; its bytes are gone`,
  );
}

/** One of a few words. */
export function checkWord<Word extends string>(value: unknown, what: string, words: readonly Word[]): Word {
  if (words.includes(value as Word)) return value as Word;
  const allowed = words.map((word) => `'${word}'`).join(', ');
  throw rangeError('ERR_ISMIO_OPTION', `${what} must be one of ${allowed}, not ${shown(value)}`, { [what]: value });
}

/** A flag is true or false: anything else is more likely a mistake than a yes. */
export function checkFlag(value: unknown, what: string): boolean {
  if (typeof value === 'boolean') return value;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be true or false, not ${shown(value)}`, { [what]: value });
}

/** A function, or nothing. */
export function checkCallback(value: unknown, what: string): void {
  if (value === undefined || typeof value === 'function') return;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a function, not ${shown(value)}`, { [what]: value });
}

/** A path: a string, or a file: URL, whichever realm or library made it. */
export function checkPath(value: unknown, what: string): string {
  const { href } = (value ?? {}) as { href?: unknown };
  if (typeof value !== 'object' || typeof href !== 'string') return checkNamed(value, what);
  try {
    return checkNamed(fileURLToPath(href), what);
  } catch (cause) {
    const error = rangeError('ERR_ISMIO_OPTION', `${what} must be a file: URL of a path, not ${href}`, {
      [what]: value,
    });
    throw Object.assign(error, { cause });
  }
}

function checkNamed(path: unknown, what: string): string {
  if (typeof path !== 'string') {
    const text = `${what} must be a string or a file: URL, not ${shown(path)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { [what]: path });
  }
  if (checkText(path, what) !== '') return path;
  throw rangeError('ERR_ISMIO_OPTION', `${what} must not be empty`, { [what]: path });
}

export function checkText(value: unknown, what: string): string {
  if (typeof value === 'string' && !value.includes('\0')) return value;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a string without NUL, not ${shown(value)}`, {
    [what]: value,
  });
}

/** The address of a PCI function, domain:bus:device.function, as sysfs spells it. */
export function checkBdf(bdf: unknown): string {
  const text = checkText(bdf, 'bdf');
  if (/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i.test(text)) return text.toLowerCase();
  throw rangeError(
    'ERR_ISMIO_OPTION',
    `bdf must look like 0000:00:04.0 (domain:bus:device.function), not ${shown(bdf)}`,
    { bdf },
  );
}

/** What is given, and the default for what is left out or undefined. */
export function withDefaults<Options extends object>(
  defaults: Options,
  given: { [name in keyof Options]?: unknown },
): Options {
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(known) };
}

/**
 * Options are an object of options, and have only the names that are known: what is misspelt, or is something else in the
 * place of options, would otherwise be ignored.
 */
export function checkOptions(options: unknown, names: readonly string[], where: string): void {
  if (!areOptions(options, names)) {
    const how = isSignal(options) && names.includes('signal') ? ': write { signal }' : '';
    const text = `the options of ${where} must be an object with ${names.join(', ')}, not ${shown(options)}${how}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { options });
  }
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw rangeError('ERR_ISMIO_OPTION', `${where} has no option '${unknown}'; it has ${names.join(', ')}`, {
      option: unknown,
    });
  }
}

/** A plain object, of whichever realm; or of a class of the caller's, where it has one of the names. */
function areOptions(options: unknown, names: readonly string[]): options is object {
  if (options === null || typeof options !== 'object') return false;
  if (Object.prototype.toString.call(options) !== '[object Object]') return false; // an array, a Map, an AbortSignal, ..
  const prototype: unknown = Object.getPrototypeOf(options);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return true;
  return names.some((name) => name in options);
}

export function checkValue(value: number, largest: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= largest) return;
  throw valueRefused(value, largest);
}

/** Apart from the check, which V8 then puts where it is called. */
function valueRefused(value: unknown, largest: number): Error {
  if (typeof value !== 'number') {
    return typeError('ERR_ISMIO_ARGUMENT_TYPE', `the value must be a number, not ${shown(value)}`, { value });
  }
  const advice = Number.isInteger(value) && value < 0 && value >= -(2 ** 31) ? unsignedAdvice(largest) : '';
  const text = `the value must be a whole number from 0 to ${largest}, not ${shown(value)}${advice}`;
  return rangeError('ERR_ISMIO_VALUE', text, { value });
}

/** What to do about a negative number, as JavaScript's bit operations give it. */
function unsignedAdvice(largest: number): string {
  const unsigned = largest === 0xffff_ffff ? 'value >>> 0' : `value & 0x${largest.toString(16)}`;
  return `; bit operations of JavaScript give signed numbers: ${unsigned} has the same bits`;
}

/** By one comparison: V8 calls out for each of a bigint with another, and cuts one to 64 bits by itself. */
export function checkValue64(value: bigint): void {
  if (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value) throw value64Refused(value);
}

function value64Refused(value: unknown): Error {
  if (typeof value !== 'bigint') {
    return typeError('ERR_ISMIO_ARGUMENT_TYPE', `the value must be a bigint, not ${shown(value)}`, { value });
  }
  const advice = value < 0n ? '; BigInt.asUintN(64, value) has the same bits' : '';
  const text = `the value must be from 0n to 2n ** 64n - 1n, not ${shown(value)}${advice}`;
  return rangeError('ERR_ISMIO_VALUE', text, { value });
}
