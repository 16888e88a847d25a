// A disk over another that is only read: what is written lies in a layer of its own, and is gone with it.
//
//   blocks   |  0  |  1  |  2  |  3  |      a write into block 1 and the half of 2
//   layer    |     |#####|##---|     |      # written, - copied from below first
//   below    |-----|-----|-----|-----|      is never written
//   reads    below | layer     | below
import { mkdtempSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkOffset, checkOptions, checkPath, checkText } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import { BlockMap } from './block-map.js';
import {
  addExtent,
  type BlockDevice,
  type BlockSizes,
  type DiskFeatures,
  type DiskWriteOptions,
  type DiskZeroOptions,
  type Done,
  type Extent,
  openError,
} from './disk.js';
import { openFileDisk } from './file-disk.js';
import { Held } from './held.js';
import { memoryDisk } from './memory-disk.js';
import { Pending } from './pending.js';

/** What lies in the layer, lies there in whole blocks. */
const blockBytes = 4096;

/** What `overlayDisk` takes. */
export interface OverlayOptions {
  /** The layer is a sparse file in this folder, which has no name and goes with the process. Default: it is in memory. */
  readonly folder?: string | URL;
  /** What messages call it. Default: the name of the disk below, and that it is a snapshot. */
  readonly name?: string;
}

/** Made by `overlayDisk`. What was written is gone when it is closed. */
export class OverlayDisk implements BlockDevice {
  readonly name: string;
  readonly size: number;
  readonly readOnly = false;
  readonly blockSize: BlockSizes;
  readonly features: DiskFeatures;
  readonly #below: BlockDevice;
  readonly #layer: BlockDevice;
  /** The blocks that the layer has. */
  readonly #written: BlockMap;
  /** The blocks that come to be in the layer. */
  readonly #held = new Held();
  readonly #pending = new Pending();
  #isClosed = false;

  /** @internal */
  constructor(below: BlockDevice, layer: BlockDevice, name: string) {
    this.name = name;
    this.size = below.size;
    this.#below = below;
    this.#layer = layer;
    this.#written = new BlockMap(Math.ceil(below.size / blockBytes));
    const { minimum, maximum } = layer.blockSize;
    this.blockSize = { minimum, preferred: blockBytes, maximum };
    const { trim, zero, fastZero, extents } = layer.features;
    this.features = { trim, zero, fastZero, extents, cache: below.features.cache };
  }

  read(offset: number, target: Uint8Array): Done {
    this.#check(offset, target.length);
    const parts: Promise<void>[] = [];
    for (const { at, length, isWritten } of this.#runs(offset, target.length)) {
      const part = target.subarray(at - offset, at - offset + length);
      const done = (isWritten ? this.#layer : this.#below).read(at, part);
      if (done !== undefined) parts.push(done);
    }
    if (parts.length === 0) return undefined;
    return this.#pending.track(parts.length === 1 ? (parts[0] as Promise<void>) : allOf(parts));
  }

  write(offset: number, source: Uint8Array, options?: DiskWriteOptions): Done {
    this.#check(offset, source.length);
    return this.#change(offset, source.length, () => this.#layer.write(offset, source, options));
  }

  flush(): Done {
    this.#check(0, 0);
    return this.#layer.flush();
  }

  /** Of the whole blocks within the range, which read as zeros then. */
  trim(offset: number, length: number): Done {
    this.#check(offset, length);
    const end = offset + length;
    const first = Math.ceil(offset / blockBytes) * blockBytes;
    const last = end === this.size ? end : Math.floor(end / blockBytes) * blockBytes;
    return first < last ? this.zero(first, last - first, { mayTrim: true }) : undefined;
  }

  zero(offset: number, length: number, options?: DiskZeroOptions): Done {
    this.#check(offset, length);
    return this.#change(offset, length, () => this.#layer.zero(offset, length, options));
  }

  cache(offset: number, length: number): Done {
    this.#check(offset, length);
    return this.#below.cache(offset, length);
  }

  async extents(offset: number, length: number, most: number): Promise<Extent[]> {
    this.#check(offset, length);
    const found: Extent[] = [];
    for (const run of this.#runs(offset, length)) {
      for (let { at, length: left } = run; left > 0 && found.length <= most; ) {
        const some = await this.#extentsOf(run.isWritten ? this.#layer : this.#below, at, left, most);
        for (const extent of some) {
          addExtent(found, extent);
          at += extent.length;
          left -= extent.length;
        }
      }
      if (found.length > most) break;
    }
    return found.slice(0, most);
  }

  /** Closes the layer; the disk below stays open. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#pending.ended();
    await this.#layer.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(offset: number, length: number): void {
    if (this.#isClosed) throw new IsmioError('ERR_ISMIO_CLOSED', `${this.name} was closed`);
    checkOffset(offset, length, this.size, this.name);
  }

  /** Stretches of the range that lie in one of the two, in order. */
  *#runs(offset: number, length: number): Generator<{ at: number; length: number; isWritten: boolean }> {
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const block = Math.floor(at / blockBytes);
      const isWritten = this.#written.has(block);
      const next = Math.min(this.#written.endOfRun(block, Math.ceil(end / blockBytes)) * blockBytes, end);
      yield { at, length: next - at, isWritten };
      at = next;
    }
  }

