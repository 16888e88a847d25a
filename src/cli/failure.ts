// Errors as the command line tells them: one line, the code first, and an exit code.
import { debuglog } from 'node:util';
import { CommanderError } from 'commander';
import { IsmioError } from '../support/errors.js';
import { harmless } from '../support/text.js';

export const exitCodes = { done: 0, failed: 1, usage: 2, couldNotRun: 3 } as const;

/** Commands whose exit codes 1 and 2 are findings: whatever keeps them from finding anything is a 3. */
const measuring = new Set(['bench', 'compare', 'profile', 'replay', 'report', 'history']);

/** What is wrong with the words of the command line, whatever the target answers. */
const usageCodes = new Set(['ERR_ISMIO_USAGE', 'ERR_ISMIO_OPTION', 'ERR_ISMIO_OFFSET', 'ERR_ISMIO_VALUE']);

const debug = debuglog('ismio');

export function usageError(message: string): IsmioError {
  return new IsmioError('ERR_ISMIO_USAGE', message);
}

/** A file of the user's that could not be read. */
export function fileError(path: string, cause: unknown): IsmioError {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
  return new IsmioError('ERR_ISMIO_OPEN', `cannot read ${path}: ${code}`, { path, errno: code }, cause);
}

/**
 * Writes the error's line and returns the exit code it makes. Asking for help or the version is no error.
 * @param command the first word of the command line
 */
export function reportFailure(thrown: unknown, command = ''): number {
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCodes.done;
  const { code, message } = told(thrown);
  process.stderr.write(`ismio: ${code}: ${harmless(message.trim().replace(/\s*\n\s*/g, ' '))}\n`);
  debug('%s', (thrown as Error)?.stack ?? thrown);
  if (measuring.has(command)) return exitCodes.couldNotRun;
  return usageCodes.has(code) ? exitCodes.usage : exitCodes.failed;
}

function told(thrown: unknown): { code: string; message: string } {
  if (thrown instanceof CommanderError) {
    return { code: 'ERR_ISMIO_USAGE', message: thrown.message.replace(/^error: /, '') };
  }
  const { code, message = String(thrown) } = (thrown ?? {}) as { code?: unknown; message?: string };
  // The system's own errors have their code in the message already.
  if (typeof code === 'string') return { code, message: message.replace(`${code}: `, '') };
  return { code: 'ERR_ISMIO_INTERNAL', message: `${message}; please report this` };
}
