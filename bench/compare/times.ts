// The gate of wall time: rounds of fresh processes, until every benchmark has its verdict or has had its rounds.
import { median } from 'simple-statistics';
import type { ComparedTime, Distribution } from '../results.js';
import { randomFrom } from '../statistics/random.js';
import type { Workload } from '../workload.js';
import type { Arms } from './arms.js';
import type { CompareOptions, Watcher } from './options.js';
import { type RoundResults, runRound } from './processes.js';
import type { SliceResult } from './slices.js';
import { type Judged, judge } from './verdict.js';

/** The second round confirms or clears what the first suspected; the third is for what they leave open. */
const mostRounds = 3;

/** Far apart, so that no round repeats another's chance. */
const seedStep = 0x10001;

export async function compareTimes(
  arms: Arms,
  workloads: readonly Workload[],
  options: CompareOptions,
  watcher: Watcher,
): Promise<ComparedTime[]> {
  const results = new Map<string, SliceResult[][]>(workloads.map(({ name }) => [name, []]));
  let judged = new Map<string, Judged>();
  for (let round = 0; round < mostRounds; round++) {
    const open = workloads.map(({ name }) => name).filter((name) => needsRound(judged.get(name), round));
    if (open.length === 0) break;
    const found = await oneRound(arms, open, options, round, watcher);
    for (const [name, processes] of found) results.get(name)?.push([...processes]);
    judged = judgeAll(results, options);
  }
  return workloads.map((workload) =>
    compared(workload, results.get(workload.name) ?? [], judged.get(workload.name) as Judged),
  );
}

/** A pass needs no second look, and a verdict that two rounds agree on no third. */
function needsRound(judged: Judged | undefined, round: number): boolean {
  if (judged === undefined) return true;
  if (judged.verdict === 'pass') return false;
  return round < 2 || judged.verdict === 'inconclusive';
}

function oneRound(
  arms: Arms,
  names: readonly string[],
  { effort, seed, suites }: CompareOptions,
  round: number,
  watcher: Watcher,
): Promise<RoundResults> {
  // The few that are left get twice the time.
  const more = round === 0 ? effort : { ...effort, openings: effort.openings * 2 };
  const total = more.processes * names.length;
  let done = 0;
  const tick = (): void => {
    done++;
    watcher.progress(`round ${round + 1}`, done, total);
  };
  return runRound(arms, names, more, (seed + round * seedStep) >>> 0, tick, suites);
}

function judgeAll(
  results: ReadonlyMap<string, readonly SliceResult[][]>,
  options: CompareOptions,
): Map<string, Judged> {
  const names = [...results.keys()];
  const rounds = names.map((name) =>
    (results.get(name) ?? []).map((processes) => ({
      overBase: processes.map(({ overBase }) => overBase),
      overCopy: processes.map(({ overCopy }) => overCopy),
      null: processes.map((process) => process.null),
    })),
  );
  const judged = judge(rounds, options, randomFrom(options.seed));
  return new Map(names.map((name, index) => [name, judged[index] as Judged]));
}

function compared({ name, title }: Workload, rounds: readonly SliceResult[][], judged: Judged): ComparedTime {
  const processes = rounds.flat();
  return {
    name,
    title,
    unit: 'ns/op',
    method: 'paired slices',
    ...judged,
    base: middle(processes.map(({ baseTimes }) => baseTimes)),
    head: middle(processes.map(({ headTimes }) => headTimes)),
  };
}

/** Of the processes' quartiles, the medians. */
function middle(quartiles: readonly (readonly number[])[]): Distribution {
  const [min, q1, mid, q3, max] = [0, 1, 2, 3, 4].map((part) => median(quartiles.map((one) => one[part] as number)));
  return { min, q1, median: mid, q3, max } as Distribution;
}
