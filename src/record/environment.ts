// Records what a thread opens, for `ismio record`: the recorder starts with the first region.
import type { Region } from '../region/region.js';
import type { IsmioError } from '../support/errors.js';
import { isMainThread } from '../support/thread.js';
import { Recorder } from './recorder.js';
import { endBySignal } from './signals.js';
import { suffixes } from './suffixes.js';
import { placeIn, type Settings, tellFailure } from './wanted.js';

/** The listener to what this thread opens from now on. */
export function recordOpened({ folder, payload, loads }: Settings): (region: Region) => void {
  const place = placeIn(folder);
  let recorder: Recorder | null = null;
  let failed = false;
  const fail = (error: unknown): void => {
    if (!failed) tellFailure(place, error as IsmioError);
    failed = true; // the program goes on; it is told once
  };
  return (region) => {
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
  };
}
