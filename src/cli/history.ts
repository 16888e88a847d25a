// ismio history: results over time, and which of them are out of the ordinary.
import { Command } from 'commander';
import { exitCodes, usageError } from './failure.js';
import { refuseOthers } from './family.js';
import { count, print, printJson } from './output.js';
import { parsePattern } from './pattern.js';
import { parseTolerance } from './shares.js';

const defaultFile = 'history.jsonl';

const examples = `
Runs of another machine, and quick runs, are trends of their own: nothing is mixed. A run is flagged when it is beyond the
upper quartile plus three interquartile ranges of the runs before it, and above that quartile by --delta at least, and there
are ten of those.

Exit codes of show: 0 as usual, 1 the two newest runs of some benchmark are flagged (one can be so by chance), 3 it could not
be shown.

Examples:
  ismio bench --json results.json && ismio history add results.json
  ismio history show
  ismio history show --filter '^queue/' --report history`;

export function historyCommand(): Command {
  return refuseOthers(
    new Command('history')
      .summary('keep results over time, and see what is out of the ordinary')
      .description('keep the results of ismio bench in a file of JSON lines, and show the trend of each benchmark')
      .addHelpText('after', examples)
      .addCommand(addCommand())
      .addCommand(showCommand()),
  );
}

function addCommand(): Command {
  return new Command('add')
    .description('append the results of a run; the same run twice is said, and added once')
    .argument('<results>', 'a file that ismio bench --json has written')
    .option('--file <file>', 'the history', defaultFile)
    .action(add);
}

function showCommand(): Command {
  return new Command('show')
    .description('show the trend of each benchmark, and flag the runs that are out of the ordinary')
    .option('--file <file>', 'the history', defaultFile)
    .option('--filter <regex>', 'only benchmarks whose name matches', parsePattern)
    .option('--delta <share>', 'a run that is slower by less is as usual', parseTolerance, 0.02)
    .option('--json', 'print JSON')
    .option('--report <folder>', 'write an HTML report there as well')
    .action(show);
}

async function add(path: string, { file }: { file: string }): Promise<void> {
  const { readBench } = await import('../../bench/outputs/read.js');
  const { recordOf } = await import('../../bench/history/record.js');
  const { appendRecord } = await import('../../bench/history/file.js');
  const record = recordOf(readBench(path));
  const run = `the run of ${record.started} at ${record.commit ?? 'no commit'}`;
  if (appendRecord(file, record)) print(`added ${run} to ${file}: ${count(record.results.length, 'benchmark')}`);
  else print(`${file} has ${run} already: nothing was added`);
}

interface ShowOptions {
  file: string;
  filter?: RegExp;
  delta: number;
  json?: boolean;
  report?: string;
}

async function show({ file, filter, delta, json = false, report }: ShowOptions): Promise<void> {
  const { readHistory } = await import('../../bench/history/file.js');
  const { flaggedAgain, trendsOf } = await import('../../bench/history/trends.js');
  const { records, ignored } = readHistory(file);
  for (const line of ignored) process.stderr.write(`ismio: ${file}: ${line}; it was ignored\n`);
  const trends = trendsOf(records, filter, delta);
  if (trends.length === 0) throw usageError(`no benchmark in ${file} matches ${filter ?? 'anything'}`);
  const written = report === undefined ? [] : await writePage(report);
  // Before anything is printed: a reader that goes early must not change what was found.
  if (trends.some(flaggedAgain)) process.exitCode = exitCodes.failed;
  if (json) printJson(trends);
  else {
    const { trendTables } = await import('../../bench/history/table.js');
    print(trendTables(trends, records));
    for (const path of written) print(`wrote ${path}`);
  }

  async function writePage(folder: string): Promise<string[]> {
    const { writeHistory } = await import('../../bench/history/page.js');
    return writeHistory(trends, records, folder, delta);
  }
}
