// ismio record: runs a program and records every region that it opens.
import { spawn } from 'node:child_process';
import {
  closeSync,
  constants as fs,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { magic } from '../record/format.js';
import { findPlace, recordingError } from '../record/place.js';
import { suffixes } from '../record/suffixes.js';
import { type Place, placeOf } from '../support/files/place.js';
import { moveTo, temporaryName } from '../support/files/write.js';
import { harmless } from '../support/text.js';
import { exitCodes } from './failure.js';
import { count } from './output.js';

interface RecordOptions {
  output: string;
  payload: boolean;
  loads?: boolean;
}

const notes = `
Whatever COMMAND starts is recorded as well; each process and Worker has a file of its own: FILE, FILE.2, .. in the order in
which they opened their first regions. The exit code is that of COMMAND, 127 when it cannot be started; where that is 0, it is
1 when something was not recorded, or not to its end: stderr says what and why.

Examples:
  ismio record -o boot.ismrec -- node program.js --fast
  ismio record -o boot.ismrec --no-payload -- npm start
  ismio record -o boot.ismrec --loads -- node driver.js`;

export function recordCommand(): Command {
  return new Command('record')
    .summary('run a program and record its operations')
    .description('run a program that uses ismio, and record every operation on the regions that it opens')
    .requiredOption('-o, --output <file>', 'the recording; it is there when the program has ended')
    .option('--no-payload', 'record what was done, but not the bytes')
    .addOption(new Option('--loads', 'record the bytes that are loaded as well').conflicts('payload'))
    .argument('<command>', 'the program, after --')
    .argument('[args...]', 'its arguments')
    .addHelpText('after', notes)
    .action(record);
}

/** What became of the recording of one thread of the program. */
interface Told {
  readonly line: string;
  readonly whole: boolean;
}

async function record(
  command: string,
  args: readonly string[],
  { output, payload, loads = false }: RecordOptions,
): Promise<void> {
  const there = findPlace(output);
  const folder = makeFolder(output, there);
  const code = await run(command, args, environmentOf(folder, payload, loads));
  const told = await collect(folder, output, there.what === 'file');
  for (const { line } of told) process.stderr.write(`ismio: ${harmless(line)}\n`);
  process.exitCode = code === 0 && told.some(({ whole }) => !whole) ? exitCodes.failed : code;
}

/** Beside the recording, so that it can be renamed to it; elsewhere where it will be copied anyway. */
function makeFolder(output: string, place: Place): string {
  const beside = place.what === 'file' ? place.path : join(tmpdir(), 'ismio');
  const random = 'XXXXXX'; // so many letters mkdtemp puts at the end
  const make = (path: string): string =>
    mkdtempSync(join(dirname(path), temporaryName(basename(path), random).slice(0, -random.length)));
  try {
    return make(beside);
  } catch (cause) {
    if (place.what === 'file' && place.there !== null) return make(join(tmpdir(), 'ismio'));
    throw recordingError(output, cause, 'the program was not started');
  }
}

/** Has the program recorded, whatever a recording has told that this one is a part of. */
function environmentOf(folder: string, payload: boolean, loads: boolean): NodeJS.ProcessEnv {
  const flag = (on: boolean): string => (on ? '1' : '0');
  return {
    ...process.env,
    ISMIO_RECORD: folder,
    ISMIO_RECORD_PAYLOAD: flag(payload),
    ISMIO_RECORD_LOADS: flag(loads),
  };
}

/** Runs the program with this one's terminal. Its exit code; as a shell has it when a signal has ended it. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise<number>((done, fail) => {
    const child = spawn(command, args, { stdio: 'inherit', env });
    // The terminal sends an interrupt to both; what is sent to this one alone is handed on.
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', pass).on('SIGHUP', pass);
    child.on('error', fail);
    child.on('close', (code, signal) => done(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  }).catch(({ code }: NodeJS.ErrnoException) => {
    process.stderr.write(`ismio: cannot run ${harmless(command)}: ${code}\n`);
    return 127;
  });
}

/** Gives the recordings their names. What cannot have its name stays in the folder, which then stays as well. */
async function collect(folder: string, output: string, named: boolean): Promise<Told[]> {
  const failed: Told[] = [];
  const found: Found[] = [];
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (name.endsWith(suffixes.failed)) failed.push(failure(file));
    else found.push(await look(file));
  }
  found.sort((a, b) => (a.started < b.started ? -1 : 1));
  const told = found.map((one, index) => place(one, nameOf(output, index, named))).concat(failed);
  if (told.length === 0) told.push({ line: 'nothing was recorded: the program opened no region', whole: true });
  if (named) told.push(...earlier(output, found.length));
  try {
    rmdirSync(folder);
  } catch (error) {
    told.push({ line: `recordings are left in ${folder}: ${(error as NodeJS.ErrnoException).code}`, whole: false });
  }
  return told;
}

/** FILE, FILE.2, ..; null for what has no name: there is one standard output. */
function nameOf(output: string, index: number, named: boolean): string | null {
  if (index === 0) return output;
  return named ? `${output}.${index + 1}` : null;
}

/** What an earlier run with more processes has left would be taken for a part of this one: it goes, and that is told. */
function earlier(output: string, recordings: number): Told[] {
  const told: Told[] = [];
  if (recordings === 0 && isRecording(output)) {
    told.push({ line: `${output} is of an earlier run, not of this one`, whole: true });
  }
  for (let number = Math.max(recordings + 1, 2); isRecording(`${output}.${number}`); number++) {
    try {
      rmSync(`${output}.${number}`);
      told.push({ line: `removed ${output}.${number}, which was of an earlier run`, whole: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      told.push({ line: `${output}.${number} is of an earlier run, and cannot be removed: ${code}`, whole: true });
    }
  }
  return told;
}

function isRecording(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, fs.O_RDONLY | fs.O_NONBLOCK);
  } catch {
    return false; // nothing that could be taken for one
  }
  try {
    const bytes = new Uint8Array(magic.length);
    return readSync(file, bytes, 0, bytes.length, 0) === bytes.length && magic.every((byte, at) => bytes[at] === byte);
  } catch {
    return false;
  } finally {
    closeSync(file);
  }
}

/** Why a thread has no recording. */
function failure(file: string): Told {
  let reason: string;
  try {
    reason = readFileSync(file, 'utf8') || 'there was no room for the reason';
    rmSync(file);
  } catch (error) {
    reason = (error as Error).message;
  }
  return { line: `a part of the program was not recorded: ${reason}`, whole: false };
}

interface Found {
  readonly file: string;
  readonly started: string;
  readonly says: string;
  readonly whole: boolean;
}

async function look(file: string): Promise<Found> {
  const { inspectRecording } = await import('../record/operations.js');
  try {
    const { started, operations, regions, whole } = await inspectRecording(file, { partial: true });
    const what = `${count(operations, 'operation')} on ${count(regions.length, 'region')} in ${file}`;
    const says = whole
      ? `recorded ${what}`
      : `recorded in part: ${what}; its process was ended before the recording was`;
    return { file, started, says, whole };
  } catch (error) {
    return { file, started: '~', says: `nothing can be replayed: ${(error as Error).message}`, whole: false };
  }
}

function place({ file, says, whole }: Found, target: string | null): Told {
  if (target === null) return { line: `${says}: the output takes one recording alone`, whole: false };
  try {
    moveTo(file, placeOf(target));
    return { line: says.replaceAll(file, target), whole };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { line: `${says}: it cannot be renamed to ${target}: ${code}`, whole: false };
  }
}
