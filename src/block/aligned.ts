// Reads and writes of any range over a medium that takes whole blocks from memory that lies at a page: what O_DIRECT wants.
// They go through buffers of ours; of a block that is written in part, the rest is read before.
import { allocBuffer } from '../access/memory.js';
import { Held } from './held.js';

/** Bytes that go at a time: a multiple of every alignment. */
const windowBytes = 2 ** 18;
/** Buffers that are kept for later. */
const mostSpare = 8;

/** What takes whole blocks. */
export interface BlockMedium {
  read(offset: number, target: Uint8Array): Promise<void>;
  write(offset: number, source: Uint8Array): Promise<void>;
}

/** A piece of a range, and the whole blocks around it. */
interface Window {
  readonly at: number;
  readonly length: number;
  readonly first: number;
  readonly end: number;
}

/** The size of the medium is a multiple of the alignment. */
export class Aligned {
  readonly #medium: BlockMedium;
  readonly #alignment: number;
  readonly #held = new Held();
  readonly #spare: Uint8Array[] = [];

  constructor(medium: BlockMedium, alignment: number) {
    this.#medium = medium;
    this.#alignment = alignment;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    for (const { at, length, first, end } of this.#windows(offset, target.length)) {
      await this.#withBuffer(async (buffer) => {
        const blocks = buffer.subarray(0, end - first);
        await this.#medium.read(first, blocks);
        target.set(blocks.subarray(at - first, at - first + length), at - offset);
      });
    }
  }

  async write(offset: number, source: Uint8Array): Promise<void> {
    for (const window of this.#windows(offset, source.length)) {
      const part = source.subarray(window.at - offset, window.at - offset + window.length);
      await this.alone(window.at, window.length, () =>
        this.#withBuffer((buffer) => this.#writeOne(window, part, buffer)),
      );
    }
  }

  /** Runs what changes a range by another way, while no write has any of its blocks. */
  alone<Result>(offset: number, length: number, act: () => Promise<Result>): Promise<Result> {
    const [first, end] = [Math.floor(offset / this.#alignment), Math.ceil((offset + length) / this.#alignment)];
    return this.#held.alone(first, end, act);
  }

  async #writeOne({ at, length, first, end }: Window, part: Uint8Array, buffer: Uint8Array): Promise<void> {
    const blocks = buffer.subarray(0, end - first);
    const last = end - this.#alignment;
    const isCutAtEnd = at + length < end;
    if (at > first || (isCutAtEnd && last === first))
      await this.#medium.read(first, blocks.subarray(0, this.#alignment));
    if (isCutAtEnd && last !== first) await this.#medium.read(last, blocks.subarray(last - first));
    blocks.set(part, at - first);
    await this.#medium.write(first, blocks);
  }

  *#windows(offset: number, length: number): Generator<Window> {
    const stop = offset + length;
    for (let at = offset; at < stop; ) {
      const first = at - (at % this.#alignment);
      const next = Math.min(first + windowBytes, stop);
      yield { at, length: next - at, first, end: Math.ceil(next / this.#alignment) * this.#alignment };
      at = next;
    }
  }

  async #withBuffer(act: (buffer: Uint8Array) => Promise<void>): Promise<void> {
    const buffer = this.#spare.pop() ?? allocBuffer(windowBytes);
    try {
      await act(buffer);
    } finally {
      if (this.#spare.length < mostSpare) this.#spare.push(buffer);
    }
  }
}
