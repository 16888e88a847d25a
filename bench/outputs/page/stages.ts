// Where the time of one operation goes.
import * as Plot from '@observablehq/plot';
import type { BenchReport } from '../../results.js';
import { duration } from '../figures.js';
import { lowered, rowChart } from './rows.js';

interface Part {
  readonly name: string;
  readonly stage: string;
  readonly from: number;
  readonly to: number;
  readonly nanoseconds: number;
  readonly total: number;
}

/** As an operation goes through them; what is not known comes behind. */
const order = ['enqueue', 'merge', 'plan', 'copy', 'device', 'completion'];
const colors = ['#86a8f3', '#f2c14e', '#ff9d87', '#8fd6c6', '#63c174', '#c6a1f7', '#c9a58c', '#b9c3cd'];

export function drawStages(report: BenchReport, width: number): Element {
  const parts = report.results.flatMap(({ name, stages }) => (stages === null ? [] : partsOf(name, stages)));
  const names = [...new Set(parts.map(({ name }) => name))];
  const stages = [...new Set([...order, ...parts.map(({ stage }) => stage)])].filter((stage) =>
    parts.some((part) => part.stage === stage),
  );
  const down = lowered(width);
  const ends = names.map((name) => parts.find((part) => part.name === name) as Part);
  const chart = rowChart({
    names,
    all: names,
    width,
    label: 'share of the time of one operation',
    description: `${stages.join(', ')}: the table below has the times.`,
    marginRight: 76,
    x: { domain: [0, 1], tickFormat: (share: number) => `${Math.round(share * 100)} %` },
    color: { domain: stages, range: colors.slice(0, stages.length) },
    marks: [
      Plot.ruleY(parts, {
        x1: 'from',
        x2: 'to',
        y: 'name',
        dy: down,
        stroke: 'stage',
        strokeWidth: 18,
        insetRight: 1,
        title: explain,
        className: 'stage',
      }),
      Plot.text(
        parts.filter(({ from, to, stage }) => (to - from) * width * 0.55 > stage.length * 8),
        { x: ({ from, to }: Part) => (from + to) / 2, y: 'name', dy: down, text: 'stage', fill: '#111', fontSize: 11 },
      ),
      Plot.text(ends, {
        x: () => 1,
        y: 'name',
        dy: down,
        dx: 8,
        text: ({ total }: Part) => duration(total),
        textAnchor: 'start',
        fill: 'var(--text)',
      }),
    ],
  });
  return withLegend(chart, stages);
}

function withLegend(chart: Element, stages: readonly string[]): Element {
  const legend = Plot.legend({ color: { domain: stages, range: colors.slice(0, stages.length), type: 'categorical' } });
  const both = document.createElement('div');
  both.append(legend, chart);
  return both;
}

function partsOf(name: string, stages: Readonly<Record<string, number>>): Part[] {
  const rank = (stage: string) => (order.includes(stage) ? order.indexOf(stage) : order.length);
  const entries = Object.entries(stages).sort(([a], [b]) => rank(a) - rank(b));
  const total = entries.reduce((sum, [, nanoseconds]) => sum + nanoseconds, 0);
  if (total <= 0) return [];
  let from = 0;
  return entries.map(([stage, nanoseconds]) => {
    const to = from + nanoseconds / total;
    const part = { name, stage, from, to, nanoseconds, total };
    from = to;
    return part;
  });
}

function explain({ name, stage, nanoseconds, from, to }: Part): string {
  return `${name}\n${stage}: ${duration(nanoseconds)}, ${Math.round((to - from) * 100)} %`;
}
