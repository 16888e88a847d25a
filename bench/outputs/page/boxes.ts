// Quartiles, the measured above and what it is held against below it.
import * as Plot from '@observablehq/plot';
import type { BenchReport, CompareReport, Distribution } from '../../results.js';
import { quantity, ratio } from '../figures.js';
import { colorOf } from './marks.js';
import { nearDomain, ratiosOf } from './ratios.js';
import { lowered, rowChart, tip } from './rows.js';
import { logDomain, plain } from './scales.js';

interface Box extends Distribution {
  readonly name: string;
  readonly color: string;
  readonly text: string;
}

/** Of head and base, as a share of the base's median: benchmarks of any length fit on one axis. */
export function drawBoxes(report: CompareReport, width: number, nearOne: boolean): Element {
  const times = ratiosOf(report).filter(({ base, head }) => base.min > 0 && head.min > 0);
  const upper = times.map(({ name, base, head, unit, verdict }) =>
    box(name, head, base.median, colorOf(verdict), `head ${spread(head, unit)}`),
  );
  const lower = times.map(({ name, base, unit }) =>
    box(name, base, base.median, 'var(--null)', `base ${spread(base, unit)}`),
  );
  const middle = logDomain(
    [...upper, ...lower].flatMap(({ q1, q3 }) => [q1, q3]),
    1.15,
  );
  return drawRows(report.times, upper, lower, width, {
    label: 'share of the base’s median, slower to the right →',
    domain: nearOne ? nearDomain : middle,
    tickFormat: plain,
  });
}

/** Of results in one unit and their floors, as they were measured. */
export function drawSpreads(report: BenchReport, width: number): Element[] {
  const units = [...new Set(report.results.map(({ unit }) => unit))];
  return units.map((unit) => {
    const all = report.results.filter((result) => result.unit === unit);
    const results = all.filter(({ measured }) => measured.distribution.min > 0);
    const upper = results.map(({ name, measured }) => {
      return box(name, measured.distribution, 1, 'var(--accent)', spread(measured.distribution, unit));
    });
    const lower = results.flatMap(({ name, floor }) => {
      if (floor === null || floor.distribution.min <= 0) return [];
      return [box(name, floor.distribution, 1, 'var(--null)', `floor ${spread(floor.distribution, unit)}`)];
    });
    return drawRows(all, upper, lower, width, {
      label: unit === 'ns/op' ? 'time of one operation →' : `${unit} →`,
      domain: logDomain(
        [...upper, ...lower].flatMap(({ min, max }) => [min, max]),
        1.1,
      ),
      tickFormat: (value) => quantity(value, unit),
    });
  });
}

interface Axis {
  readonly label: string;
  readonly domain: [number, number];
  readonly tickFormat: (value: number) => string;
}

function drawRows(
  all: readonly { readonly name: string }[],
  upper: readonly Box[],
  lower: readonly Box[],
  width: number,
  axis: Axis,
): Element {
  const down = lowered(width);
  const texts = new Map(lower.map(({ name, text }) => [name, text]));
  return rowChart({
    names: upper.map(({ name }) => name),
    all: all.map(({ name }) => name),
    width,
    label: axis.label,
    description: `Five numbers each of ${upper.length} benchmarks.`,
    x: { type: 'log', domain: axis.domain, clamp: true, tickFormat: axis.tickFormat },
    marks: [...boxMarks(lower, down + 7, 'lower'), ...boxMarks(upper, down - 4, 'upper')],
    tip: tip(
      upper,
      ({ median }) => median,
      ({ name, text }) => [name, text, texts.get(name) ?? ''].join('\n'),
      down - 4,
    ),
  });
}

/** The box is drawn as a thick line: it has a height in pixels that way, whatever the height of its row. */
function boxMarks(boxes: readonly Box[], dy: number, part: 'upper' | 'lower'): Plot.Markish[] {
  const thick = part === 'upper' ? 9 : 6;
  const line = { y: 'name', dy, stroke: 'color' };
  return [
    Plot.ruleY(boxes, { ...line, x1: 'min', x2: 'max', strokeWidth: 1 }),
    Plot.ruleY(boxes, { ...line, x1: 'q1', x2: 'q3', strokeWidth: thick, className: `box-${part}` }),
    ...(part === 'lower'
      ? [Plot.ruleY(boxes, { ...line, x1: 'q1', x2: 'q3', stroke: 'var(--background)', strokeWidth: thick - 2.5 })]
      : []),
    Plot.dot(boxes, {
      x: 'median',
      y: 'name',
      dy,
      symbol: tick,
      r: thick * 0.8,
      stroke: 'var(--text)',
      strokeWidth: 2,
    }),
  ];
}

/** A line across. */
const tick: Plot.SymbolImplementation = {
  draw(context: CanvasPath, size: number) {
    const half = Math.sqrt(size / Math.PI);
    context.moveTo(0, -half);
    context.lineTo(0, half);
  },
};

function box(name: string, { min, q1, median, q3, max }: Distribution, unit: number, color: string, text: string): Box {
  return { name, color, text, min: min / unit, q1: q1 / unit, median: median / unit, q3: q3 / unit, max: max / unit };
}

function spread({ q1, median, q3 }: Distribution, unit: string): string {
  return `${quantity(median, unit)}, quartiles ${quantity(q1, unit)} and ${quantity(q3, unit)}${
    median > 0 ? ` (±${ratio((q3 - q1) / 2 / median)})` : ''
  }`;
}
