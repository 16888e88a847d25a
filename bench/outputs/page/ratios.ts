// Head over base for each benchmark, with its interval; below it the null arm.
import * as Plot from '@observablehq/plot';
import type { ComparedTime, CompareReport } from '../../results.js';
import { change, ratio } from '../figures.js';
import { distance, worstFirst } from '../verdicts.js';
import { colorOf, verdictDots } from './marks.js';
import { lowered, rowChart, tip } from './rows.js';
import { logDomain, plain } from './scales.js';

/** The part around 1 that is shown when the whole range would hide it. */
const near = 1.25;
export const nearDomain: [number, number] = [1 / near, near];

type Drawn = ComparedTime & { readonly offScale: -1 | 0 | 1 };

export function ratiosOf(report: CompareReport): ComparedTime[] {
  return worstFirst(report.times, ({ overall }) => distance(overall.ratio));
}

/** Ratios that a logarithmic axis has a place for. */
function placed(times: readonly ComparedTime[]): ComparedTime[] {
  return times.filter(({ overall }) => overall.ratio > 0 && overall.low > 0);
}

/** Whether some ratios are so far out that the others cannot be told apart. */
export function isWide(report: CompareReport): boolean {
  return placed(report.times).some(({ overall }) => overall.high > near || overall.low < 1 / near);
}

export function drawRatios(report: CompareReport, width: number, nearOne: boolean): Element {
  const times = placed(ratiosOf(report));
  const { delta } = report.options;
  const domain = nearOne ? nearDomain : wholeDomain(times, delta);
  const rows: Drawn[] = times.map((time) => ({ ...time, offScale: side(time.overall.ratio, domain) }));
  const down = lowered(width);
  return rowChart({
    names: rows.map(({ name }) => name),
    all: report.times.map(({ name }) => name),
    width,
    label: 'head / base, slower to the right →',
    description: `${rows.length} benchmarks; the table below has the same figures.`,
    x: { type: 'log', domain, clamp: true, tickFormat: plain },
    marks: [
      Plot.rectX([{ low: 1 / (1 + delta), high: 1 + delta }], { x1: 'low', x2: 'high', fill: 'var(--band)' }),
      Plot.ruleX([1], { stroke: 'var(--text)', strokeWidth: 1 }),
      ...nullArm(rows, down + 7),
      ...headArm(rows, down - 4),
    ],
    tip: tip(rows, ({ overall }) => overall.ratio, explain, down - 4),
  });
}

function wholeDomain(times: readonly ComparedTime[], delta: number): [number, number] {
  const ends = times.flatMap(({ overall, nullOverall }) => [
    overall.low,
    overall.high,
    nullOverall.low,
    nullOverall.high,
  ]);
  return logDomain([...ends, 1 / (1 + 2 * delta), 1 + 2 * delta], 1.02);
}

function side(value: number, [low, high]: readonly [number, number]): -1 | 0 | 1 {
  if (value > high) return 1;
  return value < low ? -1 : 0;
}

function headArm(rows: readonly Drawn[], dy: number): Plot.Markish[] {
  const shown = rows.filter(({ offScale }) => offScale === 0);
  return [
    Plot.ruleY(rows, {
      x1: ({ overall }: Drawn) => overall.low,
      x2: ({ overall }: Drawn) => overall.high,
      y: 'name',
      dy,
      stroke: ({ verdict }: Drawn) => colorOf(verdict),
      strokeWidth: 2.5,
      strokeLinecap: 'round',
      className: 'interval',
    }),
    ...verdictDots(shown, { x: ({ overall }: Drawn) => overall.ratio, y: 'name', dy }),
    atEdge(rows, 1, dy),
    atEdge(rows, -1, dy),
  ];
}

/** The figures of what lies beyond the edge, and an arrow to where. */
function atEdge(rows: readonly Drawn[], side: -1 | 1, dy: number): Plot.Markish {
  const right = side > 0;
  const away = rows.filter(({ offScale }) => offScale === side);
  return Plot.text(away, {
    frameAnchor: right ? 'right' : 'left',
    textAnchor: right ? 'end' : 'start',
    y: 'name',
    dy,
    text: ({ overall }: Drawn) => (right ? `${ratio(overall.ratio)} →` : `← ${ratio(overall.ratio)}`),
    fontWeight: 'bold',
    fill: ({ verdict }: Drawn) => colorOf(verdict),
    stroke: 'var(--background)',
    strokeWidth: 5,
  });
}

function nullArm(rows: readonly Drawn[], dy: number): Plot.Markish[] {
  const inside = rows.filter(({ nullOverall }) => nullOverall.ratio > 0 && nullOverall.low > 0);
  return [
    Plot.ruleY(inside, {
      x1: ({ nullOverall }: Drawn) => nullOverall.low,
      x2: ({ nullOverall }: Drawn) => nullOverall.high,
      y: 'name',
      dy,
      stroke: 'var(--null)',
      strokeWidth: 1.5,
      className: 'null-interval',
    }),
    Plot.dot(inside, {
      x: ({ nullOverall }: Drawn) => nullOverall.ratio,
      y: 'name',
      dy,
      r: 3,
      stroke: 'var(--null)',
      fill: 'var(--background)',
      className: 'null-dot',
    }),
  ];
}

function explain({ name, verdict, overall, nullOverall, reason }: Drawn): string {
  const interval = `${ratio(overall.low)} to ${ratio(overall.high)}`;
  return `${name}\n${verdict}: ${change(overall.ratio)}\nhead / base ${ratio(overall.ratio)}, ${interval}\nnull arm ${ratio(nullOverall.ratio)}\n${reason}`;
}
