// How this package writes a file: the one way for results, reports and recordings.
//
//     descriptor, stream   written to where it stands, never replaced and never shortened
//     file                 written beside first, then renamed over the old one: there whole, or not at all
//     file, in place       where a rename is refused, or would part the file from its other names
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { IsmioError } from '../errors.js';
import { threadNumber } from '../thread.js';
import { checkDescriptor, checkOpens, type Place, placeOf } from './place.js';

/** The longest name of a file: NAME_MAX of include/uapi/linux/limits.h. */
const longestName = 255;
/** Moved at once. */
const pieceBytes = 1 << 20;
/** What was there is held in memory while it is written over, up to so many bytes. */
const mostHeld = 1 << 26;
/** A pipe that is full is looked at again so much later. */
const fullMilliseconds = 2;

/** What the system says where a file cannot be replaced, though it may be one that can be written to. */
const notReplaceable = new Set(['EACCES', 'EBUSY', 'ENAMETOOLONG', 'EPERM', 'EROFS', 'EXDEV', 'ETXTBSY']);

function cannotReplace(error: unknown): boolean {
  return notReplaceable.has((error as NodeJS.ErrnoException).code ?? '');
}

type Pieces = () => Iterable<Uint8Array>;

/**
 * Writes the data to where the path leads, as docs/files.md has it. A regular file has all of it then, or what it had before.
 * @throws IsmioError ERR_ISMIO_WRITE_FILE
 */
export function writeWhole(path: string, data: string | Uint8Array): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  attempt(path, () => put(placeOf(path), () => [bytes]));
}

/**
 * Throws what `writeWhole` would throw for want of a folder or of permission: before minutes of measuring, not after them.
 * @throws IsmioError ERR_ISMIO_WRITE_FILE
 */
export function checkWritable(path: string): void {
  attempt(path, () => checkPlace(placeOf(path)));
}

/** Throws what the system says where nothing can be written there. */
export function checkPlace(place: Place): void {
  if (place.what === 'descriptor') checkDescriptor(place.descriptor);
  else if (place.what === 'file' && place.there !== null) checkOpens(place.path);
  else if (place.what === 'file') {
    const { path, file } = makeTemporary(place);
    closeSync(file);
    rmSync(path);
  }
}

export interface Temporary {
  readonly path: string;
  readonly file: number;
}

/**
 * A new file, open for reading and writing, that can become the one at this place: beside it where it is a file.
 * @param anywhere also elsewhere, where the folder of a file that is there takes no new one
 */
export function makeTemporary(place: Place, { anywhere = false } = {}): Temporary {
  if (place.what !== 'file') return makeIn(tmpdir(), 'ismio');
  const name = basename(place.path);
  try {
    return makeIn(dirname(place.path), name);
  } catch (error) {
    if (!anywhere || place.there === null || !cannotReplace(error)) throw error;
    return makeIn(tmpdir(), name);
  }
}

