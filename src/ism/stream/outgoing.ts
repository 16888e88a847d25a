// What goes out: chunks wait here until the peer has room, then go into its ring, or as text into the control block.
// `prod` counts every byte that was placed; publishing it is the control block's.
import { longestText, ringOffset } from './layout.js';

/** Moves bytes into the peer's DMB; returns when they are there, and throws when they are not. */
export type Move = (offset: number, bytes: Uint8Array, signal: boolean) => void;

/** Pieces of several chunks that share a page are put together here, so that they are one move. It is empty between moves. */
const page = 4096;
const staging = new Uint8Array(page);

export class Outgoing {
  readonly #move: Move;
  readonly #ring: number;
  #chunks: Uint8Array[] = [];
  /** The first chunk that was not placed whole, and the bytes of it that were. */
  #first = 0;
  #placed = 0;
  /** Bytes that wait for room. */
  queued = 0;
  prod = 0;
  /** Text that stays in every control block until the peer has read it: it takes the positions from `textPosition` on. */
  readonly text = new Uint8Array(longestText);
  textPosition = 0;
  textLength = 0;

  constructor(move: Move, ring: number) {
    this.#move = move;
    this.#ring = ring;
  }

  /** Takes a chunk without a copy: it must stay as it is until it was placed. */
  offer(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.queued += chunk.length;
  }

  drop(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#placed = 0;
    this.queued = 0;
  }

  /** Places what the peer has room for, where it has read up to `cons`. */
  place(cons: number): void {
    if (this.textPosition + this.textLength <= cons) {
      this.textPosition = 0;
      this.textLength = 0;
    }
    const room = this.#ring - (this.prod - cons);
    const count = Math.min(room, this.queued);
    if (count === 0) return;
    if (count === this.queued && count <= this.#textRoom()) this.#placeText(count);
    else this.#placeBlocks(count);
  }

  /** Text can be added to only where nothing was placed behind it. */
  #textRoom(): number {
    if (this.textLength === 0) return longestText;
    return this.textPosition + this.textLength === this.prod ? longestText - this.textLength : 0;
  }

  #placeText(count: number): void {
    if (this.textLength === 0) this.textPosition = this.prod;
    this.#take(this.text.subarray(this.textLength, this.textLength + count));
    this.textLength += count;
    this.prod += count;
  }

  /** As few blocks as pages are touched: a piece that one chunk fills goes out from where it lies. */
  #placeBlocks(count: number): void {
    for (let left = count; left > 0; ) {
      const at = this.prod % this.#ring;
      const toWrap = this.#ring - at;
      const piece = Math.min(left, toWrap, page - (at % page));
      const first = this.#chunks[this.#first] as Uint8Array;
      const whole = Math.min(first.length - this.#placed, left, toWrap);
      const length = whole < piece ? piece : whole === left || whole === toWrap ? whole : toPageEnd(whole, at);
      const source = whole < piece ? staging.subarray(0, piece) : first.subarray(this.#placed, this.#placed + length);
      if (whole < piece) this.#take(source);
      else this.#skip(length);
      this.#move(ringOffset + at, source, false);
      this.prod += length;
      left -= length;
    }
  }

  #take(target: Uint8Array): void {
    for (let filled = 0; filled < target.length; ) {
      const first = this.#chunks[this.#first] as Uint8Array;
      const length = Math.min(first.length - this.#placed, target.length - filled);
      target.set(first.subarray(this.#placed, this.#placed + length), filled);
      filled += length;
      this.#skip(length);
    }
  }

  #skip(length: number): void {
    this.queued -= length;
    this.#placed += length;
    if (this.queued === 0) this.drop();
    if (this.#placed < (this.#chunks[this.#first]?.length ?? 1)) return;
    this.#first++;
    this.#placed = 0;
  }
}

/** The bytes of a chunk that go out from where they lie; its last part of a page goes with the next chunk. */
function toPageEnd(length: number, at: number): number {
  return length - ((at + length) % page);
}
