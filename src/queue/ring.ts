// The ring that JavaScript and the addon share, in its four verbs: claim, fill, publish, reap. native/wire/wire.h has the
// drawing of the indices, which count for ever as 32-bit integers. The tail is kept as the index at which the ring's
// present lap began, and the place in the lap, so that a claim is one comparison:
//
//     lap                    at                 stop
//      |----------------------|..................|-----------|     in doubles, four to an entry
//      first entry            next to fill       where a claim has to look again: the ring's end, or no room beyond
import { endianness } from 'node:os';
import { Double, layout, Opcode, Word } from '../wire.js';
import type { Lengths, Offsets } from './bulk.js';

/** The entries, as typed arrays over them; an index modulo the mask and one more is a place. */
export interface Entries {
  readonly doubles: Float64Array;
  readonly words: Uint32Array;
  readonly mask: number;
}

/** Memory that is read in place: what of it is still to be written. */
export interface Source {
  readonly slot: number;
  position: number;
  readonly end: number;
}

/** A 64-bit value as the two halves of an entry are, one after the other in memory. */
const inHalves = endianness() === 'LE' ? (value: bigint) => value : (value: bigint) => (value << 32n) | (value >> 32n);

/** How many entries the memory needs for a queue of this depth: the next power of two. */
export function entriesFor(depth: number): number {
  return depth === 1 ? 1 : 1 << (32 - Math.clz32(depth - 1));
}

export class Ring {
  /** Claimable without a look while it is not `stop`. */
  at = 0;
  stop = 0;

  readonly doubles: Float64Array;
  readonly words: Uint32Array;
  /** One word: pieces of payload copied for entries that are not published. The addon takes it at the publish. */
  readonly copied: Uint32Array;
  readonly #timed: Uint32Array;
  readonly #observed: Uint32Array;
  /** Entries less one: an index modulo this is a place. */
  readonly mask: number;

  readonly #depth: number;
  readonly #lapEnd: number;
  readonly #header: Int32Array;
  readonly #values: BigUint64Array;
  #lap = 0;
  #head = 0;
  #published = 0;

  /** @param memory a header and entriesFor(depth) entries */
  constructor(memory: ArrayBuffer, depth: number) {
    this.#depth = depth;
    this.mask = entriesFor(depth) - 1;
    this.#lapEnd = (this.mask + 1) << 2;
    this.#header = new Int32Array(memory, 0, layout.headerBytes / 4);
    this.copied = new Uint32Array(memory, layout.headerCopied, 1);
    this.#timed = new Uint32Array(memory, layout.headerTimed, 1);
    this.#observed = new Uint32Array(memory, layout.headerObserved, 1);
    this.doubles = new Float64Array(memory, layout.headerBytes);
    this.words = new Uint32Array(memory, layout.headerBytes);
    this.#values = new BigUint64Array(memory, layout.headerBytes);
  }

