// A copy of a disk to another: several pieces in flight, and what is a hole stays one.
import { checkSignal } from '../support/abort.js';
import { checkCallback, checkFlag, checkOptions } from '../support/check.js';
import { IsmioError, rangeError } from '../support/errors.js';
import type { BlockDevice, Extent } from './disk.js';

/** Bytes of data that are read and written at a time, and of zeros. */
const pieceBytes = 2 ** 20;
const zeroBytes = 2 ** 28;
const mostInFlight = 4;
/** Extents that are asked for at a time. */
const mostExtents = 1024;

/** What `copyDisk` takes. */
export interface CopyOptions {
  /** The target reads as zeros, as a file does that was just made: nothing is written for holes. Default false. */
  readonly targetIsZero?: boolean;
  /** Ends it: what is in flight is waited for, and the target has a part of the copy. */
  readonly signal?: AbortSignal;
  /** Called as it goes on, with the bytes of the source that are done. */
  readonly progress?: (done: number) => void;
}

/** What was copied, in bytes. */
export interface CopyResult {
  readonly size: number;
  /** Read and written. */
  readonly data: number;
  /** Made zeros, or found to be. */
  readonly zeros: number;
}

/** Data, or zeros, from one place to the same. */
interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly isZero: boolean;
}

/**
 * Copies all of a disk to the beginning of another, and flushes that.
 * @throws RangeError ERR_ISMIO_OPTION where the target is smaller; rejects with ERR_ISMIO_ABORTED, or with what a disk fails with
 */
export async function copyDisk(
  source: BlockDevice,
  target: BlockDevice,
  options: CopyOptions = {},
): Promise<CopyResult> {
  checkOptions(options, ['targetIsZero', 'signal', 'progress'], 'copyDisk');
  const targetIsZero = checkFlag(options.targetIsZero ?? false, 'targetIsZero');
  const { progress } = options;
  if (progress !== undefined) checkCallback(progress, 'progress');
  const signal = checkSignal(options.signal, 'copyDisk');
  const { size } = source;
  if (target.size < size) {
    const text = `${target.name} has ${target.size} bytes, which is less than the ${size} of ${source.name}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { size });
  }
  const pieces = piecesOf(source);
  const done = { data: 0, zeros: 0 };
  let failed = false;
  const work = async () => {
    // Each takes the next piece; the generator itself looks for one at a time.
    for (let next = await pieces.next(); next.done !== true && !failed; next = await pieces.next()) {
      if (signal?.aborted === true) return;
      const { length, isZero } = next.value;
      await (isZero ? zeroed(target, next.value, targetIsZero) : moved(source, target, next.value));
      done[isZero ? 'zeros' : 'data'] += length;
      progress?.(done.data + done.zeros);
    }
  };
  const workers = Array.from({ length: mostInFlight }, () =>
    work().catch((error: unknown) => {
      failed = true; // the others end with what they have
      throw error;
    }),
  );
  for (const ended of await Promise.allSettled(workers)) if (ended.status === 'rejected') throw ended.reason;
  if (signal?.aborted === true) {
    throw new IsmioError('ERR_ISMIO_ABORTED', `the copy of ${source.name} was aborted`, {}, signal.reason);
  }
  await target.flush();
  return { size, ...done };
}

async function* piecesOf(source: BlockDevice): AsyncGenerator<Piece> {
  for (let at = 0; at < source.size; ) {
    for (const { length, zero } of await extentsOf(source, at)) {
      const most = zero ? zeroBytes : pieceBytes;
      for (const end = at + length; at < end; ) {
        const part = Math.min(most, end - at);
        yield { offset: at, length: part, isZero: zero };
        at += part;
      }
    }
  }
}

async function extentsOf(source: BlockDevice, offset: number): Promise<readonly Extent[]> {
  const length = source.size - offset;
  if (!source.features.extents) return [{ length, hole: false, zero: false }];
  const found = (await source.extents(offset, length, mostExtents)).filter((extent) => extent.length > 0);
  if (found.length > 0) return found;
  throw new IsmioError('ERR_ISMIO_DISK', `${source.name} has no extent at ${offset}`, { offset, errno: 'EIO' });
}

async function moved(source: BlockDevice, target: BlockDevice, { offset, length }: Piece): Promise<void> {
  const bytes = Buffer.allocUnsafeSlow(length);
  await source.read(offset, bytes);
  await target.write(offset, bytes);
}

async function zeroed(target: BlockDevice, { offset, length }: Piece, isZeroAlready: boolean): Promise<void> {
  if (isZeroAlready) return;
  if (target.features.zero) return void (await target.zero(offset, length, { mayTrim: true }));
  for (let at = offset; at < offset + length; at += pieceBytes) {
    await target.write(at, Buffer.alloc(Math.min(pieceBytes, offset + length - at)));
  }
}
