// What each process saw: a dot for its median ratio, of head and of the null arm.
import * as Plot from '@observablehq/plot';
import type { CompareReport } from '../../results.js';
import { ratio } from '../figures.js';
import { colorOf } from './marks.js';
import { nearDomain, ratiosOf } from './ratios.js';
import { lowered, rowChart, tip } from './rows.js';
import { logDomain, plain } from './scales.js';

interface Dot {
  readonly name: string;
  readonly value: number;
  readonly color: string;
  readonly process: number;
}

export function drawProcesses(report: CompareReport, width: number, nearOne: boolean): Element {
  const times = ratiosOf(report);
  const head = times.flatMap((time) => dots(time.name, time.overall.processes, colorOf(time.verdict)));
  const nulls = times.flatMap((time) => dots(time.name, time.nullOverall.processes, 'var(--null)'));
  const { delta } = report.options;
  const whole = logDomain([...head, ...nulls].map(({ value }) => value).concat(1 / (1 + delta), 1 + delta), 1.02);
  const down = lowered(width);
  return rowChart({
    names: times.map(({ name }) => name),
    all: times.map(({ name }) => name),
    width,
    label: 'head / base of one process, slower to the right →',
    description: `${head.length} processes of ${times.length} benchmarks.`,
    x: { type: 'log', domain: nearOne ? nearDomain : whole, clamp: true, tickFormat: plain },
    marks: [
      Plot.rectX([{ low: 1 / (1 + delta), high: 1 + delta }], { x1: 'low', x2: 'high', fill: 'var(--band)' }),
      Plot.ruleX([1], { stroke: 'var(--text)' }),
      Plot.dot(nulls, {
        x: 'value',
        y: 'name',
        dy: down + 7,
        r: 2.5,
        stroke: 'var(--null)',
        className: 'null-process',
      }),
      Plot.dot(head, {
        x: 'value',
        y: 'name',
        dy: down - 4,
        r: 3.5,
        fill: 'color',
        fillOpacity: 0.55,
        className: 'process',
      }),
    ],
    tip: tip(
      head,
      ({ value }) => value,
      ({ name, value, process }) => `${name}\nprocess ${process}: ${ratio(value)}`,
      down - 4,
    ),
  });
}

function dots(name: string, values: readonly number[], color: string): Dot[] {
  return values.map((value, index) => ({ name, value, color, process: index + 1 })).filter(({ value }) => value > 0);
}
