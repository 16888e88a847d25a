// What an emulated region costs and where it fails, as the caller gives it and as the addon takes it.
import { checkFlag, checkOptions, checkWhole, checkWord } from '../check.js';
import { rangeError, shown, typeError } from '../errors.js';

/** Synthetic nanoseconds for each access. No public figure exists for the real instructions. */
export interface Cost {
  readonly load: number;
  readonly store: number;
  readonly storeBlock: number;
  /** On top, for each byte moved. */
  readonly perByte: number;
}

export const noCost: Cost = { load: 0, store: 0, storeBlock: 0, perByte: 0 };

/**
 * One line of a fault script. An access is struck when all conditions that are given hold; it then does nothing and
 * answers as told. Without conditions every access is struck.
 */
export interface Fault {
  /** Only this kind of access; `nth` counts accesses of this kind. Default: any. */
  readonly access?: 'any' | 'load' | 'store' | 'storeBlock';
  /** The n-th access, counted from 1. An access that is tried again because it was busy is still the same one. */
  readonly nth?: number;
  /** Accesses that touch a byte in [from, to). */
  readonly range?: readonly [from: number, to: number];
  /** Each access that fits is struck with this probability, 0 to 1, drawn from the seed. */
  readonly chance?: number;
  /** Condition code: 1 error, 2 busy, 3 invalid handle. Left out: see `lost`. */
  readonly cc?: 1 | 2 | 3;
  /** Status byte with cc 1, 0 to 255. */
  readonly status?: number;
  /** With cc 2: busy for this many tries, then it goes through. */
  readonly tries?: number;
  /** The region is gone from here on. */
  readonly lost?: boolean;
  /** How many accesses this line strikes at most. Default: no end; with `tries`, that many. */
  readonly times?: number;
}

export type Faults = readonly Fault[] | { readonly seed?: number; readonly script: readonly Fault[] };

export function checkCost(given: Partial<Cost> = {}): Cost {
  checkOptions(given, Object.keys(noCost), 'cost');
  const cost = { ...noCost, ...given };
  for (const [name, value] of Object.entries(cost)) {
    if (typeof value !== 'number' || !(value >= 0) || value > 1e12) {
      throw rangeError('ERR_ISMIO_OPTION', `cost.${name} must be nanoseconds from 0 to 10^12, not ${shown(value)}`, {
        [name]: value,
      });
    }
  }
  return Object.freeze(cost);
}

export function costArgument(cost: Cost): Float64Array {
  return Float64Array.of(cost.load, cost.store, cost.storeBlock, cost.perByte);
}

const accessBits = { any: 7, load: 1, store: 2, storeBlock: 4 } as const;
const faultNames = ['access', 'nth', 'range', 'chance', 'cc', 'status', 'tries', 'lost', 'times'];

/** Lines of eight numbers, as native/binding/region.cc reads them, and the seed. */
export function faultArguments(faults: Faults = []): { rows: Float64Array; seed: number } {
  if (faults === null || typeof faults !== 'object') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `faults must be an array or { seed, script }, not ${shown(faults)}`, {
      faults,
    });
  }
  const plan = Array.isArray(faults)
    ? { script: faults as readonly Fault[] }
    : (faults as { script: readonly Fault[] });
  checkOptions(plan, ['seed', 'script'], 'faults');
  if (!Array.isArray(plan.script)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `faults.script must be an array, not ${shown(plan.script)}`, { faults });
  }
  const seed = checkWhole((plan as { seed?: number }).seed ?? 1, 'faults.seed');
  return { rows: Float64Array.from(plan.script.flatMap(faultRow)), seed };
}

function faultRow(fault: Fault, index: number): number[] {
  const where = `faults[${index}]`;
  checkOptions(fault, faultNames, where);
  const access = checkWord(fault.access ?? 'any', `${where}.access`, ['any', 'load', 'store', 'storeBlock']);
  const range: unknown = fault.range ?? [0, Number.MAX_SAFE_INTEGER];
  if (!Array.isArray(range) || range.length !== 2) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${where}.range must be [from, to], not ${shown(range)}`, { range });
  }
  const chance: unknown = fault.chance ?? 1;
  if (typeof chance !== 'number' || !(chance >= 0 && chance <= 1)) {
    throw rangeError('ERR_ISMIO_OPTION', `${where}.chance must be from 0 to 1, not ${shown(chance)}`, { chance });
  }
  const lost = checkFlag(fault.lost ?? false, `${where}.lost`);
  if ((fault.cc === undefined) !== lost || ![undefined, 1, 2, 3].includes(fault.cc)) {
    throw rangeError('ERR_ISMIO_OPTION', `${where} must have either cc (1, 2 or 3) or lost: true`, {
      cc: fault.cc,
      lost: fault.lost,
    });
  }
  const status = checkWhole(fault.status ?? 0, `${where}.status`);
  if (status > 255) {
    throw rangeError('ERR_ISMIO_OPTION', `${where}.status must be from 0 to 255, not ${status}`, { status });
  }
  const times = fault.tries ?? fault.times;
  return [
    accessBits[access],
    fault.nth === undefined ? 0 : checkNth(fault.nth, `${where}.nth`),
    checkWhole(range[0], `${where}.range[0]`),
    checkWhole(range[1], `${where}.range[1]`),
    chance,
    fault.cc ?? 0,
    status,
    times === undefined ? -1 : checkWhole(times, `${where}.times`),
  ];
}

function checkNth(nth: number, what: string): number {
  const whole = checkWhole(nth, what);
  if (whole === 0) throw rangeError('ERR_ISMIO_OPTION', `${what} counts from 1; leave it out for any access`, { nth });
  return whole;
}
