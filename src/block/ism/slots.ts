// An initiator's slots in one session: what is asked goes into the target's memory, and what is answered comes into this end's.
// A slot is the credit: it is free again when its answer was taken.
import type { Ism } from '../../ism/driver/ism.js';
import { checkOf, put } from '../../ism/stream/layout.js';
import { AnswerReader } from './answer-reader.js';
import { digestOfAll } from './digest.js';
import { Lookout, type Sight } from './lookout.js';
import { type Layout, OwnMemory, PeerMemory } from './memory.js';
import type { Operation } from './operation.js';
import {
  command,
  entry,
  entryBytes,
  headBytes,
  inlineBytes,
  inlineOf,
  isAnsweredInline,
  pageBytes,
  request,
  wordsEnd,
} from './wire.js';

export interface SlotsSetup extends Layout {
  readonly ism: Ism;
  readonly gid: bigint;
  readonly epoch: number;
  readonly hasDigest: boolean;
  /** Slots have become free. */
  readonly drained: () => void;
  /** The session is of no use any more. */
  readonly failed: (error: Error) => void;
}

/** Where a request is answered. */
interface Place {
  readonly isInline: boolean;
  /** Of what was seen there last. */
  readonly index: number;
  /** In the memory of heads. */
  readonly at: number;
}

export class Slots {
  readonly #setup: SlotsSetup;
  readonly #own: OwnMemory;
  #peer: PeerMemory | null = null;
  readonly #lookout: Lookout;
  readonly #free: number[];
  /** By slot. */
  readonly #asked: (Operation | null)[];
  readonly #order: Float64Array;
  #issued = 0;
  readonly #sequences: Uint32Array;
  /** The sequence that was accepted last at each place: heads of pages, then the array. */
  readonly #seen: Uint32Array;
  readonly #batch: number[] = [];
  readonly #page = new Uint8Array(pageBytes);
  readonly #pageView = new DataView(this.#page.buffer);
  readonly #answer: AnswerReader;
  #isClosed = false;

