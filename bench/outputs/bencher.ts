// Bencher Metric Format: https://bencher.dev/docs/reference/bencher-metric-format
//
// Two of its measures are built in: `latency` in nanoseconds and `throughput`. Others come to be when they are first sent.
import type { BenchReport, BenchResult, CompareReport, Distribution } from '../results.js';
import { isBench, type Report } from './report.js';

interface Metric {
  readonly value: number;
  readonly lower_value?: number;
  readonly upper_value?: number;
}

/** Measures by their slug. */
type Measures = Record<string, Metric>;

/** Slugs are lower case, and have up to 64 characters. */
const measureOf = {
  'ns/op': { slug: 'latency', scale: 1 },
  ms: { slug: 'latency', scale: 1e6 },
  MiB: { slug: 'memory-mib', scale: 1 },
  operations: { slug: 'device-operations', scale: 1 },
} as const;

export function bencher(report: Report): string {
  // A map: a benchmark may be called '__proto__'.
  const benchmarks = new Map<string, Measures>();
  if (isBench(report)) addRun(report, benchmarks);
  else addComparison(report, benchmarks);
  return `${JSON.stringify(Object.fromEntries(benchmarks), null, 2)}\n`;
}

function addRun({ results }: BenchReport, benchmarks: Map<string, Measures>): void {
  for (const result of results) benchmarks.set(result.name, { ...measured(result), ...ofRun(result) });
}

function measured({ unit, measured }: BenchResult): Measures {
  return spread(unit, measured.distribution, measured.median);
}

function ofRun({ ratio, issued }: BenchResult): Measures {
  return {
    ...(ratio === null ? {} : { speedup: { value: ratio } }),
    ...(issued === null ? {} : { issued: { value: issued } }),
  };
}

/** The median between the quartiles. */
function spread(unit: BenchResult['unit'], { q1, q3 }: Distribution, median: number): Measures {
  const { slug, scale } = measureOf[unit];
  return { [slug]: { value: median * scale, lower_value: q1 * scale, upper_value: q3 * scale } };
}

function addComparison({ times, counters, instructions }: CompareReport, benchmarks: Map<string, Measures>): void {
  const add = (name: string, measures: Measures) => benchmarks.set(name, { ...benchmarks.get(name), ...measures });
  for (const { name, unit, head, overall } of times) {
    const { ratio, low, high } = overall;
    add(name, { ...spread(unit, head, head.median), ratio: { value: ratio, lower_value: low, upper_value: high } });
  }
  for (const { name, counter, head } of counters) add(name, { [slugOf(counter)]: { value: head } });
  for (const { name, head } of instructions) add(name, { instructions: { value: head } });
}

/** 'storeBlocks' is 'store-blocks'. */
function slugOf(counter: string): string {
  return counter.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
