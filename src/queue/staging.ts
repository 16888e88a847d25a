// Memory for the bytes of operations whose own buffers may change or move before they are stored.
//
//     |.......[copied.......|copied....]..............|
//            head                     tail            both count for ever; `at` is where the tail is in the memory
//
// A piece is never split at the wrap: what is left of the end is passed over. Batches give their pieces back in order.
// (`at` could be worked out as tail modulo size; past 2^31 that is a division of doubles, which takes as long as a copy.)
import { rangeError } from '../support/errors.js';

/** What does not fit now. A value, not an exception: the caller hands it on as a full queue. */
const full = -1;

export class Staging {
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly #copied: Uint32Array;
  #head = 0;
  #tail = 0;
  #at = 0;
  /** Where pieces begin that are in no batch yet, in order. */
  readonly #open: number[] = [];

  /**
   * @param memory of a multiple of 8 bytes
   * @param copied one word, in which every copy into the memory is counted; whoever takes the batch over sets it to 0.
   * Copies back out are the addon's to count: it knows what was loaded
   */
  constructor(memory: ArrayBuffer, copied: Uint32Array) {
    this.bytes = new Uint8Array(memory);
    this.size = memory.byteLength;
    this.#copied = copied;
  }

  /**
   * Where the pieces handed out so far end, or the first begins that is in no batch yet; `release` takes it when the batch that
   * holds them has ended.
   */
  get mark(): number {
    return this.#open[0] ?? this.#tail;
  }

  /** Keeps the piece that comes next until `settle` is called with what this answers, whatever batches end before. */
  hold(): number {
    this.#open.push(this.#tail);
    return this.#tail;
  }

  /** The piece is in a batch, or not wanted any more. */
  settle(held: number): void {
    const open = this.#open;
    // Mostly the last: a splice makes an array of what it takes out.
    if (open[open.length - 1] === held) open.pop();
    else open.splice(open.indexOf(held), 1);
  }

  /** @throws RangeError ERR_ISMIO_TOO_LONG where so many bytes would not fit if it were empty */
  checkFits(length: number): void {
    if (length <= this.size) return;
    throw rangeError(
      'ERR_ISMIO_TOO_LONG',
      `${length} bytes never fit the queue's ${this.size} bytes for copies; use memory from allocBuffer, which is ` +
        'not copied, or a queue with more { bytes }',
      { length, bytes: this.size },
    );
  }

  /** Position of `length` bytes, at a multiple of 8 because a strict store block wants its source there; or -1 when there is no room now. */
  reserve(length: number): number {
    const room = Math.ceil(length / 8) * 8;
    // Empty: begin at the front, or what is longer than the rest of the lap would never fit.
    if (this.#head === this.#tail) this.#at = 0;
    const fits = this.#at + room <= this.size;
    const tail = this.#tail + room + (fits ? 0 : this.size - this.#at);
    if (tail - this.#head > this.size) return full;
    const start = fits ? this.#at : 0;
    this.#at = start + room;
    this.#tail = tail;
    return start;
  }

  /** Copies [start, start + length) of `source` in; its position, or -1 when there is no room. */
  copy(source: Uint8Array, start: number, length: number): number {
    const at = this.reserve(length);
    if (at === full) return full;
    if (length === 0) return at;
    const whole = start === 0 && length === source.byteLength;
    this.bytes.set(whole ? source : source.subarray(start, start + length), at);
    (this.#copied[0] as number)++;
    return at;
  }

  /** Copies what was loaded to `position` out into `target`. */
  copyOut(position: number, target: Uint8Array): void {
    target.set(this.bytes.subarray(position, position + target.byteLength));
  }

  /** Gives back everything up to `mark`. */
  release(mark: number): void {
    if (mark > this.#head) this.#head = mark;
  }
}
