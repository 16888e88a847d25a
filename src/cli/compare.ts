// ismio compare: does head make anything slower than base was?
import { Command, InvalidArgumentError } from 'commander';
import type { CompareOptions, Watcher } from '../../bench/compare/options.js';
import { parseCount } from './numbers.js';
import { print, printJson, say } from './output.js';
import { parsePattern } from './pattern.js';
import { Progress } from './progress.js';
import { addResultOptions, prepareResults, type ResultOptions } from './results.js';
import { parseShare, parseTolerance } from './shares.js';
import { suiteOption, suiteURL } from './suite.js';

interface Options extends ResultOptions {
  quick: boolean;
  filter?: RegExp;
  suite?: string;
  seed?: number;
  delta: number;
  level: number;
  processes: number;
  counterTolerance: number;
  instructionTolerance: number;
  instructions: boolean;
  times: boolean;
}

const notes = `
BASE and HEAD are each a git ref, a directory with a checkout or an installed package, or a packed tarball (.tgz).
Refs are built in the cache folder ($XDG_CACHE_HOME/ismio/builds) and kept.

Three gates: exact counters (device operations, bytes, merges, crossings, copies), instructions of the native core
(valgrind), and wall time in paired slices, with base against itself beside it.

Verdicts: pass, regressed, improved, inconclusive, contaminated. Exit codes: 0 pass or improved, 1 regressed,
2 inconclusive or contaminated, 3 it could not run.

Examples:
  ismio compare main HEAD --quick
  ismio compare v0.1.0 . --filter '^queue/' --report report
  ismio compare v0.1.0 . --suite ./my-workloads.js
  ismio compare main HEAD --no-times
  ismio compare ismio-0.1.0.tgz ismio-0.2.0.tgz --json results.json`;

export function compareCommand(): Command {
  const command = new Command('compare')
    .summary('say whether one build is slower than another')
    .description('compare two builds: what they issue, execute and take')
    .argument('<base>', 'what was before')
    .argument('<head>', 'what is now')
    .option('--quick', 'only a handful of benchmarks; under four minutes', false)
    .option('--filter <regex>', 'only benchmarks whose name matches', parsePattern)
    .option(...suiteOption)
    .option('--seed <number>', 'repeats the chance of an earlier run (default: a new one)', parseSeed)
    .option('--delta <share>', 'a smaller change is none', parseShare, 0.02)
    .option('--level <share>', 'confidence over the whole suite', parseShare, 0.95)
    .option('--processes <number>', 'fresh processes in a round', parseProcesses, 12)
    .option('--counter-tolerance <share>', 'counters may differ by this share', parseTolerance, 0)
    .option('--instruction-tolerance <share>', 'instructions may differ by this share', parseTolerance, 0.01)
    .option('--no-instructions', 'leave the instructions out')
    .option('--no-times', 'leave the wall time out: what is left is exact, on any machine, and takes seconds');
  return addResultOptions(command).addHelpText('after', notes).action(run);
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (text.trim() !== '' && Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new InvalidArgumentError('It has to be a whole number below 2^32.');
}

/** Six orders of loading the arms are balanced; and an interval drawn from fewer figures is too narrow to trust. */
function parseProcesses(text: string): number {
  const processes = parseCount(text);
  if (processes >= 6 && processes <= 1000) return processes;
  throw new InvalidArgumentError('It has to be from 6 to 1000.');
}

async function run(base: string, head: string, options: Options): Promise<void> {
  const write = await prepareResults(options);
  const { compare } = await import('../../bench/compare/compare.js');
  const { compareText } = await import('../../bench/compare/text.js');
  const report = await compare(await settings(base, head, options), watcher());
  process.exitCode = report.exitCode;
  const toPrintJson = options.json === true;
  const files = await write(report, () => (toPrintJson ? printJson(report) : print(compareText(report))));
  if (!toPrintJson) for (const file of files) print(`wrote ${file}`);
}

async function settings(base: string, head: string, options: Options): Promise<CompareOptions> {
  const { efforts } = await import('../../bench/compare/processes.js');
  const { quick, filter, suite, delta, level, processes, instructions, times } = options;
  const { counterTolerance, instructionTolerance } = options;
  return {
    base,
    head,
    quick,
    ...(filter !== undefined && { filter }),
    ...(suite !== undefined && { suites: [suiteURL(suite).href] }),
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
    delta,
    level,
    counterTolerance,
    instructionTolerance: instructions ? instructionTolerance : null,
    times,
    effort: { ...efforts[quick ? 'quick' : 'full'], processes },
  };
}

/** A line for each step, and a bar for each that lasts. */
function watcher(): Watcher {
  let bar: { label: string; progress: Progress } | null = null;
  return {
    say,
    progress(label, done, total) {
      if (bar?.label !== label) {
        bar?.progress[Symbol.dispose]();
        bar = { label, progress: new Progress(label, total) };
      }
      bar.progress.at(done);
      if (done === total) bar.progress[Symbol.dispose]();
    },
  };
}
