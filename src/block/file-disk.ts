// A disk in a file, or on a block device. Nothing waits on the event loop; what is sparse stays so. Flush is fdatasync.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { native } from '../addon/binding.js';
import type { SpaceCall } from '../addon/space.js';
import { checkFlag, checkOffset, checkOptions, checkPath } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import { Aligned } from './aligned.js';
import {
  addExtent,
  type BlockDevice,
  type BlockSizes,
  type DiskFeatures,
  type DiskWriteOptions,
  type DiskZeroOptions,
  diskError,
  type Extent,
  openError,
} from './disk.js';
import { alignmentOf, blockBytes, canPunch, lifeOf, nameOf, noDirect, sizeOf } from './file-facts.js';
import { lockFile } from './file-lock.js';

/** Zeros that are written where the filesystem has no better way. */
const zeros = new Uint8Array(2 ** 20);

/** What `openFileDisk` takes. */
export interface FileDiskOptions {
  /** Nothing is written, and the file is opened so. Default false. */
  readonly readOnly?: boolean;
  /**
   * Reads and writes go past the page cache (O_DIRECT), through aligned memory; of a block of 4096 bytes that is written in part,
   * the rest is read before. The size has to be a multiple of 512 bytes. Default false.
   */
  readonly direct?: boolean;
}

/** What was found out at the opening. */
interface Opened {
  readonly path: string;
  readonly handle: FileHandle;
  readonly size: number;
  readonly readOnly: boolean;
  readonly locked: boolean;
  readonly punches: boolean;
  readonly life: string;
  /** Null: by the page cache. */
  readonly alignment: number | null;
}

/** Made by `openFileDisk`. */
export class FileDisk implements BlockDevice {
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  readonly blockSize: BlockSizes = { minimum: 1, preferred: blockBytes, maximum: 2 ** 25 };
  readonly features: DiskFeatures;
  readonly life: string;
  /**
   * Nobody else who locks files, as QEMU does, can write it meanwhile, or read what is written. False where the file system has
   * no locks: to keep others away is the caller's then.
   */
  readonly locked: boolean;
  readonly #handle: FileHandle;
  readonly #aligned: Aligned | null;
  /** What has to end before the file may be closed. */
  readonly #pending = new Set<Promise<unknown>>();
  #flushing: Promise<void> | null = null;
  /** Of those that came while another ran. */
  #flushNext: Promise<void> | null = null;
  /** Of a write with FUA whose sync failed. */
  #untold: { readonly error: unknown } | null = null;
  #isClosed = false;

  /** @internal */
  constructor({ path, handle, size, readOnly, locked, punches, life, alignment }: Opened) {
    this.name = path;
    this.size = size;
    this.readOnly = readOnly;
    this.locked = locked;
    this.#handle = handle;
    this.life = life;
    const medium = {
      read: (offset: number, target: Uint8Array) => this.#readAll(offset, target),
      write: (offset: number, source: Uint8Array) => this.#writeAll(offset, source),
    };
    this.#aligned = alignment === null ? null : new Aligned(medium, alignment);
    this.features = { trim: punches, zero: true, fastZero: true, extents: true, cache: true };
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    this.#check(offset, target.length);
    return this.#track(this.#aligned?.read(offset, target) ?? this.#readAll(offset, target));
  }

  write(offset: number, source: Uint8Array, { fua = false }: DiskWriteOptions = {}): Promise<void> {
    this.#checkWrite(offset, source.length);
    return this.#track(this.#finish(this.#put(offset, source), fua));
  }

