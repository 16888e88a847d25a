// Bytes written and read one after the other, little-endian on every machine. A number is a varint: seven bits in a byte,
// the lowest first, the highest bit set in all but the last; at most eight bytes, and below 2^53.
import { TextDecoder, TextEncoder } from 'node:util';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** What is wrong with the bytes of a recording. The reader adds the file and the place. */
export class Damage extends Error {}

export class ByteWriter {
  bytes: Uint8Array;
  length = 0;
  #view: DataView;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** What was written. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  byte(value: number): void {
    this.#ensure(1);
    this.bytes[this.length++] = value;
  }

  varint(value: number): void {
    this.#ensure(8);
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.length++] = rest;
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.varint(bytes.length);
    this.append(bytes);
  }

  append(source: Uint8Array): void {
    this.#ensure(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  /** The first `width` bytes of a value. */
  value(value: number | bigint, width: number, bigEndian: boolean): void {
    this.#ensure(8);
    if (width === 8) this.#view.setBigUint64(this.length, value as bigint, !bigEndian);
    else if (width === 4) this.#view.setUint32(this.length, value as number, !bigEndian);
    else if (width === 2) this.#view.setUint16(this.length, value as number, !bigEndian);
    else this.bytes[this.length] = value as number;
    this.length += width;
  }

  /** Numbers of `width` bytes each: unsigned but for 'i32' . */
  column(values: Float64Array, count: number, width: 'u16' | 'u32' | 'i32' | 'f64'): void {
    const bytes = { u16: 2, u32: 4, i32: 4, f64: 8 }[width];
    this.align();
    this.#ensure(count * bytes);
    for (let index = 0, at = this.length; index < count; index++, at += bytes) {
      const value = values[index] as number;
      if (width === 'u16') this.#view.setUint16(at, value, true);
      else if (width === 'u32') this.#view.setUint32(at, value, true);
      else if (width === 'i32') this.#view.setInt32(at, value, true);
      else this.#view.setFloat64(at, value, true);
    }
    this.length += count * bytes;
  }

  /** Zeros up to a multiple of 8. */
  align(): void {
    this.#ensure(8);
    while (this.length % 8 !== 0) this.bytes[this.length++] = 0;
  }

  #ensure(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(2 * this.bytes.length, this.length + more));
    bytes.set(this.written);
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  at: number;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes;
    this.at = from;
    this.#end = to;
  }

  get ended(): boolean {
    return this.at >= this.#end;
  }

  /** The byte that comes next. */
  get peek(): number {
    return this.#bytes[this.at] as number;
  }

  /** Whether what is left fills up to a multiple of 8 and no more. */
  get onlyPadding(): boolean {
    return this.#end - this.at < 8 && this.#bytes.subarray(this.at, this.#end).every((byte) => byte === 0);
  }

  byte(): number {
    if (this.ended) throw new Damage('it ends in the middle of a record');
    return this.#bytes[this.at++] as number;
  }

  /** @param most the largest value that means something here */
  varint(what: string, most = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value <= most) return value;
        throw new Damage(`${what} is ${value}; it can be ${most} at most`);
      }
      scale *= 0x80;
    }
    throw new Damage(`${what} is longer than a number can be`);
  }

  text(what: string, longest: number): string {
    const length = this.varint(`the length of ${what}`, longest);
    if (length > this.#end - this.at) throw new Damage(`${what} ends in the middle`);
    const bytes = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    try {
      return utf8.decode(bytes);
    } catch {
      throw new Damage(`${what} is not UTF-8`);
    }
  }
}
