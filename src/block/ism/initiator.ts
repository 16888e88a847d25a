// A disk of another function, as a BlockDevice of this process: calls, as the operations that slots take. What asks them of the
// target, and outlives its sessions, is the link.
import { EventEmitter } from 'node:events';
import type { Ism } from '../../ism/driver/ism.js';
import { onAbort } from '../../support/abort.js';
import { checkOffset } from '../../support/check.js';
import { IsmioError, isIsmioError } from '../../support/errors.js';
import {
  type BlockDevice,
  type BlockSizes,
  type DiskFeatures,
  type DiskWriteOptions,
  type DiskZeroOptions,
  diskError,
  type Extent,
} from '../disk.js';
import { partOf } from '../pieces.js';
import type { Welcome } from './dialogue.js';
import { type IsmDiskState, Link } from './link.js';
import type { Operation, Outcome } from './operation.js';
import type { Opening } from './options.js';
import { changes, command, commandNames, diskFlag, mostExtents, requestFlag } from './wire.js';

export interface IsmDiskEvents {
  state: [state: IsmDiskState];
  /** The target was lost, or is leaving and will be back; why. */
  lost: [error: Error];
  /** It is of no use any more, since the target refuses or is another one: everything fails from now on. */
  error: [error: Error];
  close: [];
}

/** What was done since it was opened. */
export interface IsmDiskStats {
  readonly requests: number;
  /** Of them those that were asked again in another session. */
  readonly replayed: number;
  /** Reads and writes whose data were changed on their way. */
  readonly corrupt: number;
  readonly sessions: number;
  readonly inFlight: number;
  readonly waiting: number;
  /** Of the session that is open: store blocks into the target's memory, signals, and news that no signal brought. */
  readonly moves: number;
  readonly signals: number;
  readonly rescued: number;
}

/** What a call asks for, before it is cut into operations. */
type Wanted = Pick<Operation, 'command' | 'offset' | 'length'> & Partial<Pick<Operation, 'flags' | 'most'>>;

/** Made by `openBlock`. */
export class IsmDisk extends EventEmitter<IsmDiskEvents> implements BlockDevice {
  /** Of the function that serves it. */
  readonly gid: bigint;
  readonly #link: Link;
  readonly #signal: AbortSignal | undefined;
  #endSignal: () => void = () => undefined;
  #closing: Promise<void> | null = null;
  #requests = 0;
  #corrupt = 0;

  /** @internal */
  constructor(open: () => Promise<Ism>, reopens: boolean, gid: bigint, settings: Opening) {
    super();
    this.gid = gid;
    this.#signal = settings.signal;
    const told = {
      state: (state: IsmDiskState) => void this.emit('state', state),
      lost: (error: Error) => void this.emit('lost', error),
      failed: (error: Error) => this.#failed(error),
    };
    this.#link = new Link({ open, reopens, gid, settings, told });
  }

  /** @internal Opens it for the first time. */
  async begin(): Promise<this> {
    const signal = this.#signal;
    if (signal !== undefined) this.#endSignal = onAbort(signal, () => void this.close());
    try {
      await this.#link.begin();
    } catch (error) {
      await this.close();
      throw signal?.aborted === true ? aborted(signal) : error;
    }
    if (this.#closing !== null) throw signal === undefined ? this.#link.closedError() : aborted(signal);
    return this;
  }

  /** Of the disk at the target, and where that is. */
  get name(): string {
    return this.#link.name;
  }

  get size(): number {
    return Number(this.#link.welcome?.size ?? 0);
  }

  get readOnly(): boolean {
    return ((this.#link.welcome?.flags ?? 0) & diskFlag.readOnly) !== 0;
  }

  get blockSize(): BlockSizes {
    const { minimum, preferred, maximum } = this.#link.welcome as Welcome;
    return { minimum, preferred, maximum };
  }

  get features(): DiskFeatures {
    return featuresOf(this.#link.welcome?.flags ?? 0);
  }

  get state(): IsmDiskState {
    return this.#link.state;
  }

  stats(): IsmDiskStats {
    return { requests: this.#requests, corrupt: this.#corrupt, ...this.#link.counts };
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    this.#check(offset, target.length);
    return this.#inParts({ command: command.read, offset, length: target.length }, (from, to) => ({
      target: target.subarray(from, to),
    }));
  }

  write(offset: number, source: Uint8Array, options: DiskWriteOptions = {}): Promise<void> {
    return this.writePieces(offset, [source], options);
  }

  writePieces(offset: number, pieces: readonly Uint8Array[], { fua = false }: DiskWriteOptions = {}): Promise<void> {
    const length = pieces.reduce((all, piece) => all + piece.length, 0);
    this.#checkWrite(offset, length);
    const flags = fua ? requestFlag.fua : 0;
    return this.#inParts({ command: command.write, offset, length, flags }, (from, to) => ({
      pieces: partOf(pieces, from, to),
    }));
  }

