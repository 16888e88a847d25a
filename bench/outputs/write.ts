// Folders that are there with all of their files, or not at all.
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { placeOf } from '../../src/support/files/place.js';
import { attempt, checkPlace, checkWritable, writeWhole } from '../../src/support/files/write.js';

export { attempt, checkWritable, writeWhole };

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
  const inside = join(outermost === undefined ? path : dirname(outermost), 'index.html');
  attempt(folder, () => checkPlace(placeOf(inside)));
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
