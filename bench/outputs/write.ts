// Files that are there whole, or not at all.
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { IsmioError } from '../../src/errors.js';

/** Writes beside the file first and renames then, so that a full disk leaves what was there before. */
export function writeWhole(path: string, data: string | Uint8Array): void {
  const beside = besideOf(path);
  attempt(path, () => {
    if (isSpecial(path)) {
      writeFileSync(path, data);
      return;
    }
    try {
      writeFileSync(beside, data, { flush: true });
      renameSync(beside, path);
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
  });
}

/**
 * Throws what `writeWhole` would throw for want of a folder or of permission: before minutes of measuring, not after them.
 */
export function checkWritable(path: string): void {
  if (isSpecial(path)) return;
  const beside = besideOf(path);
  attempt(path, () => {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    writeFileSync(beside, '');
    rmSync(beside);
  });
}

function besideOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
}

/** /dev/stdout, a pipe: written to, never replaced. */
function isSpecial(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

function attempt(path: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new IsmioError(
      'ERR_ISMIO_WRITE_FILE',
      `cannot write ${path}: ${code}; nothing of it was written`,
      { path, errno: code },
      cause,
    );
  }
}
