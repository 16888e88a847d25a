// Where downloads and builds are kept between runs: outside of the checkout, and free to be deleted at any time.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** $ISMIO_GUEST_CACHE, or a folder of its own in the user's cache. */
export const cacheFolder =
  process.env['ISMIO_GUEST_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ismio-guest');

/** A folder in the cache, made when missing. */
export function folder(...names: readonly string[]): string {
  const path = join(cacheFolder, ...names);
  mkdirSync(path, { recursive: true });
  return path;
}

/**
 * The folder `built/<name>` of the cache. When it is not there, `make` fills an empty one, which gets its name only once
 * it is whole: a run that was cut off, or another one at the same time, leaves nothing half done behind. Put all that the
 * content depends on into the name.
 */
export async function kept(name: string, make: (empty: string) => Promise<void>): Promise<string> {
  const path = join(folder('built'), name);
  if (existsSync(path)) return path;
  const began = performance.now();
  const unfinished = mkdtempSync(`${path}.`);
  try {
    await make(unfinished);
    if (!existsSync(path)) renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  console.log(`made ${path} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return path;
}

/** Of what files hold, for the name of what is made from them. */
export function digestOfFiles(folder: string, names: readonly string[]): string {
  const hash = createHash('sha256');
  for (const name of names)
    hash
      .update(name)
      .update('\0')
      .update(readFileSync(join(folder, name)));
  return hash.digest('hex').slice(0, 16);
}
