// Curves: the same work at several sizes.
import * as Plot from '@observablehq/plot';
import type { BenchReport, BenchResult } from '../../results.js';
import { figure, quantity } from '../figures.js';
import { tipLook } from './rows.js';
import { logDomain, logTicks } from './scales.js';

interface Point {
  readonly curve: string;
  readonly at: number;
  readonly value: number;
  readonly floor: number | null;
}

/** From here on there is room for two. */
const sideBySide = 1000;

/** One chart for each pair of units: what differs in its unit shares no axis. */
export function drawScaling(report: BenchReport, width: number): Element {
  const groups = new Map<string, BenchResult[]>();
  for (const result of report.results) {
    if (result.scale === null) continue;
    const key = JSON.stringify([result.unit, result.scale.unit]);
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  const whole = document.createElement('div');
  const side = groups.size > 1 && width >= sideBySide;
  if (side) whole.className = 'columns';
  whole.append(...[...groups.values()].map((results) => drawGroup(results, side ? width / 2 - 16 : width)));
  return whole;
}

function drawGroup(results: readonly BenchResult[], width: number): Element {
  const points = results.flatMap(pointOf);
  const unit = results[0]?.unit ?? 'ns/op';
  const at = results[0]?.scale?.unit ?? '';
  const common = { x: 'at', z: 'curve', stroke: 'curve' };
  const floors = points.filter(({ floor }) => floor !== null);
  const [low, high] = logDomain(
    points.flatMap(({ value, floor }) => [value, floor ?? value]),
    1.15,
  );
  const levels = logTicks(low, high, 8);
  const label = unit === 'ns/op' ? '↑ time of one operation' : `↑ ${unit}`;
  return Plot.plot({
    width,
    height: Math.max(260, Math.min(460, width * 0.6)),
    marginLeft: 64,
    marginBottom: 44,
    marginTop: 28,
    marginRight: 24,
    style: { fontSize: '12px' },
    ariaLabel: `Scaling over ${at}`,
    ariaDescription: `${points.length} points; the table of results has the same figures.`,
    x: {
      type: 'log',
      base: 2,
      inset: 8,
      label: `${at} →`,
      labelAnchor: 'center',
      tickFormat: (value: number) => powerOfTwo(value),
      ticks: ticksOf(points, width),
    },
    y: {
      type: 'log',
      axis: null,
      domain: [low, high],
    },
    color: { scheme: 'Observable10', legend: false },
    symbol: { legend: true },
    marks: [
      Plot.gridX({ stroke: 'var(--line)', strokeOpacity: 1, ticks: ticksOf(points, width) }),
      Plot.gridY(levels, { stroke: 'var(--line)', strokeOpacity: 1 }),
      // Its text as a channel: the format of a logarithmic axis leaves some out.
      Plot.axisY(levels, { label, tickSize: 0, text: (value: number) => quantity(value, unit) } as Plot.AxisYOptions),
      Plot.line(floors, { ...common, y: 'floor', strokeWidth: 1.25, strokeDasharray: '4 4', className: 'floor-curve' }),
      Plot.line(points, { ...common, y: 'value', strokeWidth: 2, className: 'curve' }),
      Plot.dot(points, { ...common, y: 'value', symbol: 'curve', r: 4, fill: 'var(--background)', className: 'point' }),
      Plot.tip(
        points,
        Plot.pointer({
          x: 'at',
          y: 'value',
          title: (point: Point) => explain(point, unit, at),
          ...tipLook(width),
        } as Plot.TipOptions),
      ),
    ],
  });
}

function pointOf({ scale, measured, floor }: BenchResult): Point[] {
  if (scale === null || scale.at <= 0 || measured.median <= 0) return [];
  return [
    {
      curve: scale.curve,
      at: scale.at,
      value: measured.median,
      floor: floor !== null && floor.median > 0 ? floor.median : null,
    },
  ];
}

/** The sizes that were measured, as many as there is room for. */
function ticksOf(points: readonly Point[], width: number): number[] {
  const sizes = [...new Set(points.map(({ at }) => at))].sort((a, b) => a - b);
  const step = Math.ceil(sizes.length / Math.max(2, Math.floor(width / 70)));
  return sizes.filter((_, index) => index % step === 0);
}

function powerOfTwo(value: number): string {
  for (const [unit, size] of [
    ['Mi', 2 ** 20],
    ['Ki', 2 ** 10],
  ] as const) {
    if (value >= size && value % size === 0) return `${value / size} ${unit}`;
  }
  return figure(value);
}

function explain({ curve, at, value, floor }: Point, unit: string, of: string): string {
  const against = floor === null ? '' : `\nfloor: ${quantity(floor, unit)}`;
  return `${curve}\n${powerOfTwo(at)} ${of}: ${quantity(value, unit)}${against}`;
}
