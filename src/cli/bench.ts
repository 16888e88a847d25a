// ismio bench: the package measured against its floors, here.
import { Command } from 'commander';
import type { Probe } from '../../bench/probe.js';
import type { BenchReport } from '../../bench/results.js';
import type { BenchOptions } from '../../bench/run.js';
import type { Workload } from '../../bench/workload.js';
import { usageError } from './failure.js';
import { note, print, printJson } from './output.js';
import { parsePattern } from './pattern.js';
import { Progress } from './progress.js';
import { addResultOptions, prepareResults, type ResultOptions } from './results.js';
import { suiteOption, suiteURL } from './suite.js';

interface BenchCommandOptions extends ResultOptions {
  filter?: RegExp;
  quick?: boolean;
  list?: boolean;
  suite?: string;
}

const notes = `
Each benchmark runs in a process of its own, in turns with its floor: the same work without this package. A figure far from
its target changes no exit code: 0 when everything was measured, 3 when something could not be.

Examples:
  ismio bench --quick                      a first look, some seconds
  ismio bench --filter '^queue/' --json queue.json
  ismio bench --report report              everything, some minutes; report/index.html is for a browser
  ismio bench --suite ./my-workloads.js    workloads of your own, in a module that exports them as 'workloads'`;

export function benchCommand(): Command {
  const command = new Command('bench')
    .summary('measure this package against its floors')
    .description('measure this package on this machine, each benchmark against its floor')
    .option('--filter <regex>', 'only benchmarks whose name matches', parsePattern)
    .option('--quick', 'only a handful, with less time for each: for a first look, not for a claim')
    .option('--list', 'print names and titles, and measure nothing; * is one of the handful')
    .option(...suiteOption);
  return addResultOptions(command).addHelpText('after', notes).action(bench);
}

async function bench(options: BenchCommandOptions): Promise<void> {
  const { chosenEntries } = await import('../../bench/run.js');
  const { filter, quick = false, suite } = options;
  const what = {
    quick,
    ...(filter === undefined ? {} : { filter }),
    ...(suite === undefined ? {} : { suites: [suiteURL(suite)] }),
  };
  const chosen = await chosenEntries(what);
  const toPrintJson = options.json === true;
  if (options.list === true) return await list(chosen, options);
  const write = await prepareResults(options);
  const report = await measure(what, chosen.length);
  const { benchTable } = await import('../../bench/table.js');
  const files = await write(report, () => (toPrintJson ? printJson(report) : print(benchTable(report))));
  if (!toPrintJson) for (const file of files) print(`wrote ${file}`);
}

interface Listed {
  readonly name: string;
  readonly title: string;
  readonly quick: boolean;
}

function listed(entries: readonly (Workload | Probe)[]): Listed[] {
  return entries.map((entry) => {
    const { name, title } = entry;
    return { name, title, quick: 'quick' in entry && entry.quick === true };
  });
}

async function list(entries: readonly (Workload | Probe)[], options: BenchCommandOptions): Promise<void> {
  const { json, report, format, out } = options;
  if ((report ?? format ?? out) !== undefined) throw usageError('--list measures nothing that could be reported');
  const all = listed(entries);
  if (json === true) return printJson(all);
  if (json !== undefined) {
    const { writeWhole } = await import('../../bench/outputs/write.js');
    writeWhole(json, `${JSON.stringify(all, null, 2)}\n`);
  }
  const width = Math.max(...all.map(({ name }) => name.length));
  for (const { name, title, quick } of all) print(`${quick ? '*' : ' '} ${name.padEnd(width)}  ${title}`);
  if (json !== undefined) print(`wrote ${json}`);
}

async function measure(what: BenchOptions, total: number): Promise<BenchReport> {
  const { runBench } = await import('../../bench/run.js');
  using progress = new Progress('measuring', total);
  return await runBench({ ...what, onStart: (name, done) => progress.at(done, name), onNote: note });
}
