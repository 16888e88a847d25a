// ISMIO_RECORD=FOLDER: every thread that opens a region records it, in a file of its own in that folder. This is how
// `ismio record` gets at a program: whatever starts it, and however it loads this package.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { IsmioError } from '../errors.js';
import { watchOpened } from '../region/region.js';
import { suffixes } from './place.js';
import { Recorder } from './recorder.js';

export function recordFromEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  const folder = environment['ISMIO_RECORD'];
  if (folder === undefined || folder === '') return;
  const payload = environment['ISMIO_RECORD_PAYLOAD'] !== '0';
  // A thread may load two copies of this package, and a process may have the number of one that has ended.
  const unique = Math.random().toString(36).slice(2);
  const place = join(folder, `${process.pid}-${threadId}-${unique}`);
  let recorder: Recorder | null = null;
  let failed = false;
  const fail = (error: unknown): void => {
    if (!failed) tellFailure(place, error as IsmioError);
    failed = true; // the program goes on; it is told once
  };
  watchOpened((region) => {
    if (failed) return;
    try {
      recorder ??= new Recorder(place + suffixes.recorded, { payload }, fail);
      recorder.add(region);
    } catch (error) {
      fail(error);
    }
  });
}

/** To whoever reads what the program says, and to whoever looks for its recording. */
function tellFailure(place: string, { code = 'ERR_ISMIO_INTERNAL', message }: IsmioError): void {
  const line = `${code}: ${message}`;
  process.stderr.write(`ismio: ${line}\n`);
  try {
    writeFileSync(place + suffixes.failed, line);
  } catch (error) {
    process.stderr.write(
      `ismio: this could not be written into the folder of recordings: ${(error as Error).message}\n`,
    );
  }
}
