// The script of the report: it draws the charts in the width they have, and makes the tables sortable.
import type { BenchReport, CompareReport } from '../../results.js';
import type { PageData } from '../html/data.js';
import { drawBoxes, drawSpreads } from './boxes.js';
import { drawFloors } from './floors.js';
import { drawProcesses } from './processes.js';
import { drawRatios, isWide } from './ratios.js';
import { drawScaling } from './scaling.js';
import { makeSortable } from './sort.js';
import { drawStages } from './stages.js';
import { drawTrend } from './trends.js';

type Draw = (width: number) => Element | readonly Element[];

const { report, trends } = JSON.parse(document.getElementById('data')?.textContent ?? '') as PageData;
const [bench, compared] = [report as BenchReport, report as CompareReport];

function drawerOf(figure: HTMLElement): Draw {
  switch (figure.dataset['chart']) {
    case 'ratios':
      return closer(figure, drawRatios);
    case 'processes':
      return closer(figure, drawProcesses);
    case 'boxes':
      return closer(figure, drawBoxes);
    case 'floors':
      return (width) => drawFloors(bench, width);
    case 'spreads':
      return (width) => drawSpreads(bench, width);
    case 'scaling':
      return (width) => drawScaling(bench, width);
    case 'stages':
      return (width) => drawStages(bench, width);
    case 'trend':
      return (width) => trendOf(figure, width);
    default:
      throw new Error(`no chart is called ${figure.dataset['chart']}`);
  }
}

function trendOf(figure: HTMLElement, width: number): Element {
  const trend = trends[Number(figure.dataset['trend'])];
  if (trend === undefined) throw new Error(`there is no trend ${figure.dataset['trend']}`);
  return drawTrend(trend, width);
}

/** With a box to tick for a closer look, where the far ones hide the near ones. */
function closer(figure: HTMLElement, draw: (report: CompareReport, width: number, nearOne: boolean) => Element): Draw {
  if (!isWide(compared)) return (width) => draw(compared, width, false);
  const box = document.createElement('input');
  box.type = 'checkbox';
  const label = document.createElement('label');
  label.className = 'control';
  label.append(box, ' only 0.8 to 1.25; what lies beyond is drawn at the edge');
  figure.querySelector('figcaption')?.after(label);
  box.addEventListener('change', () => redraw(figure));
  return (width) => draw(compared, width, box.checked);
}

const drawers = new Map<HTMLElement, Draw>();

function redraw(figure: HTMLElement): void {
  const place = figure.querySelector<HTMLElement>('.drawing');
  const draw = drawers.get(figure);
  if (place === null || draw === undefined || place.clientWidth === 0) return;
  place.replaceChildren(...[draw(place.clientWidth)].flat());
}

const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const figure = target.closest<HTMLElement>('figure');
    if (figure !== null) redraw(figure);
  }
});

for (const table of document.querySelectorAll('table')) makeSortable(table);
for (const figure of document.querySelectorAll<HTMLElement>('figure[data-chart]')) {
  drawers.set(figure, drawerOf(figure));
  const place = figure.querySelector<HTMLElement>('.drawing');
  // Watching begins with a first call.
  if (place !== null) watcher.observe(place);
}
