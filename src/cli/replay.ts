// ismio replay: a recording, issued again and checked.
import { statSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { RecordingInfo } from '../record/operations.js';
import type { ReplayOptions } from '../record/replay.js';
import type { ReplayReport } from '../record/report.js';
import type { RecordedRegion } from '../record/run.js';
import type { Region } from '../region/region.js';
import { harmless } from '../support/text.js';
import { exitCodes, reportFailure, usageError } from './failure.js';
import { parseCount } from './numbers.js';
import { count, print, printJson } from './output.js';
import { Progress } from './progress.js';
import {
  addRuleOptions,
  kindOption,
  parseTarget,
  rulesOf,
  type Target,
  type TargetOptions,
  targetForms,
  targetOpener,
} from './target.js';

interface ReplayCommandOptions extends TargetOptions {
  target?: Target;
  region?: number;
  pace: 'full' | 'recorded';
  merge?: 'none' | 'adjacent' | 'any';
  order?: 'strict' | 'relaxed';
  handOver: 'recorded' | 'submit' | 'drain';
  verify: boolean;
  verifyLoads?: boolean;
  memory?: number;
  info?: boolean;
  json?: boolean;
}

const notes = `
Without --target it takes place on emulated regions with the sizes and rules of the recorded ones. With it, one region of the
recording is replayed on the target, the others on emulated ones; its rules are those of the recorded region unless they are given.
After the operations everything that was stored is read back and compared, unless --no-verify says otherwise.

A recording that was interrupted is replayed as far as it is whole: stderr says so, and --json has "whole": false.

Exit codes: 0 the bytes are right, 1 they are not or an operation failed, 3 it could not be replayed.

Examples:
  ismio replay boot.ismrec --info
  ismio replay boot.ismrec --merge adjacent
  ismio replay boot.ismrec --target file:/dev/shm/window --pace recorded`;

export function replayCommand(): Command {
  const command = new Command('replay')
    .summary('issue the operations of a recording again')
    .description('issue the operations of a recording again, and check the bytes')
    .argument('<file>', 'the recording')
    .option('--info', 'tell what is in it, and replay nothing')
    .option('--target <target>', targetForms, parseTarget)
    .option('--region <number>', 'which of its regions is replayed on the target (default: 0)', parseNumber)
    .addOption(
      new Option('--pace <pace>', 'as fast as can be, or as it happened').choices(['full', 'recorded']).default('full'),
    )
    .addOption(new Option('--merge <mode>', 'instead of that of its queues').choices(['none', 'adjacent', 'any']))
    .addOption(new Option('--order <order>', 'instead of that of its queues').choices(['strict', 'relaxed']))
    .addOption(
      new Option('--hand-over <how>', 'how its queues submit')
        .choices(['recorded', 'submit', 'drain'])
        .default('recorded'),
    )
    .option('--no-verify', 'do not read back and compare')
    .option('--verify-loads', 'compare what every load gives with what it gave then (of a recording with --loads)')
    .option('--memory <bytes>', 'what the comparison may take, and emulated regions may hold (default: 2G)', parseCount)
    .addOption(kindOption());
  return addRuleOptions(command).option('--json', 'print JSON').addHelpText('after', notes).action(replay);
}

function parseNumber(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It has to be the number of a region, from 0 on; --info lists them.');
}

async function replay(path: string, options: ReplayCommandOptions): Promise<void> {
  if (options.info === true) {
    const { inspectRecording } = await import('../record/operations.js');
    const info = await orPart(path, 'this is what is in it', (partial) => inspectRecording(path, { partial }));
    if (options.json === true) printJson(info);
    else printInfo(info);
    return;
  }
  const report = await run(path, options);
  if (report.firstFailure !== null) {
    reportFailure(report.firstFailure, 'replay');
    process.exitCode = exitCodes.failed;
  }
}

/** Of a recording that was interrupted, what is whole: never without a word. */
async function orPart<T>(path: string, so: string, take: (partial: boolean) => Promise<T>): Promise<T> {
  try {
    return await take(false);
  } catch (error) {
    const { operations } = error as { operations?: number };
    if (operations === undefined) throw error;
    process.stderr.write(`ismio: ${harmless(path)} was recorded in part: ${count(operations, 'operation')}; ${so}\n`);
    return take(true);
  }
}

interface Opening {
  readonly region: (recorded: RecordedRegion) => Region;
  readonly checkUsed: () => void;
}

async function run(path: string, options: ReplayCommandOptions): Promise<ReplayReport> {
  const { replay: play } = await import('../record/replay.js');
  const { json = false } = options;
  let progress: Progress | null = null;
  if (options.target?.what === 'file' && sameFile(options.target.path, path)) {
    throw usageError(`${path} is the recording: a replay on it would store into what it reads`);
  }
  const { region, checkUsed } = await regionOption(options);
  const settings: ReplayOptions = {
    region,
    ...(options.merge !== undefined && { merge: options.merge }),
    ...(options.order !== undefined && { order: options.order }),
    ...(options.memory !== undefined && { memory: options.memory }),
    pace: options.pace,
    handOver: options.handOver,
    verify: options.verify,
    verifyLoads: options.verifyLoads === true,
    onProgress: (done, total) => {
      progress ??= new Progress('replaying', total);
      progress.at(done);
    },
  };
  try {
    const report = await orPart(path, 'replaying those', (partial) => play(path, { ...settings, partial }));
    checkUsed();
    tell(report, json);
    return report;
  } catch (error) {
    const { code, report } = error as { code?: string; report?: ReplayReport };
    if (code !== 'ERR_ISMIO_MISMATCH' || report === undefined) throw error;
    tell(report, json);
    reportFailure(error, 'replay');
    process.exitCode = exitCodes.failed;
    return { ...report, firstFailure: null };
  } finally {
    (progress as Progress | null)?.[Symbol.dispose]();
  }
}

/** Opens the regions, and tells in the end whether the target was one of them: nobody should believe that it was replayed on. */
async function regionOption(options: ReplayCommandOptions): Promise<Opening> {
  const { target, region: wanted = 0 } = options;
  if (target === undefined && options.kind !== undefined) throw usageError('--kind is for a --target');
  if (target === undefined && options.region !== undefined) throw usageError('--region is for a --target');
  const { emulate } = await import('../region/open.js');
  const open = target === undefined ? null : await targetOpener(target, options, true);
  let used = open === null;
  return {
    region: ({ name, size, kind, rules, number }) => {
      if (open === null || number !== wanted) {
        return emulate({ name, size, kind, rules: { ...rules, ...rulesOf(options) } });
      }
      used = true;
      return open(rules);
    },
    checkUsed: () => {
      if (used) return;
      throw usageError(
        `the recording has no region ${wanted}, so nothing was done on the target; --info lists its regions`,
      );
    },
  };
}

function sameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}

