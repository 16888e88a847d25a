// The target's slots in one session: each request is taken from memory that a peer writes, checked, asked of the disk, and
// answered into the peer's memory. What breaks a rule ends the session; nothing is cut to fit.
import type { Ism } from '../../ism/driver/ism.js';
import { put } from '../../ism/stream/layout.js';
import { IsmioError } from '../../support/errors.js';
import type { BlockDevice, Done, Extent } from '../disk.js';
import { type Errno, errno, errnoOf } from '../errno.js';
import { Answers } from './answers.js';
import { digestError, digestOf, isCopied } from './digest.js';
import { Lookout, type Sight } from './lookout.js';
import { type Layout, OwnMemory, PeerMemory } from './memory.js';
import { checkRequest, copyRequest, type Request } from './requests.js';
import type { UntoldFlush } from './untold-flush.js';
import {
  broken,
  command,
  commandNames,
  extentBytes,
  extentFlag,
  headBytes,
  inlineBytes,
  inlineOf,
  isAnsweredInline,
  pageBytes,
  request,
  requestFlag,
  wrongDigest,
} from './wire.js';

/** What the disk failed, for those who keep the books. */
export interface BlockFailure {
  readonly command: string;
  readonly offset: number;
  readonly length: number;
  readonly errno: string;
  readonly message: string;
}

/** What was done in a session, or in all of a target. */
export interface BlockCounts {
  requests: number;
  bytesRead: number;
  bytesWritten: number;
  /** Requests that the disk failed. */
  failed: number;
  /** Writes whose data did not have their digest: nothing of them was written. */
  corrupt: number;
}

export interface ServiceSetup extends Layout {
  readonly ism: Ism;
  readonly gid: bigint;
  readonly epoch: number;
  readonly disk: BlockDevice;
  readonly mayWrite: boolean;
  readonly hasDigest: boolean;
  readonly counts: BlockCounts;
  readonly diskFailed: (failure: BlockFailure) => void;
  readonly untold: UntoldFlush;
  readonly corrupted: (error: IsmioError) => void;
  /** The session is of no use any more. */
  readonly failed: (error: Error) => void;
}

export class Service {
  readonly #setup: ServiceSetup;
  readonly #own: OwnMemory;
  #peer: PeerMemory | null = null;
  readonly #lookout: Lookout;
  /** A page of private memory for each slot: what came inline, and what is answered so. */
  readonly #pages: (Uint8Array | undefined)[];
  /** Where what is read is gathered, of a disk that has no memory of its own. */
  readonly #stages: (Uint8Array | undefined)[];
  /** Of what was read into a slot's data. */
  readonly #digests: Uint32Array;
  readonly #isBusy: Uint8Array;
  readonly #sequences: Uint32Array;
  readonly #answers: Answers;
  #isLooking = false;
  #inFlight = 0;
  #isClosed = false;
  readonly #settled: (() => void)[] = [];
  /** Errors of writes whose data were changed on their way to here; a disk may fail with such errors of its own. */
  readonly #corrupt = new WeakSet<object>();
  /** By slot: flushes that failed, until the initiator shows by its next request there that it has the answer. */
  readonly #unheard = new Map<number, Errno>();

