// The past of each benchmark on one machine: a small chart each.
import * as Plot from '@observablehq/plot';
import { minute, quantity, shortCommit } from '../figures.js';
import type { Trend, TrendPoint } from '../html/data.js';
import { tipLook } from './rows.js';

export function drawTrend({ name, unit, points }: Trend, width: number): Element {
  const dated = points.map((point, index) => ({ ...point, index }));
  const values = points.flatMap(({ median, fence }) => [median, ...(fence === null ? [] : [fence])]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.15;
  const text = (point: TrendPoint) => explain(point, unit);
  return Plot.plot({
    width,
    height: 150,
    marginLeft: 60,
    marginRight: 14,
    marginTop: 12,
    marginBottom: 24,
    style: { fontSize: '11px' },
    ariaLabel: `Trend of ${name}`,
    ariaDescription: `${points.length} runs, ${points.filter(({ flagged }) => flagged).length} of them flagged.`,
    x: { domain: [-0.5, Math.max(points.length - 0.5, 0.5)], axis: null },
    y: {
      domain: [low - room, high + room],
      label: null,
      ticks: 4,
      tickFormat: (value: number) => quantity(value, unit, 4),
    },
    marks: [
      Plot.gridY({ ticks: 4, stroke: 'var(--line)', strokeOpacity: 1 }),
      Plot.line(dated, {
        x: 'index',
        y: 'fence',
        stroke: 'var(--null)',
        strokeDasharray: '3 3',
        curve: 'step',
        className: 'fence',
      }),
      Plot.line(dated, { x: 'index', y: 'median', stroke: 'var(--accent)', strokeWidth: 1.5 }),
      Plot.dot(
        dated.filter(({ flagged }) => !flagged),
        { x: 'index', y: 'median', r: 3, fill: 'var(--accent)', className: 'run' },
      ),
      Plot.dot(
        dated.filter(({ flagged }) => flagged),
        { x: 'index', y: 'median', r: 5.5, symbol: 'triangle', fill: 'var(--regressed)', className: 'flagged' },
      ),
      date(points.slice(0, 1), 0, 'start'),
      date(points.slice(1).slice(-1), points.length - 1, 'end'),
      Plot.tip(dated, Plot.pointerX({ x: 'index', y: 'median', title: text, ...tipLook(width) } as Plot.TipOptions)),
    ],
  });
}

/** The day of a run, below it. */
function date(points: readonly TrendPoint[], index: number, textAnchor: 'start' | 'end'): Plot.Markish {
  const text = ({ started }: TrendPoint) => started.slice(0, 10);
  return Plot.text(points, { x: () => index, frameAnchor: 'bottom', dy: 16, text, textAnchor, fill: 'var(--muted)' });
}

function explain({ started, commit, median, fence, flagged }: TrendPoint, unit: string): string {
  const limit =
    fence === null ? 'too few before it to judge' : `fence ${quantity(fence, unit)}${flagged ? ': outside' : ''}`;
  return `${quantity(median, unit)}\n${shortCommit(commit) ?? 'no commit'}, ${minute(started)}\n${limit}`;
}
