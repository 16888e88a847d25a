// npm run bench:readme -- results.json: puts the figures that have targets into the table of README.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { IsmioError } from '../src/support/errors.js';
import { packageRoot } from '../src/support/package.js';
import { median, quantity, times } from './outputs/figures.js';
import { readBench } from './outputs/read.js';
import { writeWhole } from './outputs/write.js';
import type { BenchReport, BenchResult } from './results.js';

/** What the target is for: times faster than the floor, or the figure itself. */
function value(result: BenchResult): string {
  const { unit, ratio, target, measured } = result;
  if (unit === 'ns/op') return times(ratio ?? Number.NaN, target);
  return unit === 'operations' ? quantity(measured.distribution.max, unit) : median(result);
}

const head = '| subject | floor | measured | target |\n|---|---|---|---|\n';

function row(result: BenchResult): string {
  const { title, floor, target, reached } = result;
  // A probe says in its title what it is against.
  const [subject, against = 'none'] = floor === null ? title.split(', against ') : [title, floor.title];
  const wanted = target !== null && 'atLeast' in target ? `at least ${target.atLeast}` : `at most ${target?.atMost}`;
  return `| ${subject} | ${against} | ${value(result)}${reached === false ? ' (missed)' : ''} | ${wanted} |\n`;
}

/** The README with the rows of these results in its table. */
export function withFigures(readme: string, { results }: BenchReport): string {
  const begin = readme.indexOf(head) + head.length;
  const end = readme.indexOf('\n\n', begin) + 1;
  if (begin < head.length || end === 0) throw new IsmioError('ERR_ISMIO_RESULTS', 'README.md has no table for figures');
  const rows = results.filter(({ target }) => target !== null).map(row);
  return readme.slice(0, begin) + rows.join('') + readme.slice(end);
}

if (process.argv[1] === import.meta.filename) {
  const path = join(packageRoot, 'README.md');
  writeWhole(path, withFigures(readFileSync(path, 'utf8'), readBench(process.argv[2] ?? 'results.json')));
}
