// ismio bench: the package measured against its floors, here.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import type { Probe } from '../../bench/probe.js';
import type { BenchReport } from '../../bench/results.js';
import type { BenchOptions } from '../../bench/run.js';
import type { Workload } from '../../bench/workload.js';
import { usageError } from './failure.js';
import { print, printJson } from './output.js';
import { parsePattern } from './pattern.js';
import { Progress } from './progress.js';
import { addResultOptions, prepareResults, type ResultOptions } from './results.js';

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
    .option('--suite <file>', "measure a module's workloads instead");
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
  if (options.list === true) return toPrintJson ? printJson(listed(chosen)) : list(chosen);
  const write = await prepareResults(options);
  const report = await measure(what, chosen.length);
  const { benchTable } = await import('../../bench/table.js');
  const files = await write(report, () => (toPrintJson ? printJson(report) : print(benchTable(report))));
  if (!toPrintJson) for (const file of files) print(`wrote ${file}`);
}

function suiteURL(file: string): URL {
  if (!existsSync(file)) throw usageError(`there is no file ${file} with a suite`);
  return pathToFileURL(resolve(file));
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

function list(entries: readonly (Workload | Probe)[]): void {
  const width = Math.max(...entries.map(({ name }) => name.length));
  for (const { name, title, quick } of listed(entries)) print(`${quick ? '*' : ' '} ${name.padEnd(width)}  ${title}`);
}

async function measure(what: BenchOptions, total: number): Promise<BenchReport> {
  const { runBench } = await import('../../bench/run.js');
  using progress = new Progress('measuring', total);
  return await runBench({ ...what, onStart: (name, done) => progress.at(done, name) });
}
