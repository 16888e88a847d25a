// The page of a history: a small chart for each trend.
import { change, counted, figure, minute, quantity, shortCommit } from '../outputs/figures.js';
import type { Trend } from '../outputs/html/data.js';
import { environmentSection } from '../outputs/html/environment.js';
import { html, type Markup, name } from '../outputs/html/markup.js';
import type { Page, Section } from '../outputs/html/page.js';
import { type Column, table } from '../outputs/html/table.js';
import { writePage } from '../outputs/html.js';
import type { HistoryRecord } from './record.js';
import { flaggedAgain, newestFlagged, pastMedian, pastNeeded } from './trends.js';

/**
 * Writes index.html and history.json into the directory; the paths of both.
 * @param least as the trends were judged with
 */
export function writeHistory(
  trends: readonly Trend[],
  records: readonly HistoryRecord[],
  directory: string,
  least: number,
): string[] {
  const text = `${JSON.stringify(trends, null, 2)}\n`;
  return writePage(pageOf(trends, records, least), directory, [{ name: 'history.json', text }]);
}

function pageOf(trends: readonly Trend[], records: readonly HistoryRecord[], least: number): Page {
  const [newest, before] = [records.at(-1) as HistoryRecord, records.at(-2)];
  const other =
    before === undefined ? null : { title: `the run before, ${runName(before)}`, environment: before.environment };
  return {
    title: `ismio history, ${minute(newest.started)}`,
    header: header(trends, records, newest, least),
    sections: [
      {
        id: 'newest',
        title: 'Newest against its past',
        content: table('Each benchmark', columns, flaggedFirst(trends)),
      },
      ...trendSections(trends, records),
      environmentSection(newest.environment, other),
    ],
    data: { report: null, trends },
  };
}

function header(
  trends: readonly Trend[],
  records: readonly HistoryRecord[],
  newest: HistoryRecord,
  least: number,
): Markup {
  const flagged = trends.filter(newestFlagged).length;
  const again = trends.filter(flaggedAgain).length;
  const said =
    flagged === 0
      ? html`<b class="reached">● No newest run is outside its past.</b>`
      : html`<b class="missed">▲ ${counted(flagged, 'benchmark')} outside the past, ${again} twice running.</b>`;
  return html`<h1>History of ${counted(records.length, 'run')}</h1>
<p>${said} A run is flagged beyond the upper quartile plus three interquartile ranges of the runs before it on the same machine, and by ${figure(least * 100)} % at least; ${pastNeeded} are needed.</p>
<p class="muted">Newest: ${runName(newest)}</p>`;
}

function runName({ commit, started }: HistoryRecord): string {
  return `${shortCommit(commit) ?? 'no commit'}, ${minute(started)}`;
}

function flaggedFirst(trends: readonly Trend[]): Trend[] {
  return [...trends].sort((a, b) => Number(newestFlagged(b)) - Number(newestFlagged(a)));
}

const columns: readonly Column<Trend>[] = [
  { title: 'benchmark', cell: (trend) => name(trend.name) },
  {
    title: 'machine',
    cell: ({ machine, quick }) => html`<code>${machine.slice(0, 8)}</code>${quick ? ', quick' : null}`,
  },
  { title: 'runs', cell: ({ points }) => String(points.length), by: ({ points }) => points.length },
  {
    title: 'newest',
    cell: ({ points, unit }) => quantity(points.at(-1)?.median ?? 0, unit),
    by: ({ points }) => points.at(-1)?.median ?? null,
  },
  { title: 'median of past', cell: (trend) => ofPast(trend, (past) => quantity(past, trend.unit)), by: pastMedian },
  { title: 'change', cell: (trend) => ofPast(trend, (past) => changeFrom(past, trend)), by: changeRatio },
  { title: 'judged', cell: judged },
];

function ofPast(trend: Trend, text: (past: number) => string): string {
  const past = pastMedian(trend);
  return past === null ? '' : text(past);
}

function changeFrom(past: number, { points }: Trend): string {
  return past > 0 ? change((points.at(-1)?.median ?? past) / past) : '';
}

function changeRatio(trend: Trend): number | null {
  const past = pastMedian(trend);
  return past === null || past <= 0 ? null : (trend.points.at(-1)?.median ?? past) / past;
}

function judged(trend: Trend): Markup | string {
  if (flaggedAgain(trend)) return html`<b class="missed">▲ outside its past again</b>`;
  if (newestFlagged(trend)) return html`<b class="missed">▲ outside its past</b>`;
  const past = trend.points.length - 1;
  return past < pastNeeded ? `${past} before it; ${pastNeeded} are needed` : 'as usual';
}

/** One for each machine, and for quick runs. */
function trendSections(trends: readonly Trend[], records: readonly HistoryRecord[]): Section[] {
  const groups = new Map<string, number[]>();
  for (const [index, { machine, quick }] of trends.entries()) {
    const key = JSON.stringify([machine, quick]);
    groups.set(key, [...(groups.get(key) ?? []), index]);
  }
  return [...groups.values()].map((indexes, number) => {
    const { machine, quick } = trends[indexes[0] as number] as Trend;
    const { environment } = records.findLast((record) => record.machine === machine) as HistoryRecord;
    const content = html`<p class="muted">${environment.cpu}, ${counted(environment.cores, 'core')}. Dashed: the fence, beyond which a run is flagged.</p>
<div class="trends">${indexes.map((index) => trendFigure(index, trends[index] as Trend))}</div>`;
    return { id: `trends-${number}`, title: `Trends on ${machine.slice(0, 8)}${quick ? ', quick' : ''}`, content };
  });
}

function trendFigure(index: number, trend: Trend): Markup {
  return html`<figure class="chart" data-chart="trend" data-trend="${index}">
<figcaption>${name(trend.name)}</figcaption>
<div class="drawing"></div>
</figure>\n`;
}
