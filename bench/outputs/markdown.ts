// A summary for people, the verdict first: GitHub's flavour of Markdown.
import type { BenchReport, BenchResult, ComparedTime, CompareReport, Verdict } from '../results.js';
import { change, counted, exact, figure, median, minute, quantity, ratio, shortCommit, times } from './figures.js';
import { code, table, words } from './markdown-text.js';
import { isBench, type Report } from './report.js';
import { distance, tally, worstFirst } from './verdicts.js';

/** Rows of one table: a summary that is too long is not shown at all. */
const mostRows = 100;

export function markdown(report: Report): string {
  const parts = isBench(report) ? ofRun(report) : ofComparison(report);
  return `${[...parts, ...skipped(report), foot(report)].filter((part) => part !== '').join('\n\n')}\n`;
}

function ofRun({ version, commit, quick, results }: BenchReport): string[] {
  const aimed = results.filter(({ reached }) => reached !== null);
  const missed = aimed.filter(({ reached }) => reached === false);
  const verdict = missed.length === 0 ? 'every target reached' : `${missed.length} of ${aimed.length} targets missed`;
  const title = aimed.length === 0 ? counted(results.length, 'benchmark') : verdict;
  const of = `ismio ${words(version)}${commit === null ? '' : ` at ${code(shortCommit(commit) ?? '')}`}`;
  const rows = [...missed, ...results.filter((result) => !missed.includes(result))].map(ofResult);
  return [
    `## ismio bench: ${title}`,
    `${of}${quick ? ', quick: a first look, no claim' : ''}. Medians of one operation; floors are of the same run.`,
    limited(['', 'benchmark', 'median', '±', 'floor', 'faster', 'target'], rows),
  ];
}

function ofResult(result: BenchResult): string[] {
  const { name, unit, measured, floor, ratio, target, reached } = result;
  const wanted = target === null ? '' : 'atLeast' in target ? `at least ${target.atLeast}` : `at most ${target.atMost}`;
  return [
    reached === null ? '' : reached ? '✅' : '❌',
    code(name),
    words(median(result)),
    words(quantity(measured.mad, unit)),
    floor === null ? '' : `${words(quantity(floor.median, unit))}, ${words(floor.title)}`,
    ratio === null ? '' : times(ratio, target),
    wanted,
  ];
}

const icons: Readonly<Record<Verdict, string>> = {
  regressed: '❌',
  contaminated: '⚠️',
  inconclusive: '❔',
  improved: '🚀',
  pass: '✅',
};

function ofComparison(report: CompareReport): string[] {
  const { verdict, base, head, counters, instructions, options } = report;
  const all = [...counters, ...instructions, ...report.times];
  return [
    `## ismio compare: ${icons[verdict]} ${verdict}`,
    `${side(head)} against ${side(base)}: ${tally(all) || 'nothing was compared'}.`,
    ...advice(report),
    section('Counters', counters, countHead, ofCount),
    section('Instructions of the native core', instructions, countHead, (one) =>
      ofCount({ ...one, counter: 'instructions' }),
    ),
    section('Wall time', report.times, timeHead, ofTime),
    report.times.length === 0
      ? ''
      : `Above 1: head is slower. A change of less than ${figure(options.delta * 100)} % counts as none. The null arm is the base against itself.`,
  ];
}

function side({ spec, version, commit }: CompareReport['base']): string {
  const of = [`ismio ${words(version)}`, ...(commit === null ? [] : [code(shortCommit(commit) ?? '')])];
  return `${code(spec)} (${of.join(', ')})`;
}

function advice({ verdict }: CompareReport): string[] {
  if (verdict === 'contaminated') {
    return ['The base differed from itself: the machine was not quiet enough for a verdict. Run it again.'];
  }
  return verdict === 'inconclusive' ? ['Neither a slowdown nor its absence was shown. Run it again.'] : [];
}

const countHead = ['verdict', 'benchmark', 'counts', 'base', 'head', 'change'];
const timeHead = ['verdict', 'benchmark', 'head/base', 'interval', 'null arm', 'base', 'head', 'why'];

function ofCount(one: CompareReport['counters'][number]): string[] {
  const { name, counter, base, head, verdict } = one;
  const changed = base > 0 ? change(head / base) : exact(head - base);
  return [judged(verdict), code(name), words(counter), exact(base), exact(head), base === head ? 'none' : changed];
}

function ofTime({ name, unit, verdict, reason, base, head, overall, nullOverall }: ComparedTime): string[] {
  return [
    judged(verdict),
    code(name),
    `**${ratio(overall.ratio)}** (${change(overall.ratio)})`,
    `${ratio(overall.low)} to ${ratio(overall.high)}`,
    ratio(nullOverall.ratio),
    words(quantity(base.median, unit)),
    words(quantity(head.median, unit)),
    words(reason),
  ];
}

function judged(verdict: Verdict): string {
  return `${icons[verdict]} ${verdict}`;
}

type Judged = { readonly verdict: Verdict };

/** What was found, and the rest folded away below it. */
function section<T extends Judged>(
  title: string,
  items: readonly T[],
  head: readonly string[],
  row: (item: T) => readonly string[],
): string {
  if (items.length === 0) return '';
  const sorted = worstFirst(items, sizeOf);
  const found = sorted.filter(({ verdict }) => verdict !== 'pass').map(row);
  const passed = sorted.filter(({ verdict }) => verdict === 'pass').map(row);
  const parts = [`### ${title}: ${tally(items)}`];
  if (found.length > 0) parts.push(limited(head, found));
  if (passed.length > 0) {
    const summary = `<details><summary>${passed.length.toLocaleString('en')} passed</summary>`;
    parts.push(`${summary}\n\n${limited(head, passed)}\n\n</details>`);
  }
  return parts.join('\n\n');
}

function sizeOf(item: object): number {
  const one = item as Partial<ComparedTime> & { base?: unknown; head?: unknown };
  if (one.overall !== undefined) return distance(one.overall.ratio);
  return distance(Number(one.head) / Number(one.base));
}

function limited(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const shown = table(head, rows.slice(0, mostRows));
  const left = rows.length - mostRows;
  return left > 0 ? `${shown}\n\nand ${left.toLocaleString('en')} more` : shown;
}

function skipped({ skipped }: Report): string[] {
  if (skipped.length === 0) return [];
  const rows = skipped.map(({ name, reason }) => [code(name), words(reason)]);
  return [`### Not run: ${skipped.length.toLocaleString('en')}`, limited(['what', 'why'], rows)];
}

function foot({ environment, started, seconds }: Report): string {
  const { cpu, cores, kernel, node, load } = environment;
  const where = `${words(cpu)}, ${counted(cores, 'core')}, Linux ${words(kernel)}, Node.js ${words(node)}, load ${figure(load)}`;
  return `<sub>${where}. ${minute(started)}, ${Math.round(seconds).toLocaleString('en')} s.</sub>`;
}
