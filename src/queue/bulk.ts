// Stores and writes by the thousand: offsets, values and lengths in typed arrays, checked once for all of them.
import { endianness } from 'node:os';
import { checkOptions, checkWhole } from '../check.js';
import { rangeError, shown, typeError } from '../errors.js';

export type Offsets = Float64Array | Uint32Array | Int32Array;

/** Offsets that are `stride` bytes apart. */
export interface Stride {
  readonly first: number;
  /** Default 8. */
  readonly stride?: number;
}

/** Pairs of 32-bit words, least significant first, or bigints. */
export type Values = Uint32Array | BigUint64Array;

/** One length for all, or one for each. */
export type Lengths = number | Uint16Array | Uint32Array;

/** The values as pairs of words, and which word of a pair is the less significant one. */
export function wordsOf(values: Values): { words: Uint32Array; low: 0 | 1 } {
  if (values instanceof Uint32Array) return { words: values, low: 0 };
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  return { words, low: endianness() === 'LE' ? 0 : 1 };
}

/** Checks all but the offsets' own values. How many stores are wanted. */
export function checkStores(
  offsets: Offsets | Stride,
  values: Values,
  start: number,
  count: number | undefined,
): number {
  const pairs = values instanceof Uint32Array;
  if (!pairs && !(values instanceof BigUint64Array)) {
    const text = `values must be a Uint32Array of low and high words or a BigUint64Array, not ${shown(values)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { values });
  }
  const stored = pairs ? values.length >>> 1 : values.length;
  const available = isOffsets(offsets) ? Math.min(offsets.length, stored) : stored;
  const from = checkWhole(start, 'start');
  const wanted = count === undefined ? Math.max(available - from, 0) : checkWhole(count, 'count');
  if (from + wanted > available) {
    throw rangeError(
      'ERR_ISMIO_OUT_OF_RANGE',
      `${wanted} stores from index ${from} on are more than there are offsets and values: ${available}`,
      { start: from, count: wanted, available },
    );
  }
  return wanted;
}

/** Checks all but the offsets' own values, and whether the source has as many bytes. */
export function checkWrites(offsets: Offsets, lengths: Lengths): void {
  if (!isOffsets(offsets)) {
    const text = `offsets must be a Float64Array, Uint32Array or Int32Array, not ${shown(offsets)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { offsets });
  }
  if (typeof lengths === 'number') {
    checkWhole(lengths, 'lengths');
    return;
  }
  if (!(lengths instanceof Uint16Array || lengths instanceof Uint32Array)) {
    const text = `lengths must be a number, a Uint16Array or a Uint32Array, not ${shown(lengths)}`;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { lengths });
  }
  if (lengths.length < offsets.length) {
    const text = `${offsets.length} offsets, but only ${lengths.length} lengths`;
    throw rangeError('ERR_ISMIO_OUT_OF_RANGE', text, { count: offsets.length, available: lengths.length });
  }
}

export function isOffsets(offsets: Offsets | Stride): offsets is Offsets {
  return offsets instanceof Float64Array || offsets instanceof Uint32Array || offsets instanceof Int32Array;
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