  writePieces(offset: number, pieces: readonly Uint8Array[], { fua = false }: DiskWriteOptions = {}): Promise<void> {
    this.#checkWrite(
      offset,
      pieces.reduce((all, { length }) => all + length, 0),
    );
    return this.#track(this.#finish(this.#writeEach(offset, pieces), fua));
  }

  flush(): Promise<void> {
    this.#check(0, 0);
    return this.#track(this.#flushAndTell());
  }

  /** Makes a hole of the whole blocks within the range. */
  async trim(offset: number, length: number): Promise<void> {
    this.#checkWrite(offset, length);
    const first = Math.ceil(offset / blockBytes) * blockBytes;
    const end = Math.floor((offset + length) / blockBytes) * blockBytes;
    if (first >= end) return;
    const punch = () => this.#space(native.space.punch, first, end - first);
    const errno = await this.#undisturbed(first, end - first, punch);
    if (errno !== 0) throw this.#failed('a trim', nameOf(errno), { offset, length });
  }

  async zero(offset: number, length: number, options: DiskZeroOptions = {}): Promise<void> {
    this.#checkWrite(offset, length);
    const { fast = false, mayTrim = false, fua = false } = options;
    if (length > 0) await this.#track(this.#finish(this.#zeroAll(offset, length, fast, mayTrim), fua));
  }

  async cache(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    const errno = await this.#space(native.space.readAhead, offset, length);
    if (errno !== 0) throw this.#failed('reading ahead', nameOf(errno), { offset, length });
  }

  async extents(offset: number, length: number, most: number): Promise<Extent[]> {
    this.#check(offset, length);
    const ends = new Float64Array(most + 1);
    const found = await this.#track(
      new Promise<{ errno: number; count: number }>((resolve) => {
        const { fd } = this.#handle;
        native.space.extents(fd, offset, length, ends, (_, errno, count) => resolve({ errno, count }));
      }),
    );
    if (found.errno !== 0) throw this.#failed('looking for holes', nameOf(found.errno), { offset, length });
    const extents: Extent[] = [];
    let at = offset;
    for (let i = 0; i < found.count; i++) {
      const hole = i % 2 === 0;
      const end = ends[i] as number;
      if (end > at) addExtent(extents, { length: end - at, hole, zero: hole });
      at = end;
    }
    return extents.slice(0, most);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.allSettled(this.#pending);
    await this.#handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #put(offset: number, source: Uint8Array): Promise<void> {
    return this.#aligned?.write(offset, source) ?? this.#writeAll(offset, source);
  }

  #check(offset: number, length: number): void {
    if (this.#isClosed) throw new IsmioError('ERR_ISMIO_CLOSED', `${this.name} was closed`);
    checkOffset(offset, length, this.size, this.name);
  }

  #checkWrite(offset: number, length: number): void {
    this.#check(offset, length);
    if (this.readOnly) throw new IsmioError('ERR_ISMIO_READ_ONLY', `${this.name} was opened for reads alone`);
  }

  #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#pending.add(work);
    const ended = () => this.#pending.delete(work);
    work.then(ended, ended);
    return work;
  }

  async #finish(work: Promise<void>, fua: boolean): Promise<void> {
    await work;
    if (!fua) return;
    // Of other writes that were not on the medium its caller knows nothing: whoever flushes is told.
    await this.#flush().catch((error: unknown) => {
      this.#untold = { error };
      throw error;
    });
  }

  async #flushAndTell(): Promise<void> {
    await this.#flush();
    const untold = this.#untold;
    this.#untold = null;
    if (untold !== null) throw untold.error;
  }

  async #readAll(offset: number, target: Uint8Array): Promise<void> {
    const values = { offset, length: target.length };
    for (let at = 0; at < target.length; ) {
      const { bytesRead } = await this.#handle
        .read(target, at, target.length - at, offset + at)
        .catch((error: unknown) => this.#rethrow('a read', error, values));
      // It was cut short behind our back.
      if (bytesRead === 0) throw this.#failed('a read', 'EIO', values);
      at += bytesRead;
    }
  }

  async #writeAll(offset: number, source: Uint8Array): Promise<void> {
    const values = { offset, length: source.length };
    for (let at = 0; at < source.length; ) {
      const { bytesWritten } = await this.#handle
        .write(source, at, source.length - at, offset + at)
        .catch((error: unknown) => this.#rethrow('a write', error, values));
      at += bytesWritten;
    }
  }

  async #writeEach(offset: number, pieces: readonly Uint8Array[]): Promise<void> {
    if (this.#aligned !== null) return this.#aligned.write(offset, Buffer.concat(pieces));
    const length = pieces.reduce((all, piece) => all + piece.length, 0);
    const { bytesWritten } = await this.#handle
      .writev(pieces, offset)
      .catch((error: unknown) => this.#rethrow('a write', error, { offset, length }));
    // The rest, of a medium that took a part: it goes on, or says why not.
    let at = 0;
    for (const piece of pieces) {
      const done = Math.min(Math.max(bytesWritten - at, 0), piece.length);
      if (done < piece.length) await this.#writeAll(offset + at + done, piece.subarray(done));
      at += piece.length;
    }
  }

  /** One fdatasync serves all that wait for it: those that came while another ran have the next. */
  #flush(): Promise<void> {
    if (this.#flushing === null) {
      const flushing = this.#sync().finally(() => {
        this.#flushing = null;
      });
      this.#flushing = flushing;
      return flushing;
    }
    this.#flushNext ??= this.#flushing
      .catch(() => undefined)
      .then(() => {
        this.#flushNext = null;
        return this.#flush();
      });
    return this.#flushNext;
  }

  #sync(): Promise<void> {
    return this.#handle.datasync().catch((error: unknown) => this.#rethrow('a flush', error, {}));
  }

  /** The quickest way that this filesystem has. */
  async #zeroAll(offset: number, length: number, fast: boolean, mayTrim: boolean): Promise<void> {
    const { punch, zero, allocate } = native.space;
    // Each has to end well in full; a hole that was made on the way reads as zeros in any case.
    const ways: SpaceCall[][] = mayTrim ? [[punch], [zero]] : [[zero], [punch, allocate]];
    for (const way of ways) {
      const errno = await this.#undisturbed(offset, length, () => this.#inTurn(way, offset, length));
      if (errno === 0) return;
      const name = nameOf(errno);
      if (name !== 'ENOTSUP' && name !== 'EOPNOTSUPP' && name !== 'EINVAL' && name !== 'ENODEV') {
        throw this.#failed('writing zeros', name, { offset, length });
      }
    }
    if (fast) throw this.#failed('writing zeros fast', 'ENOTSUP', { offset, length });
    for (let at = 0; at < length; at += zeros.length) {
      await this.#put(offset + at, zeros.subarray(0, Math.min(zeros.length, length - at)));
    }
  }

  /** What a write of a part of a block has read before, must not change until it is written. */
  #undisturbed<Result>(offset: number, length: number, act: () => Promise<Result>): Promise<Result> {
    return this.#aligned?.alone(offset, length, act) ?? act();
  }

  async #inTurn(calls: readonly SpaceCall[], offset: number, length: number): Promise<number> {
    for (const call of calls) {
      const errno = await this.#space(call, offset, length);
      if (errno !== 0) return errno;
    }
    return 0;
  }

  #space(call: SpaceCall, offset: number, length: number): Promise<number> {
    return this.#track(
      new Promise<number>((resolve) => call(this.#handle.fd, offset, length, (_, errno) => resolve(errno))),
    );
  }

  #rethrow(doing: string, error: unknown, values: object): never {
    throw this.#failed(doing, (error as NodeJS.ErrnoException).code ?? 'EIO', values, error);
  }

  #failed(doing: string, errno: string, values: object, cause?: unknown): IsmioError {
    return diskError(this.name, doing, errno, values, cause);
  }
}

