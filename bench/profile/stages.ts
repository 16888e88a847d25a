// Times the stages of a workload, in turns with the same without them: the difference is what timing costs.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { median } from 'simple-statistics';
import type { Running } from '../workload.js';
import { type Latency, type Profile, type StageName, stageNames } from './report.js';
import type { Opened, Subject } from './subject.js';

const turnNanoseconds = 20e6;

interface Turn {
  readonly nanoseconds: number;
  readonly batches: number;
}

interface TimedTurn extends Turn {
  readonly times: Times;
}

type Times = Record<StageName | 'stamps', number>;

/** @param histogram of the batches' own times */
async function turn(running: Running, histogram: RecordableHistogram | null): Promise<Turn> {
  const began = process.hrtime.bigint();
  let before = began;
  for (let batches = 1; ; batches++) {
    const pending = running.batch();
    if (pending !== undefined) await pending;
    const now = process.hrtime.bigint();
    histogram?.record(now > before ? now - before : 1n);
    before = now;
    const nanoseconds = Number(now - began);
    if (nanoseconds >= turnNanoseconds) return { nanoseconds, batches };
  }
}

export function timeStages({ regions }: Opened, on: boolean): void {
  for (const region of regions) region.timeStages(on);
}

/** Of all regions together, since their stages have been timed. */
export function stagesSoFar({ regions }: Opened): Times {
  const sum: Times = { enqueue: 0, merge: 0, plan: 0, copy: 0, device: 0, completion: 0, stamps: 0 };
  for (const region of regions) {
    const { stages } = region.stats();
    if (stages !== null) for (const name of Object.keys(sum) as (keyof Times)[]) sum[name] += stages[name];
  }
  return sum;
}

export function since(now: Times, before: Times): Times {
  return Object.fromEntries(
    Object.entries(now).map(([name, time]) => [name, time - before[name as keyof Times]]),
  ) as Times;
}

/** One turn with the stages timed. The queues notice with their first batch, which therefore does not count. */
async function timedTurn(opened: Opened): Promise<TimedTurn> {
  timeStages(opened, true);
  await opened.running.batch();
  const before = stagesSoFar(opened);
  const done = await turn(opened.running, null);
  const times = since(stagesSoFar(opened), before);
  timeStages(opened, false);
  return { ...done, times };
}

export async function profileStages(
  subject: Subject,
  opened: Opened,
  seconds: number,
  onProgress: (share: number) => void,
): Promise<Profile> {
  const histogram = createHistogram();
  const plain: Turn[] = [];
  const timed: TimedTurn[] = [];
  const rounds = Math.max(3, Math.round((seconds * 1e9) / (2 * turnNanoseconds)));
  await turn(opened.running, null); // warms up
  await timedTurn(opened);
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) plain.push(await turn(opened.running, histogram));
    timed.push(await timedTurn(opened));
    if (round % 2 === 1) plain.push(await turn(opened.running, histogram));
    onProgress((round + 1) / rounds);
    await setImmediate(); // for a signal to be heard
  }
  return { ...summed(subject, plain, timed), latency: latencyOf(histogram) };
}

/** Nanoseconds for one batch. */
function pace({ nanoseconds, batches }: Turn): number {
  return nanoseconds / batches;
}

/** What else the machine did falls on the other half. */
function quieterHalf<Some extends Turn>(turns: readonly Some[]): Some[] {
  return [...turns].sort((a, b) => pace(a) - pace(b)).slice(0, Math.ceil(turns.length / 2));
}

function sumOf<Some>(all: readonly Some[], value: (one: Some) => number): number {
  return all.reduce((sum, one) => sum + value(one), 0);
}

function summed(
  { operations }: Subject,
  plain: readonly Turn[],
  timed: readonly TimedTurn[],
): Omit<Profile, 'latency'> {
  const perOperation = <Some extends Turn>(turns: readonly Some[], value: (one: Some) => number): number =>
    sumOf(turns, value) / (sumOf(turns, ({ batches }) => batches) * operations);
  const quiet = quieterHalf(timed);
  const each = (name: keyof Times): number => perOperation(quiet, ({ times }) => times[name]);
  const stages = Object.fromEntries(stageNames.map((name) => [name, each(name)])) as Record<StageName, number>;
  const wall = perOperation(quiet, ({ nanoseconds }) => nanoseconds);
  return {
    plain: perOperation(quieterHalf(plain), ({ nanoseconds }) => nanoseconds),
    timed: wall,
    cost: median(timed.map((one, round) => pace(one) / pace(plain[round] as Turn))) - 1,
    stages,
    stamps: each('stamps'),
    elsewhere: Math.max(0, wall - sumOf(Object.values(stages), (time) => time)),
  };
}

const percentiles = [50, 90, 99, 99.9, 99.99];

function latencyOf(histogram: RecordableHistogram): Latency {
  return {
    batches: histogram.count,
    min: histogram.min,
    mean: histogram.mean,
    max: histogram.max,
    percentiles: Object.fromEntries(percentiles.map((share) => [`p${share}`, histogram.percentile(share)])),
  };
}