function makeIn(folder: string, name: string): Temporary {
  for (let tried = 0; ; tried++) {
    const path = join(folder, temporaryName(name, `${process.pid}-${threadNumber()}-${tried}.tmp`));
    try {
      return { path, file: openSync(path, 'wx+') };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** A hidden name that begins as this one does, and is no longer than names can be. */
export function temporaryName(name: string, end: string): string {
  const room = longestName - Buffer.byteLength(end) - 2;
  let kept = name;
  while (Buffer.byteLength(kept) > room) kept = [...kept].slice(0, -1).join('');
  return `.${kept}.${end}`;
}

/**
 * Gives the file at `temporary`, which is whole, its place, and takes it away from where it was. Where that fails it stays.
 * @returns whether it is the same file still, under its name, and not a copy
 * @throws what the system says
 */
export function moveTo(temporary: string, place: Place): boolean {
  if (place.what === 'file' && replaceable(place.there) && renamed(temporary, place)) return true;
  const file = openSync(temporary, 'r');
  try {
    if (place.what === 'file') writeInPlace(place, () => piecesOf(file));
    else writeThrough(place, () => piecesOf(file));
  } finally {
    closeSync(file);
  }
  rmSync(temporary);
  return false;
}

/** Whether a rename could give it its place, with the mode and the owner of what was there. */
function renamed(temporary: string, { path, there }: Place & { what: 'file' }): boolean {
  try {
    if (there !== null) keepTraits(temporary, there);
    renameSync(temporary, path);
    return true;
  } catch (error) {
    if (cannotReplace(error)) return false;
    throw error;
  }
}

/** A file with several names would keep its old bytes under the others. */
function replaceable(there: Stats | null): boolean {
  return there === null || there.nlink === 1;
}

function keepTraits(path: string, { uid, gid, mode }: Stats): void {
  const file = openSync(path, 'r+');
  try {
    const own = fstatSync(file);
    if (own.uid !== uid || own.gid !== gid) fchownSync(file, uid, gid);
    if ((own.mode & 0o7777) !== (mode & 0o7777)) fchmodSync(file, mode & 0o7777);
  } finally {
    closeSync(file);
  }
}

function put(place: Place, pieces: Pieces): void {
  if (place.what !== 'file') {
    writeThrough(place, pieces);
    return;
  }
  if (place.there !== null) checkOpens(place.path);
  if (!replaceable(place.there) || !replaced(place, pieces)) writeInPlace(place, pieces);
}

/** Whether it could be replaced; throws where there is no room for it. Nothing is left beside. */
function replaced(place: Place & { what: 'file' }, pieces: Pieces): boolean {
  let temporary: Temporary;
  try {
    temporary = makeTemporary(place);
  } catch (error) {
    if (cannotReplace(error)) return false;
    throw error;
  }
  try {
    try {
      for (const piece of pieces()) writeAll(temporary.file, piece);
      fsyncSync(temporary.file);
    } finally {
      closeSync(temporary.file);
    }
    if (renamed(temporary.path, place)) return true;
  } catch (error) {
    rmSync(temporary.path, { force: true });
    throw error;
  }
  rmSync(temporary.path);
  return false;
}

/** Where the descriptor stands, or into what is no file, from its beginning to its end. */
function writeThrough(place: Exclude<Place, { what: 'file' }>, pieces: Pieces): void {
  if (place.what === 'descriptor') {
    for (const piece of pieces()) writeAll(place.descriptor, piece);
    return;
  }
  const file = openSync(place.path, constants.O_WRONLY | constants.O_APPEND);
  try {
    for (const piece of pieces()) writeAll(file, piece);
  } finally {
    closeSync(file);
  }
}

/** Over what is there. Where that fails, what was there is put back: its blocks are still the file's. */
function writeInPlace({ path, there }: Place & { what: 'file' }, pieces: Pieces): void {
  const file = openSync(path, constants.O_RDWR | (there === null ? constants.O_CREAT | constants.O_EXCL : 0), 0o666);
  try {
    const old = there !== null && there.size <= mostHeld ? readFileSync(file) : null;
    try {
      let length = 0;
      for (const piece of pieces()) {
        writeAll(file, piece, length);
        length += piece.length;
      }
      ftruncateSync(file, length);
      fsyncSync(file);
    } catch (error) {
      if (old !== null) {
        writeAll(file, old, 0);
        ftruncateSync(file, old.length);
      } else if (there === null) rmSync(path, { force: true });
      throw error;
    }
  } finally {
    closeSync(file);
  }
}

/** @param position in the file; null for where the descriptor stands */
function writeAll(file: number, bytes: Uint8Array, position: number | null = null): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(file, bytes, done, bytes.length - done, position === null ? null : position + done);
    } catch (error) {
      // Node.js makes the pipes of its standard streams non-blocking, and whoever has the other end waits for none.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fullMilliseconds);
    }
  }
}

function* piecesOf(file: number): Generator<Uint8Array> {
  const buffer = new Uint8Array(pieceBytes);
  for (let at = 0; ; ) {
    const length = readSync(file, buffer, 0, buffer.length, at);
    if (length === 0) return;
    yield buffer.subarray(0, length);
    at += length;
  }
}

/** What `write` gives back; where the system refuses it, an error with the path. */
export function attempt<T>(path: string, write: () => T, advice = 'nothing of it was written'): T {
  try {
    return write();
  } catch (cause) {
    throw writeError(path, cause, advice);
  }
}

/** @param what the path is of, where that is not plain: 'the recording' */
export function writeError(path: string, cause: unknown, advice: string, what = ''): IsmioError {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
  const text = `cannot write ${what === '' ? '' : `${what} `}${path}: ${code}; ${advice}`;
  return new IsmioError('ERR_ISMIO_WRITE_FILE', text, { path, errno: code }, cause);
}
