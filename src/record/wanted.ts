// ISMIO_RECORD=FOLDER: every thread that opens a region records it, in a file of its own in that folder. This is how
// `ismio record` gets at a program: whatever starts it, and however it loads this package. Nobody looks before the first region
// is opened, and only then is the recorder loaded.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Region, watchOpened } from '../region/region.js';
import { workerThreads } from '../support/builtins.js';
import type { IsmioError } from '../support/errors.js';
import { harmless } from '../support/text.js';
import { isMainThread, threadNumber } from '../support/thread.js';
import { suffixes } from './suffixes.js';

/** What ISMIO_RECORD and its kin ask for. */
export interface Settings {
  readonly folder: string;
  readonly payload: boolean;
  readonly loads: boolean;
}

/** What Workers know of their process's settings, whatever environment they are given. */
const shared = 'ismio:record';

/** Between a process and the one that is recorded: shells, npm, .. */
const mostAncestors = 4;

/** Somebody has asked for it: whoever asks again, after regions were opened, would have them forgotten. */
let asked = false;

/**
 * Has the regions that this thread opens recorded, if the environment asks for it when the first is opened.
 * @param start makes the listener to whatever is opened
 */
export function recordWhereWanted(start: (settings: Settings) => (region: Region) => void): void {
  if (asked) return;
  asked = true;
  watchOpened((region) => {
    watchOpened(null);
    const settings = settingsOf(process.env);
    if (settings === 'unknown') tellUnrecorded();
    if (settings === null || settings === 'unknown') return;
    workerThreads().setEnvironmentData(shared, settings);
    const listen = start(settings);
    watchOpened(listen);
    listen(region);
  });
}

/** A thread may load two copies of this package, and a process may have the number of one that has ended. */
export function placeIn(folder: string): string {
  return join(folder, `${process.pid}-${threadNumber()}-${Math.random().toString(36).slice(2)}`);
}

/** Null where nothing is to be recorded; an empty ISMIO_RECORD says so in the middle of a program that is. */
function settingsOf(environment: NodeJS.ProcessEnv): Settings | null | 'unknown' {
  const told = settingsIn(environment);
  if (told !== undefined) return told;
  if (isMainThread) return 'unknown';
  // A Worker with an environment of its own: what its process has recorded already, or was started with.
  const known = workerThreads().getEnvironmentData(shared) as Settings | undefined;
  return known ?? settingsIn(environmentOf('self')) ?? null;
}

/** Undefined where the environment says nothing. */
function settingsIn(environment: Readonly<Record<string, string | undefined>>): Settings | null | undefined {
  const { ISMIO_RECORD: folder, ISMIO_RECORD_PAYLOAD: payload, ISMIO_RECORD_LOADS: loads } = environment;
  if (folder === undefined) return undefined;
  return folder === '' ? null : { folder, payload: payload !== '0', loads: loads === '1' };
}

/** What a process was started with; nothing where the system does not tell. */
function environmentOf(process: number | 'self'): Readonly<Record<string, string>> {
  try {
    const lines = readFileSync(`/proc/${process}/environ`, 'utf8').split('\0');
    return Object.fromEntries(lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]));
  } catch {
    return {}; // another user's process, or none any more: nothing is known, and nothing is claimed
  }
}

/** A process that a recorded one has started with an environment of its own: somebody believes that it is recorded, too. */
function tellUnrecorded(): void {
  const folder = folderOfAncestors();
  if (folder === null) return;
  const message = `NOT recorded: process ${process.pid} (${process.argv.join(' ')}) was started with an environment of its own, without ISMIO_RECORD; hand that on, or set it to nothing`;
  tellFailure(placeIn(folder), { code: 'ERR_ISMIO_USAGE', message } as IsmioError);
}

/** ISMIO_RECORD of the processes that this one comes from; null where none has it. */
function folderOfAncestors(): string | null {
  let parent = process.ppid;
  for (let count = 0; count < mostAncestors && parent > 1; count++) {
    const settings = settingsIn(environmentOf(parent));
    if (settings !== undefined) return settings?.folder ?? null;
    parent = parentOf(parent);
  }
  return null;
}

function parentOf(process: number): number {
  try {
    // The name of the program, in parentheses, may have anything in it; its state and its parent come behind the last one.
    return Number(/\) \S (\d+) [^)]*$/.exec(readFileSync(`/proc/${process}/stat`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0; // another user's process, or none any more
  }
}

/** To whoever reads what the program says, and to whoever looks for its recording. */
export function tellFailure(place: string, { code = 'ERR_ISMIO_INTERNAL', message }: IsmioError): void {
  const line = `${code}: ${message}`;
  process.stderr.write(`ismio: ${harmless(line)}\n`);
  try {
    writeFileSync(place + suffixes.failed, line);
  } catch (error) {
    process.stderr.write(
      `ismio: this could not be written into the folder of recordings: ${(error as Error).message}\n`,
    );
  }
}
