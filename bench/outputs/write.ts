// Files that are there whole, or not at all.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { IsmioError } from '../../src/errors.js';

/**
 * Writes beside the file first and renames then, so that a full disk leaves what was there before. What a link points to
 * is replaced, not the link; what is no file, such as /dev/stdout or a pipe, is written to.
 */
export function writeWhole(path: string, data: string | Uint8Array): void {
  attempt(path, () => {
    if (isSpecial(path)) writeFileSync(path, data);
    else replace(targetOf(path), data);
  });
}

/**
 * Throws what `writeWhole` would throw for want of a folder or of permission: before minutes of measuring, not after them.
 */
export function checkWritable(path: string): void {
  attempt(path, () => tryWriting(path));
}

function tryWriting(path: string): void {
  if (isSpecial(path)) return;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
  const beside = besideOf(targetOf(path));
  writeFileSync(beside, '');
  rmSync(beside);
}

/** The folder, with those above it. */
export function makeFolder(path: string, advice?: string): void {
  attempt(path, () => makeWithParents(resolve(path)), advice);
}

export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/**
 * Writes the files into the folder, which it makes; their paths. Where they cannot be written, a folder that was made for them
 * and is empty goes again.
 */
export function writeFolder(folder: string, files: readonly NamedText[]): string[] {
  const made = missingFolders(resolve(folder));
  try {
    makeFolder(folder);
    return files.map(({ name, text }) => {
      writeWhole(join(folder, name), text);
      return join(folder, name);
    });
  } catch (error) {
    for (const path of made) if (existsSync(path) && readdirSync(path).length === 0) rmdirSync(path);
    throw error;
  }
}

/** Throws what `writeFolder` would throw, as `checkWritable` does: looks into the nearest folder that is there. */
export function checkFolder(folder: string): void {
  const path = resolve(folder);
  const outermost = missingFolders(path).at(-1);
  attempt(folder, () => tryWriting(join(outermost === undefined ? path : dirname(outermost), 'index.html')));
}

/** The folder and those above it, as far as they are not there: the innermost first. */
function missingFolders(path: string): string[] {
  return existsSync(path) ? [] : [path, ...missingFolders(dirname(path))];
}

/** One by one: where a file system refuses new folders with ENOENT, as /proc does, mkdirSync's own recursion never ends. */
function makeWithParents(path: string): void {
  if (existsSync(path)) return;
  makeWithParents(dirname(path));
  mkdirSync(path);
}

/** What `write` gives back; where the system refuses it, an error with the path. */
export function attempt<T>(path: string, write: () => T, advice = 'nothing of it was written'): T {
  try {
    return write();
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    const text = `cannot write ${path}: ${code}; ${advice}`;
    throw new IsmioError('ERR_ISMIO_WRITE_FILE', text, { path, errno: code }, cause);
  }
}

function replace(path: string, data: string | Uint8Array): void {
  const beside = besideOf(path);
  try {
    writeFileSync(beside, data, { flush: true });
    renameSync(beside, path);
  } catch (cause) {
    rmSync(beside, { force: true });
    throw cause;
  }
}

function besideOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
}

/** /dev/stdout, a pipe: written to, never replaced. */
function isSpecial(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

function targetOf(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path);
}
