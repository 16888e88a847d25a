// The content of a block of operations: three parts, each read from its beginning to its end. Where one ends early, or has
// something that nobody asks for, the block is damaged.
import type { Block } from './buffers.js';
import { ByteReader, Damage } from './bytes.js';
import { blockHeaderBytes, contentHeaderBytes } from './format.js';

export class Content {
  /** The row of records. */
  readonly control: ByteReader;
  readonly #bytes: Uint8Array;
  /** Where the next column and the next payload are. */
  #column: number;
  readonly #columnsEnd: number;
  #payload: number;
  readonly payloadEnd: number;

  constructor({ bytes, length }: Block) {
    if (length < contentHeaderBytes) throw new Damage('it has no room for the lengths of its parts');
    const header = new DataView(bytes.buffer, bytes.byteOffset + blockHeaderBytes, contentHeaderBytes);
    const [control, columns, payload] = [0, 4, 8].map((at) => header.getUint32(at, true)) as [number, number, number];
    const whole = contentHeaderBytes + control + columns + payload;
    if (whole !== length) throw new Damage(`its parts have ${whole} bytes in all, the block ${length}`);
    if ((control | columns | payload) % 8 !== 0) throw new Damage('the length of a part is not a multiple of 8');
    if (header.getUint32(12, true) !== 0) throw new Damage('a reserved field is not zero');
    const from = blockHeaderBytes + contentHeaderBytes;
    this.#bytes = bytes;
    this.#column = from + control;
    this.#columnsEnd = this.#column + columns;
    this.#payload = this.#columnsEnd;
    this.payloadEnd = this.#payload + payload;
    this.control = new ByteReader(bytes, from, from + control);
  }

  /** Where the next column is, of `count` elements of `width` bytes. */
  column(count: number, width: number): number {
    const at = this.#column;
    this.#column += Math.ceil((count * width) / 8) * 8;
    if (this.#column > this.#columnsEnd) throw new Damage('a column is longer than what there is of columns');
    this.#checkZeros(at + count * width, this.#column, 'behind a column');
    return at;
  }

  /** The same of what 4 bytes each count from the one before: the first is 0. */
  gaps(count: number): number {
    const at = this.column(count, 4);
    this.#checkZeros(at, at + 4, 'where a column of distances begins');
    return at;
  }

  /** Goes on behind a payload. Where it is. */
  takePayload(bytes: number): number {
    const at = this.#payload;
    this.#payload += Math.ceil(bytes / 8) * 8;
    if (this.#payload > this.payloadEnd) throw new Damage('a run has more payload than there is');
    this.#checkZeros(at + bytes, this.#payload, 'behind the payload of a run');
    return at;
  }

  /** The same; these bytes. */
  payloadBytes(bytes: number): Uint8Array {
    const at = this.takePayload(bytes);
    return this.#bytes.subarray(at, at + bytes);
  }

  /** All of it was asked for. */
  checkEnded(): void {
    if (!this.control.onlyPadding) throw new Damage('something other than zeros behind the last record');
    if (this.#column !== this.#columnsEnd) throw new Damage('columns that no run has');
    if (this.#payload !== this.payloadEnd) throw new Damage('payload that no run has');
  }

  #checkZeros(from: number, to: number, where: string): void {
    for (let at = from; at < to; at++) {
      if (this.#bytes[at] !== 0) throw new Damage(`something other than zeros ${where}`);
    }
  }
}
