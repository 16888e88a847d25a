// An export of an NBD server as a BlockDevice of this process.
import { EventEmitter } from 'node:events';
import { onAbort } from '../../../support/abort.js';
import { checkOffset } from '../../../support/check.js';
import { IsmioError } from '../../../support/errors.js';
import { harmless } from '../../../support/text.js';
import {
  type BlockDevice,
  type BlockSizes,
  type DiskFeatures,
  type DiskWriteOptions,
  type DiskZeroOptions,
  diskError,
  type Extent,
} from '../../disk.js';
import { partOf } from '../../pieces.js';
import { command, commandFlag, exportFlag } from '../wire.js';
import type { Agreement } from './negotiation.js';
import type { NbdOpening } from './options.js';
import type { Asked } from './replies.js';
import { Transmission, type Wanted } from './transmission.js';

export interface NbdDiskEvents {
  /** The connection is gone: everything fails from now on. */
  lost: [error: Error];
  close: [];
}

/** What was asked for since it was opened. */
export interface NbdDiskStats {
  readonly requests: number;
  readonly inFlight: number;
}

/** Bytes of one request that carries none: a multiple of every block size, and of 32 bits. */
const longestSpan = 2 ** 30;

const commandNames = new Map<number, string>([
  [command.read, 'read'],
  [command.write, 'write'],
  [command.flush, 'flush'],
  [command.trim, 'trim'],
  [command.cache, 'cache'],
  [command.writeZeroes, 'zero'],
  [command.blockStatus, 'look for extents'],
]);

