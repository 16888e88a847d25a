// How sure one can be of the middle of a few values: drawn again and again from themselves.
import { mean, quantileSorted } from 'simple-statistics';

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
  const sorted = Float64Array.from(values).sort();
  const times = new Uint32Array(sorted.length);
  const drawn = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    times.fill(0);
    for (let j = 0; j < times.length; j++) times[Math.floor(random() * times.length)] += 1;
    drawn[i] = midmeanOfDrawn(sorted, times);
  }
  return drawn.sort();
}

/** The midmean where each of the values, which are ascending, was drawn so many times. */
function midmeanOfDrawn(sorted: Float64Array, times: Uint32Array): number {
  const cut = Math.floor(sorted.length / 4);
  const wanted = sorted.length - 2 * cut;
  let skip = cut;
  let left = wanted;
  let sum = 0;
  for (let i = 0; left > 0; i++) {
    const there = times[i] as number;
    const skipped = Math.min(skip, there);
    const taken = Math.min(there - skipped, left);
    skip -= skipped;
    left -= taken;
    sum += taken * (sorted[i] as number);
  }
  return sum / wanted;
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
