// What the tool `customSmallerIsBetter` of github-action-benchmark reads: a list of name, unit, value, range and extra.
// https://github.com/benchmark-action/github-action-benchmark#examples
import { lessIsWorse } from '../compare/gates.js';
import type { BenchResult, ComparedCount, ComparedTime, CompareReport } from '../results.js';
import { figure, quantity, ratio, times } from './figures.js';
import { isBench, type Report } from './report.js';

interface Entry {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** How far it varies, as text. */
  readonly range?: string;
  readonly extra?: string;
}

export function smallerIsBetter(report: Report): string {
  const entries = isBench(report) ? report.results.map(ofResult) : ofComparison(report);
  return `${JSON.stringify(entries, null, 2)}\n`;
}

function ofResult({ name, title, unit, measured, floor, ratio, note }: BenchResult): Entry {
  const lines = [
    title,
    `${measured.samples} batches timed`,
    ...(floor === null ? [] : [`floor: ${quantity(floor.median, unit)}, ${floor.title}`]),
    ...(ratio === null ? [] : [`${times(ratio)} the speed of its floor`]),
    ...(note === null ? [] : [note]),
  ];
  return { name, unit, value: measured.median, range: `± ${figure(measured.mad)}`, extra: lines.join('\n') };
}

/**
 * Ratios rather than times: those of one machine can be held against those of another. The form has no way to say that more
 * of something is better, so merges are left out: where they fail, there are more stores.
 */
function ofComparison({ times, counters, instructions }: CompareReport): Entry[] {
  return [
    ...times.map(ofTime),
    ...counters.filter(({ counter }) => !lessIsWorse.has(counter)).map(ofCount),
    ...instructions.map(({ name, head, verdict }) => {
      return { name: `${name} instructions`, unit: 'instructions/op', value: head, extra: verdict };
    }),
  ];
}

function ofCount({ name, counter, head, verdict }: ComparedCount): Entry {
  return { name: `${name} ${counter}`, unit: counter, value: head, extra: verdict };
}

function ofTime({ name, title, unit, verdict, reason, head, overall }: ComparedTime): Entry {
  const { low, high } = overall;
  return {
    name,
    unit: 'head/base',
    value: overall.ratio,
    range: `${ratio(low)} to ${ratio(high)}`,
    extra: `${title}\n${verdict}: ${reason}\nhead: ${quantity(head.median, unit)}`,
  };
}
