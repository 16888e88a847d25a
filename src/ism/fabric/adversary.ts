// What a fabric is asked to do to the moves of its functions, so that software that is proven on it is proven for hardware.
import { mischiefs } from '../../addon/wire.js';
import { checkBetween, checkOptions } from '../../support/check.js';

/** What the adversary of a fabric can do. */
export type Mischief = (typeof mischiefs)[number];

/**
 * The adversary of a fabric. Each mischief has a rate: of a thousand moves, so many meet it. Where no rate is given, those are met
 * that no driver notices: 100 signals each are delayed, coalesced and reordered, and 50 moves are busy. Where one is given, the
 * others are 0.
 */
export interface AdversaryOptions extends Partial<Record<Mischief, number>> {
  /** A whole number from 0 to 2^53 - 1. The same one decides the same of the same moves of a function, by the order of functions. */
  readonly seed: number;
  /** Signals come later, by up to `latest`. */
  readonly delay?: number;
  /** Signals wait for the next one of their DMB, and come with it; for `latest` at most. */
  readonly coalesce?: number;
  /** Signals come behind the next one of another DMB of the same function; after `latest` anyway. */
  readonly reorder?: number;
  /** Moves are refused, and nothing of them is made. */
  readonly fail?: number;
  /** The function whose move it is dies behind the bytes, before the signal: until its driver has closed it, or reset it. */
  readonly kill?: number;
  /** Moves are answered by condition code 2: the engine tries again. */
  readonly busy?: number;
  /** Milliseconds that a signal is held at most, from 1 to 60000. Default 8. */
  readonly latest?: number;
}

const unnoticed: Readonly<Record<Mischief, number>> = {
  delay: 100,
  coalesce: 100,
  reorder: 100,
  fail: 0,
  kill: 0,
  busy: 50,
};
const certain = 1000;
const latestByDefault = 8;
const longestHold = 60_000;

/** What the addon is given: the seed, the latest, and the rate of each mischief. */
export type AdversaryPlan = readonly [seed: bigint, latest: number, ...rates: number[]];

/** @throws TypeError ERR_ISMIO_ARGUMENT_TYPE, RangeError ERR_ISMIO_OPTION */
export function checkAdversary(options: AdversaryOptions): AdversaryPlan {
  checkOptions(options, ['seed', 'latest', ...mischiefs], 'adversary');
  const seed = checkBetween(options.seed, 'adversary.seed', 0, Number.MAX_SAFE_INTEGER);
  const latest = checkBetween(options.latest ?? latestByDefault, 'adversary.latest', 1, longestHold);
  const isChosen = mischiefs.some((name) => options[name] !== undefined);
  const rates = mischiefs.map((name) => {
    const rate = isChosen ? (options[name] ?? 0) : unnoticed[name];
    return checkBetween(rate, `adversary.${name}`, 0, certain);
  });
  return [BigInt(seed), latest, ...rates];
}

/** By name, what the addon has counted. */
export function mischiefsDone(counts: readonly number[]): Record<Mischief, number> {
  return Object.fromEntries(mischiefs.map((name, i) => [name, counts[i]])) as Record<Mischief, number>;
}
