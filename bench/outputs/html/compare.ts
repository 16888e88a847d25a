// The page of a comparison.
import type { ComparedCount, ComparedTime, CompareReport, Distribution, Side, Verdict } from '../../results.js';
import { change, counted, exact, figure, minute, quantity, ratio, shortCommit } from '../figures.js';
import { distance, marks, tally, verdicts, worstFirst } from '../verdicts.js';
import { environmentSection, type Other, skippedSection } from './environment.js';
import { html, type Markup, name } from './markup.js';
import { chart, type Page, type Section } from './page.js';
import { type Column, table } from './table.js';

export function comparePage(report: CompareReport, other: Other | null): Page {
  const sections = [
    ...timeSections(report),
    ...countSection(report),
    ...instructionSection(report),
    environmentSection(report.environment, other),
    ...skippedSection(report.skipped),
    runSection(report),
  ];
  const title = `${report.verdict}: ${report.head.spec} against ${report.base.spec}`;
  return { title, header: header(report), sections, data: { report, trends: [] } };
}

const meanings: Readonly<Record<Verdict, string>> = {
  pass: 'Nothing got slower or faster by more than is tolerated.',
  regressed: 'Head is slower, or does more: two rounds, or an exact count, say so.',
  improved: 'Head is faster, or does less, and nothing is slower.',
  inconclusive: 'Neither a slowdown nor its absence was shown. Run it again.',
  contaminated: 'The base differs from itself: the machine was not quiet enough for a verdict. Run it again.',
};

function header(report: CompareReport): Markup {
  const { verdict, base, head, started, environment, quick } = report;
  const all = [...report.counters, ...report.instructions, ...report.times];
  const said = all.length === 0 ? 'Nothing was compared.' : `${meanings[verdict]} ${tally(all)}.`;
  return html`<h1 class="${verdict}"><span class="mark" aria-hidden="true">${marks[verdict]}</span> ${verdict}</h1>
<p>${side(head)} against ${side(base)}${quick ? ', quick' : ''}</p>
<p>${said}</p>
<p class="muted">${minute(started)}, ${environment.cpu}, ${counted(environment.cores, 'core')}</p>`;
}

function side({ spec, version, commit }: Side): Markup {
  const of = commit === null ? html`` : html`, <code>${shortCommit(commit)}</code>`;
  return html`<b>${name(spec)}</b> <span class="muted">(${version}${of})</span>`;
}

function timeSections({ times, options }: CompareReport): Section[] {
  if (times.length === 0) return [];
  const band = figure(options.delta * 100);
  const ratios = html`${chart(
    'ratios',
    html`Head over base with its interval: right of 1 is slower. The band is the ${band} % that do not count;
of what was measured in alternating processes, more than that does not, as the table says.
Below each, hollow: the base over itself, the null arm. ${verdicts.map(judged)}`,
  )}
${table(
  'Wall time',
  timeColumns,
  worstFirst(times, ({ overall }) => distance(overall.ratio)),
)}`;
  const distributions = html`${chart(
    'processes',
    'One dot for each process: the median of its ratios. Below each, hollow: the null arm.',
  )}
${chart('boxes', 'Quartiles of the times of head and, hollow below it, of base, as a share of the base’s median. Lines reach to the least and the greatest.')}`;
  return [
    { id: 'ratios', title: 'Ratios', content: ratios },
    { id: 'distributions', title: 'Distributions', content: distributions },
  ];
}

