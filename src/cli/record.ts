// ismio record: runs a program and records every region that it opens.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { IsmioError } from '../errors.js';
import { count } from './output.js';

interface RecordOptions {
  output: string;
  payload: boolean;
}

const notes = `
Whatever COMMAND starts is recorded as well; each process and Worker has a file of its own: FILE, FILE.2, .. in the order in
which they opened their first regions. The exit code is that of COMMAND; 127 when it cannot be started.

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

async function record(command: string, args: readonly string[], { output, payload }: RecordOptions): Promise<void> {
  const path = resolve(output);
  const folder = makeFolder(path);
  try {
    process.exitCode = await run(command, args, folder, payload);
    for (const line of await collect(folder, path)) process.stderr.write(`ismio: ${line}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Beside the recording, so that it can be renamed to it. */
function makeFolder(path: string): string {
  try {
    return mkdtempSync(join(dirname(path), `.${basename(path)}.`));
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new IsmioError('ERR_ISMIO_WRITE_FILE', `cannot write ${path}: ${code}`, { path, errno: code }, cause);
  }
}

/** Runs the program with this one's terminal. Its exit code; as a shell has it when a signal has ended it. */
function run(command: string, args: readonly string[], folder: string, payload: boolean): Promise<number> {
  const env = { ...process.env, ISMIO_RECORD: folder, ISMIO_RECORD_PAYLOAD: payload ? '1' : '0' };
  return new Promise((done) => {
    const child = spawn(command, args, { stdio: 'inherit', env });
    // The terminal sends an interrupt to both; what is sent to this one alone is handed on.
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', pass).on('SIGHUP', pass);
    child.on('error', ({ code }: NodeJS.ErrnoException) => {
      process.stderr.write(`ismio: cannot run ${command}: ${code}\n`);
      done(127);
    });
    child.on('close', (code, signal) => done(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

/** Gives the recordings their names. What there is to say about them. */
async function collect(folder: string, path: string): Promise<string[]> {
  const { inspectRecording } = await import('../record/operations.js');
  const found: { file: string; started: string; says: string }[] = [];
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    try {
      const { started, operations, regions } = await inspectRecording(file);
      found.push({ file, started, says: `${count(operations, 'operation')} on ${count(regions.length, 'region')}` });
    } catch (error) {
      // A process that was ended by force: what it has written may still be of use.
      found.push({ file, started: '~', says: `not finished: ${(error as Error).message}` });
    }
  }
  if (found.length === 0) return ['nothing was recorded: the program opened no region'];
  found.sort((a, b) => (a.started < b.started ? -1 : 1));
  return found.map(({ file, says }, index) => {
    const target = index === 0 ? path : `${path}.${index + 1}`;
    renameSync(file, target);
    return `recorded ${says.replaceAll(file, target)} in ${target}`;
  });
}
