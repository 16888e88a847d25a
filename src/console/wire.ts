// The messages of a console, each a record of a stream: docs/console-protocol.md as a table. Numbers are big-endian. What a
// peer sends is held against the table: a record is one of these messages, to its last byte.
import { isUtf8 } from 'node:buffer';
import { IsmioError } from '../support/errors.js';

/** The version of the protocol. A server answers a client of another one with `refused`. */
export const version = 1;
/** The port of an ISM function where consoles are, unless told otherwise. */
export const defaultPort = 23;
/** The longest record of a client, and of a server (a screen). */
export const longestFromClient = 8192;
export const longestFromServer = 2 ** 20;
/** Bytes of a nonce and of a proof. */
export const nonceBytes = 32;
/** The longest text, in bytes of UTF-8. */
export const longestText = 1024;
/** Most bytes of output in one message. */
export const longestData = 32_768;
/** Most bytes of keys in one message. */
export const longestKeys = 4096;

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

const size = { columns: 'u16', rows: 'u16', xPixels: 'u16', yPixels: 'u16' } as const;

/** What a client sends, by its number. */
export const fromClient = {
  hello: {
    number: 0x01,
    fields: {
      ...{ version: 'u8', role: 'u8', replay: 'u8', reserved: 'u8', life: 'u64', offset: 'u64' },
      ...size,
      ...{ nonce: 'nonce', attachment: 'nonce', name: 'text', reason: 'text' },
    },
  },
  list: { number: 0x02, fields: { version: 'u8', nonce: 'nonce' } },
  proof: { number: 0x03, fields: { proof: 'nonce' } },
  keys: { number: 0x10, fields: { bytes: 'rest' } },
  resize: { number: 0x11, fields: size },
  break: { number: 0x12, fields: {} },
  ask: { number: 0x13, fields: { role: 'u8', reason: 'text' } },
  ping: { number: 0x14, fields: { token: 'u32' } },
} as const satisfies Table;

/** What a server sends. */
export const fromServer = {
  challenge: { number: 0x81, fields: { version: 'u8', nonce: 'nonce' } },
  welcome: {
    number: 0x82,
    fields: {
      ...{ version: 'u8', role: 'u8', life: 'u64', start: 'u64', end: 'u64' },
      ...size,
      ...{ proof: 'nonce', name: 'text', reason: 'text' },
    },
  },
  refused: { number: 0x83, fields: { code: 'u8', reason: 'text' } },
  item: {
    number: 0x84,
    fields: {
      state: 'u8',
      viewers: 'u16',
      writer: 'u64',
      start: 'u64',
      end: 'u64',
      ...size,
      name: 'text',
      line: 'text',
    },
  },
  items: { number: 0x85, fields: { count: 'u16' } },
  data: { number: 0x90, fields: { offset: 'u64', bytes: 'rest' } },
  screen: { number: 0x91, fields: { offset: 'u64', bytes: 'rest' } },
  gap: { number: 0x92, fields: { from: 'u64', bytes: 'u64' } },
  size: { number: 0x93, fields: size },
  role: { number: 0x94, fields: { role: 'u8', reason: 'text' } },
  notice: { number: 0x95, fields: { text: 'text' } },
  exit: { number: 0x96, fields: { how: 'u8', status: 'i32', next: 'u8' } },
  pong: { number: 0x97, fields: { token: 'u32' } },
} as const satisfies Table;

type Table = Readonly<Record<string, { readonly number: number; readonly fields: Fields }>>;
export type FromClient = typeof fromClient;
export type FromServer = typeof fromServer;

/** The numbers of fields that are one of several words. */
export const roles = ['view', 'write', 'force'] as const;
export const replays = ['none', 'screen', 'last', 'from'] as const;
export const states = ['running', 'ended'] as const;
export const endings = ['status', 'signal'] as const;
export const policies = ['keep', 'restart', 'close'] as const;
export const refusals = ['version', 'unknown', 'denied', 'key', 'protocol', 'closed', 'full', 'idle'] as const;
export type Refusal = (typeof refusals)[number];

/** A message of a table as its name and its values. */
export type MessageOf<T extends Table> = {
  [Name in keyof T]: { readonly name: Name; readonly values: ValuesOf<T[Name]['fields']> };
}[keyof T];
export type ValuesOf<F extends Fields> = { readonly [Field in keyof F]: Values[F[Field]] };

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

/**
 * The message that a record is.
 * @throws IsmioError ERR_ISMIO_CONSOLE with reason 'protocol'
 */
export function decode<T extends Table>(table: T, record: Uint8Array): MessageOf<T> {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length);
  const number = bytes[0];
  const found = Object.entries(table).find(([, one]) => one.number === number);
  if (found === undefined) throw broken(`a record begins with ${number}, which is no message's number`, { number });
  const [name, { fields }] = found;
  const reader = new Reader(bytes, name);
  const values = Object.fromEntries(Object.entries(fields).map(([field, kind]) => [field, reader.take(kind, field)]));
  reader.end();
  return { name, values } as MessageOf<T>;
}

class Reader {
  readonly #bytes: Buffer;
  readonly #message: string;
  #at = 1;

  constructor(bytes: Buffer, message: string) {
    this.#bytes = bytes;
    this.#message = message;
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
    if (left > 0) throw broken(`${left} bytes follow a message '${this.#message}'`, { left });
  }

  #text(field: string): string {
    const length = this.#next(2, field).readUInt16BE();
    const bytes = this.#next(length, field);
    if (length > longestText || !isUtf8(bytes)) {
      throw broken(`'${field}' of '${this.#message}' has to be UTF-8, and at most ${longestText} bytes`, { length });
    }
    return bytes.toString();
  }

  #next(length: number, field: string): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      const text = `a message '${this.#message}' of ${this.#bytes.length} bytes ends within '${field}'`;
      throw broken(text, { length: this.#bytes.length });
    }
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}

/** The word that a number stands for. @throws IsmioError ERR_ISMIO_CONSOLE */
export function wordOf<Word extends string>(words: readonly Word[], number: number, field: string): Word {
  const word = words[number];
  if (word === undefined) throw broken(`${field} is ${number}, and at most ${words.length - 1}`, { [field]: number });
  return word;
}

/** A position in what a line has said. @throws IsmioError ERR_ISMIO_CONSOLE where no program can count so far */
export function positionOf(value: bigint, field: string): number {
  if (value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw broken(`${field} is ${value}, which is behind anything that can have been said`, { [field]: value });
}

/** The peer did not keep to docs/console-protocol.md. */
export function broken(text: string, values: Record<string, unknown> = {}): IsmioError {
  return new IsmioError('ERR_ISMIO_CONSOLE', `the peer broke the console's protocol: ${text}`, {
    reason: 'protocol',
    ...values,
  });
}
