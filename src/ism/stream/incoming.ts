// What comes in: bytes of the ring, and text of the control block, in the order of their positions. `cons` counts every byte
// that was copied out; telling the peer is the control block's.
import { ringOffset } from './layout.js';
import type { Peer } from './peer.js';

/** Copies all of the source into a target of the same length. */
export type Copy = (target: Uint8Array, source: Uint8Array) => void;

export class Incoming {
  readonly #memory: Uint8Array;
  readonly #peer: Peer;
  readonly #ring: number;
  readonly #copy: Copy;
  cons = 0;

  /**
   * @param memory this end's DMB
   * @param ring the size of its ring
   */
  constructor(memory: Uint8Array, peer: Peer, ring: number, copy: Copy) {
    this.#memory = memory;
    this.#peer = peer;
    this.#ring = ring;
    this.#copy = copy;
  }

  get available(): number {
    return this.#peer.prod - this.cons;
  }

  /** Copies what is there into the target, as much as it takes, and only then counts it as read. */
  read(target: Uint8Array): number {
    const { text, textPosition } = this.#peer;
    const textEnd = textPosition + text.length;
    const count = Math.min(target.length, this.available);
    for (let done = 0; done < count; ) {
      const position = this.cons + done;
      const isText = position >= textPosition && position < textEnd;
      const end = isText ? textEnd : position < textPosition ? textPosition : Number.POSITIVE_INFINITY;
      const at = position % this.#ring;
      const length = Math.min(count - done, end - position, isText ? text.length : this.#ring - at);
      const from = isText ? text : this.#memory;
      const start = isText ? position - textPosition : ringOffset + at;
      this.#copy(target.subarray(done, done + length), from.subarray(start, start + length));
      done += length;
    }
    this.cons += count;
    return count;
  }
}
