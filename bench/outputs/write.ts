// Files that are there whole, or not at all.
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { IsmioError } from '../../src/errors.js';

/** Writes beside the file first and renames then, so that a full disk leaves what was there before. */
export function writeWhole(path: string, data: string | Uint8Array): void {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    writeFileSync(beside, data, { flush: true });
    renameSync(beside, path);
  } catch (cause) {
    rmSync(beside, { force: true });
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new IsmioError(
      'ERR_ISMIO_WRITE_FILE',
      `cannot write ${path}: ${code}; nothing of it was written`,
      { path, errno: code },
      cause,
    );
  }
}
