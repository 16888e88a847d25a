// Comparison after comparison, each told in a line.
import { compare } from '../compare/compare.js';
import type { CompareOptions } from '../compare/options.js';
import { efforts } from '../compare/processes.js';
import type { CompareReport } from '../results.js';

export const quickOptions: Omit<CompareOptions, 'base' | 'head' | 'seed'> = {
  quick: true,
  delta: 0.02,
  level: 0.95,
  counterTolerance: 0,
  instructionTolerance: null,
  times: true,
  effort: { ...efforts.quick, processes: 12 },
};

const quiet = { say: () => undefined, progress: () => undefined };

/** Benchmarks by verdict, those that passed left out. */
export type Found = Readonly<Record<string, readonly string[]>>;

export function found({ times, counters }: CompareReport): Found {
  const parts = [...times, ...counters.map(({ name, counter, verdict }) => ({ name: `${name} ${counter}`, verdict }))];
  const byVerdict: Record<string, string[]> = {};
  for (const { name, verdict } of parts) {
    if (verdict === 'pass') continue;
    byVerdict[verdict] ??= [];
    byVerdict[verdict].push(name);
  }
  return byVerdict;
}

export async function runMany(
  times: number,
  options: Omit<CompareOptions, 'seed'>,
  look: (report: CompareReport) => void = () => undefined,
): Promise<Found[]> {
  const all: Found[] = [];
  for (let i = 0; i < times; i++) {
    const report = await compare({ ...options, seed: 1000 + i }, quiet);
    const one = found(report);
    all.push(one);
    const told = Object.entries(one).map(([verdict, names]) => `${verdict}: ${names.join(', ')}`);
    console.log(`${i + 1}/${times} ${report.verdict} in ${report.seconds.toFixed(0)} s. ${told.join('; ')}`);
    look(report);
  }
  return all;
}
