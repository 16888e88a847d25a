// Where a recording goes. Without the addon: the command line looks here before it starts a program.
import { openSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { IsmioError } from '../errors.js';

/** Of a file that is written because of the environment, and of one that says why it is missing. */
export const suffixes = { recorded: '.ismrec', failed: '.failed' } as const;

/**
 * Refuses a place that no file can be put into: a folder, or a device, which a rename would replace.
 * @throws IsmioError ERR_ISMIO_WRITE_FILE
 */
export function checkPlace(path: string): void {
  const what = standsAt(path);
  if (what === null) return;
  const errno = what === 'a folder' ? 'EISDIR' : 'EEXIST';
  const message = `cannot write the recording ${path}: ${what} is there; name another file`;
  throw new IsmioError('ERR_ISMIO_WRITE_FILE', message, { path, errno });
}

/** What is in the way; null for nothing, or a file that will be replaced. */
function standsAt(path: string): string | null {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isFile()) return null;
    return found.isDirectory() ? 'a folder' : 'what is no regular file';
  } catch (cause) {
    throw writeError(path, cause, 'name another file');
  }
}

/** A file of its own: another copy of this package in this thread, or a process before it, may have the same numbers. */
export function openBeside(path: string): { beside: string; file: number } {
  for (let tried = 0; ; tried++) {
    const beside = join(dirname(path), `.${basename(path)}.${process.pid}-${threadId}-${tried}.tmp`);
    try {
      return { beside, file: openSync(beside, 'wx') };
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw writeError(path, cause, 'nothing of it is kept');
    }
  }
}

export function writeError(path: string, cause: unknown, left: string): IsmioError {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
  const message = `cannot write the recording ${path}: ${code}; ${left}`;
  return new IsmioError('ERR_ISMIO_WRITE_FILE', message, { path, errno: code }, cause);
}
