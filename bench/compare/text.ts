// A comparison as a terminal shows it: the findings first, then every benchmark in a line.
import Table from 'cli-table3';
import { exact, quantity, ratio } from '../outputs/figures.js';
import type { ComparedTime, CompareReport, Verdict } from '../results.js';
import { percent } from './verdict.js';

const marks: Readonly<Record<Verdict, string>> = {
  pass: 'pass',
  regressed: 'REGRESSED',
  improved: 'improved',
  inconclusive: 'inconclusive',
  contaminated: 'CONTAMINATED',
};

export function compareText(report: CompareReport): string {
  const { base, head, seconds, options } = report;
  const parts = [
    `base ${sideText(base)}`,
    `head ${sideText(head)}`,
    '',
    gateText(report),
    ...(report.times.length === 0 ? [] : [timesTable(report.times), legend(options.level)]),
    ...report.skipped.map(({ name, reason }) => `skipped ${name}: ${oneLine(reason)}`),
    '',
    `${marks[report.verdict]} in ${seconds.toFixed(0)} s${report.times.length === 0 ? '' : howTimed(report)}`,
    ...findings(report),
  ];
  return parts.join('\n');
}

function legend(level: number): string {
  return `Ratios are head over base; in brackets what they lie in with ${share(level)} confidence over the whole suite. null: base over itself.`;
}

function howTimed({ seed, options: { processes, delta } }: CompareReport): string {
  return `, seed ${seed}, ${processes} processes a round, a change counts from ${percent(1 + delta)} on`;
}

/** 0.57 is '57 %', and not 56.99999999999999. */
function share(value: number): string {
  return `${Number((value * 100).toPrecision(12))} %`;
}

/** What a build threw can be long: Node.js adds its require stack. */
function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}

function sideText({ spec, version, commit }: CompareReport['base']): string {
  return `${spec} (${version}${commit === null ? '' : `, ${commit.slice(0, 12)}${commit.endsWith('-dirty') ? '-dirty' : ''}`})`;
}

function gateText({ counters, instructions }: CompareReport): string {
  const changed = counters.filter(({ verdict }) => verdict !== 'pass');
  const heavier = instructions.filter(({ verdict }) => verdict !== 'pass');
  const lines = [
    `counters: ${counters.length} compared, ${changed.length} changed`,
    ...changed.map((one) => `  ${marks[one.verdict]} ${one.name}: ${one.counter} ${one.base} -> ${one.head}`),
    `instructions: ${instructions.length} scenarios compared, ${heavier.length} changed by more than the tolerance`,
    ...heavier.map(
      (one) => `  ${marks[one.verdict]} ${one.name}: ${exact(one.base)} -> ${exact(one.head)} an operation`,
    ),
  ];
  return lines.join('\n');
}

function timesTable(times: readonly ComparedTime[]): string {
  const table = new Table({
    head: ['benchmark', 'base', 'head', 'ratio', 'null', 'verdict'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'right', 'right', 'left', 'left', 'left'],
  });
  for (const { name, unit, base, head, overall, nullOverall, verdict } of times) {
    table.push([
      name,
      quantity(base.median, unit),
      quantity(head.median, unit),
      `${ratio(overall.ratio)} [${ratio(overall.low)}, ${ratio(overall.high)}]`,
      ratio(nullOverall.ratio),
      marks[verdict],
    ]);
  }
  return table.toString();
}

function findings({ times }: CompareReport): string[] {
  return times
    .filter(({ verdict }) => verdict !== 'pass')
    .map(({ name, verdict, reason }) => `${marks[verdict]} ${name}: ${reason}`);
}
