// Blocks on their way into the file.
//
//     waiting ──gather──> begun: deflating ──seal──> being written ──> in the file
//              one a turn         several at once      one at a time
//
// The event loop is held for one of the marked steps of one block at a time. Their order is that of the drafts: where a
// block is in the file is known when it is sealed. Whoever cannot wait - a recorder that is closed, a process that exits -
// has the rest of it done at once, by the thread that asks; a write in flight is made again, of the same bytes to the same place.
import { closeSync, fsyncSync, write, writeSync } from 'node:fs';
import { deflateLater, deflateNow } from './deflate.js';
import { contentOf, type Draft, seal } from './draft.js';

/** Blocks that are gathered and not in the file yet. */
const mostBegun = 4;
/** Memory for a block that is gathered: what most of them need. */
const leastSpare = 3 * 2 ** 20;
/** Bytes in drafts of their own: with more of them, whoever adds one has to wait. */
const mostOwned = 16 * 2 ** 20;

interface Begun {
  readonly draft: Draft;
  readonly gathered: Uint8Array;
  /** Undefined while it is being deflated; null where that is not worth it. */
  deflated: Uint8Array | null | undefined;
  sealed: Sealed | null;
}

interface Sealed {
  readonly block: Uint8Array;
  readonly position: number;
}

export class BlockWriter {
  readonly #file: number;
  readonly #compress: boolean;
  readonly #failed: (error: unknown) => void;
  #waiting: Draft[] = [];
  #begun: Begun[] = [];
  #spare: Uint8Array[] = [];
  #owned = 0;
  #position: number;
  #number = 0;
  #turn: NodeJS.Immediate | null = null;
  #writing = false;
  #ended = false;
  #closing = false;
  /** Drafts that were added, and that were gathered, so far. */
  #added = 0;
  #gathered = 0;
  #readers: { readonly upTo: number; readonly done: () => void }[] = [];

  /**
   * @param position of the first block
   * @param failed is told what went wrong while nobody waited
   */
  constructor(file: number, position: number, compress: boolean, failed: (error: unknown) => void) {
    this.#file = file;
    this.#position = position;
    this.#compress = compress;
    this.#failed = failed;
  }

  /** Where the next block will be, when all others are in the file. */
  get position(): number {
    return this.#position;
  }

  /** Adds a block. Throws what goes wrong where it has to be written at once. */
  add(draft: Draft): void {
    this.#waiting.push(draft);
    this.#added++;
    this.#owned += draft.owned;
    if (this.#owned > mostOwned) this.flush();
    else this.#next();
  }

  /** Whether the program's memory is still to be read; resolves when that of all drafts so far has been. */
  reading(): Promise<void> | null {
    if (!this.#waiting.some((draft) => draft.refers)) return null;
    return new Promise((done) => this.#readers.push({ upTo: this.#added, done }));
  }

  /** Writes everything that was added, now. */
  flush(): void {
    for (;;) {
      const begun = this.#begun[0] ?? this.#begin();
      if (begun === null) return;
      if (begun.deflated === undefined) begun.deflated = deflateNow(contentOf(begun.draft, begun.gathered));
      begun.sealed ??= this.#seal(begun);
      writeAll(this.#file, begun.sealed.block, begun.sealed.position);
      this.#written();
    }
  }

  /** Writes the block, now, where the next one will be as well; and these bytes behind it. */
  writeLast(draft: Draft, behind: (position: number) => Uint8Array): void {
    this.flush();
    const block = seal(draft, draft.gather(), null, this.#number, this.#position);
    writeAll(this.#file, block, this.#position);
    writeAll(this.#file, behind(this.#position), this.#position + block.length);
  }

  /** What stands before the blocks. */
  writePreamble(preamble: Uint8Array): void {
    writeAll(this.#file, preamble, 0);
  }

  sync(): void {
    fsyncSync(this.#file);
  }

  /** Lets go of everything. The descriptor is closed when nothing is being written to it any more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = [];
    this.#begun = [];
    this.#spare = [];
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#tellReaders(Number.POSITIVE_INFINITY);
    if (this.#writing) this.#closing = true;
    else closeSync(this.#file);
  }

  #next(): void {
    if (this.#ended || this.#turn !== null) return;
    if (this.#waiting.length === 0 || this.#begun.length >= mostBegun) return;
    this.#turn = setImmediate(() => {
      this.#turn = null;
      this.#trying(() => this.#deflate(this.#begin()));
      this.#next();
    });
  }

  /** Gathers the next block. */
  #begin(): Begun | null {
    const draft = this.#waiting[0];
    if (draft === undefined) return null;
    const gathered = draft.gather((bytes) => this.#take(bytes));
    const begun: Begun = { draft, gathered, deflated: this.#compress ? undefined : null, sealed: null };
    this.#waiting.shift();
    this.#begun.push(begun);
    this.#gathered++;
    this.#tellReaders(this.#gathered);
    return begun;
  }

  #deflate(begun: Begun | null): void {
    if (begun?.deflated !== undefined || begun === null) {
      this.#write();
      return;
    }
    deflateLater(contentOf(begun.draft, begun.gathered), (error, deflated) => {
      if (begun.deflated !== undefined) return; // somebody could not wait
      begun.deflated = deflated;
      this.#trying(() => {
        if (error !== null) throw error;
        this.#write();
      });
    });
  }

  /** Begins to write the oldest block, where it is ready. */
  #write(): void {
    const begun = this.#begun[0];
    if (this.#ended || this.#writing || begun === undefined || begun.deflated === undefined) return;
    begun.sealed ??= this.#seal(begun);
    this.#writeFrom(0, begun, begun.sealed);
  }

  #writeFrom(done: number, begun: Begun, sealed: Sealed): void {
    const { block, position } = sealed;
    this.#writing = true;
    write(this.#file, block, done, block.length - done, position + done, (error, length) => {
      this.#writing = false;
      if (this.#closing) closeSync(this.#file);
      this.#trying(() => {
        const here = this.#begun[0] === begun; // if not, somebody could not wait
        if (here && error !== null) throw error;
        if (here && done + length < block.length) {
          this.#writeFrom(done + length, begun, sealed);
          return;
        }
        if (here) {
          this.#written();
          this.#keep(begun); // nobody else has it: where somebody could not wait, a thread may still read it
        }
        this.#write();
      });
    });
  }

  #seal({ draft, gathered, deflated = null }: Begun): Sealed {
    const position = this.#position;
    const block = seal(draft, gathered, deflated, this.#number++, position);
    this.#position += block.length;
    return { block, position };
  }

  /** The oldest block is in the file. */
  #written(): void {
    const begun = this.#begun.shift();
    this.#owned -= begun?.draft.owned ?? 0;
    this.#next();
  }

  /** Memory that was touched before, where there is some: to touch more takes several times as long as to copy. */
  #take(bytes: number): Uint8Array {
    const at = this.#spare.findIndex(({ length }) => length >= bytes);
    return (at < 0 ? undefined : this.#spare.splice(at, 1)[0]) ?? new Uint8Array(Math.max(bytes, leastSpare));
  }

  #keep({ draft, gathered }: Begun): void {
    if (draft.refers && this.#spare.length < mostBegun) this.#spare.push(gathered);
  }

  #trying(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!this.#ended) this.#failed(error);
    }
  }

  #tellReaders(upTo: number): void {
    while (this.#readers[0] !== undefined && this.#readers[0].upTo <= upTo) this.#readers.shift()?.done();
  }
}

/** @param position in the file */
function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, position + done);
}
