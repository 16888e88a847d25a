// What the two ends of a disk over ISM say to each other: docs/block-protocol.md as tables. Numbers are big-endian. Control goes
// by a stream, a message a record; data and what is asked of it go by moves into slots.
import type { Field } from '../../ism/stream/layout.js';
import type { Table } from '../../ism/talk/messages.js';
import { IsmioError } from '../../support/errors.js';
import type { BlockDevice } from '../disk.js';

/** The version of the protocol. A target answers an initiator of another one with `refused`. */
export const version = 2;
/** What is in every proof of a key beside nonces and GIDs. */
export const protocol = 'ismio block 2';
/** What is in the proofs of a list besides, so that they are of no use for a session. */
export const listName = 'list';
/** The port of an ISM function where a disk is, unless told otherwise. */
export const defaultPort = 10_809;
/** The longest record of control. */
export const longestRecord = 4096;

/** What an initiator sends on the stream. `data` are the tokens of its data memory, 8 bytes each. */
export const fromInitiator = {
  hello: {
    number: 0x01,
    fields: { version: 'u8', flags: 'u8', digest: 'u8', reserved: 'u8', initiator: 'u64', nonce: 'nonce' },
  },
  proof: { number: 0x02, fields: { proof: 'nonce' } },
  memory: { number: 0x03, fields: { heads: 'u64', data: 'rest' } },
  bye: { number: 0x04, fields: { reason: 'text' } },
  /** In place of a hello: which disks are there. */
  list: { number: 0x05, fields: { version: 'u8', nonce: 'nonce' } },
} as const satisfies Table;

/** What a target sends. */
export const fromTarget = {
  challenge: { number: 0x81, fields: { version: 'u8', nonce: 'nonce' } },
  welcome: {
    number: 0x82,
    fields: {
      ...{ version: 'u8', flags: 'u8', digest: 'u8', slots: 'u16', epoch: 'u32', ioBytes: 'u32' },
      ...{ minimum: 'u32', preferred: 'u32', maximum: 'u32', size: 'u64', life: 'u64' },
      ...{ proof: 'nonce', name: 'text', heads: 'u64', data: 'rest' },
    },
  },
  ready: { number: 0x83, fields: {} },
  refused: { number: 0x84, fields: { code: 'u8', reason: 'text' } },
  leaving: { number: 0x85, fields: { reason: 'text' } },
  bye: { number: 0x86, fields: { flushed: 'u8' } },
  /** One of a list, and the list's end. */
  disk: {
    number: 0x87,
    fields: {
      ...{ port: 'u16', flags: 'u8', readers: 'u16', writer: 'u64' },
      ...{ minimum: 'u32', preferred: 'u32', maximum: 'u32', size: 'u64', name: 'text' },
    },
  },
  disks: { number: 0x88, fields: { proof: 'nonce', count: 'u16' } },
} as const satisfies Table;

export type FromInitiator = typeof fromInitiator;
export type FromTarget = typeof fromTarget;

export const refusals = ['version', 'denied', 'key', 'busy', 'readOnly', 'full', 'idle', 'protocol', 'closed'] as const;
export type Refusal = (typeof refusals)[number];

/** Digests of data: what a hello asks for, and a welcome says that there is. */
export const digest = { none: 0, crc32c: 1 } as const;

/** In place of an errno: the data of a write do not have their digest. Linux' block layer says it so (BLK_STS_PROTECTION). */
export const wrongDigest = 84;

/** A hello's flags: nothing will be written. */
export const helloFlag = { readOnly: 1 } as const;

/**
 * A welcome's flags: what the disk can do; `lasting` one outlives its target, and keeps what was flushed; `othersWrote`: between this
 * initiator's last session that wrote and this one another had it for writes.
 */
export const diskFlag = {
  ...{ readOnly: 1, trim: 2, zero: 4, fastZero: 8, extents: 16, cache: 32, lasting: 64 },
  othersWrote: 128,
} as const;

/** Slots of a session, and bytes of one request, a power of two. A DMB of 1 MiB has so many slots as fit whole. */
export const limits = {
  slots: { least: 1, most: 128 },
  ioBytes: { least: 4096, most: 2 ** 20 },
} as const;
export const dmbBytes = 2 ** 20;

