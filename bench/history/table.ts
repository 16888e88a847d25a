// Trends as a table in the terminal.
import Table from 'cli-table3';
import { change, quantity } from '../outputs/figures.js';
import type { Trend } from '../outputs/html/data.js';
import type { HistoryRecord } from './record.js';
import { flaggedAgain, newestFlagged, pastMedian, pastNeeded } from './trends.js';

const levels = '▁▂▃▄▅▆▇█';

/** Points of a sparkline: the newest ones. */
const sparkWidth = 20;

/** The values as a line of bars, the least at the bottom. */
export function sparkline(values: readonly number[]): string {
  const shown = values.slice(-sparkWidth);
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const middle = Math.floor(levels.length / 2) - 1;
  return shown
    .map((value) => (high === low ? middle : Math.round(((value - low) / (high - low)) * (levels.length - 1))))
    .map((level) => levels[level])
    .join('');
}

/** A table for each machine; those of the newest run come last, where one looks first. */
export function trendTables(trends: readonly Trend[], records: readonly HistoryRecord[]): string {
  const groups = new Map<string, Trend[]>();
  for (const { machine, quick } of records) {
    const key = JSON.stringify([machine, quick]);
    groups.delete(key); // so that a group stands where its newest run does
    groups.set(key, []);
  }
  for (const trend of trends) groups.get(JSON.stringify([trend.machine, trend.quick]))?.push(trend);
  return [...groups.values()]
    .filter((group) => group.length > 0)
    .map((group) => `${heading(group[0] as Trend, records)}\n${tableOf(group)}`)
    .join('\n\n');
}

function heading({ machine, quick }: Trend, records: readonly HistoryRecord[]): string {
  const { environment } = records.findLast((record) => record.machine === machine) as HistoryRecord;
  return `machine ${machine}: ${environment.cpu}, ${environment.cores} cores${quick ? '; quick runs' : ''}`;
}

function tableOf(trends: readonly Trend[]): string {
  const table = new Table({
    head: ['benchmark', 'trend', 'runs', 'newest', 'median of past', 'change', ''],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const trend of trends) table.push(row(trend));
  return table.toString();
}

function row(trend: Trend): string[] {
  const { name, unit, points } = trend;
  const newest = points.at(-1)?.median ?? Number.NaN;
  const past = pastMedian(trend);
  return [
    printable(name),
    sparkline(points.map(({ median }) => median)),
    String(points.length),
    quantity(newest, unit),
    past === null ? '' : quantity(past, unit),
    past === null || past <= 0 ? '' : change(newest / past),
    judgement(trend),
  ];
}

function judgement(trend: Trend): string {
  if (flaggedAgain(trend)) return '▲ outside its past again';
  if (newestFlagged(trend)) return '▲ outside its past';
  const past = trend.points.length - 1;
  return past < pastNeeded ? `${past} before it; ${pastNeeded} are needed` : '';
}

/** Without what would move the cursor or colour the terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '\ufffd');
}
