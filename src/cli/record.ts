// ismio record: runs a program and records every region that it opens.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { checkPlace, suffixes, writeError } from '../record/place.js';
import { exitCodes } from './failure.js';
import { count } from './output.js';

interface RecordOptions {
  output: string;
  payload: boolean;
}

const notes = `
Whatever COMMAND starts is recorded as well; each process and Worker has a file of its own: FILE, FILE.2, .. in the order in
which they opened their first regions. The exit code is that of COMMAND, 127 when it cannot be started; where that is 0, it is
1 when something was not recorded, or not to its end: stderr says what and why.

Examples:
  ismio record -o boot.ismrec -- node program.js --fast
  ismio record -o boot.ismrec --no-payload -- npm start`;

export function recordCommand(): Command {
  return new Command('record')
    .summary('run a program and record its operations')
    .description('run a program that uses ismio, and record every operation on the regions that it opens')
    .requiredOption('-o, --output <file>', 'the recording; it is there when the program has ended')
    .option('--no-payload', 'record what was done, but not the bytes')
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

async function record(command: string, args: readonly string[], { output, payload }: RecordOptions): Promise<void> {
  const path = resolve(output);
  const folder = makeFolder(path);
  const code = await run(command, args, folder, payload);
  const told = await collect(folder, path);
  for (const { line } of told) process.stderr.write(`ismio: ${line}\n`);
  process.exitCode = code === 0 && told.some(({ whole }) => !whole) ? exitCodes.failed : code;
}

/** Beside the recording, so that it can be renamed to it. */
function makeFolder(path: string): string {
  checkPlace(path);
  try {
    return mkdtempSync(join(dirname(path), `.${basename(path)}.`));
  } catch (cause) {
    throw writeError(path, cause, 'the program was not started');
  }
}

/** Runs the program with this one's terminal. Its exit code; as a shell has it when a signal has ended it. */
function run(command: string, args: readonly string[], folder: string, payload: boolean): Promise<number> {
  const env = { ...process.env, ISMIO_RECORD: folder, ISMIO_RECORD_PAYLOAD: payload ? '1' : '0' };
  return new Promise<number>((done, fail) => {
    const child = spawn(command, args, { stdio: 'inherit', env });
    // The terminal sends an interrupt to both; what is sent to this one alone is handed on.
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', pass).on('SIGHUP', pass);
    child.on('error', fail);
    child.on('close', (code, signal) => done(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  }).catch(({ code }: NodeJS.ErrnoException) => {
    process.stderr.write(`ismio: cannot run ${command}: ${code}\n`);
    return 127;
  });
}

/** Gives the recordings their names. What cannot have its name stays in the folder, which then stays as well. */
async function collect(folder: string, path: string): Promise<Told[]> {
  const failed: Told[] = [];
  const found: Found[] = [];
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (name.endsWith(suffixes.failed)) failed.push(failure(file));
    else found.push(await look(file));
  }
  found.sort((a, b) => (a.started < b.started ? -1 : 1));
  const told = found.map((one, index) => place(one, index === 0 ? path : `${path}.${index + 1}`)).concat(failed);
  if (told.length === 0) told.push({ line: 'nothing was recorded: the program opened no region', whole: true });
  try {
    rmdirSync(folder);
  } catch (error) {
    told.push({ line: `recordings are left in ${folder}: ${(error as NodeJS.ErrnoException).code}`, whole: false });
  }
  return told;
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
    const { started, operations, regions } = await inspectRecording(file);
    const says = `recorded ${count(operations, 'operation')} on ${count(regions.length, 'region')} in ${file}`;
    return { file, started, says, whole: true };
  } catch (error) {
    // A process that was ended by force: what it has written may still be of use.
    return { file, started: '~', says: `recorded in part: ${(error as Error).message}`, whole: false };
  }
}

function place({ file, says, whole }: Found, target: string): Told {
  try {
    renameSync(file, target);
    return { line: says.replaceAll(file, target), whole };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { line: `${says}: it cannot be renamed to ${target}: ${code}`, whole: false };
  }
}
