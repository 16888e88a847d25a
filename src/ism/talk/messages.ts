// Messages of protocols that go by streams, each a record: a table says for each message its number and its fields, which follow
// the number. Numbers are big-endian. What a peer sends is held against the table: a record is one of these messages, to its
// last byte.
import { isUtf8 } from 'node:buffer';

/** Bytes of a nonce and of a proof. */
export const nonceBytes = 32;
/** The longest text, in bytes of UTF-8. */
export const longestText = 1024;

interface Values {
  u8: number;
  u16: number;
  i32: number;
  u32: number;
  u64: bigint;
  nonce: Uint8Array;
  text: string;
  rest: Uint8Array;
}
type Kind = keyof Values;
type Fields = Readonly<Record<string, Kind>>;

export type Table = Readonly<Record<string, { readonly number: number; readonly fields: Fields }>>;

/** A message of a table as its name and its values. */
export type MessageOf<T extends Table> = {
  [Name in keyof T]: { readonly name: Name; readonly values: ValuesOf<T[Name]['fields']> };
}[keyof T];
export type ValuesOf<F extends Fields> = { readonly [Field in keyof F]: Values[F[Field]] };

/** Makes the error of a record that is none of the table's. */
export type Broken = (text: string, values?: Record<string, unknown>) => Error;

const widths: Partial<Record<Kind, number>> = { u8: 1, u16: 2, i32: 4, u32: 4, u64: 8, nonce: nonceBytes };

/** The record of a message. @throws RangeError where a value does not fit its field */
export function encode<T extends Table, Name extends keyof T & string>(
  table: T,
  name: Name,
  values: ValuesOf<T[Name]['fields']>,
): Buffer {
  const { number, fields } = table[name] as T[Name];
  const given = values as Record<string, Values[Kind]>;
  const pieces = Object.entries(fields).map(([field, kind]) => piece(kind, given[field] as Values[Kind]));
  return Buffer.concat([Buffer.of(number), ...pieces]);
}

function piece(kind: Kind, value: Values[Kind]): Uint8Array {
  if (typeof value === 'string') {
    const text = clipped(value);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(text.length);
    return Buffer.concat([length, text]);
  }
  if (typeof value === 'object') return value;
  const bytes = Buffer.alloc(widths[kind] as number);
  if (typeof value === 'bigint') bytes.writeBigUInt64BE(value);
  else if (kind === 'i32') bytes.writeInt32BE(value);
  else bytes.writeUIntBE(value, 0, bytes.length);
  return bytes;
}

/** Texts are for people: one that is too long is cut, at a character. */
function clipped(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= longestText) return bytes;
  let end = longestText;
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** The message that a record is. @throws what `broken` makes */
export function decode<T extends Table>(table: T, record: Uint8Array, broken: Broken): MessageOf<T> {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length);
  const number = bytes[0];
  const found = Object.entries(table).find(([, one]) => one.number === number);
  if (found === undefined) throw broken(`a record begins with ${number}, which is no message's number`, { number });
  const [name, { fields }] = found;
  const reader = new Reader(bytes, name, broken);
  const values = Object.fromEntries(Object.entries(fields).map(([field, kind]) => [field, reader.take(kind, field)]));
  reader.end();
  return { name, values } as MessageOf<T>;
}

class Reader {
  readonly #bytes: Buffer;
  readonly #message: string;
  readonly #broken: Broken;
  #at = 1;

  constructor(bytes: Buffer, message: string, broken: Broken) {
    this.#bytes = bytes;
    this.#message = message;
    this.#broken = broken;
  }

  take(kind: Kind, field: string): Values[Kind] {
    if (kind === 'rest') return this.#next(this.#bytes.length - this.#at, field);
    if (kind === 'nonce') return this.#next(nonceBytes, field);
    if (kind === 'text') return this.#text(field);
    const bytes = this.#next(widths[kind] as number, field);
    if (kind === 'u64') return bytes.readBigUInt64BE();
    return kind === 'i32' ? bytes.readInt32BE() : bytes.readUIntBE(0, bytes.length);
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw this.#broken(`${left} bytes follow a message '${this.#message}'`, { left });
  }

  #text(field: string): string {
    const length = this.#next(2, field).readUInt16BE();
    const bytes = this.#next(length, field);
    if (length > longestText || !isUtf8(bytes)) {
      const text = `'${field}' of '${this.#message}' has to be UTF-8, and at most ${longestText} bytes`;
      throw this.#broken(text, { length });
    }
    return bytes.toString();
  }

  #next(length: number, field: string): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      const text = `a message '${this.#message}' of ${this.#bytes.length} bytes ends within '${field}'`;
      throw this.#broken(text, { length: this.#bytes.length });
    }
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
