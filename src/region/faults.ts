// What an emulated region costs and where it fails, as the caller gives it and as the addon takes it.
import { checkBetween, checkFlag, checkOptions, checkWhole, checkWord, withDefaults } from '../support/check.js';
import { type ErrorValues, rangeError, shown, typeError } from '../support/errors.js';

/** Synthetic nanoseconds for each access. No public figure exists for the real instructions. */
export interface Cost {
  /** Nanoseconds that each load takes. */
  readonly load: number;
  /** Nanoseconds that each store of 1, 2, 4 or 8 bytes takes. */
  readonly store: number;
  /** Nanoseconds that each store block takes. */
  readonly storeBlock: number;
  /** On top, for each byte moved. */
  readonly perByte: number;
}

export const noCost: Cost = { load: 0, store: 0, storeBlock: 0, perByte: 0 };

/**
 * One line of a fault script. An access is struck when all conditions that are given hold; it then does nothing and
 * answers as told. Without conditions every access is struck. A line that could never strike, or has a value that means
 * nothing beside its others, is refused with ERR_ISMIO_OPTION: a test would else pass without the fault it was written for.
 */
export interface Fault {
  /** Only this kind of access; `nth` counts accesses of this kind. Default: any. */
  readonly access?: 'any' | 'load' | 'store' | 'storeBlock';
  /** The n-th access, counted from 1. An access that is tried again because it was busy is still the same one. */
  readonly nth?: number;
  /** Only accesses that touch a byte in [from, to), of which the region has one at least. */
  readonly range?: readonly [from: number, to: number];
  /** Each access that fits is struck with this probability, above 0 to 1, drawn from the seed. */
  readonly chance?: number;
  /** Condition code: 1 error, 2 busy, 3 invalid handle. Left out: see `lost`. */
  readonly cc?: 1 | 2 | 3;
  /** Status byte, 0 to 255, with cc 1 alone. */
  readonly status?: number;
  /** With cc 2 alone: busy for this many tries, 1 at least, then it goes through. */
  readonly tries?: number;
  /** The region is gone from the access that is struck on. */
  readonly lost?: boolean;
  /** How many accesses this line strikes at most, 1 at least; not with `tries`, which says so itself. Default: no end. */
  readonly times?: number;
}

/** Faults that an emulated region makes: a list, or a list and the seed of what is left to chance. */
export type Faults = readonly Fault[] | { readonly seed?: number; readonly script: readonly Fault[] };

export function checkCost(given: Partial<Cost> = {}): Cost {
  checkOptions(given, Object.keys(noCost), 'cost');
  const cost = withDefaults(noCost, given);
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

/** Lines of eight numbers, as native/binding/region.cc reads them, and the seed; for a region of `size` bytes. */
export function faultArguments(faults: Faults = [], size: number): { rows: Float64Array; seed: number } {
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
  return { rows: Float64Array.from(plan.script.flatMap((fault, index) => faultRow(fault, index, size))), seed };
}

function faultRow(fault: Fault, index: number, size: number): number[] {
  const where = `faults[${index}]`;
  checkOptions(fault, faultNames, where);
  const access = checkWord(fault.access ?? 'any', `${where}.access`, ['any', 'load', 'store', 'storeBlock']);
  const [from, to] = checkRange(fault.range ?? [0, size], `${where}.range`, size);
  const chance: unknown = fault.chance ?? 1;
  if (typeof chance !== 'number' || !(chance > 0 && chance <= 1)) {
    const text = `${where}.chance must be above 0, and 1 at most, not ${shown(chance)}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { chance });
  }
  const lost = checkFlag(fault.lost ?? false, `${where}.lost`);
  if ((fault.cc === undefined) !== lost || ![undefined, 1, 2, 3].includes(fault.cc)) {
    throw rangeError('ERR_ISMIO_OPTION', `${where} must have either cc (1, 2 or 3) or lost: true`, {
      cc: fault.cc,
      lost: fault.lost,
    });
  }
  checkTogether(fault, where);
  const times = fault.tries ?? fault.times;
  return [
    accessBits[access],
    fault.nth === undefined ? 0 : checkCount(fault.nth, `${where}.nth`),
    from,
    to,
    chance,
    fault.cc ?? 0,
    checkBetween(fault.status ?? 0, `${where}.status`, 0, 255),
    times === undefined ? -1 : checkCount(times, `${where}.${fault.tries === undefined ? 'times' : 'tries'}`),
  ];
}

/** What a value says only beside certain others. */
function checkTogether({ nth, cc, status, tries, times, lost }: Fault, where: string): void {
  const refuse = (text: string, values: ErrorValues): never => {
    throw rangeError('ERR_ISMIO_OPTION', `${where}.${text}`, values);
  };
  if (status !== undefined && cc !== 1) refuse('status comes with cc 1 alone', { status, cc });
  if (tries !== undefined && cc !== 2)
    refuse('tries comes with cc 2 alone: nothing else is tried again', { tries, cc });
  if (tries !== undefined && times !== undefined) {
    refuse('tries says how often the line strikes: leave out times', { tries, times });
  }
  const strikesOnce = lost === true || (nth !== undefined && cc !== 2);
  if (strikesOnce && times !== undefined && times !== 1) {
    refuse(`times must be 1 or left out: ${lost === true ? 'lost' : 'nth'} strikes once`, { nth, lost, times });
  }
}

/** [from, to) with a byte of the region in it. */
function checkRange(range: unknown, what: string, size: number): [from: number, to: number] {
  if (!Array.isArray(range) || range.length !== 2) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be [from, to], not ${shown(range)}`, { range });
  }
  const from = checkWhole(range[0], `${what}[0]`);
  const to = checkWhole(range[1], `${what}[1]`);
  if (from < to && from < size) return [from, to];
  const text = `${what} must have a byte of the region in it, which has ${size}: [${from}, ${to}) has none`;
  throw rangeError('ERR_ISMIO_OPTION', text, { range, size });
}

function checkCount(count: number, what: string): number {
  return checkBetween(count, what, 1, Number.MAX_SAFE_INTEGER);
}
