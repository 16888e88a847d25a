// A disk that keeps what it was asked in the order in which it came, and says what may be left of it when the power is lost: of each
// sector what was kept last, or anything that was written since.
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { BlockDevice, DiskFeatures, DiskWriteOptions, Extent } from 'ismio/block';
import { sectorBytes } from './stamps.js';

/** What it does not do, though it says that it has. */
export type MediumFault = 'none' | 'ignores flush' | 'ignores FUA';

export interface MediumOptions {
  /** Of the disk: what it has at first. */
  readonly bytes: Buffer;
  /** Numbers below a limit, for how many turns of the event loop a call takes. */
  readonly draw?: (limit: number) => number;
  readonly fault?: MediumFault;
  /** One call of so many takes longer than a session does to be found lost and opened again. Default: none. */
  readonly slow?: number;
}

/** What a sector may have when the power is lost; the first is kept for sure unless a later one is. */
interface Version {
  readonly bytes: Buffer;
  /** The call that wrote it was answered. */
  isDone: boolean;
  /** A flush that should have kept it has failed. */
  isForgotten: boolean;
}

export class RecordingMedium implements BlockDevice {
  readonly name = 'recording';
  readonly readOnly = false;
  readonly blockSize = { minimum: 1, preferred: 4096, maximum: 2 ** 20 };
  readonly features: DiskFeatures = { trim: false, zero: true, fastZero: false, extents: false, cache: false };
  readonly size: number;
  readonly life: string;
  flushes = 0;
  /** Errnos by which the next flushes fail. As of a page cache, what they should have kept is kept by no later one. */
  readonly failures: string[] = [];
  readonly #draw: (limit: number) => number;
  readonly #fault: MediumFault;
  readonly #slow: number;
  readonly #sectors: Version[][];
  #hasPower = true;

  constructor({ bytes, draw = () => 0, fault = 'none', slow = 0 }: MediumOptions) {
    this.size = bytes.length;
    this.life = `life ${lives++}`;
    this.#draw = draw;
    this.#fault = fault;
    this.#slow = slow;
    this.#sectors = Array.from({ length: bytes.length / sectorBytes }, (_, i) => {
      return [newVersion(bytes.subarray(i * sectorBytes, (i + 1) * sectorBytes), true)];
    });
  }

  /** Sectors of which something may be lost. */
  get unkept(): number {
    return this.#sectors.filter(({ length }) => length > 1).length;
  }

  /** How many states there may be when the power is lost now. */
  get states(): number {
    return this.#sectors.reduce((product, { length }) => product * length, 1);
  }

  /** The state of a number below `states`. */
  state(number: number): Buffer {
    let left = number;
    return this.#left(({ length }) => {
      const chosen = left % length;
      left = Math.floor(left / length);
      return chosen;
    });
  }

  /** The power is lost: what is in flight has no effect any more, and fails. @returns what is there when it is back */
  losePower(draw: (limit: number) => number): Buffer {
    this.#hasPower = false;
    return this.#left(({ length }) => draw(length));
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    await this.#pause();
    for (const { number, at } of this.#of(offset, target.length)) {
      target.set(((this.#sectors[number] as Version[]).at(-1) as Version).bytes, at);
    }
    await this.#pause();
  }

  async write(offset: number, source: Uint8Array, { fua = false }: DiskWriteOptions = {}): Promise<void> {
    await this.#pause();
    const written = this.#of(offset, source.length).map(({ number, at }) => {
      const version = newVersion(source.subarray(at, at + sectorBytes), false);
      this.#sectors[number]?.push(version);
      return { number, version };
    });
    await this.#pause();
    for (const { number, version } of written) {
      version.isDone = true;
      if (fua && this.#fault !== 'ignores FUA') this.#keep(number, version);
    }
  }

  async flush(): Promise<void> {
    const covered = this.#sectors.map((versions, number) => {
      return { number, version: versions.findLast(({ isDone, isForgotten }) => isDone && !isForgotten) as Version };
    });
    await this.#pause();
    this.flushes++;
    const errno = this.failures.shift();
    if (errno !== undefined) {
      for (const versions of this.#sectors) for (const version of versions.slice(1)) version.isForgotten = true;
      throw Object.assign(new Error(`the medium says ${errno}`), { errno });
    }
    if (this.#fault !== 'ignores flush') for (const { number, version } of covered) this.#keep(number, version);
    await this.#pause();
  }

  zero(offset: number, length: number, options: DiskWriteOptions = {}): Promise<void> {
    return this.write(offset, Buffer.alloc(length), options);
  }

  trim(): undefined {
    return undefined;
  }

  cache(): undefined {
    return undefined;
  }

  extents(_: number, length: number): Extent[] {
    return [{ length, hole: false, zero: false }];
  }

  async close(): Promise<void> {
    await this.#pause();
  }

  #keep(number: number, version: Version): void {
    const versions = this.#sectors[number] as Version[];
    versions.splice(0, Math.max(versions.indexOf(version), 0));
  }

  #left(choose: (versions: readonly Version[]) => number): Buffer {
    return Buffer.concat(this.#sectors.map((versions) => (versions[choose(versions)] as Version).bytes));
  }

  #of(offset: number, length: number): { readonly number: number; readonly at: number }[] {
    const first = offset / sectorBytes;
    return Array.from({ length: length / sectorBytes }, (_, i) => ({ number: first + i, at: i * sectorBytes }));
  }

  async #pause(): Promise<void> {
    if (this.#slow > 0 && this.#draw(2 * this.#slow) === 0) await setTimeout(150);
    for (let turns = this.#draw(4); turns > 0; turns--) await setImmediate();
    if (!this.#hasPower) throw Object.assign(new Error('the power is lost'), { errno: 'EIO' });
  }
}

let lives = 0;

function newVersion(bytes: Uint8Array, isDone: boolean): Version {
  return { bytes: Buffer.from(bytes), isDone, isForgotten: false };
}
