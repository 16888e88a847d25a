// A region as a disk: reads by loads, writes by the store blocks that its rules allow.
import { setImmediate } from 'node:timers/promises';
import type { RegionLike } from '../access/region-like.js';
import { checkFlag, checkOffset, checkOptions, checkText } from '../support/check.js';
import { IsmioError, rangeError } from '../support/errors.js';
import {
  type BlockDevice,
  type BlockSizes,
  type DiskFeatures,
  type DiskWriteOptions,
  type DiskZeroOptions,
  type Done,
  diskError,
  type Extent,
} from './disk.js';
import { Pending } from './pending.js';

/** Bytes that are moved in one turn of the event loop: a slow device takes some 100 us for them. A multiple of every boundary. */
const turnBytes = 65_536;
const zeros = new Uint8Array(turnBytes);
/** The shortest store block of a device that is strict. */
const strictBytes = 16;

/** What `regionDisk` takes. */
export interface RegionDiskOptions {
  /** Nothing is stored. Default: as the region is. */
  readonly readOnly?: boolean;
  /** What messages call it. Default: the name of the region. */
  readonly name?: string;
}

/** Made by `regionDisk`. What an access fails with is what the region throws. */
export class RegionDisk implements BlockDevice {
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  readonly blockSize: BlockSizes;
  readonly features: DiskFeatures = { trim: false, zero: true, fastZero: true, extents: false, cache: false };
  readonly #region: RegionLike;
  readonly #pending = new Pending();
  #isClosed = false;

  /** @internal */
  constructor(region: RegionLike, name: string, readOnly: boolean) {
    this.#region = region;
    this.name = name;
    this.size = region.size;
    this.readOnly = readOnly;
    const { alignment, singleStores } = region.rules;
    const minimum = alignment === 'strict' && !singleStores ? strictBytes : 1;
    this.blockSize = { minimum, preferred: 4096, maximum: 2 ** 25 };
  }

  read(offset: number, target: Uint8Array): Done {
    this.#check(offset, target.length);
    return this.#inTurns(offset, target.length, (at, end) => {
      this.#region.read(at, target.subarray(at - offset, end - offset));
    });
  }

  write(offset: number, source: Uint8Array, { fua = false }: DiskWriteOptions = {}): Done {
    this.#checkWrite(offset, source.length);
    const done = this.#inTurns(offset, source.length, (at, end) => {
      this.#region.write(at, source.subarray(at - offset, end - offset));
    });
    return this.#fenced(done, fua);
  }

  /** What was stored is visible to the device. Whether that keeps it, is the device's. */
  flush(): Done {
    this.#check(0, 0);
    this.#region.fence('full');
    return undefined;
  }

  trim(offset: number, length: number): Done {
    this.#checkWrite(offset, length);
    return undefined;
  }

  zero(offset: number, length: number, { fast = false, fua = false }: DiskZeroOptions = {}): Done {
    this.#checkWrite(offset, length);
    if (fast) throw diskError(this.name, 'writing zeros fast', 'ENOTSUP', { offset, length });
    const done = this.#inTurns(offset, length, (at, end) => this.#region.write(at, zeros.subarray(0, end - at)));
    return this.#fenced(done, fua);
  }

  cache(offset: number, length: number): Done {
    this.#check(offset, length);
    return undefined;
  }

  extents(offset: number, length: number, most: number): Extent[] {
    this.#check(offset, length);
    return length === 0 || most === 0 ? [] : [{ length, hole: false, zero: false }];
  }

  /** Waits for what is in flight. The region stays open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#pending.ended();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(offset: number, length: number): void {
    if (this.#isClosed) throw new IsmioError('ERR_ISMIO_CLOSED', `${this.name} was closed`);
    checkOffset(offset, length, this.size, this.name);
  }

  #checkWrite(offset: number, length: number): void {
    this.#check(offset, length);
    if (this.readOnly) throw new IsmioError('ERR_ISMIO_READ_ONLY', `${this.name} was opened for reads alone`);
  }

  /** In pieces that end at multiples of what goes in a turn, the first at once. */
  #inTurns(offset: number, length: number, act: (at: number, end: number) => void): Done {
    if (length === 0) return undefined;
    const stop = offset + length;
    const endOf = (at: number) => Math.min(at - (at % turnBytes) + turnBytes, stop);
    act(offset, endOf(offset));
    if (endOf(offset) === stop) return undefined;
    const rest = async () => {
      for (let at = endOf(offset); at < stop; at = endOf(at)) {
        await setImmediate();
        act(at, endOf(at));
      }
    };
    return this.#pending.track(rest());
  }

  #fenced(done: Done, fua: boolean): Done {
    if (!fua) return done;
    if (done !== undefined) return done.then(() => this.#region.fence('full'));
    this.#region.fence('full');
    return undefined;
  }
}

/**
 * Makes a disk of a region: of a device, of a file that is mapped, of an emulated one. The region stays open when it is closed.
 * @throws RangeError ERR_ISMIO_OPTION
 */
export function regionDisk(region: RegionLike, options: RegionDiskOptions = {}): RegionDisk {
  checkOptions(options, ['readOnly', 'name'], 'regionDisk');
  const readOnly = checkFlag(options.readOnly ?? !region.writable, 'readOnly');
  if (!region.writable && !readOnly) {
    throw rangeError('ERR_ISMIO_OPTION', `readOnly cannot be false: ${region.name} cannot be stored to`, { readOnly });
  }
  return new RegionDisk(region, checkText(options.name ?? region.name, 'name'), readOnly);
}