/** A slot's head: what is asked or answered, and behind it as much data as its page has room for. */
export const pageBytes = 4096;
export const headBytes = 64;
export const inlineBytes = pageBytes - headBytes;
/** An answer in the array, which is the page behind the heads of an initiator's memory. */
export const entryBytes = 32;
/** An extent in an answer. */
export const extentBytes = 16;
export const mostExtents = inlineBytes / extentBytes;

/** A request, at the head of a slot's page in the target's memory. */
export const request = {
  check: { offset: 0, width: 4 },
  epoch: { offset: 4, width: 4 },
  sequence: { offset: 8, width: 4 },
  command: { offset: 12, width: 2 },
  flags: { offset: 14, width: 2 },
  offset: { offset: 16, width: 8 },
  length: { offset: 24, width: 8 },
  most: { offset: 32, width: 4 },
  /** Of a write's data, in a session that has digests. */
  digest: { offset: 36, width: 4 },
} as const satisfies Record<string, Field>;
/** Where what is reserved begins. */
export const requestReserved = 40;

/** An answer: in the array, or at the head of a slot's page in the initiator's memory. */
export const entry = {
  check: { offset: 0, width: 4 },
  epoch: { offset: 4, width: 4 },
  sequence: { offset: 8, width: 4 },
  errno: { offset: 12, width: 4 },
  /** Bytes of data that came with it. */
  length: { offset: 16, width: 4 },
  /** Of a read's data, in a session that has digests. */
  digest: { offset: 20, width: 4 },
} as const satisfies Record<string, Field>;
export const entryReserved = 24;

export const command = { read: 1, write: 2, flush: 3, trim: 4, zero: 5, cache: 6, extents: 7 } as const;
export type Command = (typeof command)[keyof typeof command];
export const commandNames: ReadonlyMap<number, string> = new Map(
  Object.entries(command).map(([name, number]) => [number, name]),
);

/** Those after which the disk has something else. */
export const changes: ReadonlySet<number> = new Set([command.write, command.trim, command.zero]);

/** A request's flags, and which command may have which. */
export const requestFlag = { fua: 1, fast: 2, mayTrim: 4 } as const;
export const flagsOf: ReadonlyMap<number, number> = new Map([
  [command.write, requestFlag.fua],
  [command.zero, requestFlag.fua | requestFlag.fast | requestFlag.mayTrim],
]);

/** Of an extent. */
export const extentFlag = { hole: 1, zero: 2 } as const;

/** Data of a request that go with its head. */
export function inlineOf(asked: number, length: number): number {
  return asked === command.write && length <= inlineBytes ? length : 0;
}

/** Whether it is answered at the head of its slot's page, and not in the array. */
export function isAnsweredInline(asked: number, length: number): boolean {
  return asked === command.extents || (asked === command.read && length <= inlineBytes);
}

/** The end of the words that a check is over: whole ones. */
export function wordsEnd(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** The peer did not keep to docs/block-protocol.md. */
export function broken(text: string, values: Record<string, unknown> = {}): IsmioError {
  const message = `the peer broke the protocol of disks: ${text}`;
  return new IsmioError('ERR_ISMIO_BLOCK', message, { reason: 'protocol', ...values });
}

/** What a disk can do, as flags of a welcome. */
export function diskFlagsOf({ readOnly, features, life }: BlockDevice, mayWrite: boolean): number {
  const isReadOnly = readOnly || !mayWrite;
  let flags = (isReadOnly ? diskFlag.readOnly : 0) | (life === undefined ? 0 : diskFlag.lasting);
  for (const name of ['trim', 'zero', 'fastZero', 'extents', 'cache'] as const) {
    const writes = name !== 'extents' && name !== 'cache';
    if (features[name] && !(writes && isReadOnly)) flags |= diskFlag[name];
  }
  return flags;
}

/** Tokens as they go by a message, and back. */
export function packTokens(tokens: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * tokens.length);
  for (const [i, token] of tokens.entries()) bytes.writeBigUInt64BE(token, 8 * i);
  return bytes;
}

/** @throws IsmioError ERR_ISMIO_BLOCK where there are not as many as the memory needs, or one is there twice */
export function unpackTokens(heads: bigint, data: Uint8Array, wanted: number): { heads: bigint; data: bigint[] } {
  if (data.length !== 8 * wanted) throw broken(`${data.length} bytes of tokens came, and not ${8 * wanted}`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const tokens = Array.from({ length: wanted }, (_, i) => view.getBigUint64(8 * i));
  if (new Set([heads, ...tokens]).size !== wanted + 1) throw broken('it names one memory twice');
  return { heads, data: tokens };
}