  constructor(setup: SlotsSetup) {
    const { ism, gid, slots } = setup;
    this.#setup = setup;
    this.#free = Array.from({ length: slots }, (_, i) => slots - 1 - i);
    this.#asked = new Array<Operation | null>(slots).fill(null);
    this.#order = new Float64Array(slots);
    this.#sequences = new Uint32Array(slots);
    this.#seen = new Uint32Array(2 * slots);
    this.#own = new OwnMemory(ism, gid, setup, () => this.#lookout.signalled());
    this.#answer = new AnswerReader(this.#own, setup);
    this.#lookout = new Lookout({
      glance: () => this.#glance(),
      look: () => this.#look(),
      failed: (error) => this.#fail(error),
    });
  }

  get tokens(): OwnMemory['tokens'] {
    return this.#own.tokens;
  }

  get free(): number {
    return this.#free.length;
  }

  get inFlight(): number {
    return this.#setup.slots - this.#free.length;
  }

  get counts(): { readonly moves: number; readonly signals: number; readonly rescued: number } {
    const { moves = 0, signals = 0 } = this.#peer ?? {};
    return { moves, signals, rescued: this.#lookout.rescued };
  }

  /** Where the target's slots are. @throws IsmioError ERR_ISMIO_BLOCK */
  reach(tokens: { readonly heads: bigint; readonly data: readonly bigint[] }): void {
    this.#peer = new PeerMemory(this.#setup.ism, tokens, this.#setup);
  }

  /** Takes a slot, of which there has to be one. It goes out at the end of this tick, with what else is asked in it. */
  issue(operation: Operation): void {
    const slot = this.#free.pop() as number;
    this.#asked[slot] = operation;
    this.#order[slot] = this.#issued++;
    if (this.#batch.push(slot) === 1) process.nextTick(() => this.#send());
  }

  /** Ends it: what was in flight, in the order in which it was asked. Nothing of it is answered after this. */
  close(): Operation[] {
    if (this.#isClosed) return [];
    this.#isClosed = true;
    this.#lookout.close();
    this.#own.close();
    this.#peer?.close();
    const left = this.#asked.flatMap((operation, slot) => (operation === null ? [] : [{ operation, slot }]));
    left.sort((a, b) => (this.#order[a.slot] as number) - (this.#order[b.slot] as number));
    return left.map(({ operation }) => operation);
  }

  /** The last alone signals: the target looks at all slots. */
  #send(): void {
    const peer = this.#peer;
    if (this.#isClosed || peer === null) return;
    const batch = this.#batch.splice(0);
    try {
      for (const slot of batch) this.#placeData(peer, slot);
      peer.flush();
      for (const [i, slot] of batch.entries()) this.#placeHead(peer, slot, i === batch.length - 1);
      peer.flush();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Data that do not go with the head. */
  #placeData(peer: PeerMemory, slot: number): void {
    const { command: asked, length, pieces } = this.#asked[slot] as Operation;
    if (inlineOf(asked, length) > 0) return;
    let at = 0;
    for (const piece of pieces) {
      if (piece.length > 0) peer.data(slot, at, piece);
      at += piece.length;
    }
  }

  #placeHead(peer: PeerMemory, slot: number, signals: boolean): void {
    const { command: asked, flags, offset, length, most, pieces } = this.#asked[slot] as Operation;
    const inline = inlineOf(asked, length);
    let at = headBytes;
    for (const piece of inline > 0 ? pieces : []) {
      this.#page.set(piece, at);
      at += piece.length;
    }
    const end = wordsEnd(headBytes + inline);
    this.#page.fill(0, headBytes + inline, end);
    const sequence = ((this.#sequences[slot] as number) + 1) >>> 0;
    this.#sequences[slot] = sequence;
    const view = this.#pageView;
    put(view, request.epoch, this.#setup.epoch);
    put(view, request.sequence, sequence);
    put(view, request.command, asked);
    put(view, request.flags, flags);
    put(view, request.offset, offset);
    put(view, request.length, length);
    put(view, request.most, most);
    put(view, request.digest, this.#setup.hasDigest && asked === command.write ? digestOfAll(pieces) : 0);
    put(view, request.check, checkOf(view, end));
    peer.head(slot, this.#page.subarray(0, end), signals);
  }

  #glance(): boolean {
    return this.#asked.some((operation, slot) => operation !== null && this.#hasNews(this.#placeOf(slot, operation)));
  }

  #placeOf(slot: number, { command: asked, length }: Operation): Place {
    const isInline = isAnsweredInline(asked, length);
    if (isInline) return { isInline, index: slot, at: slot * pageBytes };
    return { isInline, index: this.#asked.length + slot, at: this.#own.array + slot * entryBytes };
  }

  #hasNews({ at, index }: Place): boolean {
    return this.#own.view.getUint32(at + entry.sequence.offset) !== this.#seen[index];
  }

  #look(): Sight {
    let sight: Sight = 'nothing';
    let isDoubt = false;
    for (let slot = 0; slot < this.#asked.length; slot++) {
      const operation = this.#asked[slot] as Operation | null;
      if (operation === null) continue;
      const place = this.#placeOf(slot, operation);
      if (!this.#hasNews(place)) continue;
      const sequence = this.#sequences[slot] as number;
      if (this.#answer.take(slot, sequence, place.at, place.isInline ? inlineBytes : 0)) {
        this.#seen[place.index] = sequence;
        sight = 'news';
        this.#end(slot, operation, place.isInline);
        if (this.#isClosed) return sight;
      } else isDoubt = true;
    }
    if (sight === 'news') this.#setup.drained();
    return isDoubt ? 'doubt' : sight;
  }

  /** The answer is whole, and in private memory. */
  #end(slot: number, operation: Operation, isInline: boolean): void {
    const outcome = this.#answer.outcome(slot, operation, isInline);
    this.#asked[slot] = null;
    this.#free.push(slot);
    operation.ended(outcome);
  }

  #fail(error: Error): void {
    if (!this.#isClosed) this.#setup.failed(error);
  }
}
