// Where a recording goes. Without the addon: the command line looks here before it starts a program.
import type { IsmioError } from '../support/errors.js';
import { type Place, placeOf } from '../support/files/place.js';
import { checkPlace, writeError } from '../support/files/write.js';

/**
 * Where the path leads to; refused where nothing can be written there.
 * @throws IsmioError ERR_ISMIO_WRITE_FILE
 */
export function findPlace(path: string): Place {
  try {
    const place = placeOf(path);
    checkPlace(place);
    return place;
  } catch (cause) {
    throw recordingError(path, cause, 'name another file');
  }
}

export function recordingError(path: string, cause: unknown, left: string): IsmioError {
  const { code } = cause as NodeJS.ErrnoException;
  const advice = code === 'EISDIR' ? `a folder is there; ${left}` : left;
  return writeError(path, cause, advice, 'the recording');
}