function tell(report: ReplayReport, json: boolean): void {
  const { firstFailure, ...rest } = report;
  if (json) {
    printJson({ ...rest, firstFailure: firstFailure?.message ?? null });
    return;
  }
  const { operations, bytes, batches, seconds, failed, split } = report;
  const rate = seconds > 0 ? Math.round(operations / seconds) : 0;
  print(
    `replayed ${count(operations, 'operation')} (${count(bytes, 'byte')}, ${count(batches, 'batch').replace('batchs', 'batches')}) in ${seconds.toFixed(3)} s: ${rate.toLocaleString('en')} a second`,
  );
  if (split > 0) print(`  ${split} batches were handed over in parts: their bytes are more than a replay holds`);
  if (failed > 0) print(`  ${failed} of them failed`);
  for (const region of report.regions) {
    const { name, loads, stores, storeBlocks, merged, retries, verified, recalled } = region;
    const again = retries > 0 ? `, ${retries} tried again` : '';
    print(
      `  ${harmless(name)}: ${count(loads, 'load')}, ${count(stores, 'store')}, ${count(storeBlocks, 'store block')}, ${merged.toLocaleString('en')} merged${again}`,
    );
    if (verified !== null) {
      const uncertain = verified.uncertain > 0 ? `, ${count(verified.uncertain, 'byte')} uncertain` : '';
      print(
        `    compared ${count(verified.bytes, 'byte')} and ${count(verified.loads, 'load')}${uncertain}; SHA-256 ${verified.sha256}`,
      );
    }
    if (recalled === null) continue;
    const unknown = recalled.unknown > 0 ? `; of ${count(recalled.unknown, 'byte')} nobody is sure` : '';
    print(`    compared ${count(recalled.bytes, 'loaded byte')} with those that were recorded${unknown}`);
  }
}

function printInfo(info: RecordingInfo): void {
  const { path, fileBytes, started, version, payload, loads, operations, bytes, batches, failedBatches, seconds } =
    info;
  print(
    `${harmless(path)}: ${count(fileBytes, 'byte')}, recorded ${harmless(started)} by ismio ${harmless(version)}, ${payload ? 'with' : 'without'} payload${loads ? ', and what was loaded' : ''}`,
  );
  print(`  ${count(operations, 'operation')} in ${seconds.toFixed(3)} s, ${count(bytes, 'byte')} moved`);
  print(`  ${count(info.queues, 'queue')}, ${count(batches, 'batch', 'batches')}, ${failedBatches} of them failed`);
  for (const { number, name, size, kind, rules } of info.regions) {
    const { maxStoreBlock, boundary, alignment, merge, singleStores } = rules;
    print(
      `  region ${number}: ${harmless(name)}, ${count(size, 'byte')}, ${kind}; maxStoreBlock ${maxStoreBlock}, boundary ${boundary}, ${alignment}, ${merge}${singleStores ? '' : ', no single stores'}`,
    );
  }
  print('  operations:');
  for (const [kind, number] of Object.entries(info.kinds))
    print(`    ${number.toLocaleString('en').padStart(14)}  ${kind}`);
  print('  lengths up to:');
  const most = Math.max(1, ...info.lengths.map(([, number]) => number));
  for (const [atMost, number] of info.lengths) {
    const bar = '█'.repeat(Math.ceil((number / most) * 40));
    print(`    ${atMost.toLocaleString('en').padStart(9)}  ${number.toLocaleString('en').padStart(12)}  ${bar}`);
  }
}
