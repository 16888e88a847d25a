// From the ratios of the processes to a verdict. Ratios are head over base: above 1 is slower.
import { digitsBeside } from '../outputs/figures.js';
import type { Estimate, Verdict } from '../results.js';
import { bootstrap, type Interval, intervalOf, midmean, pValueInside } from '../statistics/bootstrap.js';
import { holmLevels } from '../statistics/holm.js';

/** Ratios of one round, one for each process: head to base, head to the copy of base, and the copy to base. */
export interface Round {
  readonly overBase: readonly number[];
  readonly overCopy: readonly number[];
  readonly null: readonly number[];
}

export interface Judged {
  readonly verdict: Verdict;
  readonly reason: string;
  readonly delta: number;
  readonly rounds: readonly { readonly head: Estimate; readonly null: Estimate }[];
  readonly overall: Estimate;
  readonly nullOverall: Estimate;
}

export interface Rules {
  /** A change of less than this share is none. */
  readonly delta: number;
  /** Confidence over the whole suite. */
  readonly level: number;
}

/** What a single round is believed by itself: it only has to agree. */
const agreement = 0.95;

/**
 * Judges every benchmark of a suite by the rounds it has had.
 * @param random draws the resamples; the same one gives the same intervals
 */
export function judge(suite: readonly (readonly Round[])[], rules: Rules, random: () => number): Judged[] {
  const drawn = suite.map((rounds) => bootstrap(rounds.flatMap(headOf), random));
  const low = 1 / (1 + rules.delta);
  const levels = holmLevels(
    drawn.map((means) => pValueInside(means, low, 1 + rules.delta)),
    rules.level,
  );
  return suite.map((rounds, index) => {
    const level = levels[index] as number;
    const overall = estimate(rounds.flatMap(headOf), level, drawn[index] as Float64Array);
    const still = rounds.flatMap((round) => round.null);
    const nullOverall = estimate(still, level, bootstrap(still, random));
    const told = rounds.map((round) => ({
      head: estimate(headOf(round), agreement, bootstrap(headOf(round), random)),
      null: estimate(round.null, agreement, bootstrap(round.null, random)),
    }));
    const intervalOver = (ratios: (round: Round) => readonly number[]): Interval =>
      intervalOf(bootstrap(rounds.flatMap(ratios), random), level);
    const found = {
      overall,
      overBase: intervalOver(({ overBase }) => overBase),
      overCopy: intervalOver(({ overCopy }) => overCopy),
      still: nullOverall,
      rounds: told.map(({ head }) => head),
    };
    return {
      ...verdictOf(found, rules.delta),
      delta: rules.delta,
      rounds: told,
      overall,
      nullOverall,
    };
  });
}

/** Base ran twice: the luck of either counts for half. */
function headOf({ overBase, overCopy }: Round): number[] {
  return overBase.map((ratio, process) => Math.sqrt(ratio * (overCopy[process] as number)));
}

function estimate(processes: readonly number[], level: number, drawn: Float64Array): Estimate {
  return { ratio: midmean(processes), ...intervalOf(drawn, level), level, processes };
}

/** Head in all, over each of the two that are the same build, what these two differ by, and head in each round. */
interface Findings {
  readonly overall: Interval;
  readonly overBase: Interval;
  readonly overCopy: Interval;
  readonly still: Interval;
  readonly rounds: readonly Interval[];
}

/** Base and its copy are the same build, so that head is slower than both or not slower at all. */
function verdictOf(
  { overall, overBase, overCopy, still, rounds }: Findings,
  delta: number,
): { verdict: Verdict; reason: string } {
  const [low, high] = [1 / (1 + delta), 1 + delta];
  const limits = [low, high, 1 + 2 * delta];
  const range = spanOf(overall, limits);
  if (beyond(still, low, high) !== null) {
    const moved = spanOf(still, limits);
    return {
      verdict: 'contaminated',
      reason: `base against itself moved by ${moved}: nothing of this run can be trusted here`,
    };
  }
  const found = beyond(overall, low, high);
  if (found !== null && [overBase, overCopy].some((one) => beyond(one, low, high) !== found)) {
    const [one, other] = [overBase, overCopy].map((over) => spanOf(over, limits));
    return {
      verdict: 'inconclusive',
      reason: `changed by ${one} against base, and by ${other} against a copy of base: it may be where these lay`,
    };
  }
  const agreed = rounds.filter((round) => beyond(round, low, high) === found).length > 1;
  if (found !== null && agreed) {
    const how = found === 'regressed' ? 'slower' : 'faster';
    return {
      verdict: found,
      reason: `${how} by ${range} in all, and beyond ${percent(1 + delta)} in two rounds by themselves`,
    };
  }
  if (found !== null)
    return { verdict: 'inconclusive', reason: `changed by ${range} in all, but not in two rounds by themselves` };
  if (overall.high < 1 + 2 * delta) {
    return { verdict: 'pass', reason: `changed by ${range}: a slowdown of ${percent(1 + 2 * delta)} is excluded` };
  }
  return { verdict: 'inconclusive', reason: `changed by ${range}: neither a slowdown nor its absence is shown` };
}

function spanOf({ low, high }: Interval, limits: readonly number[]): string {
  return `${percent(low, limits)} to ${percent(high, limits)}`;
}

/** What an interval shows that lies beyond [low, high] as a whole. */
function beyond(interval: Interval, low: number, high: number): 'regressed' | 'improved' | null {
  if (interval.low > high) return 'regressed';
  return interval.high < low ? 'improved' : null;
}

/** '+2.1 %' of a ratio of 1.021; with as many digits as show on which side of the limits it is. */
export function percent(ratio: number, limits: readonly number[] = []): string {
  const share = (ratio - 1) * 100;
  const decimals = digitsBeside(ratio, limits, 1, (one, digits) => 1 + Number(((one - 1) * 100).toFixed(digits)) / 100);
  return `${share < 0 ? '-' : '+'}${Math.abs(share).toFixed(decimals)} %`;
}