  get tail(): number {
    return (this.#lap + (this.at >> 2)) | 0;
  }

  /** Entries filled and not yet published. */
  get filled(): number {
    return (this.tail - this.#published) | 0;
  }

  /** Whether stages were timed when the last batch was handed over, or when the queue was made. */
  get timed(): boolean {
    return this.#timed[0] !== 0;
  }

  /** Whether the addon notes when the next batch began and ended. */
  observe(wanted: boolean): void {
    this.#observed[0] = wanted ? 1 : 0;
  }

  /** Makes the next claim look, whatever room there is. */
  halt(): void {
    this.stop = this.at;
  }

  /** Finds room for at least one entry, and how far the claims after it need not look. False when the ring is full. */
  claim(): boolean {
    if (this.at === this.#lapEnd) {
      this.#lap = (this.#lap + this.mask + 1) | 0;
      this.at = 0;
    }
    if (this.#room() === 0) this.reap();
    this.stop = Math.min(this.at + (this.#room() << 2), this.#lapEnd);
    return this.stop > this.at;
  }

  /** Fills a claimed entry with a store; `opcode` has its width. */
  store(opcode: number, place: number, low: number, high: number): void {
    const { at, words, doubles } = this;
    const word = at << 1;
    this.at = (at + 4) | 0;
    doubles[at] = place;
    words[word | Word.low] = low;
    words[word | Word.high] = high;
    words[word | Word.opcode] = opcode;
  }

  /**
   * Fills `count` claimed entries with 8-byte stores, from index `from` of the offsets and twice that of the words on.
   * @param low which word of a pair is the less significant
   * @param last the last offset that is allowed
   * @returns how many: less than `count` where an offset is none
   */
  stores(offsets: Offsets, values: Uint32Array, low: 0 | 1, from: number, count: number, last: number): number {
    const { doubles, words } = this;
    let at = this.at;
    for (let index = from; index < from + count; index++) {
      const place = offsets[index] as number;
      if (!(place >= 0 && place <= last && (place & 7) === 0 && Math.floor(place) === place)) break;
      const word = at << 1;
      doubles[at] = place;
      words[word | Word.low] = values[(index << 1) | low] as number;
      words[word | Word.high] = values[(index << 1) | (low ^ 1)] as number;
      words[word | Word.opcode] = Opcode.store64;
      at = (at + 4) | 0;
    }
    const filled = (at - this.at) >> 2;
    this.at = at;
    return filled;
  }

  /** The same with offsets from `place` on, `stride` bytes apart, all of them legal. */
  storesEvery(place: number, stride: number, values: Uint32Array, low: 0 | 1, from: number, count: number): number {
    const { doubles, words } = this;
    let at = this.at;
    for (let done = 0; done < count; done++) {
      const word = at << 1;
      const index = (from + done) << 1;
      doubles[at] = place + done * stride;
      words[word | Word.low] = values[index | low] as number;
      words[word | Word.high] = values[index | (low ^ 1)] as number;
      words[word | Word.opcode] = Opcode.store64;
      at = (at + 4) | 0;
    }
    this.at = at;
    return count;
  }

  /** Fills a claimed entry with an 8-byte store. */
  store64(place: number, value: bigint): void {
    const at = this.at;
    this.doubles[at] = place;
    this.#values[at | Double.value] = inHalves(value);
    this.words[(at << 1) | Word.opcode] = Opcode.store64;
    this.at = (at + 4) | 0;
  }

  /** Fills a claimed entry with a write or load of `count` bytes at `position` of a source. */
  bytes(opcode: number, place: number, slot: number, position: number, count: number): void {
    const at = this.at;
    const word = at << 1;
    const doubles = this.doubles;
    const words = this.words;
    doubles[at] = place;
    doubles[at | Double.position] = position;
    doubles[at | Double.length] = count;
    words[word | Word.source] = slot;
    words[word | Word.opcode] = opcode;
    this.at = (at + 4) | 0;
  }

  /**
   * Fills `count` claimed entries with writes, from index `from` of the offsets and lengths on. Their pieces of the source
   * lie one behind the other.
   * @param size of the region
   * @returns how many: less than `count` where an offset is none, or the source has no more
   */
  writes(offsets: Offsets, lengths: Lengths, from: number, count: number, source: Source, size: number): number {
    const { doubles, words } = this;
    const { slot, end } = source;
    let { position } = source;
    let at = this.at;
    for (let index = from; index < from + count; index++) {
      const place = offsets[index] as number;
      const length = typeof lengths === 'number' ? lengths : (lengths[index] as number);
      if (!(place >= 0 && place <= size - length && Math.floor(place) === place && position + length <= end)) break;
      const word = at << 1;
      doubles[at] = place;
      doubles[at | Double.position] = position;
      doubles[at | Double.length] = length;
      words[word | Word.source] = slot;
      words[word | Word.opcode] = Opcode.write;
      position += length;
      at = (at + 4) | 0;
    }
    source.position = position;
    const filled = (at - this.at) >> 2;
    this.at = at;
    return filled;
  }

  /** Fills a claimed entry with a fence for this purpose. */
  fence(purpose: number): void {
    this.words[(this.at << 1) | Word.opcode] = Opcode.fence | (purpose << 8);
    this.at = (this.at + 4) | 0;
  }

  /** Where what is filled and not published begins. */
  get published(): number {
    return this.#published;
  }

  /** Hands what is filled over: from here on the entries are the addon's. Where it ends. */
  publish(): number {
    this.#published = this.tail;
    return this.#published;
  }

  /**
   * Looks how far the addon is: entries before that may be filled anew. Against `Executor::publish`, a release store: what
   * it has read of an entry was read before this load sees that it is free.
   */
  reap(): void {
    this.#freeUpTo(Atomics.load(this.#header, 0));
  }

  /** A batch has ended, as the addon told this thread: whatever it wrote before is seen, and nothing has to be ordered. */
  ended(): void {
    this.#freeUpTo(this.#header[0] as number);
  }

  #freeUpTo(completed: number): void {
    if (((this.#published - completed) | 0) >= 0 && ((completed - this.#head) | 0) > 0) this.#head = completed;
  }

  #room(): number {
    return this.#depth - ((this.tail - this.#head) | 0);
  }
}
