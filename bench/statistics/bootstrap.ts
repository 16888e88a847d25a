// How sure one can be of the middle of a few values: drawn again and again from themselves.
import { mean, quantileSorted, sampleWithReplacement } from 'simple-statistics';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

const resamples = 10_000;

/**
 * Mean of the values between the quartiles: a quarter may lie anywhere on either side, as processes do that had bad luck,
 * and it still uses the others as well as a mean does.
 */
export function midmean(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.floor(sorted.length / 4);
  return mean(sorted.slice(cut, sorted.length - cut));
}

/** Midmeans of as many values drawn with replacement, ascending. Percentiles of them bound the midmean. */
export function bootstrap(values: readonly number[], random: () => number): Float64Array {
  const drawn = new Float64Array(resamples);
  const from = [...values];
  for (let i = 0; i < resamples; i++) drawn[i] = midmean(sampleWithReplacement(from, from.length, random));
  return drawn.sort();
}

/** The interval that has the midmean in it with this confidence; as much is left out below as above. */
export function intervalOf(drawn: Float64Array, level: number): Interval {
  const sorted = drawn as unknown as number[];
  return { low: quantileSorted(sorted, (1 - level) / 2), high: quantileSorted(sorted, (1 + level) / 2) };
}

/** How well the values agree with a midmean somewhere in [low, high]: two-sided, and never 0. */
export function pValueInside(drawn: Float64Array, low: number, high: number): number {
  const notAbove = drawn.filter((value) => value <= high).length;
  const notBelow = drawn.filter((value) => value >= low).length;
  return Math.min(1, (2 * (1 + Math.min(notAbove, notBelow))) / (drawn.length + 1));
}
