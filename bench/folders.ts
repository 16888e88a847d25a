// The folders that measuring makes: a cache of what takes long to build, and others that go, however the command ends.
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { atExit } from '../src/support/exit.js';
import { attempt, makeFolder } from './outputs/write.js';
import { holdSignals, releaseSignals } from './signals.js';

export const cacheAdvice = 'name a folder for the cache with XDG_CACHE_HOME';

/** $XDG_CACHE_HOME/ismio/NAME, which is there then. */
export function cacheFolder(name: 'builds' | 'instructions'): string {
  // An empty variable is as good as none: so the XDG Base Directory Specification has it.
  const path = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ismio', name);
  makeFolder(path, cacheAdvice);
  return path;
}

/** Of what lasts no longer than the command. */
export const scratchAdvice = 'make room there, or name another folder with TMPDIR';

export interface PassingFolder {
  readonly path: string;
  remove(): void;
}

/**
 * A new folder, which goes with this process at the latest, be it ended by a signal: whoever has one needs no handler.
 * @param prefix its path, but for the random letters at the end
 * @param advice for those where it cannot be made
 */
export function passingFolder(prefix: string, advice: string): PassingFolder {
  const path = attempt(dirname(prefix), () => mkdtempSync(prefix), advice);
  let there = true;
  const remove = (): void => {
    if (!there) return;
    there = false;
    forget();
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
    releaseSignals();
  };
  const forget = atExit(remove);
  holdSignals();
  return { path, remove };
}
