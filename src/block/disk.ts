// What a disk is, whatever its bytes lie on: what exports and copies need of one.
import { IsmioError } from '../support/errors.js';

/** What a write is to do besides. */
export interface DiskWriteOptions {
  /** It is on the medium when it is done, as if it were flushed. */
  readonly fua?: boolean;
}

/** How zeros may be written. */
export interface DiskZeroOptions extends DiskWriteOptions {
  /** It fails with ENOTSUP rather than take as long as a write of so many bytes. */
  readonly fast?: boolean;
  /** A hole will do. */
  readonly mayTrim?: boolean;
}

/** A stretch of a disk that is the same throughout. */
export interface Extent {
  /** Bytes, more than 0. */
  readonly length: number;
  /** Nothing is stored for it. */
  readonly hole: boolean;
  /** It reads as zeros. */
  readonly zero: boolean;
}

/** Which requests a disk likes, in bytes. */
export interface BlockSizes {
  readonly minimum: number;
  readonly preferred: number;
  readonly maximum: number;
}

/** What a disk can do besides reads, writes and flushes. */
export interface DiskFeatures {
  readonly trim: boolean;
  readonly zero: boolean;
  /** `zero` with `fast` is answered at once where it would be slow. */
  readonly fastZero: boolean;
  readonly extents: boolean;
  /** `cache` has reads of what it was told come sooner. */
  readonly cache: boolean;
}

/** What a call that may last answers: undefined where it was done before it returned. */
export type Done = Promise<void> | undefined;

/**
 * A disk: so many bytes that are read and written anywhere. Many calls may be in flight at a time, in any order; those that
 * overlap are not told apart. Every range lies within the disk, and memory belongs to the call until it is done. A call that
 * fails throws or rejects with an error that has the name of an errno in `errno` or `code`; the disk stays usable.
 */
export interface BlockDevice {
  /** What messages call it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  readonly blockSize: BlockSizes;
  readonly features: DiskFeatures;
  /**
   * Of a disk that outlives this object, with all that was flushed: the same text as long as what was not flushed is there as well.
   * Left out: all of it is gone with this object.
   */
  readonly life?: string;
  /** Fills the target from the offset on. */
  read(offset: number, target: Uint8Array): Done;
  /**
   * The disk's own memory, where the bytes of the range lie in it: they are sent from there, and may change until they are
   * gone, as what is read while it is written may. Where there is none, they are read.
   */
  view?(offset: number, length: number): readonly Uint8Array[];
  write(offset: number, source: Uint8Array, options?: DiskWriteOptions): Done;
  /** A write of several pieces, one behind the other. Where there is none, they are joined before `write`. */
  writePieces?(offset: number, pieces: readonly Uint8Array[], options?: DiskWriteOptions): Done;
  /** All writes that were done before are on the medium when it is done. */
  flush(): Done;
  /** What lies in the range is not needed any more. Advice: what is read there is as before, or zeros. */
  trim(offset: number, length: number): Done;
  /** Reads give zeros there from now on. */
  zero(offset: number, length: number, options?: DiskZeroOptions): Done;
  /** The range will be read soon. */
  cache(offset: number, length: number): Done;
  /** The extents from the offset on, at most so many. They cover the range, or its beginning, and none of it twice. */
  extents(offset: number, length: number, most: number): Promise<Extent[]> | Extent[];
  /** Waits for what is in flight. Again: does nothing. */
  close(): Promise<void>;
}

/** What a disk could not do: it has the errno's name. */
export function diskError(disk: string, doing: string, errno: string, values: object, cause?: unknown): IsmioError {
  const words = advice[errno];
  const text = `${disk}: ${doing} failed: ${errno}${words === undefined ? '' : ` (${words})`}`;
  return new IsmioError('ERR_ISMIO_DISK', text, { ...values, errno }, cause);
}

const advice: Readonly<Record<string, string>> = {
  ENOSPC: 'the medium is full; free some of it and write again',
  EIO: 'the medium failed',
  ENOMEM: 'there is no more memory',
  ENOTSUP: 'this medium cannot do it',
};

/** Why a disk, or the file of one, could not be opened. */
export function openError(path: string, code = 'unknown error', cause?: unknown): IsmioError {
  const words = { ENOTBLK: ': it is neither a file nor a block device', EISDIR: ': it is a folder' };
  const why = words[code as keyof typeof words] ?? '';
  return new IsmioError('ERR_ISMIO_OPEN', `cannot open ${path}: ${code}${why}`, { path, errno: code }, cause);
}

/** Adds an extent, with the one before where it is of the same kind. */
export function addExtent(extents: Extent[], { length, hole, zero }: Extent): void {
  const last = extents.at(-1);
  if (last?.hole === hole && last.zero === zero)
    extents[extents.length - 1] = { ...last, length: last.length + length };
  else extents.push({ length, hole, zero });
}
