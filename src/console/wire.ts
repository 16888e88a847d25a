// The messages of a console, each a record of a stream: docs/console-protocol.md as a table. Numbers are big-endian. What a
// peer sends is held against the table: a record is one of these messages, to its last byte.
import { decode as decodeRecord, type MessageOf, type Table } from '../ism/talk/messages.js';
import { IsmioError } from '../support/errors.js';

/** The version of the protocol. A server answers a client of another one with `refused`. */
export const version = 1;
/** The port of an ISM function where consoles are, unless told otherwise. */
export const defaultPort = 23;
/** The longest record of a client, and of a server (a screen). */
export const longestFromClient = 8192;
export const longestFromServer = 2 ** 20;
/** What is in every proof of a key beside nonces, GIDs and name. */
export const protocol = 'ismio console 1';
/** Most bytes of output in one message. */
export const longestData = 32_768;
/** Most bytes of keys in one message. */
export const longestKeys = 4096;

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

/**
 * The message that a record is.
 * @throws IsmioError ERR_ISMIO_CONSOLE with reason 'protocol'
 */
export function decode<T extends Table>(table: T, record: Uint8Array): MessageOf<T> {
  return decodeRecord(table, record, broken);
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
