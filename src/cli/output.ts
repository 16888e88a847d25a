// What goes to stdout: lines for people, JSON for programs.
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { IsmioError } from '../support/errors.js';
import { harmlessLines } from '../support/text.js';
import { reportFailure } from './failure.js';

/** Whether a reader that goes ends the command. */
let endsWithReader = true;

/**
 * Where a reader has seen enough and goes (`ismio dump .. | head`), there is nothing left to do and nothing to report: the exit
 * code is the one that was set before. What cannot be written for another reason, such as a full disk, is an error.
 * @param command the first word of the command line
 */
export function endWithoutReader(command: string | undefined): void {
  let isLost = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!endsWithReader) {
      if (!isLost) note(`what happens is told no more, and the rest goes on: ${outputError(error).message}`);
      isLost = true;
      return;
    }
    if (error.code !== 'EPIPE') process.exitCode = reportFailure(outputError(error), command);
    process.exit();
  });
  // What stderr says goes with the work, and is not the work: that is done to its end, and its exit code tells how it went.
  process.stderr.on('error', () => undefined);
}

/** What is told on stdout is not the work of this command, which others rely on: whoever reads may go, and it goes on. */
export function outliveReader(): void {
  endsWithReader = false;
}

function outputError(cause: NodeJS.ErrnoException): IsmioError {
  const { code = 'unknown error' } = cause;
  const text = `cannot write to the standard output: ${code}`;
  return new IsmioError('ERR_ISMIO_WRITE_FILE', text, { path: '/dev/stdout', errno: code }, cause);
}

/** Lines, of which the words may come from anywhere. */
export function print(text: string): void {
  process.stdout.write(`${harmlessLines(text)}\n`);
}

/** What is to be known besides, and does not belong to what was asked for: a line on stderr. */
export function note(text: string): void {
  process.stderr.write(`ismio: ${text.trim().replace(/\s*\n\s*/g, ' ')}\n`);
}

/** A step of what lasts, on stderr. */
export function say(what: string): void {
  process.stderr.write(`${what} ..\n`);
}

/** Of a long text: waits until the reader has taken it, and lets the stream tell that there is none any more. */
export async function printPart(text: string): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain');
  await setImmediate();
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Columns to draw in. Longer lines than these are hard to read; a terminal that does not know its own says 0. */
export function drawingWidth(): number {
  return Math.min(process.stdout.columns || 80, 120);
}

/** '1 store', '2 stores'. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? noun : plural}`;
}
