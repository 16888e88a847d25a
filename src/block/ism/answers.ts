// The answers of a session on their way to the initiator: each lies at the head of its slot's page, with what was read, or in the
// array of answers. Those that become ready together go together.
import { setImmediate } from 'node:timers';
import { checkOf, put } from '../../ism/stream/layout.js';
import type { PeerMemory } from './memory.js';
import { entry, entryBytes, headBytes, wordsEnd } from './wire.js';

export interface AnswersSetup {
  readonly epoch: number;
  readonly slots: number;
  /** This end's copy of a slot's page. */
  page(slot: number): Uint8Array;
  /** Where they go; null where nothing goes any more. */
  peer(): PeerMemory | null;
  /** The request of this sequence is answered: the slot may be asked again as soon as its answer is there. */
  released(slot: number, sequence: number): void;
  failed(error: Error): void;
}

export interface Answer {
  readonly slot: number;
  readonly sequence: number;
  /** 0, or what came of it. */
  readonly errno: number;
  /** Of what was read, or of extents. */
  readonly length: number;
  readonly digest: number;
  /** With its bytes in the page, behind the head. */
  readonly isInline: boolean;
}

export class Answers {
  readonly #setup: AnswersSetup;
  /** The truth of the array. */
  readonly #array: Uint8Array;
  readonly #view: DataView;
  /** The slots of the array that wait. */
  #first = Number.POSITIVE_INFINITY;
  #last = -1;
  /** Those at the head of their page: bytes of it each. */
  readonly #inline: { readonly slot: number; readonly sequence: number; readonly end: number }[] = [];
  #flushes = false;

  constructor(setup: AnswersSetup) {
    this.#setup = setup;
    this.#array = new Uint8Array(setup.slots * entryBytes);
    this.#view = new DataView(this.#array.buffer);
  }

  add(answer: Answer): void {
    const { slot, sequence, length, isInline } = answer;
    if (!isInline) {
      this.#write(this.#array.subarray(slot * entryBytes, (slot + 1) * entryBytes), entryBytes, answer);
      this.#first = Math.min(this.#first, slot);
      this.#last = Math.max(this.#last, slot);
      return;
    }
    const page = this.#setup.page(slot);
    const end = wordsEnd(headBytes + length);
    page.fill(0, headBytes + length, end);
    this.#write(page.subarray(0, end), headBytes, answer);
    this.#inline.push({ slot, sequence, end });
  }

  /** @param head bytes of it that are the answer's own; what lies behind them is checked as well */
  #write(bytes: Uint8Array, head: number, { sequence, errno, length, digest }: Answer): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    bytes.fill(0, 0, head);
    put(view, entry.epoch, this.#setup.epoch);
    put(view, entry.sequence, sequence);
    put(view, entry.errno, errno);
    put(view, entry.length, length);
    put(view, entry.digest, digest);
    put(view, entry.check, checkOf(view, bytes.length));
  }

  /** What becomes ready in one turn goes out together. */
  flushSoon(): void {
    if (this.#flushes) return;
    this.#flushes = true;
    setImmediate(() => {
      this.#flushes = false;
      this.flush();
    });
  }

  /** Answers at heads of pages first; then one range of the array. The last of them signals. */
  flush(): void {
    const peer = this.#setup.peer();
    if (peer === null || (this.#inline.length === 0 && this.#last < 0)) return;
    const [first, last] = [this.#first, this.#last];
    this.#first = Number.POSITIVE_INFINITY;
    this.#last = -1;
    const inline = this.#inline.splice(0);
    try {
      peer.flush(); // the data of reads are there before what says so
      for (const [i, { slot, sequence, end }] of inline.entries()) {
        this.#setup.released(slot, sequence);
        peer.head(slot, this.#setup.page(slot).subarray(0, end), last < 0 && i === inline.length - 1);
      }
      if (last >= 0) {
        for (let slot = first; slot <= last; slot++) this.#setup.released(slot, this.#sequenceOf(slot));
        peer.answers(first, this.#array.subarray(first * entryBytes, (last + 1) * entryBytes));
      }
      peer.flush();
    } catch (error) {
      this.#setup.failed(error as Error);
    }
  }

  /** Of the request that was answered in the array last. */
  #sequenceOf(slot: number): number {
    return this.#view.getUint32(slot * entryBytes + entry.sequence.offset);
  }
}
