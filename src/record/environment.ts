// ISMIO_RECORD=FOLDER: every thread that opens a region records it, in a file of its own in that folder. This is how
// `ismio record` gets at a program: whatever starts it, and however it loads this package.
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { IsmioError } from '../errors.js';
import { watchOpened } from '../region/region.js';
import { Recorder } from './recorder.js';

/** Of a file that is written because of the environment. */
export const suffix = '.ismrec';

export function recordFromEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  const folder = environment['ISMIO_RECORD'];
  if (folder === undefined || folder === '') return;
  const payload = environment['ISMIO_RECORD_PAYLOAD'] !== '0';
  let recorder: Recorder | null = null;
  let failed = false;
  watchOpened((region) => {
    if (failed) return;
    try {
      recorder ??= new Recorder(join(folder, `${process.pid}-${threadId}${suffix}`), { payload });
      recorder.add(region);
    } catch (error) {
      failed = true; // the program goes on; it is told once
      process.stderr.write(`ismio: ${(error as IsmioError).code}: ${(error as Error).message}\n`);
    }
  });
}
