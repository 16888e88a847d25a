// Registers as their accesses need them: the masks of each, and what is wrong with a description of one.
import { checkFlag, checkOptions, checkWhole, checkWord } from '../support/check.js';
import { hex, rangeError, shown, typeError } from '../support/errors.js';
import type { Width } from './description.js';

/**
 * What accesses do to bits. 'rw': they read as they were stored. 'ro': stores leave them. 'wo': they read as zeros. 'w1c': a
 * store of ones clears them, one of zeros leaves them. 'rc': a load clears them.
 */
export type RegisterAccess = 'rw' | 'ro' | 'wo' | 'w1c' | 'rc';

/** One bit by its number, 0 the lowest; or several, from the lowest to the highest. */
export type BitPlace = number | readonly [lowest: number, highest: number];

/** Bits of a register whose access is not that of the register. */
export interface BitsDescription {
  readonly at: BitPlace;
  readonly access?: RegisterAccess;
}

/** One register. */
export interface RegisterDescription {
  /** Where it begins in the BAR, a multiple of its width. */
  readonly at: number;
  /** Its bytes: the one width at which it is loaded and stored. Of 8 bytes, its values are bigints. */
  readonly width: Width;
  /** Default 'rw'. */
  readonly access?: RegisterAccess;
  /** What it holds after a reset. Default 0. */
  readonly reset?: number | bigint;
  /**
   * Of 8 bytes: whether it may be loaded and stored as two of 4 bytes as well, as vfio-pci of Linux 6.1 does for whoever reads
   * or writes 8 bytes through the device's file. Default false.
   */
  readonly halves?: boolean;
  /** The bits that have names. Where any has, the others are reserved: stores leave them. */
  readonly bits?: Readonly<Record<string, BitPlace | BitsDescription>>;
}

export type Registers = Readonly<Record<string, RegisterDescription>>;

/** What a register holds: a bigint where it has 8 bytes. */
export type Value = number | bigint;

/** Bits that have a name. */
export interface Field {
  readonly name: string;
  readonly lowest: number;
  /** Whether it is one bit, which is true or false. */
  readonly single: boolean;
  readonly mask: Value;
}

export interface Cell {
  readonly name: string;
  readonly at: number;
  readonly width: Width;
  readonly halves: boolean;
  readonly reset: Value;
  /** Whether it can be loaded, and stored to. */
  readonly loads: boolean;
  readonly stores: boolean;
  /** Bits that a load shows, and those that it clears. */
  readonly shown: Value;
  readonly consumed: Value;
  /** Bits that a store replaces, and those that a 1 clears. */
  readonly replaced: Value;
  readonly cleared: Value;
  readonly fields: readonly Field[];
}

/** Accesses of bits in a register of another access: a load of one that cannot be loaded would be no use. */
const within: Readonly<Record<RegisterAccess, readonly RegisterAccess[]>> = {
  rw: ['rw', 'ro', 'wo', 'w1c', 'rc'],
  w1c: ['rw', 'ro', 'wo', 'w1c', 'rc'],
  ro: ['ro', 'rc'],
  rc: ['ro', 'rc'],
  wo: ['wo'],
};
const accesses = Object.keys(within) as readonly RegisterAccess[];

/** All registers of a description, in its order. */
export function cellsOf(registers: unknown): readonly Cell[] {
  if (registers === null || typeof registers !== 'object' || Array.isArray(registers)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `registers must be an object of registers, not ${shown(registers)}`, {
      registers,
    });
  }
  const cells = Object.entries(registers).map(([name, one]) => cellOf(name, one as RegisterDescription));
  refuseOverlaps(cells.filter(({ loads }) => loads));
  refuseOverlaps(cells.filter(({ stores }) => stores));
  return cells;
}

