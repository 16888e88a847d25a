// ismio bench: the package measured against its floors, here.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { usageError } from './failure.js';
import { print } from './output.js';
import { parsePattern } from './pattern.js';
import { Progress } from './progress.js';

interface BenchCommandOptions {
  filter?: RegExp;
  quick?: boolean;
  list?: boolean;
  suite?: string;
  json?: string;
}

const notes = `
Each benchmark runs in a process of its own, in turns with its floor: the same work without this package. A figure far from
its target changes no exit code: 0 when everything was measured, 3 when something could not be.

Examples:
  ismio bench --quick                      a first look, some seconds
  ismio bench --filter '^queue/' --json queue.json
  ismio bench --suite ./my-workloads.js    workloads of your own, in a module that exports them as 'workloads'`;

export function benchCommand(): Command {
  return new Command('bench')
    .summary('measure this package against its floors')
    .description('measure this package on this machine, each benchmark against its floor')
    .option('--filter <regex>', 'only benchmarks whose name matches', parsePattern)
    .option('--quick', 'only a handful, with less time for each: for a first look, not for a claim')
    .option('--list', 'print the names, and measure nothing')
    .option('--suite <file>', "measure a module's workloads instead")
    .option('--json <file>', 'write the results there as well')
    .addHelpText('after', notes)
    .action(bench);
}

async function bench(options: BenchCommandOptions): Promise<void> {
  const { chosenEntries, isProbe, runBench } = await import('../../bench/run.js');
  const { filter, json, quick = false, suite } = options;
  const what = {
    quick,
    ...(filter === undefined ? {} : { filter }),
    ...(suite === undefined ? {} : { suites: [suiteURL(suite)] }),
  };
  const chosen = await chosenEntries(what);
  if (options.list === true) {
    const width = Math.max(...chosen.map(({ name }) => name.length));
    for (const entry of chosen) {
      const mark = !isProbe(entry) && entry.quick === true ? '*' : ' ';
      print(`${mark} ${entry.name.padEnd(width)}  ${entry.title}`);
    }
    return;
  }
  const { checkWritable, writeWhole } = await import('../../bench/outputs/write.js');
  if (json !== undefined) checkWritable(json);
  using progress = new Progress('measuring', chosen.length);
  const report = await runBench({ ...what, onStart: (name, done) => progress.at(done, name) });
  progress[Symbol.dispose]();
  const { benchTable } = await import('../../bench/table.js');
  print(benchTable(report));
  if (json === undefined) return;
  writeWhole(json, `${JSON.stringify(report, null, 2)}\n`);
  print(`wrote ${json}`);
}

function suiteURL(file: string): URL {
  if (!existsSync(file)) throw usageError(`there is no file ${file} with a suite`);
  return pathToFileURL(resolve(file));
}
