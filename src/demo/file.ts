// The file that the demo moves, in memory from which the engine takes it without a copy.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { allocBuffer, IsmioError } from 'ismio';
import { pieces } from './ways.js';

export interface DemoFile {
  readonly path: string;
  /** Of the whole file. */
  readonly size: number;
  /** Its first bytes, as many as asked for. */
  readonly bytes: Uint8Array;
}

/** @throws IsmioError ERR_ISMIO_OPEN, ERR_ISMIO_FILE_EMPTY, ERR_ISMIO_FILE_TOO_SHORT */
export function readDemoFile(path: string, limit: number): DemoFile {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new IsmioError('ERR_ISMIO_OPEN', `${path} is no regular file`, { path });
    if (stat.size === 0) throw new IsmioError('ERR_ISMIO_FILE_EMPTY', `${path} is empty`, { path });
    return { path, size: stat.size, bytes: readStart(descriptor, path, Math.min(stat.size, limit)) };
  } catch (error) {
    if (error instanceof IsmioError) throw error;
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new IsmioError('ERR_ISMIO_OPEN', `cannot read ${path}: ${code}`, { path, errno: code }, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readStart(descriptor: number, path: string, length: number): Uint8Array {
  const bytes = allocBuffer(length);
  for (const [start, end] of pieces(length)) {
    if (readSync(descriptor, bytes, start, end - start, start) < end - start) {
      throw new IsmioError('ERR_ISMIO_FILE_TOO_SHORT', `${path} became shorter while it was read`, { path });
    }
  }
  return bytes;
}
