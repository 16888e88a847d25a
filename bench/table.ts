// The table that `ismio bench` prints: 120 columns.
import Table from 'cli-table3';
import { duration, median, times } from './outputs/figures.js';
import type { BenchReport, BenchResult, Measured } from './results.js';

const columns = [
  { head: 'benchmark', width: 40 },
  { head: 'one operation', width: 19 },
  { head: 'its floor', width: 19 },
  { head: 'faster', width: 9 },
  { head: 'target', width: 17 },
  { head: 'issued', width: 9 },
];
const textWidth = columns.reduce((sum, { width }) => sum + width, 0) + columns.length - 3;

const legend = `Medians for one operation ± median absolute deviation over the rounds. Subject and floor take turns, and "faster" is the
median over the rounds of their ratio. Issued: device operations of one batch. "missed" stands beside missed targets.`;

/** '96.1 ns ±1.2 %' */
function spread({ median, mad }: Measured, shown: string): string {
  return median === 0 ? shown : `${shown} ±${((100 * mad) / Math.abs(median)).toFixed(1)} %`;
}

function value(result: BenchResult): string {
  const { measured, unit } = result;
  if (unit === 'operations') return `at most ${measured.distribution.max}`;
  return spread(measured, median(result));
}

function target({ target, reached }: BenchResult): string {
  if (target === null) return '';
  const wanted = 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`;
  return reached === false ? `${wanted} missed` : wanted;
}

/**
 * What it is and what it is held against, in lines below its figures. The points of a curve are many: where one has the floor
 * of the point before it, nothing is said again.
 */
function described({ title, floor, scale, target, note }: BenchResult, before: BenchResult | undefined): string[] {
  const against = floor === null ? '' : `floor: ${floor.title}`;
  if (scale === null || target !== null) {
    return indented(`${title}${against && `; ${against}`}${note === null ? '' : ` (${note})`}`);
  }
  const again = before?.scale?.curve === scale.curve && before.floor?.title === floor?.title;
  return again || against === '' ? [] : indented(against);
}

function indented(text: string): string[] {
  return wrap(text, textWidth - 2).map((line) => `  ${line}`);
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function suiteOf({ name }: { readonly name: string }): string {
  return name.split('/', 1)[0] as string;
}

function row(result: BenchResult): string[] {
  const { floor, ratio, issued } = result;
  return [
    result.name,
    value(result),
    floor === null ? '' : spread(floor, duration(floor.median)),
    ratio === null ? '' : times(ratio, result.target),
    target(result),
    issued === null ? '' : issued.toLocaleString('en'),
  ];
}

/** A commit as people write it; '-dirty' stays. */
function short(commit: string): string {
  return commit.replace(/^([0-9a-f]{12})[0-9a-f]*/, '$1');
}

function environmentLines({ environment, version, commit }: BenchReport): string {
  const { cpu, cores, arch, kernel, node, governor, load, timerResolution, kernels, machine } = environment;
  const lines = [
    `ismio ${version}${commit === null ? '' : ` at ${short(commit)}`}; ${cpu}, ${cores} cores, ${arch}; Linux ${kernel}; Node.js ${node}`,
    `governor ${governor ?? 'unknown'}, load ${load.toFixed(2)} at the start, steps of the clock ${timerResolution} ns, machine ${machine}`,
    Object.entries(kernels)
      .map(([use, kernel]) => `${use}: ${kernel ?? 'none'}`)
      .join(', '),
  ];
  return lines.join('\n');
}

export function benchTable(report: BenchReport): string {
  const table = new Table({
    head: columns.map(({ head }) => head),
    colWidths: columns.map(({ width }) => width),
    style: { head: [], border: [], compact: true },
  });
  let suite = '';
  for (const [index, result] of report.results.entries()) {
    if (suiteOf(result) !== suite) {
      suite = suiteOf(result);
      table.push([{ colSpan: columns.length, content: suite.toUpperCase() }]);
    }
    table.push(row(result));
    for (const line of described(result, report.results[index - 1])) {
      table.push([{ colSpan: columns.length, content: line }]);
    }
  }
  const parts = report.results.length === 0 ? [] : [table.toString(), legend];
  const skipped = report.skipped.map(({ name, reason }) => `skipped ${name}: ${reason}`);
  return [...parts, ...skipped, environmentLines(report)].join('\n');
}
