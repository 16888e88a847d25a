// Stores and writes by the thousand: offsets, values and lengths in typed arrays, checked once for all of them.
import { endianness } from 'node:os';
import { types } from 'node:util';
import { checkAttached, checkOptions, checkWhole } from '../support/check.js';
import { rangeError, shown, typeError } from '../support/errors.js';

/** Offsets in bytes, one for each operation of a bulk call. */
export type Offsets = Float64Array | Uint32Array | Int32Array;

/** Offsets that are `stride` bytes apart. */
export interface Stride {
  /** The offset of the first one, in bytes. */
  readonly first: number;
  /** How many bytes lie between two offsets; 8 by default. */
  readonly stride?: number | undefined;
}

/** Pairs of 32-bit words, least significant first, or bigints. */
export type Values = Uint32Array | BigUint64Array;

/** One length for all, or one for each. */
export type Lengths = number | Uint16Array | Uint32Array;

/** The values as pairs of words, and which word of a pair is the less significant one. */
export function wordsOf(values: Values): { words: Uint32Array; low: 0 | 1 } {
  if (types.isUint32Array(values)) return { words: values, low: 0 };
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  return { words, low: endianness() === 'LE' ? 0 : 1 };
}

/**
 * Checks all but the offsets' own values. Where the stores begin and how many are wanted: one for each offset from there on,
 * or for each value where the offsets are a stride.
 */
export function checkStores(
  offsets: Offsets | Stride,
  values: Values,
  start: number,
  count: number | undefined,
): { from: number; wanted: number } {
  const pairs = types.isUint32Array(values);
  if (!pairs && !types.isBigUint64Array(values)) {
    const text = `values must be a Uint32Array of low and high words or a BigUint64Array, not ${shown(values)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { values });
  }
  checkAttached(values, 'values');
  if (isOffsets(offsets)) checkAttached(offsets, 'offsets');
  const stored = pairs ? values.length >>> 1 : values.length;
  const given = isOffsets(offsets) ? offsets.length : stored;
  const from = checkWhole(start, 'start');
  const wanted = count === undefined ? given - from : checkWhole(count, 'count');
  const available = Math.min(given, stored);
  if (wanted < 0 || from + wanted > available) {
    const text = `${Math.max(wanted, 0)} stores from index ${from} on are more than there are ${offsetsAndValues(given, stored)}`;
    throw rangeError('ERR_ISMIO_OUT_OF_RANGE', text, { start: from, count: Math.max(wanted, 0), available });
  }
  if (pairs && count === undefined && !isOffsets(offsets) && values.length % 2 !== 0) {
    const text = `values are pairs of words, but there are ${values.length}: the last has no high word`;
    throw rangeError('ERR_ISMIO_OUT_OF_RANGE', text, { start: from, available });
  }
  return { from, wanted };
}

function offsetsAndValues(offsets: number, values: number): string {
  return offsets === values ? `values: ${values}` : `offsets and values: ${offsets} and ${values}`;
}

/** Checks all but the offsets' own values, and whether the source has as many bytes. */
export function checkWrites(offsets: Offsets, lengths: Lengths): void {
  if (!isOffsets(offsets)) {
    const text = `offsets must be a Float64Array, Uint32Array or Int32Array, not ${shown(offsets)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { offsets });
  }
  checkAttached(offsets, 'offsets');
  if (typeof lengths === 'number') {
    checkWhole(lengths, 'lengths');
    return;
  }
  if (!types.isUint16Array(lengths) && !types.isUint32Array(lengths)) {
    const text = `lengths must be a number, a Uint16Array or a Uint32Array, not ${shown(lengths)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { lengths });
  }
  checkAttached(lengths, 'lengths');
  if (lengths.length < offsets.length) {
    const text = `${offsets.length} offsets, but only ${lengths.length} lengths`;
    throw rangeError('ERR_ISMIO_OUT_OF_RANGE', text, { count: offsets.length, available: lengths.length });
  }
}

/** Whether the arrays still have what is wanted: a callback may have transferred or shrunk one. */
export function holdStores(places: Offsets | null, words: Uint32Array, end: number): boolean {
  return words.length >= 2 * end && (places === null || places.length >= end);
}

export function holdWrites(offsets: Offsets, lengths: Lengths, end: number): boolean {
  return offsets.length >= end && (typeof lengths === 'number' || lengths.length >= end);
}

export function lengthAt(lengths: Lengths, index: number): number {
  return typeof lengths === 'number' ? lengths : (lengths[index] as number);
}

export function isOffsets(offsets: Offsets | Stride): offsets is Offsets {
  return types.isFloat64Array(offsets) || types.isUint32Array(offsets) || types.isInt32Array(offsets);
}

/** How far apart the offsets are: a multiple of 8, as the places of 8-byte stores are. */
export function checkStride(offsets: Stride): number {
  if (offsets === null || typeof offsets !== 'object' || Array.isArray(offsets) || ArrayBuffer.isView(offsets)) {
    const text = `offsets must be a Float64Array, Uint32Array, Int32Array or { first, stride }, not ${shown(offsets)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { offsets });
  }
  checkOptions(offsets, ['first', 'stride'], 'offsets');
  const { stride = 8 } = offsets;
  if (Number.isSafeInteger(stride) && stride % 8 === 0) return stride;
  throw rangeError('ERR_ISMIO_OPTION', `stride must be a multiple of 8, not ${shown(stride)}`, { stride });
}
