// Values that no offset, source or option may have, with the refusal each has to meet.
import type { ErrorCode } from 'ismio';

interface Refused {
  readonly shown: string;
  readonly value: never;
  readonly type: typeof RangeError | typeof TypeError;
  readonly code: ErrorCode;
}

function refused(type: Refused['type'], code: ErrorCode, values: Readonly<Record<string, unknown>>): Refused[] {
  return Object.entries(values).map(([shown, value]) => ({ shown, value: value as never, type, code }));
}

const noNumbers = {
  undefined: undefined,
  null: null,
  'a string of digits': '0',
  'an empty string': '',
  true: true,
  'an object': {},
  'an array': [8],
  'a date': new Date(0),
  'a symbol': Symbol('offset'),
  'a function': () => 8,
  'an object that turns into a number': { valueOf: () => 8 },
};

const noWholes = {
  NaN: Number.NaN,
  '-1': -1,
  '-2^53': -(2 ** 53),
  '0.5': 0.5,
  '8.000001': 8.000001,
  'the least number above 0': Number.MIN_VALUE,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '2^53': 2 ** 53,
  '2^53 + 2': 2 ** 53 + 2,
  '2^64': 2 ** 64,
  '1e300': 1e300,
};

const noWholeBigints = {
  '-1n': -1n,
  '2n^53n': 2n ** 53n,
  '2n^64n': 2n ** 64n,
  '2n^64n + 8n': 2n ** 64n + 8n,
  '-(2n^64n)': -(2n ** 64n),
  '2n^80n': 2n ** 80n,
};

/** What is no offset at all, in a region of any size. */
export const noOffsets: readonly Refused[] = [
  ...refused(RangeError, 'ERR_ISMIO_OFFSET', { ...noWholes, ...noWholeBigints }),
  ...refused(TypeError, 'ERR_ISMIO_ARGUMENT_TYPE', noNumbers),
];

/** Aligned offsets at which an access reaches past the end of a region of `size` bytes. */
export function beyond(size: number): readonly Refused[] {
  return refused(RangeError, 'ERR_ISMIO_OUT_OF_RANGE', {
    'the end': size,
    'the end, as a bigint': BigInt(size),
    '2^32': 2 ** 32,
    '2^48': 2 ** 48,
    'the last multiple below 2^53': 2 ** 53 - 8,
    'the same as a bigint': 2n ** 53n - 8n,
  });
}

const { undefined: _leftOut, ...noNumbersGiven } = noNumbers;

/** What is no length, count or other whole number, where undefined means that none is given. */
export const noCounts: readonly Refused[] = [
  ...refused(RangeError, 'ERR_ISMIO_OPTION', { ...noWholes, ...noWholeBigints }),
  ...refused(TypeError, 'ERR_ISMIO_ARGUMENT_TYPE', noNumbersGiven),
];

/** The same where only a number will do. */
export const noNumberCounts: readonly Refused[] = [
  ...refused(RangeError, 'ERR_ISMIO_OPTION', noWholes),
  ...refused(TypeError, 'ERR_ISMIO_ARGUMENT_TYPE', { ...noNumbersGiven, ...noWholeBigints, '1n': 1n }),
];

/** What has no bytes. */
export const noBytes: readonly Refused[] = refused(TypeError, 'ERR_ISMIO_ARGUMENT_TYPE', {
  undefined: undefined,
  null: null,
  'a number': 8,
  'a bigint': 8n,
  'a string': 'bytes',
  'an array': [1, 2, 3, 4],
  'an object': {},
  'an object with a byteLength': { byteLength: 8, buffer: new ArrayBuffer(8), byteOffset: 0 },
  'a symbol': Symbol('bytes'),
  'a function': () => new Uint8Array(8),
  'an object that poses as a Uint8Array': Object.create(Uint8Array.prototype),
  'a proxy of a Uint8Array': new Proxy(new Uint8Array(8), {}),
});

/** What does not fit into `bits` bits, as a number. */
export function noValues(bits: 8 | 16 | 32): readonly Refused[] {
  return [
    ...refused(RangeError, 'ERR_ISMIO_VALUE', {
      NaN: Number.NaN,
      '-1': -1,
      '1.5': 1.5,
      [`2^${bits}`]: 2 ** bits,
      '2^53': 2 ** 53,
      Infinity: Number.POSITIVE_INFINITY,
    }),
    ...refused(TypeError, 'ERR_ISMIO_ARGUMENT_TYPE', {
      undefined: undefined,
      null: null,
      'a string': '1',
      'a bigint': 1n,
      true: true,
      'an object': {},
      'a symbol': Symbol('value'),
    }),
  ];
}

/** What does not fit into 64 bits, as a bigint. */
export const noValues64: readonly Refused[] = [
  ...refused(RangeError, 'ERR_ISMIO_VALUE', { '-1n': -1n, '2n^64n': 2n ** 64n, '2n^80n': 2n ** 80n }),
  ...refused(TypeError, 'ERR_ISMIO_ARGUMENT_TYPE', {
    undefined: undefined,
    null: null,
    'a number': 1,
    NaN: Number.NaN,
    'a string': '1',
    'an object': {},
    'a symbol': Symbol('value'),
  }),
];
