// A block of a recording before it is written: its content, of which a part may still be in the program's memory.
import { native } from '../addon/binding.js';
import { blockHeaderBytes, blockMagic, codings } from './format.js';
import { bytesAt, type Reference } from './payload.js';

/** What fills a block up to a multiple of 16, at most. */
const padding = 16;

/** Room for the header, the content, and what fills it up. */
export function roomFor(length: number): number {
  return blockHeaderBytes + length + padding;
}

export class Draft {
  readonly type: number;
  readonly operations: number;
  /** Of the content. */
  readonly length: number;
  /** Bytes that this draft holds itself. */
  readonly owned: number;
  readonly #packed: Uint8Array;
  readonly #references: readonly Reference[];

  /**
   * @param parts the content without what the references stand for; they are copied
   * @param references places in the content, ascending
   */
  constructor(type: number, parts: readonly Uint8Array[], operations: number, references: readonly Reference[] = []) {
    this.type = type;
    this.operations = operations;
    this.owned = parts.reduce((sum, part) => sum + part.length, 0);
    this.length = references.reduce((sum, { length }) => sum + length, this.owned);
    this.#references = references;
    this.#packed = new Uint8Array(roomFor(this.owned));
    let at = blockHeaderBytes;
    for (const part of parts) {
      this.#packed.set(part, at);
      at += part.length;
    }
  }

  get refers(): boolean {
    return this.#references.length > 0;
  }

  /**
   * All of the content in one piece, with room for the header before it. The program's memory is not needed any more.
   * @param take memory of so many bytes, or more
   */
  gather(take: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes)): Uint8Array {
    if (!this.refers) return this.#packed;
    const block = take(roomFor(this.length));
    let [from, to] = [0, 0];
    const copy = (length: number): void => {
      block.set(
        this.#packed.subarray(blockHeaderBytes + from, blockHeaderBytes + from + length),
        blockHeaderBytes + to,
      );
      from += length;
      to += length;
    };
    for (const reference of this.#references) {
      copy(reference.at - to);
      block.set(bytesAt(reference), blockHeaderBytes + to);
      to += reference.length;
    }
    copy(this.owned - from);
    return block;
  }
}

/** The content of a gathered block. */
export function contentOf({ length }: Draft, gathered: Uint8Array): Uint8Array {
  return gathered.subarray(blockHeaderBytes, blockHeaderBytes + length);
}

/**
 * The block as it stands in the file, made of the memory that it was gathered in.
 * @param deflated its content, where that became shorter by it
 */
export function seal(
  { type, operations, length }: Draft,
  gathered: Uint8Array,
  deflated: Uint8Array | null,
  number: number,
  position: number,
): Uint8Array {
  const stored = deflated?.length ?? length;
  if (deflated !== null) gathered.set(deflated, blockHeaderBytes);
  const block = gathered.subarray(0, blockHeaderBytes + Math.ceil(stored / 16) * 16);
  block.fill(0, 0, blockHeaderBytes).fill(0, blockHeaderBytes + stored);
  const fields = new DataView(block.buffer, block.byteOffset + blockHeaderBytes / 2);
  fields.setUint32(0, blockMagic, true);
  fields.setUint8(4, type);
  fields.setUint8(5, deflated === null ? codings.plain : codings.deflated);
  fields.setUint32(8, stored, true);
  fields.setUint32(12, length, true);
  fields.setUint32(16, operations, true);
  fields.setUint32(20, number, true);
  fields.setBigUint64(24, BigInt(position), true);
  native.seal(block);
  return block;
}