const timeColumns: readonly Column<ComparedTime>[] = [
  { title: 'verdict', cell: ({ verdict }) => judged(verdict) },
  { title: 'benchmark', cell: ({ name: text, title }) => html`${name(text)}<span class="muted below">${title}</span>` },
  { title: 'head/base', cell: ({ overall }) => ratio(overall.ratio), by: ({ overall }) => overall.ratio },
  { title: 'change', cell: ({ overall }) => change(overall.ratio), by: ({ overall }) => overall.ratio },
  {
    title: 'interval',
    hint: 'bootstrap over the processes, after Holm’s correction',
    cell: ({ overall: { low, high, level } }) => {
      return html`<span title="at a level of ${figure(level)}">${ratio(low)} to ${ratio(high)}</span>`;
    },
    by: ({ overall }) => overall.low,
  },
  {
    title: 'null arm',
    hint: 'base over itself',
    cell: ({ nullOverall }) => ratio(nullOverall.ratio),
    by: ({ nullOverall }) => nullOverall.ratio,
  },
  { title: 'base', cell: ({ base, unit }) => spread(base, unit), by: ({ base }) => base.median },
  { title: 'head', cell: ({ head, unit }) => spread(head, unit), by: ({ head }) => head.median },
  { title: 'rounds', cell: ({ rounds }) => String(rounds.length), by: ({ rounds }) => rounds.length },
  {
    title: 'why',
    wide: true,
    cell: ({ reason, method, delta }) =>
      html`${reason}<span class="muted below">${method}, from ${figure(delta * 100)} % on</span>`,
  },
];

function spread({ q1, median, q3 }: Distribution, unit: string): Markup {
  return html`<span title="quartiles ${quantity(q1, unit)}, ${quantity(q3, unit)}">${quantity(median, unit)}</span>`;
}

function judged(verdict: Verdict): Markup {
  return html`<span class="verdict ${verdict}"><span class="mark" aria-hidden="true">${marks[verdict]}</span> ${verdict}</span> `;
}

type Count = Omit<ComparedCount, 'counter'> & { readonly counter?: string };

function countSection({ counters }: CompareReport): Section[] {
  if (counters.length === 0) return [];
  const [verdict, benchmark, ...figures] = countColumns;
  const counts: Column<Count> = { title: 'counts', cell: ({ counter = '' }) => counter };
  const columns = [verdict, benchmark, counts, ...figures] as Column<Count>[];
  const content = folded('Exact counters of the same work', columns, counters);
  return [{ id: 'counters', title: 'Counters', content }];
}

function instructionSection({ instructions }: CompareReport): Section[] {
  if (instructions.length === 0) return [];
  const content = folded('Instructions of the native core for one operation', countColumns, instructions);
  return [{ id: 'instructions', title: 'Instructions', content }];
}

/** What was found, and the many others folded away. */
function folded(caption: string, columns: readonly Column<Count>[], counts: readonly Count[]): Markup {
  const sorted = worstFirst(counts, ({ base, head }) => (base === head ? 0 : distance(head / base)));
  const found = sorted.filter(({ verdict }) => verdict !== 'pass');
  const passed = sorted.filter(({ verdict }) => verdict === 'pass');
  return html`${found.length === 0 ? null : table(caption, columns, found)}
<details>
<summary>${counted(passed.length, 'count')} within the tolerance</summary>
${table(`${caption}, within the tolerance`, columns, passed)}
</details>`;
}

const countColumns: readonly Column<Count>[] = [
  { title: 'verdict', cell: ({ verdict }) => judged(verdict) },
  { title: 'benchmark', cell: (one) => name(one.name) },
  { title: 'base', cell: ({ base }) => exact(base), by: ({ base }) => base },
  { title: 'head', cell: ({ head }) => exact(head), by: ({ head }) => head },
  {
    title: 'change',
    cell: ({ base, head }) => (base > 0 ? change(head / base) : exact(head - base)),
    by: ({ base, head }) => (base > 0 ? head / base : head - base),
  },
  { title: 'tolerance', cell: ({ tolerance }) => `${figure(tolerance * 100)} %`, by: ({ tolerance }) => tolerance },
];

function runSection({ options, seed, seconds, version }: CompareReport): Section {
  const facts: [string, string][] = [
    ['compared by', `ismio ${version}`],
    ['seed', String(seed)],
    ['took', `${figure(seconds)} s`],
    ['a change counts from', `${figure(options.delta * 100)} %`],
    ['processes of a round', String(options.processes)],
    ['pairs of slices in each', `${exact(options.slices)} of ${figure(options.sliceMilliseconds)} ms`],
    ['level of the suite', figure(options.level)],
  ];
  const columns = [
    { title: 'what', cell: ([what]: [string, string]) => what },
    { title: 'here', cell: ([, value]: [string, string]) => value },
  ];
  return { id: 'run', title: 'How it was run', content: table('Options and seed', columns, facts) };
}