/** Made by `openNbd`. */
export class NbdDisk extends EventEmitter<NbdDiskEvents> implements BlockDevice {
  /** Where it is, as a URI. */
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  readonly blockSize: BlockSizes;
  readonly features: DiskFeatures;
  readonly #flags: number;
  readonly #transmission: Transmission;
  readonly #grace: number;
  readonly #endSignal: () => void;
  #requests = 0;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor({ address, readOnly, grace, silence, signal }: NbdOpening, agreement: Agreement) {
    super();
    const { size, flags, blockSize, allocation } = agreement;
    const has = (flag: number) => (flags & flag) !== 0;
    this.name = address.words;
    this.size = size;
    this.blockSize = blockSize;
    this.readOnly = readOnly || has(exportFlag.readOnly);
    this.features = {
      trim: has(exportFlag.trim),
      zero: has(exportFlag.writeZeroes),
      fastZero: has(exportFlag.writeZeroes) && has(exportFlag.fastZero),
      extents: allocation !== null,
      cache: has(exportFlag.cache),
    };
    this.#flags = flags;
    this.#grace = grace;
    this.#transmission = new Transmission(this.name, agreement, (error) => this.emit('lost', error));
    this.#transmission.limit(silence);
    this.#endSignal = signal === undefined ? () => undefined : onAbort(signal, () => void this.close());
  }

  stats(): NbdDiskStats {
    return { requests: this.#requests, inFlight: this.#transmission.inFlight };
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    this.#check(command.read, offset, target.length);
    return this.#inParts(target.length, (from, to) => ({
      ...{ command: command.read, flags: 0, offset: offset + from, length: to - from },
      target: target.subarray(from, to),
    }));
  }

  write(offset: number, source: Uint8Array, options: DiskWriteOptions = {}): Promise<void> {
    return this.writePieces(offset, [source], options);
  }

  writePieces(offset: number, pieces: readonly Uint8Array[], { fua = false }: DiskWriteOptions = {}): Promise<void> {
    const length = pieces.reduce((all, piece) => all + piece.length, 0);
    this.#checkWrite(command.write, offset, length);
    const written = this.#inParts(length, (from, to) => ({
      ...{ command: command.write, flags: this.#fuaFlag(fua), offset: offset + from, length: to - from },
      pieces: partOf(pieces, from, to),
    }));
    return this.#lasting(written, fua);
  }

  /** A server that offers no flush keeps nothing back. */
  async flush(): Promise<void> {
    this.#check(command.flush, 0, 0);
    if (this.#offers(exportFlag.flush)) await this.#ask({ command: command.flush, flags: 0, offset: 0, length: 0 });
  }

  async trim(offset: number, length: number): Promise<void> {
    this.#checkRange(offset, length);
    this.#checkWritable();
    const { minimum } = this.blockSize;
    const first = Math.ceil(offset / minimum) * minimum;
    const end = offset + length - ((offset + length) % minimum);
    if (this.features.trim)
      await this.#inSpans({ command: command.trim, flags: 0, offset: first, length: end - first });
  }

  zero(offset: number, length: number, options: DiskZeroOptions = {}): Promise<void> {
    this.#checkWrite(command.writeZeroes, offset, length);
    const { fua = false, fast = false, mayTrim = false } = options;
    const values = { offset, length };
    if (!this.features.zero) throw diskError(this.name, 'to write zeros without sending them', 'ENOTSUP', values);
    if (fast && !this.features.fastZero) throw diskError(this.name, 'to write zeros fast', 'ENOTSUP', values);
    const flags = this.#fuaFlag(fua) | (fast ? commandFlag.fastZero : 0) | (mayTrim ? 0 : commandFlag.noHole);
    return this.#lasting(this.#inSpans({ command: command.writeZeroes, flags, offset, length }), fua);
  }

  async cache(offset: number, length: number): Promise<void> {
    this.#checkRange(offset, length);
    const { minimum, maximum } = this.blockSize;
    const first = offset - (offset % minimum);
    const end = Math.ceil((offset + length) / minimum) * minimum;
    if (!this.features.cache || length === 0) return;
    // Servers hold it against the longest read.
    await this.#inSpans({ command: command.cache, flags: 0, offset: first, length: end - first }, maximum);
  }

  async extents(offset: number, length: number, most: number): Promise<Extent[]> {
    this.#check(command.blockStatus, offset, length);
    if (length === 0 || most === 0) return [];
    if (!this.features.extents) return [{ length, hole: false, zero: false }];
    const flags = most === 1 ? commandFlag.reqOne : 0;
    const span = Math.min(length, longestSpan);
    const { extents } = await this.#ask({ command: command.blockStatus, flags, offset, length: span });
    return (extents ?? []).slice(0, most);
  }

  /**
   * Waits for what is in flight, tells the server that it leaves, and waits for the end of the connection: each for the time of
   * `grace` at most. What is not done by then fails. Again: waits for the same end.
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
    await this.#transmission.leave(this.#grace, this.#closedError());
    this.emit('close');
  }

  #closedError(): IsmioError {
    return new IsmioError('ERR_ISMIO_CLOSED', `${this.name} was closed`);
  }

  #offers(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  #fuaFlag(fua: boolean): number {
    return fua && this.#offers(exportFlag.fua) ? commandFlag.fua : 0;
  }

  /** Behind what was written, a flush where the server does not know FUA. */
  async #lasting(written: Promise<void>, fua: boolean): Promise<void> {
    await written;
    if (fua && !this.#offers(exportFlag.fua)) await this.flush();
  }

  #checkRange(offset: number, length: number): void {
    if (this.#closing !== null) throw this.#closedError();
    checkOffset(offset, length, this.size, this.name);
  }

  /** The server may end the connection where it is asked for a part of a block. */
  #check(asked: number, offset: number, length: number): void {
    this.#checkRange(offset, length);
    const { minimum } = this.blockSize;
    if (offset % minimum === 0 && length % minimum === 0) return;
    const doing = `a ${commandNames.get(asked)} that is not of whole blocks of ${minimum} bytes`;
    throw diskError(this.name, doing, 'EINVAL', { offset, length });
  }

  #checkWrite(asked: number, offset: number, length: number): void {
    this.#check(asked, offset, length);
    this.#checkWritable();
  }

  #checkWritable(): void {
    if (this.readOnly) throw new IsmioError('ERR_ISMIO_READ_ONLY', `${this.name} is open for reads alone`);
  }

  /** As many requests as it takes, all at once. It ends when all of them have. */
  #inParts(length: number, part: (from: number, to: number) => Wanted): Promise<void> {
    const { maximum } = this.blockSize;
    if (length === 0) return Promise.resolve();
    if (length <= maximum) return this.#ask(part(0, length)).then(nothing);
    const asked: Promise<Asked>[] = [];
    for (let at = 0; at < length; at += maximum) asked.push(this.#ask(part(at, Math.min(at + maximum, length))));
    // Memory belongs to the call until it is done: the first failure is told when all have ended.
    return Promise.allSettled(asked).then((all) => {
      const failed = all.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    });
  }

  /** One request after the other, where they carry no bytes. */
  async #inSpans(wanted: Wanted, longest = longestSpan): Promise<void> {
    const end = wanted.offset + wanted.length;
    for (let at = wanted.offset; at < end; at += longest) {
      await this.#ask({ ...wanted, offset: at, length: Math.min(longest, end - at) });
    }
  }

  async #ask(wanted: Wanted): Promise<Asked> {
    this.#requests++;
    const asked = await this.#transmission.ask(wanted);
    if (asked.errno === null) return asked;
    const { offset, length, said } = asked;
    const words = said === '' ? '' : `, of which the server says ${JSON.stringify(harmless(said))},`;
    throw diskError(this.name, `a ${commandNames.get(wanted.command)}${words}`, asked.errno, { offset, length, said });
  }
}

const nothing = (): void => undefined;
