// Compares a subject with its floor. Both run in turns of some tens of milliseconds, round after round, so that whatever
// else the machine does falls on both; what counts is the median over the rounds of the ratio within each.
import { median, medianAbsoluteDeviation } from 'simple-statistics';
import { Bench } from 'tinybench';

/** One batch: does `operations` of them and says how many nanoseconds they took. */
export interface Batch {
  readonly operations: number;
  run(): number | Promise<number>;
}

export interface Measured {
  /** Median nanoseconds for one operation. */
  readonly ns: number;
  /** Median absolute deviation of the rounds' medians. */
  readonly mad: number;
  /** Batches timed, over all rounds. */
  readonly samples: number;
}

export interface Comparison {
  readonly subject: Measured;
  readonly floor: Measured;
  /** How many times faster the subject is than its floor, median over the rounds. */
  readonly ratio: number;
}

/** Nanoseconds that `work` takes. */
export function timed(work: () => void): number {
  const before = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - before);
}

export async function timedAsync(work: () => Promise<unknown>): Promise<number> {
  const before = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - before);
}

/** A tinybench task of one batch a sample; the sample is the time of one operation. */
function sampled(batch: Batch): () => Promise<{ overriddenDuration: number; overriddenIterationCost: number }> {
  return async () => {
    const milliseconds = (await batch.run()) / 1e6;
    return { overriddenDuration: milliseconds / batch.operations, overriddenIterationCost: milliseconds };
  };
}

function measured(medians: readonly number[], samples: number): Measured {
  return { ns: median([...medians]), mad: medianAbsoluteDeviation([...medians]), samples };
}

export async function compare(subject: Batch, floor: Batch, rounds: number, time: number): Promise<Comparison> {
  const medians = { subject: [] as number[], floor: [] as number[] };
  const samples = { subject: 0, floor: 0 };
  // The first round warms up: nothing of it counts.
  for (let round = -1; round < rounds; round++) {
    const bench = new Bench({ time, iterations: 3, warmup: false, throws: true });
    const order = round % 2 === 0 ? (['floor', 'subject'] as const) : (['subject', 'floor'] as const);
    for (const name of order) bench.add(name, sampled(name === 'subject' ? subject : floor));
    await bench.run();
    if (round < 0) continue;
    for (const { name, result } of bench.tasks) {
      if (result.state !== 'completed') throw new Error(`the benchmark ended ${result.state}`);
      medians[name as 'subject' | 'floor'].push(result.latency.p50 * 1e6);
      samples[name as 'subject' | 'floor'] += result.latency.samplesCount;
    }
  }
  return {
    subject: measured(medians.subject, samples.subject),
    floor: measured(medians.floor, samples.floor),
    ratio: median(medians.subject.map((ns, round) => (medians.floor[round] as number) / ns)),
  };
}
