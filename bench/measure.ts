// Times a subject and its floor. Both run in turns of some tens of milliseconds, round after round, so that whatever else
// the machine does falls on both; what counts is the median over the rounds, of times and of the ratio within each.
import { median, medianAbsoluteDeviation, quantile } from 'simple-statistics';
import { Bench } from 'tinybench';
import type { Distribution, Measured } from './results.js';
import type { Running } from './workload.js';

/** A workload or floor, opened, and the operations of one batch of it. */
export interface Subject {
  readonly operations: number;
  readonly running: Running;
}

export interface Turns {
  readonly rounds: number;
  /** Of each turn. */
  readonly milliseconds: number;
}

export interface Timing {
  readonly subject: Measured;
  readonly floor: Measured | null;
  /** How many times faster the subject is than its floor. */
  readonly ratio: number | null;
}

/** A batch that is shorter than this measures the clock. */
const shortest = 1000;

/** Medians of the rounds, in nanoseconds for one operation, and how many batches are behind them. */
interface Collected {
  readonly medians: number[];
  samples: number;
}

/** A tinybench task of one batch a sample; the sample is the time of one operation. */
function sampled({ operations, running }: Subject) {
  return async () => {
    const before = process.hrtime.bigint();
    const pending = running.batch();
    if (pending !== undefined) await pending;
    const milliseconds = Number(process.hrtime.bigint() - before) / 1e6;
    return { overriddenDuration: milliseconds / operations, overriddenIterationCost: milliseconds };
  };
}

export function distributionOf(values: readonly number[]): Distribution {
  const at = (share: number): number => quantile([...values], share);
  return { min: at(0), q1: at(0.25), median: at(0.5), q3: at(0.75), max: at(1) };
}

/** @param medians of rounds or of processes: what is spread here is not the noise within one of them */
export function measuredFrom(medians: readonly number[], samples = medians.length): Measured {
  return {
    median: median([...medians]),
    mad: medianAbsoluteDeviation([...medians]),
    samples,
    distribution: distributionOf(medians),
  };
}

async function turn(subject: Subject, milliseconds: number): Promise<{ median: number; samples: number }> {
  const bench = new Bench({ time: milliseconds, iterations: 3, warmup: false, throws: true });
  bench.add('batch', sampled(subject));
  await bench.run();
  const result = bench.tasks[0]?.result;
  if (result?.state !== 'completed') throw new Error(`the benchmark ended ${result?.state}`);
  return { median: result.latency.p50 * 1e6, samples: result.latency.samplesCount };
}

/** How long a batch lasts. Some hundred are enough to know, and long ones are seldom many. */
async function lengthOf({ running }: Subject): Promise<number> {
  const took: number[] = [];
  for (let left = 5e6; left > 0 && took.length < 200; left -= took.at(-1) as number) {
    const before = process.hrtime.bigint();
    await running.batch();
    took.push(Number(process.hrtime.bigint() - before));
  }
  return median(took);
}

/** Throws where a batch is too short to be timed. */
export function checkLength(nanoseconds: number): void {
  if (nanoseconds >= shortest) return;
  const length = `${nanoseconds.toFixed(0)} ns`;
  throw new Error(`its batch takes ${length}, which is too short to be timed; it has to do more operations`);
}

export async function measure(subject: Subject, floor: Subject | null, turns: Turns): Promise<Timing> {
  const subjects: Collected = { medians: [], samples: 0 };
  const floors: Collected = { medians: [], samples: 0 };
  const pair: [Subject, Collected][] = [[subject, subjects]];
  if (floor !== null) pair.push([floor, floors]);
  for (const [one] of pair) checkLength(await lengthOf(one));
  // The first round warms up: nothing of it counts.
  for (let round = -1; round < turns.rounds; round++) {
    for (const [one, collected] of round % 2 === 0 ? pair : [...pair].reverse()) {
      const { median, samples } = await turn(one, turns.milliseconds);
      if (round < 0) continue;
      collected.medians.push(median);
      collected.samples += samples;
    }
  }
  const ratios = floors.medians.map((ns, round) => ns / (subjects.medians[round] as number));
  return {
    subject: measuredFrom(subjects.medians, subjects.samples),
    floor: floor === null ? null : measuredFrom(floors.medians, floors.samples),
    ratio: floor === null ? null : median(ratios),
  };
}
