// The page of a run.
import type { BenchReport, BenchResult } from '../../results.js';
import { counted, duration, exact, figure, median, minute, quantity, shortCommit, times } from '../figures.js';
import { environmentSection, type Other, skippedSection } from './environment.js';
import { html, type Markup, name } from './markup.js';
import { chart, type Page, type Section } from './page.js';
import { type Column, table } from './table.js';

export function benchPage(report: BenchReport, other: Other | null): Page {
  const { results } = report;
  const sections = [
    ...floorSection(results),
    { id: 'results', title: 'Results', content: resultTable(results) },
    ...distributionSection(results),
    ...scalingSection(results),
    ...stageSection(results),
    environmentSection(report.environment, other),
    ...skippedSection(report.skipped),
  ];
  const title = `ismio bench, ${minute(report.started)}`;
  return { title, header: header(report), sections, data: { report, trends: [] } };
}

function header({ version, commit, started, seconds, quick, environment, results }: BenchReport): Markup {
  const aimed = results.filter(({ reached }) => reached !== null);
  const missed = aimed.filter(({ reached }) => reached === false).length;
  const of = commit === null ? null : html` <code>${shortCommit(commit)}</code>`;
  return html`<h1>${counted(results.length, 'benchmark')} of ismio ${version}${of}</h1>
<p>${targets(aimed.length, missed)} Less is better. Floors are measured in the same run.${quick ? ' A quick run: for a first look, not for a claim.' : null}</p>
<p class="muted">${minute(started)}, ${figure(seconds)} s, ${environment.cpu}, ${counted(environment.cores, 'core')}, load ${figure(environment.load)}</p>`;
}

function targets(aimed: number, missed: number): Markup | null {
  if (aimed === 0) return null;
  if (missed === 0) return html`<b class="reached">● All ${counted(aimed, 'target')} reached.</b>`;
  return html`<b class="missed">▲ ${missed} of ${counted(aimed, 'target')} missed.</b>`;
}

function floorSection(results: readonly BenchResult[]): Section[] {
  if (!results.some(({ ratio }) => ratio !== null)) return [];
  const caption = html`How many times faster than its floor: right of 1 is faster. A bar across is the target.`;
  return [{ id: 'floors', title: 'Against the floors', content: chart('floors', caption) }];
}

const resultColumns: readonly Column<BenchResult>[] = [
  { title: 'benchmark', cell: ({ name: text, title }) => html`${name(text)}<span class="muted below">${title}</span>` },
  {
    title: 'median',
    cell: median,
    by: ({ measured }) => measured.median,
  },
  { title: '±', hint: 'median absolute deviation', cell: mad, by: ({ measured }) => measured.mad },
  { title: 'batches', cell: ({ measured }) => exact(measured.samples), by: ({ measured }) => measured.samples },
  { title: 'floor', cell: floorOf, by: ({ floor }) => floor?.median ?? null },
  {
    title: 'faster by',
    cell: ({ ratio, target }) => (ratio === null ? '' : times(ratio, target)),
    by: ({ ratio }) => ratio,
  },
  { title: 'target', cell: targetOf },
  {
    title: 'operations',
    hint: 'of one batch',
    cell: ({ operations }) => exact(operations),
    by: (one) => one.operations,
  },
  { title: 'bytes', hint: 'of one batch', cell: ({ bytes }) => exact(bytes), by: ({ bytes }) => bytes },
  {
    title: 'issued',
    hint: 'device operations of one batch',
    cell: ({ issued }) => (issued === null ? '' : exact(issued)),
    by: ({ issued }) => issued,
  },
];

const noteColumn: Column<BenchResult> = { title: 'note', wide: true, cell: ({ note }) => note ?? '' };

function resultTable(results: readonly BenchResult[]): Markup {
  const columns = results.some(({ note }) => note !== null) ? [...resultColumns, noteColumn] : resultColumns;
  return table('All results', columns, results);
}

function mad({ measured, unit }: BenchResult): string {
  return quantity(measured.mad, unit);
}

function floorOf({ floor, unit }: BenchResult): Markup | string {
  if (floor === null) return '';
  return html`${quantity(floor.median, unit)}<span class="muted below">${floor.title}</span>`;
}

function targetOf({ target, reached }: BenchResult): Markup | string {
  if (target === null) return '';
  const wanted = 'atLeast' in target ? `at least ${exact(target.atLeast)}` : `at most ${exact(target.atMost)}`;
  return reached === false ? html`<b class="missed">▲ ${wanted}</b>` : html`<span class="reached">● ${wanted}</span>`;
}

function distributionSection(results: readonly BenchResult[]): Section[] {
  if (results.length === 0) return [];
  const caption = html`Quartiles of the rounds’ medians and, hollow below, of the floor’s. Lines reach to the least and the greatest.`;
  return [{ id: 'distributions', title: 'Distributions', content: chart('spreads', caption) }];
}

function scalingSection(results: readonly BenchResult[]): Section[] {
  if (!results.some(({ scale }) => scale !== null)) return [];
  const caption = html`Median of each point of a curve; dashed, its floor. Both axes are logarithmic.`;
  return [{ id: 'scaling', title: 'Scaling', content: chart('scaling', caption) }];
}

function stageSection(results: readonly BenchResult[]): Section[] {
  const staged = results.filter(({ stages }) => stages !== null);
  if (staged.length === 0) return [];
  const stages = [...new Set(staged.flatMap(({ stages }) => Object.keys(stages ?? {})))];
  const columns: Column<BenchResult>[] = [
    { title: 'benchmark', cell: (one) => name(one.name) },
    ...stages.map((stage) => ({
      title: stage,
      cell: (one: BenchResult) => (one.stages?.[stage] === undefined ? '' : duration(one.stages[stage])),
      by: (one: BenchResult) => one.stages?.[stage] ?? null,
    })),
  ];
  const content = html`${chart('stages', 'Where the time of one operation goes, as a share; its sum on the right.')}
${table('Time of one operation, by stage', columns, staged)}`;
  return [{ id: 'stages', title: 'Stages', content }];
}