  flush(): Promise<void> {
    this.#check(0, 0);
    const { answered } = this.#link.ledger;
    return this.#ask({ command: command.flush, offset: 0, length: 0 }).then(() => {
      this.#link.ledger.flushed(answered);
    });
  }

  trim(offset: number, length: number): Promise<void> {
    this.#checkWrite(offset, length);
    return this.#whole({ command: command.trim, offset, length });
  }

  zero(offset: number, length: number, options: DiskZeroOptions = {}): Promise<void> {
    this.#checkWrite(offset, length);
    const { fua = false, fast = false, mayTrim = false } = options;
    const flags = (fua ? requestFlag.fua : 0) | (fast ? requestFlag.fast : 0) | (mayTrim ? requestFlag.mayTrim : 0);
    return this.#whole({ command: command.zero, offset, length, flags });
  }

  cache(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    return this.#whole({ command: command.cache, offset, length });
  }

  async extents(offset: number, length: number, most: number): Promise<Extent[]> {
    this.#check(offset, length);
    if (length === 0) return [];
    const wanted = { command: command.extents, offset, length, most: Math.min(most, mostExtents) };
    const outcome = await this.#ask(wanted);
    return [...(outcome as { readonly extents: readonly Extent[] }).extents];
  }

  /**
   * Waits for what is in flight, for the time of `grace` at most, and leaves; what is not done by then fails. Where the target is
   * lost nothing is waited for. Again: waits for the same end.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#endSignal();
    await this.#link.close();
    this.emit('close');
  }

  #failed(error: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
    else process.emitWarning(error);
  }

  #check(offset: number, length: number): void {
    if (this.#closing !== null) throw this.#link.closedError();
    checkOffset(offset, length, this.size, this.name);
  }

  #checkWrite(offset: number, length: number): void {
    this.#check(offset, length);
    if (this.readOnly) throw new IsmioError('ERR_ISMIO_READ_ONLY', `${this.name} was opened for reads alone`);
  }

  async #whole(wanted: Wanted): Promise<void> {
    if (wanted.length > 0) await this.#ask(wanted);
  }

  /** A read or write as many operations as it takes. It ends when all of them have. */
  #inParts(
    wanted: Wanted,
    part: (from: number, to: number) => Partial<Pick<Operation, 'pieces' | 'target'>>,
  ): Promise<void> {
    const { offset, length } = wanted;
    const { ioBytes } = this.#link.welcome as Welcome;
    if (length === 0) return Promise.resolve();
    if (length <= ioBytes) return this.#ask(wanted, part(0, length)).then(nothing);
    const asked: Promise<Outcome>[] = [];
    for (let at = 0; at < length; at += ioBytes) {
      const end = Math.min(at + ioBytes, length);
      asked.push(this.#ask({ ...wanted, offset: offset + at, length: end - at }, part(at, end)));
    }
    // Memory belongs to the call until it is done: the first failure is told when all have ended.
    return Promise.allSettled(asked).then((all) => {
      const failed = all.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    });
  }

  #ask(wanted: Wanted, data: Partial<Pick<Operation, 'pieces' | 'target'>> = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const { command: asked, offset, length, flags = 0, most = 0 } = wanted;
      const { pieces = [], target = null } = data;
      this.#requests++;
      this.#link.submit({
        ...{ command: asked, flags, offset, length, most, pieces, target },
        ended: (outcome) => {
          if (outcome !== null && 'error' in outcome) {
            if (isIsmioError(outcome.error, 'ERR_ISMIO_BLOCK_DIGEST')) this.#corrupt++;
            reject(outcome.error);
          } else {
            const isFailed = outcome !== null && 'errno' in outcome;
            // Of one that failed, a part may be written.
            if (changes.has(asked) && (isFailed || (flags & requestFlag.fua) === 0)) this.#link.ledger.wrote();
            if (isFailed) reject(this.#diskFailed(wanted, outcome.errno));
            else resolve(outcome);
          }
        },
      });
    });
  }

  #diskFailed({ command: asked, offset, length }: Wanted, errno: string): IsmioError {
    return diskError(this.name, `a ${commandNames.get(asked)}`, errno, { offset, length });
  }
}

const nothing = (): void => undefined;

function featuresOf(flags: number): DiskFeatures {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const { trim, zero, fastZero, extents, cache } = diskFlag;
  return { trim: has(trim), zero: has(zero), fastZero: has(fastZero), extents: has(extents), cache: has(cache) };
}

function aborted(signal: AbortSignal): IsmioError {
  return new IsmioError('ERR_ISMIO_ABORTED', 'opening the disk was aborted', {}, signal.reason);
}