  /** @throws what `registerDmb` throws */
  constructor(setup: ServiceSetup) {
    const { ism, gid, slots, epoch } = setup;
    this.#setup = setup;
    this.#pages = new Array<Uint8Array | undefined>(slots).fill(undefined);
    this.#stages = new Array<Uint8Array | undefined>(slots).fill(undefined);
    this.#digests = new Uint32Array(slots);
    this.#isBusy = new Uint8Array(slots);
    this.#sequences = new Uint32Array(slots);
    this.#answers = new Answers({
      ...{ epoch, slots },
      page: (slot) => this.#page(slot),
      peer: () => (this.#isClosed ? null : this.#peer),
      released: (slot, sequence) => {
        if (sequence === this.#sequences[slot]) this.#isBusy[slot] = 0;
      },
      failed: (error) => this.#fail(error),
    });
    this.#own = new OwnMemory(ism, gid, setup, () => this.#lookout.signalled());
    this.#lookout = new Lookout({
      glance: () => this.#glance(),
      look: () => this.#look(),
      failed: (error) => this.#fail(error),
    });
  }

  get tokens(): OwnMemory['tokens'] {
    return this.#own.tokens;
  }

  get counts(): { readonly moves: number; readonly signals: number; readonly rescued: number } {
    const { moves = 0, signals = 0 } = this.#peer ?? {};
    return { moves, signals, rescued: this.#lookout.rescued };
  }

  /** Where the initiator wants its answers. @throws IsmioError ERR_ISMIO_BLOCK */
  reach(tokens: { readonly heads: bigint; readonly data: readonly bigint[] }): void {
    if (this.#peer !== null) throw broken('it names its memory twice');
    this.#peer = new PeerMemory(this.#setup.ism, tokens, this.#setup);
  }

  /** The initiator leaves: it has all answers that it wants. */
  leave(): void {
    this.#unheard.clear();
    this.close();
  }

  /** Takes no more: the memory is given back at once, and nothing of what is still asked of the disk is answered. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const failure of this.#unheard.values()) this.#setup.untold.failed(failure);
    this.#lookout.close();
    this.#own.close();
    this.#peer?.close();
  }

  /** When nothing of it is asked of the disk any more. With `close` before it, nothing ever will be. */
  settled(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settled.push(resolve));
  }

  #glance(): boolean {
    return this.#peer !== null && this.#sequences.some((_, slot) => this.#hasNews(slot));
  }

  #hasNews(slot: number): boolean {
    return this.#own.view.getUint32(slot * pageBytes + request.sequence.offset) !== this.#sequences[slot];
  }

  #look(): Sight {
    if (this.#peer === null) return 'nothing'; // what is there before the memory was agreed on waits
    let sight: Sight = 'nothing';
    let isDoubt = false;
    this.#isLooking = true;
    for (let slot = 0; slot < this.#isBusy.length && !this.#isClosed; slot++) {
      if (!this.#hasNews(slot)) continue;
      const taken = this.#take(slot);
      if (taken === null) isDoubt = true;
      else {
        sight = 'news';
        this.#serve(taken);
      }
    }
    this.#isLooking = false;
    this.#answers.flush();
    return isDoubt ? 'doubt' : sight;
  }

  /** Null where its parts do not belong together (yet). */
  #take(slot: number): Request | null {
    if (this.#isBusy[slot] === 1) throw broken(`a request came into slot ${slot}, whose last one is not answered`);
    const page = this.#page(slot);
    if (!copyRequest(this.#own.heads.subarray(slot * pageBytes, (slot + 1) * pageBytes), page)) return null;
    const { epoch, disk, ioBytes, mayWrite, hasDigest } = this.#setup;
    const sequence = ((this.#sequences[slot] as number) + 1) >>> 0;
    const taken = checkRequest(page, { slot, epoch, sequence, size: disk.size, ioBytes, mayWrite, hasDigest });
    this.#sequences[slot] = sequence;
    this.#isBusy[slot] = 1;
    this.#unheard.delete(slot);
    return taken;
  }

  #serve(asked: Request): void {
    this.#setup.counts.requests++;
    this.#inFlight++;
    try {
      const done = this.#ask(asked);
      if (done === undefined) this.#ended(asked, null);
      else
        done.then(
          () => this.#ended(asked, null),
          (error: unknown) => this.#ended(asked, error),
        );
    } catch (error) {
      this.#ended(asked, error);
    }
  }

  #ask(asked: Request): Done {
    const { disk, mayWrite, untold } = this.#setup;
    const { flags, offset, length } = asked;
    const fua = (flags & requestFlag.fua) !== 0;
    switch (asked.command) {
      case command.read:
        return this.#read(asked);
      case command.write:
        return disk.write(offset, this.#checked(asked), fua ? { fua } : undefined);
      case command.flush:
        return mayWrite ? untold.flush(disk) : disk.flush();
      case command.trim:
        return disk.trim(offset, length);
      case command.cache:
        return disk.cache(offset, length);
      case command.zero: {
        const [fast, mayTrim] = [(flags & requestFlag.fast) !== 0, (flags & requestFlag.mayTrim) !== 0];
        return disk.zero(offset, length, { fast, mayTrim, fua });
      }
      default:
        return this.#findExtents(asked);
    }
  }

  /** The data of a write, which are what they were sent as. @throws IsmioError ERR_ISMIO_BLOCK_DIGEST */
  #checked(asked: Request): Uint8Array {
    const source = this.#written(asked);
    if (!this.#setup.hasDigest) return source;
    const { offset, length, digest: expected } = asked;
    const computed = digestOf(source);
    if (computed === expected) return source;
    const error = digestError('write', { offset, length }, { expected, computed });
    this.#corrupt.add(error);
    throw error;
  }

  #written({ slot, command: asked, length }: Request): Uint8Array {
    if (inlineOf(asked, length) === 0) return this.#own.data(slot, length);
    return this.#page(slot).subarray(headBytes, headBytes + length);
  }

  #read({ slot, offset, length }: Request): Done {
    const { disk, ioBytes, hasDigest } = this.#setup;
    if (length <= inlineBytes) return disk.read(offset, this.#page(slot).subarray(headBytes, headBytes + length));
    // Several pieces would take a block more where one of them ends within a page.
    const pieces = disk.view?.(offset, length) ?? [];
    if (pieces.length === 1 && !(hasDigest && !isCopied(pieces[0] as Uint8Array))) {
      this.#push(slot, 0, pieces[0] as Uint8Array);
      return undefined;
    }
    this.#stages[slot] ??= new Uint8Array(ioBytes);
    const stage = this.#stages[slot].subarray(0, length);
    const done = disk.read(offset, stage);
    if (done === undefined) this.#push(slot, 0, stage);
    return done?.then(() => this.#push(slot, 0, stage));
  }

  async #findExtents({ slot, offset, length, most }: Request): Promise<void> {
    const found = await this.#setup.disk.extents(offset, length, most);
    if (found.length === 0) throw new Error('the disk has no extent there');
    const view = new DataView(this.#page(slot).buffer);
    let left = length;
    let count = 0;
    for (const extent of found.slice(0, most)) {
      const size = Math.min(extent.length, left);
      if (size > 0) putExtent(view, headBytes + count++ * extentBytes, size, extent);
      left -= size;
    }
    this.#found.set(slot, count * extentBytes);
  }

  /** Bytes of extents that wait to be answered, by slot. */
  readonly #found = new Map<number, number>();

  #push(slot: number, at: number, bytes: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#setup.hasDigest) this.#digests[slot] = digestOf(bytes);
    try {
      this.#peer?.data(slot, at, bytes);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #ended(asked: Request, error: unknown): void {
    this.#inFlight--;
    const isCorrupt = error instanceof IsmioError && this.#corrupt.has(error);
    if (isCorrupt) this.#countCorrupt(error);
    else if (error !== null) this.#countFailure(asked, error);
    if (!this.#isClosed) this.#answer(asked, isCorrupt ? wrongDigest : error === null ? 0 : errno[errnoOf(error)]);
    if (this.#inFlight === 0) for (const settled of this.#settled.splice(0)) settled();
  }

  #countCorrupt(error: IsmioError): void {
    this.#setup.counts.corrupt++;
    this.#setup.corrupted(error);
  }

  #countFailure({ slot, command: asked, flags, offset, length }: Request, error: unknown): void {
    this.#setup.counts.failed++;
    const message = error instanceof Error ? error.message : String(error);
    const name = commandNames.get(asked) as string;
    const failure = errnoOf(error);
    this.#setup.diskFailed({ command: name, offset, length, errno: failure, message });
    if (asked !== command.flush && (flags & requestFlag.fua) === 0) return;
    // Who only reads has lost nothing, but hears what the medium says once.
    if (this.#isClosed || !this.#setup.mayWrite) this.#setup.untold.failed(failure);
    else this.#unheard.set(slot, failure);
  }

  #answer({ slot, command: asked, length: wanted, sequence }: Request, failure: number): void {
    const { counts } = this.#setup;
    let length = 0;
    if (failure === 0 && asked === command.read) length = wanted;
    if (failure === 0 && asked === command.extents) length = this.#found.get(slot) as number;
    if (asked === command.read) counts.bytesRead += length;
    if (asked === command.write && failure === 0) counts.bytesWritten += wanted;
    const digest = failure === 0 && asked === command.read ? this.#digestOfRead(slot, wanted) : 0;
    const isInline = isAnsweredInline(asked, wanted);
    this.#answers.add({ slot, sequence, errno: failure, length, digest, isInline });
    if (!this.#isLooking) this.#answers.flushSoon();
  }

  #digestOfRead(slot: number, length: number): number {
    if (!this.#setup.hasDigest) return 0;
    if (length > inlineBytes) return this.#digests[slot] as number;
    return digestOf(this.#page(slot).subarray(headBytes, headBytes + length));
  }

  #page(slot: number): Uint8Array {
    this.#pages[slot] ??= new Uint8Array(pageBytes);
    return this.#pages[slot];
  }

  #fail(error: Error): void {
    if (!this.#isClosed) this.#setup.failed(error);
  }
}

function putExtent(view: DataView, at: number, length: number, { hole, zero }: Extent): void {
  put(view, { offset: at, width: 8 }, length);
  put(view, { offset: at + 8, width: 4 }, (hole ? extentFlag.hole : 0) | (zero ? extentFlag.zero : 0));
  put(view, { offset: at + 12, width: 4 }, 0);
}
