// ismio profile: where the time of a workload goes.
import { Command, InvalidArgumentError, Option } from 'commander';
import { IsmioError } from '../support/errors.js';
import { usageError } from './failure.js';
import { print, printJson, say } from './output.js';
import { parsePattern } from './pattern.js';
import { Progress } from './progress.js';
import { suiteOption, suiteURL } from './suite.js';

interface ProfileCommandOptions {
  seconds: number;
  out?: string;
  of?: string;
  suite?: string;
  json?: boolean;
  instructions?: boolean;
  filter?: RegExp;
}

const notes = `
The workload is one that 'ismio bench --list' shows, or the file of a recording. --out writes trace.json for Perfetto
(https://ui.perfetto.dev), profile.cpuprofile for the developer tools of a browser or editor, and profile.json.

--instructions needs no workload: it compiles the native core without Node.js and counts its instructions for one operation,
scenario by scenario, under valgrind. The counts are the same in every run.

Exit codes: 0 done, 3 it could not run.

Examples:
  ismio profile queue/stores-8B/adjacent
  ismio profile queue/blocks-4KiB/drained --out profile
  ismio profile terminal.ismrec --seconds 5
  ismio profile queue/stores-8B/adjacent --of main     as it was there, without a checkout by hand
  ismio profile --instructions --filter '^queue/'`;

export function profileCommand(): Command {
  return new Command('profile')
    .summary('where the time of a workload goes, stage by stage')
    .description('where the time of a workload goes: stages, latency, a timeline, the CPU profile')
    .argument('[workload]', 'a name of the benchmark, or the file of a recording')
    .addOption(
      new Option('--seconds <n>', 'how long the stages are measured')
        .argParser(parseSeconds)
        .default(2)
        .conflicts('instructions'),
    )
    .addOption(
      new Option('--out <directory>', 'write the timeline, the CPU profile and the numbers there').conflicts(
        'instructions',
      ),
    )
    .addOption(
      new Option('--of <build>', 'profile another build: a git ref, a directory or a tarball, as compare takes them'),
    )
    .addOption(new Option(...suiteOption).conflicts('instructions'))
    .option('--instructions', 'count instructions of the native core instead')
    .option('--filter <regex>', 'with --instructions: only scenarios whose name matches', parsePattern)
    .option('--json', 'print JSON')
    .addHelpText('after', notes)
    .action(profile);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text !== '' && seconds > 0 && seconds <= 3600) return seconds;
  throw new InvalidArgumentError('It has to be a number above 0, and 3600 at most.');
}

async function profile(workload: string | undefined, options: ProfileCommandOptions): Promise<void> {
  const { filter, instructions = false, json = false, of, out, seconds, suite } = options;
  if (instructions !== (workload === undefined)) {
    throw usageError(
      instructions ? '--instructions takes no workload' : 'a workload is missing; ismio bench --list shows them',
    );
  }
  if (instructions) return countInstructions(filter, json, of);
  if (filter !== undefined) throw usageError('--filter is for --instructions');
  const { subjectFor } = await import('../../bench/profile/subject.js');
  const { profile: measure } = await import('../../bench/profile/profile.js');
  const suites = suite === undefined ? undefined : [suiteURL(suite).href];
  using build = of === undefined ? null : await (await import('../../bench/profile/build.js')).loadBuild(of, say);
  const subject = await subjectFor(workload as string, build?.engine, suites);
  const { report, files } = await withProgress('profiling', (onProgress) =>
    measure(subject, { seconds, out, of: build?.side, onProgress }),
  );
  if (json) return printJson(report);
  const { profileTable } = await import('../../bench/profile/table.js');
  print(profileTable(report));
  for (const file of files) print(`wrote ${file}`);
}

type Tell = (share: number, doing: string) => void;

async function withProgress<T>(label: string, work: (tell: Tell) => Promise<T>): Promise<T> {
  using progress = new Progress(label, 100);
  return await work((share, doing) => progress.at(Math.round(share * 100), doing));
}

async function countInstructions(filter: RegExp | undefined, json: boolean, of: string | undefined): Promise<void> {
  const { instructionsOf } = await import('../../bench/instructions.js');
  const { packageRoot } = await import('../support/package.js');
  using build = of === undefined ? null : await (await import('../../bench/profile/build.js')).loadBuild(of, say);
  const root = build?.side.folder ?? packageRoot;
  const found = await withProgress('counting', (onProgress) => instructionsOf(root, filter, 'callgrind', onProgress));
  if ('missing' in found) throw new IsmioError('ERR_ISMIO_BENCH', `instructions cannot be counted: ${found.missing}`);
  if (found.counts.length === 0) throw usageError(`no scenario matches ${filter}; without --filter all are counted`);
  if (json) return printJson(found.counts);
  const width = Math.max(...found.counts.map(({ name }) => name.length));
  print('instructions of the native core for one operation');
  for (const { name, operations, instructions } of found.counts) {
    print(`${name.padEnd(width)} ${(instructions / operations).toFixed(1).padStart(10)}`);
  }
}