  /** A change of the layer, which has all blocks of the range afterwards. */
  #change(offset: number, length: number, act: () => Done): Done {
    if (length === 0) return undefined;
    const [first, end] = [Math.floor(offset / blockBytes), Math.ceil((offset + length) / blockBytes)];
    // Blocks that are there are changed in place, which is how most changes go.
    if (this.#written.has(first) && this.#written.endOfRun(first, end) === end) {
      const done = act();
      return done === undefined ? undefined : this.#pending.track(done);
    }
    return this.#pending.track(this.#held.alone(first, end, () => this.#bringUp(offset, length, act)));
  }

  async #bringUp(offset: number, length: number, act: () => Done): Promise<void> {
    const end = offset + length;
    const [first, last] = [Math.floor(offset / blockBytes), Math.ceil(end / blockBytes) - 1];
    const isCutAtStart = offset % blockBytes !== 0;
    const isCutAtEnd = end % blockBytes !== 0 && end !== this.size;
    if (isCutAtStart || (isCutAtEnd && first === last)) await this.#copyUp(first);
    if (isCutAtEnd && first !== last) await this.#copyUp(last);
    await act();
    this.#written.add(first, last + 1);
  }

  async #copyUp(block: number): Promise<void> {
    if (this.#written.has(block)) return;
    const at = block * blockBytes;
    const bytes = new Uint8Array(Math.min(blockBytes, this.size - at));
    await this.#below.read(at, bytes);
    await this.#layer.write(at, bytes);
    this.#written.add(block, block + 1);
  }

  async #extentsOf(disk: BlockDevice, offset: number, length: number, most: number): Promise<Extent[]> {
    if (!disk.features.extents) return [{ length, hole: false, zero: false }];
    const found = await disk.extents(offset, length, most);
    if (found.length > 0) return found;
    throw new IsmioError('ERR_ISMIO_DISK', `${disk.name} has no extent at ${offset}`, { offset, length, errno: 'EIO' });
  }
}

/** One that fails lets the others end: the memory of all is theirs until then. */
async function allOf(parts: readonly Promise<void>[]): Promise<void> {
  for (const ended of await Promise.allSettled(parts)) if (ended.status === 'rejected') throw ended.reason;
}

/**
 * Makes a disk that reads as another does, and keeps what is written to itself: a snapshot. The other must not change as long
 * as it lives, and stays open when it is closed.
 * @throws RangeError ERR_ISMIO_OPTION; rejects with IsmioError ERR_ISMIO_OPEN where the folder takes no file
 */
export async function overlayDisk(below: BlockDevice, options: OverlayOptions = {}): Promise<OverlayDisk> {
  checkOptions(options, ['folder', 'name'], 'overlayDisk');
  const name = checkText(options.name ?? `${below.name} (snapshot)`, 'name');
  const { size } = below;
  const layer =
    options.folder === undefined
      ? memoryDisk({ size, name })
      : await namelessFile(checkPath(options.folder, 'folder'), size);
  return new OverlayDisk(below, layer, name);
}

/** A file that is gone when nobody has it open any more. */
async function namelessFile(folder: string, size: number): Promise<BlockDevice> {
  try {
    const made = mkdtempSync(join(folder, '.ismio-snapshot-'));
    const path = join(made, 'layer');
    try {
      writeFileSync(path, '', { mode: 0o600 });
      truncateSync(path, size);
      return await openFileDisk(path);
    } finally {
      rmSync(path, { force: true });
      rmdirSync(made);
    }
  } catch (error) {
    throw error instanceof IsmioError ? error : openError(folder, (error as NodeJS.ErrnoException).code, error);
  }
}
