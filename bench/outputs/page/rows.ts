// Charts of rows, one for each benchmark: what they share.
import * as Plot from '@observablehq/plot';
import { linearTicks, logTicks } from './scales.js';

/** A box to read what is under the pointer. */
export interface Tip {
  readonly items: readonly { readonly name: string }[];
  readonly options: Plot.TipOptions;
}

export interface RowChart {
  /** From the top; each is there once. */
  readonly names: readonly string[];
  /** What stands in small letters below the marks of a row, by its name. */
  readonly notes?: ReadonlyMap<string, string>;
  /** All that might be there: those without a row are told below. */
  readonly all: readonly string[];
  readonly width: number;
  readonly label: string;
  readonly x: Plot.ScaleOptions;
  readonly marks: readonly Plot.Markish[];
  /** On top of everything else. */
  readonly tip?: Tip;
  /** What is read out in place of the picture. */
  readonly description: string;
  readonly marginRight?: number;
  readonly color?: Plot.ScaleOptions;
}

/** Below this, names stand above their rows instead of beside them. */
const narrow = 700;
const fontSize = 12;
/** Of a note below its row. */
const noteHeight = 16;
const noteFontSize = 11;
const marginBottom = 44;
/** Of a character of the names, as a share of the font's size. */
const characterWidth = 0.56;

/** The chart, and below it what has no place in it. */
export function rowChart(chart: RowChart): Element {
  const { names, all } = chart;
  const whole = document.createElement('div');
  if (names.length > 0) whole.append(drawRows(chart));
  const left = all.filter((name) => !names.includes(name));
  if (left.length > 0) {
    const note = document.createElement('p');
    note.className = 'muted';
    note.textContent = `Without a place on a logarithmic axis, being 0 or less: ${left.join(', ')}`;
    whole.append(note);
  }
  return whole;
}

function drawRows(chart: RowChart): Element {
  const { names, notes, width, label, x, marks, description, marginRight = 24, color, tip } = chart;
  const stacked = width < narrow;
  const rowHeight = (stacked ? 46 : 32) + (notes === undefined ? 0 : noteHeight);
  const marginLeft = stacked ? 12 : nameWidth(names, width);
  const tall = names.length * rowHeight > 500;
  const marginTop = tall ? 30 : 8;
  return Plot.plot({
    width,
    height: names.length * rowHeight + marginTop + marginBottom,
    marginLeft,
    marginRight,
    marginTop,
    marginBottom,
    style: { fontSize: `${fontSize}px` },
    ariaLabel: label,
    ariaDescription: description,
    x: { axis: null, ...x },
    y: { type: 'band', domain: names, axis: null, padding: 0 },
    ...(color === undefined ? {} : { color }),
    marks: [
      ...axes(x, label, width - marginLeft, tall),
      Plot.ruleY(names, { y: (name: string) => name, dy: rowHeight / 2, stroke: 'var(--line)' }),
      ...marks,
      stacked ? namesAbove(names, width, rowHeight) : namesBeside(marginLeft, lowered(width, notes !== undefined)),
      notes === undefined ? null : notesBelow(notes, width - marginLeft, rowHeight),
      tip === undefined ? null : Plot.tip(tip.items as object[], Plot.pointerY({ ...tip.options, ...tipLook(width) })),
    ],
  });
}

/** How far the marks of a row move down so that a name has room above them, and up so that a note has room below. */
export function lowered(width: number, noted = false): number {
  return (width < narrow ? 8 : 0) - (noted ? noteHeight / 2 : 0);
}

function nameWidth(names: readonly string[], width: number): number {
  const longest = Math.max(...names.map((name) => name.length));
  return Math.min(0.36 * width, longest * fontSize * characterWidth + 24);
}

function axes(x: Plot.ScaleOptions, label: string, width: number, tall: boolean): Plot.Markish[] {
  const [low, high] = x.domain as [number, number];
  const most = Math.max(3, Math.floor(width / 110));
  const ticks = x.type === 'log' ? logTicks(low, high, most) : linearTicks(low, high, most);
  const format = x.tickFormat as (value: number) => string;
  // As a channel of its own: the format of a logarithmic axis leaves out what is no multiple of few.
  const look = { text: format, fill: 'var(--muted)', stroke: 'var(--line)' };
  const bottom = { ...look, anchor: 'bottom', label, labelAnchor: 'center', labelArrow: 'none' } as Plot.AxisXOptions;
  const top = { ...look, anchor: 'top', label: null } as Plot.AxisXOptions;
  return [
    Plot.gridX(ticks, { stroke: 'var(--line)', strokeOpacity: 1 }),
    Plot.axisX(ticks, bottom),
    ...(tall ? [Plot.axisX(ticks, top)] : []),
  ];
}

function namesBeside(marginLeft: number, dy: number): Plot.Markish {
  return Plot.axisY({
    anchor: 'left',
    label: null,
    dy,
    tickSize: 0,
    fill: 'var(--text)',
    lineWidth: (marginLeft - 16) / fontSize,
    textOverflow: 'ellipsis-middle',
  } as Plot.AxisYOptions);
}

function namesAbove(names: readonly string[], width: number, rowHeight: number): Plot.Markish {
  return Plot.text(names, {
    y: (name: string) => name,
    frameAnchor: 'left',
    dy: -rowHeight / 2 + 10,
    dx: 2,
    text: (name: string) => name,
    textAnchor: 'start',
    lineWidth: (width - 36) / fontSize,
    textOverflow: 'ellipsis-middle',
    fill: 'var(--text)',
    stroke: 'var(--background)',
    strokeWidth: 4,
  });
}

function notesBelow(notes: ReadonlyMap<string, string>, width: number, rowHeight: number): Plot.Markish {
  return Plot.text([...notes], {
    y: ([name]: [string, string]) => name,
    frameAnchor: 'left',
    dy: rowHeight / 2 - noteHeight / 2 - 2,
    dx: 2,
    text: ([, note]: [string, string]) => note,
    textAnchor: 'start',
    fontSize: noteFontSize,
    lineWidth: (width - 24) / noteFontSize,
    textOverflow: 'ellipsis',
    fill: 'var(--muted)',
    stroke: 'var(--background)',
    strokeWidth: 4,
    className: 'note',
  });
}

/** How boxes look that show what is under the pointer: narrow enough to fit on one side of it. */
export function tipLook(width: number): Plot.TipOptions {
  const lineWidth = Math.min(30, (0.45 * width) / fontSize);
  return {
    fill: 'var(--raised)',
    stroke: 'var(--muted)',
    lineWidth,
    lineHeight: 1.35,
    textPadding: 10,
  } as Plot.TipOptions;
}

export function tip<T extends { readonly name: string }>(
  items: readonly T[],
  x: (item: T) => number,
  title: (item: T) => string,
  dy = 0,
): Tip {
  return { items, options: { x, y: 'name', title, dy } as Plot.TipOptions };
}
