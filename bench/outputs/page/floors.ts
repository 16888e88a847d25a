// How many times faster than its floor each benchmark is, and what was aimed at.
import * as Plot from '@observablehq/plot';
import type { BenchReport, BenchResult } from '../../results.js';
import { quantity, times } from '../figures.js';
import { looks } from './marks.js';
import { lowered, rowChart, tip } from './rows.js';
import { logDomain, plain } from './scales.js';

interface Row {
  readonly name: string;
  readonly ratio: number;
  readonly target: number | null;
  readonly kind: 'missed' | 'reached' | 'free';
  /** '5.42x' */
  readonly shown: string;
  readonly text: string;
  /** What it is held against. */
  readonly against: string;
}

export function drawFloors(report: BenchReport, width: number): Element {
  const rows = report.results.flatMap(rowOf);
  const aimed = rows.filter(({ target }) => target !== null);
  const down = lowered(width, true);
  return rowChart({
    names: rows.map(({ name }) => name),
    notes: new Map(rows.map(({ name, against }) => [name, against])),
    all: report.results.filter(({ ratio }) => ratio !== null).map(({ name }) => name),
    width,
    label: 'times faster than its floor →',
    description: `${rows.length} benchmarks; the table of results has the same figures.`,
    marginRight: 64,
    x: {
      type: 'log',
      domain: domainOf(rows, width),
      tickFormat: (value: number) => `${plain(value)}x`,
    },
    marks: [
      Plot.ruleX([1], { stroke: 'var(--text)' }),
      Plot.ruleY(rows, {
        x1: () => 1,
        x2: 'ratio',
        y: 'name',
        dy: down,
        stroke: color,
        strokeWidth: 3,
        strokeOpacity: 0.35,
      }),
      ...(['missed', 'reached', 'free'] as const).flatMap((kind) => dotsOf(rows, kind, down)),
      Plot.dot(aimed, {
        x: 'target',
        y: 'name',
        dy: down,
        symbol: { draw: (context: CanvasPath, size: number) => bar(context, Math.sqrt(size)) },
        r: 7,
        stroke: 'var(--text)',
        strokeWidth: 2,
        className: 'target',
      }),
      figures(
        rows.filter(({ ratio }) => ratio >= 1),
        'start',
        down,
      ),
      figures(
        rows.filter(({ ratio }) => ratio < 1),
        'end',
        down,
      ),
    ],
    tip: tip(
      rows,
      ({ ratio }) => ratio,
      ({ text }) => text,
      down,
    ),
  });
}

function rowOf(result: BenchResult): Row[] {
  const { name, title, ratio, target, reached, floor, measured, unit } = result;
  if (ratio === null || ratio <= 0) return [];
  const aimed = target === null ? null : 'atLeast' in target ? target.atLeast : target.atMost;
  const below = floor === null ? '' : `\nfloor: ${quantity(floor.median, unit)}, ${floor.title}`;
  const shown = times(ratio, target);
  const text = `${name}\n${title}\n${shown}, ${quantity(measured.median, unit)}${below}`;
  const against = `against ${floor?.title ?? 'what its title says'}`;
  const kind = reached === null ? 'free' : reached ? 'reached' : 'missed';
  return [{ name, ratio, target: aimed !== null && aimed > 0 ? aimed : null, kind, shown, text, against }];
}

/** With room for the figures of what is slower than its floor, on the left. */
function domainOf(rows: readonly Row[], width: number): [number, number] {
  const [low, high] = logDomain([1 / 1.1, 1.1, ...rows.flatMap(({ ratio, target }) => [ratio, target ?? ratio])], 1.1);
  const slower = rows.some(({ ratio }) => ratio < 1);
  return [slower ? low / (high / low) ** (100 / width) : low, high];
}

/** Beside the dots, away from 1. */
function figures(rows: readonly Row[], textAnchor: 'start' | 'end', dy: number): Plot.Markish {
  const away = textAnchor === 'start' ? Math.max : Math.min;
  return Plot.text(rows, {
    // Beyond a target that is near: it would be hidden.
    x: ({ ratio, target }: Row) =>
      target === null || away(ratio, target) === ratio || far(ratio, target) ? ratio : target,
    y: 'name',
    dy,
    dx: textAnchor === 'start' ? 10 : -10,
    text: 'shown',
    textAnchor,
    fill: color,
    stroke: 'var(--background)',
    strokeWidth: 4,
  });
}

function far(a: number, b: number): boolean {
  return Math.max(a / b, b / a) > 3;
}

const colors = { missed: 'var(--regressed)', reached: 'var(--accent)', free: 'var(--pass)' } as const;

function color({ kind }: Row): string {
  return colors[kind];
}

function dotsOf(rows: readonly Row[], kind: Row['kind'], dy: number): Plot.Markish[] {
  const { symbol } = kind === 'missed' ? looks.regressed : looks.pass;
  const fill = kind === 'free' ? 'var(--background)' : colors[kind];
  const chosen = rows.filter((row) => row.kind === kind);
  return [
    Plot.dot(chosen, { x: 'ratio', y: 'name', dy, symbol, r: 5, stroke: colors[kind], fill, className: 'speedup' }),
  ];
}

function bar(context: CanvasPath, size: number): void {
  context.moveTo(0, -size / 2);
  context.lineTo(0, size / 2);
}