/**
 * Opens a file or a block device as a disk. Its size is the file's from then on.
 * @throws IsmioError ERR_ISMIO_OPEN, with the errno; ERR_ISMIO_IN_USE where another writes it, or, of one that is to be written,
 * has it open as a disk at all
 */
export async function openFileDisk(path: string | URL, options: FileDiskOptions = {}): Promise<FileDisk> {
  checkOptions(options, ['readOnly', 'direct'], 'openFileDisk');
  const readOnly = checkFlag(options.readOnly ?? false, 'readOnly');
  const name = checkPath(path, 'path');
  const isDirect = checkFlag(options.direct ?? false, 'direct');
  const { O_RDONLY, O_RDWR, O_DIRECT } = constants;
  const flags = (readOnly ? O_RDONLY : O_RDWR) | (isDirect ? O_DIRECT : 0);
  const handle = await open(name, flags).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    throw isDirect && code === 'EINVAL' ? noDirect(name, error) : openError(name, code, error);
  });
  try {
    // Before its length is asked for: who has it locked may give it another.
    const locked = await lockFile({ fd: handle.fd, path: name, writes: !readOnly });
    const size = await sizeOf(handle, name);
    const punches = !readOnly && (await canPunch(handle, size));
    const alignment = isDirect ? await alignmentOf(handle, name, size) : null;
    const life = await lifeOf(handle);
    return new FileDisk({ path: name, handle, size, readOnly, locked, punches, life, alignment });
  } catch (error) {
    await handle.close();
    throw error;
  }
}