function cellOf(name: string, description: RegisterDescription): Cell {
  const where = `register ${name}`;
  checkOptions(description, ['at', 'width', 'access', 'reset', 'halves', 'bits'], where);
  const { width, access = 'rw', reset = 0, halves = false, bits = {} } = description;
  if (![1, 2, 4, 8].includes(width)) throw wrong(name, `its width must be 1, 2, 4 or 8, not ${shown(width)}`);
  const at = checkWhole(description.at, `at of ${where}`);
  if (at % width !== 0) throw wrong(name, `${hex(at)} is not a multiple of its width, ${width}`, { offset: at });
  checkWord(access, `access of ${where}`, accesses);
  if (checkFlag(halves, `halves of ${where}`) && width !== 8) throw wrong(name, 'only 8 bytes have halves of 4');

  const all = (1n << BigInt(8 * width)) - 1n;
  const value = (mask: bigint): Value => (width === 8 ? mask : Number(mask));
  const named = fieldsOf(name, bits, access, 8 * width);
  const by = (...wanted: RegisterAccess[]): bigint => {
    const some = named.filter((field) => wanted.includes(field.access));
    const none = named.length === 0 && wanted.includes(access) ? all : 0n;
    return some.reduce((mask, field) => mask | field.mask, none);
  };
  return {
    name,
    at,
    width,
    halves,
    reset: value(resetOf(name, reset, width, all)),
    loads: access !== 'wo',
    stores: access !== 'ro' && access !== 'rc',
    shown: value(all & ~by('wo')),
    consumed: value(by('rc')),
    replaced: value(by('rw', 'wo')),
    cleared: value(by('w1c')),
    fields: named.map(({ mask, ...field }) => ({ ...field, mask: value(mask) })),
  };
}

function resetOf(name: string, reset: unknown, width: Width, all: bigint): bigint {
  const fits = typeof reset === 'bigint' ? width === 8 : Number.isSafeInteger(reset);
  const value = fits ? BigInt(reset as Value) : -1n;
  if (value >= 0n && value <= all) return value;
  const kind = width === 8 ? 'a bigint or whole number' : 'a whole number';
  throw wrong(name, `its reset must be ${kind} from 0 to ${hex(all)}, not ${shown(reset)}`, { reset });
}

function fieldsOf(name: string, bits: NonNullable<RegisterDescription['bits']>, access: RegisterAccess, most: number) {
  let taken = 0n;
  return Object.entries(bits).map(([bit, given]) => {
    const where = `${bit} of register ${name}`;
    const described: BitsDescription = isPlace(given) ? { at: given } : given;
    checkOptions(described, ['at', 'access'], where);
    const own = checkWord(described.access ?? access, `access of ${where}`, accesses);
    if (!within[access].includes(own)) throw wrong(name, `it is '${access}', so its ${bit} cannot be '${own}'`);
    const single = !Array.isArray(described.at);
    const [first, last] = (single ? [described.at, described.at] : described.at) as readonly [number, number];
    const ends = [checkWhole(first, where), checkWhole(last, where)] as const;
    if (ends[0] > ends[1] || ends[1] >= most) {
      throw wrong(name, `its ${bit} is bits ${ends[0]} to ${ends[1]}, and it has bits 0 to ${most - 1}`, { bits: bit });
    }
    const mask = ((1n << BigInt(ends[1] - ends[0] + 1)) - 1n) << BigInt(ends[0]);
    if ((taken & mask) !== 0n) throw wrong(name, `its ${bit} has bits that another name has`, { bits: bit });
    taken |= mask;
    return { name: bit, access: own, lowest: ends[0], single, mask };
  });
}

function isPlace(given: BitPlace | BitsDescription): given is BitPlace {
  return typeof given === 'number' || Array.isArray(given);
}

/** Two may be at one place where one is only loaded, the other only stored to. */
function refuseOverlaps(cells: readonly Cell[]): void {
  const sorted = [...cells].sort((a, b) => a.at - b.at);
  for (const [i, cell] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next === undefined || cell.at + cell.width <= next.at) continue;
    const text = `it has ${next.width} bytes at ${hex(next.at)}, and ${cell.name} has ${cell.width} at ${hex(cell.at)}`;
    throw wrong(next.name, text, { offset: next.at });
  }
}

function wrong(register: string, text: string, values: object = {}): Error {
  return rangeError('ERR_ISMIO_OPTION', `register ${register}: ${text}`, { register, ...values });
}
