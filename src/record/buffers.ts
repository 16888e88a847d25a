// The memory that a recording passes through: a few buffers that go round, each whoever still needs it holds.
import { allocBuffer } from '../access/memory.js';

const smallest = 1 << 20;
const kept = 16;

export class Buffers {
  readonly #free: Uint8Array[] = [];
  /** Handed out and not given back. */
  held = 0;

  /** At least so many bytes, page-aligned. */
  take(bytes: number): Uint8Array {
    this.held++;
    const fitting = this.#free.findIndex((buffer) => buffer.length >= bytes);
    if (fitting >= 0) return this.#free.splice(fitting, 1)[0] as Uint8Array;
    return allocBuffer(Math.ceil(bytes / smallest) * smallest);
  }

  give(buffer: Uint8Array): void {
    this.held--;
    if (this.#free.length < kept) this.#free.push(buffer);
  }
}

/** A block's content, in memory that the engine reads in place, at `blockHeaderBytes`. */
export class Block {
  readonly bytes: Uint8Array;
  readonly #buffers: Buffers;
  #users = 1;

  constructor(
    buffers: Buffers,
    bytes: Uint8Array,
    /** Of the content. */
    readonly length: number,
    readonly operations: number,
    /** In the file. */
    readonly position: number,
    readonly type: number,
    /** Where the next one begins. */
    readonly next: number,
  ) {
    this.#buffers = buffers;
    this.bytes = bytes;
  }

  hold(): void {
    this.#users++;
  }

  release(): void {
    if (--this.#users === 0) this.#buffers.give(this.bytes);
  }
}
