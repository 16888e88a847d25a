// The ring that JavaScript and the addon share, in its four verbs: claim, fill, publish, reap. native/wire/wire.h has the
// drawing of the indices, which count for ever as 32-bit integers. The tail is kept as the index at which the ring's
// present lap began, and the place in the lap, so that a claim is one comparison:
//
//     lap                    at                 stop
//      |----------------------|..................|-----------|     in doubles, four to an entry
//      first entry            next to fill       where a claim has to look again: the ring's end, or no room beyond
//
// Where 8-byte stores are called for one by one, each going on where the one before it ends, a series of them is filled. It
// has all the room up to `stop` as long as it may grow: `stop` is at its first entry then, so that whoever else claims an
// entry looks, and with that ends it.
import { endianness } from 'node:os';
import { Double, layout, Opcode, Word } from '../addon/wire.js';

/** The entries, as typed arrays over them; an index modulo the mask and one more is a place. */
export interface Entries {
  readonly doubles: Float64Array;
  readonly words: Uint32Array;
  readonly mask: number;
}

/** A 64-bit value as the two halves of an entry are, one after the other in memory. */
const inHalves = endianness() === 'LE' ? (value: bigint) => value : (value: bigint) => (value << 32n) | (value >> 32n);

/** How many entries the memory needs for a queue of this depth: the next power of two. */
export function entriesFor(depth: number): number {
  return depth === 1 ? 1 : 1 << (32 - Math.clz32(depth - 1));
}

/** Stores of a series: fewer are not worth it, and while one is executed, all of its entries are taken. */
export const shortestSeries = 8;
export const longestSeries = 512;

/** No offset. */
const nowhere = -8;

/** storeWords looks whether to begin a series where none of these bits is in the place of an entry: at each 64th. */
export const seldom = 0xff;

export class Ring {
  /** Claimable without a look while it is not `stop`. */
  at = 0;
  stop = 0;

  /** The offset of the next store of the series that is being filled; no offset where there is none, or no more room. */
  next = nowhere;
  /** Where its words begin, where the next one goes, and where there is no more room; nothing is filled where these are one. */
  #firstWord = 0;
  #word = 0;
  #wordEnd = 0;
  /** What `stop` is when it has ended. */
  #stopBehind = 0;
  /** Where the last one has ended in the region. */
  #behind = nowhere;

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
    return (this.#lap + (this.at >> 2) + ((this.#word - this.#firstWord) >> 1)) | 0;
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
    this.endSeries();
    this.stop = this.at;
  }

  /** Finds room for at least one entry, and how far the claims after it need not look. False when the ring is full. */
  claim(): boolean {
    this.endSeries();
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

  /** Fills in what a series is, but for its words. `low` is the half of a word that is the less significant. */
  series(place: number, stride: number, low: 0 | 1, count: number): void {
    const { at, doubles, words } = this;
    const word = at << 1;
    doubles[at] = place;
    doubles[at | Double.step] = stride;
    words[word | Word.opcode] = Opcode.series | (low << 8);
    words[word | Word.count] = count;
  }

  /**
   * Begins a series with an 8-byte store in a claimed entry, where the stores before it are such that more are to be expected;
   * false where they are not. All room that it may need is kept for it: whoever claims an entry ends it.
   */
  begin(place: number, low: number, high: number, last: number): boolean {
    if (place !== this.#behind && !this.#goesOn(place)) return false;
    const { at } = this;
    const most = Math.min((this.stop - at) >> 2, longestSeries, Math.floor((last - place) / 8) + 1);
    this.series(place, 8, 0, 0);
    this.#firstWord = (at << 1) | Word.word;
    this.#word = this.#firstWord;
    this.#wordEnd = this.#firstWord + most * 2;
    this.next = place;
    this.append(low, high);
    this.#stopBehind = this.stop;
    this.stop = at;
    return true;
  }

  /** Whether the entries before this one are 8-byte stores, each of which goes on where the one before it ends, as this one does. */
  #goesOn(place: number): boolean {
    const { at, doubles, words } = this;
    for (let before = 1; before < shortestSeries; before++) {
      const entry = at - (before << 2);
      if (entry < 0 || words[(entry << 1) | Word.opcode] !== Opcode.store64) return false;
      if (doubles[entry] !== place - before * 8) return false;
    }
    return true;
  }

  /** The store at `next`. */
  append(low: number, high: number): void {
    const { words } = this;
    const word = this.#word;
    words[word] = low;
    words[word + 1] = high;
    this.#word = word + 2;
    this.next = word + 2 === this.#wordEnd ? nowhere : this.next + 8;
  }

  /** Ends the series that is being filled, if there is one. */
  endSeries(): void {
    if (this.#word === this.#firstWord) return;
    const stores = (this.#word - this.#firstWord) >> 1;
    this.#behind = (this.doubles[this.at] as number) + stores * 8;
    this.words[(this.at << 1) | Word.count] = stores;
    this.at += stores << 2;
    this.stop = this.#stopBehind;
    this.next = nowhere;
    this.#word = 0;
    this.#firstWord = 0;
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
