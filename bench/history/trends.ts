// Trends: each benchmark on each machine by itself, every run held against those before it.
import { quantileSorted } from 'simple-statistics';
import type { Trend, TrendPoint } from '../outputs/html/data.js';
import type { HistoryRecord, HistoryResult } from './record.js';

/** Runs that have to lie before one so that it can be judged: of fewer, the quartiles flag far too much. */
export const pastNeeded = 10;

/** How many interquartile ranges beyond the upper quartile still are as usual. */
const tolerated = 3;

/** A run that is slower by less than this share of the upper quartile is not flagged, however alike the runs before it were. */
export const leastShare = 0.02;

/**
 * Quick runs and full ones are trends of their own, as are machines and units.
 * @param records the oldest first
 * @param least a smaller share slower is never out of the ordinary
 */
export function trendsOf(records: readonly HistoryRecord[], filter = /(?:)/, least = leastShare): Trend[] {
  const series = new Map<string, Run[]>();
  for (const record of records) {
    for (const result of record.results) {
      if (!filter.test(result.name)) continue;
      const key = JSON.stringify([record.machine, record.quick, result.name, result.unit]);
      series.set(key, [...(series.get(key) ?? []), { record, result }]);
    }
  }
  return [...series.values()].map((runs) => {
    const { record, result } = runs[0] as Run;
    const { machine, quick } = record;
    return { name: result.name, unit: result.unit, machine, quick, points: judge(runs, least) };
  });
}

type Run = { readonly record: HistoryRecord; readonly result: HistoryResult };

function judge(runs: readonly Run[], least: number): TrendPoint[] {
  const medians = runs.map(({ result }) => result.median);
  return runs.map(({ record: { started, commit }, result: { median } }, index) => {
    const fence = fenceOf(medians.slice(0, index), least);
    return { started, commit, median, fence, flagged: fence !== null && median > fence };
  });
}

/** Beyond this a value is out of the ordinary; null where the past is too short to say. */
function fenceOf(past: readonly number[], least: number): number | null {
  if (past.length < pastNeeded) return null;
  const sorted = [...past].sort((a, b) => a - b);
  const [q1, q3] = [quantileSorted(sorted, 0.25), quantileSorted(sorted, 0.75)];
  return q3 + Math.max(tolerated * (q3 - q1), least * Math.abs(q3));
}

/** The median of all but the newest; null where there are no others. */
export function pastMedian({ points }: Trend): number | null {
  const past = points.slice(0, -1).map(({ median }) => median);
  if (past.length === 0) return null;
  return quantileSorted(
    past.sort((a, b) => a - b),
    0.5,
  );
}

/** Whether the newest run of a trend is out of the ordinary. */
export function newestFlagged({ points }: Trend): boolean {
  return points.at(-1)?.flagged ?? false;
}

/**
 * Whether the run before it was as well. With a past of ten, chance flags some one of 120 benchmarks in 40 % of all runs,
 * and one twice running in 1 %.
 */
export function flaggedAgain({ points }: Trend): boolean {
  return points.length > 1 && points.slice(-2).every(({ flagged }) => flagged);
}
