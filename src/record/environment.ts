// ISMIO_RECORD=FOLDER: every thread that opens a region records it, in a file of its own in that folder. This is how
// `ismio record` gets at a program: whatever starts it, and however it loads this package.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { workerThreads } from '../builtins.js';
import type { IsmioError } from '../errors.js';
import { watchOpened } from '../region/region.js';
import { harmless } from '../text.js';
import { isMainThread, threadNumber } from '../thread.js';
import { suffixes } from './place.js';
import { Recorder } from './recorder.js';
import { endBySignal } from './signals.js';

interface Settings {
  readonly folder: string;
  readonly payload: boolean;
  readonly loads: boolean;
}

/** What Workers know of their process's settings, whatever environment they are given. */
const shared = 'ismio:record';

/** Between a process and the one that is recorded: shells, npm, .. */
const mostAncestors = 4;

export function recordFromEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  const settings = settingsOf(environment);
  if (settings === null) return;
  if (settings === 'unknown') {
    watchOpened(() => {
      watchOpened(null);
      tellUnrecorded();
    });
    return;
  }
  workerThreads().setEnvironmentData(shared, settings);
  const { folder, payload, loads } = settings;
  const place = placeIn(folder);
  let recorder: Recorder | null = null;
  let failed = false;
  const fail = (error: unknown): void => {
    if (!failed) tellFailure(place, error as IsmioError);
    failed = true; // the program goes on; it is told once
  };
  watchOpened((region) => {
    if (failed) return;
    try {
      if (recorder === null) {
        recorder = new Recorder(place + suffixes.recorded, { payload, loads }, fail);
        if (isMainThread) endBySignal(recorder);
      }
      recorder.add(region);
    } catch (error) {
      if ((error as IsmioError).code === 'ERR_ISMIO_TOO_LONG') tellFailure(placeIn(folder), error as IsmioError);
      else fail(error);
    }
  });
}

/** A thread may load two copies of this package, and a process may have the number of one that has ended. */
function placeIn(folder: string): string {
  return join(folder, `${process.pid}-${threadNumber()}-${Math.random().toString(36).slice(2)}`);
}

/** Null where nothing is to be recorded; an empty ISMIO_RECORD says so in the middle of a program that is. */
function settingsOf(environment: NodeJS.ProcessEnv): Settings | null | 'unknown' {
  const folder = environment['ISMIO_RECORD'];
  if (folder === '') return null;
  if (folder !== undefined) {
    const payload = environment['ISMIO_RECORD_PAYLOAD'] !== '0';
    return { folder, payload, loads: environment['ISMIO_RECORD_LOADS'] === '1' };
  }
  if (isMainThread) return 'unknown';
  return (workerThreads().getEnvironmentData(shared) as Settings | undefined) ?? null;
}

/** A process that a recorded one has started with an environment of its own: somebody believes that it is recorded, too. */
function tellUnrecorded(): void {
  const folder = folderOfAncestors();
  if (folder === null) return;
  const message = `NOT recorded: process ${process.pid} (${process.argv.join(' ')}) was started with an environment of its own, without ISMIO_RECORD; hand that on, or set it to nothing`;
  tellFailure(placeIn(folder), { code: 'ERR_ISMIO_USAGE', message } as IsmioError);
}

/** ISMIO_RECORD of the processes that this one comes from; null where none has it, or the system does not tell. */
function folderOfAncestors(): string | null {
  try {
    let parent = process.ppid;
    for (let count = 0; count < mostAncestors && parent > 1; count++) {
      const found = /(?:^|\0)ISMIO_RECORD=([^\0]*)/.exec(readFileSync(`/proc/${parent}/environ`, 'utf8'))?.[1];
      if (found !== undefined) return found === '' ? null : found;
      // The name of the program, in parentheses, may have anything in it; its state and its parent come behind the last one.
      parent = Number(/\) \S (\d+) [^)]*$/.exec(readFileSync(`/proc/${parent}/stat`, 'latin1'))?.[1] ?? 0);
    }
  } catch {
    // Another user's process, or none any more: nothing is known, and nothing is claimed.
  }
  return null;
}

/** To whoever reads what the program says, and to whoever looks for its recording. */
function tellFailure(place: string, { code = 'ERR_ISMIO_INTERNAL', message }: IsmioError): void {
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
