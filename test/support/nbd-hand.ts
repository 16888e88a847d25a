// An NBD server of the tests' own: it agrees as a real one does, and then says whatever it is told to, right or wrong.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { greeting, type NbdExport, Negotiation } from '../../src/block/nbd/negotiation.js';
import { bytesOf, chunk, command, exportFlag, magic, option, replyFlag } from '../../src/block/nbd/wire.js';
import { temporaryFolder } from './files.js';

export interface Taken {
  readonly type: number;
  readonly flags: number;
  /** As it stands in the request. */
  readonly cookie: Buffer;
  readonly offset: number;
  readonly length: number;
  readonly payload: Buffer;
}

export interface HandOptions {
  readonly size?: number;
  readonly flags?: number;
  readonly blockSize?: NbdExport['blockSize'];
  /** What clients agree on is left to them; false has the server know no structured replies. */
  readonly structured?: boolean;
  /** False has it know no GO. */
  readonly go?: boolean;
}

/** What a request can be answered with. */
export interface Hand {
  readonly socket: Socket;
  readonly structured: boolean;
}

const { hasFlags, flush, fua, trim, writeZeroes, fastZero, cache } = exportFlag;
const allFlags = hasFlags | flush | fua | trim | writeZeroes | fastZero | cache;

/** Listens at a socket of the test's own, and has `met` do everything. */
export async function listening(t: TestContext, met: (socket: Socket) => void): Promise<string> {
  const path = join(temporaryFolder(t), 'hand.sock');
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    met(socket);
  });
  server.listen(path);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `nbd+unix:///?socket=${path}`;
}

/** Agrees with each client, and gives each of its requests to `took`. */
export function handMade(
  t: TestContext,
  options: HandOptions,
  took: (taken: Taken, hand: Hand) => void,
): Promise<string> {
  const { size = 2 ** 20, flags = allFlags, blockSize = { minimum: 1, preferred: 4096, maximum: 2 ** 25 } } = options;
  const exported: NbdExport = { name: '', description: '', size, extents: true, blockSize, flags: () => flags };
  return listening(t, (socket) => {
    let bytes: Buffer = Buffer.alloc(0);
    let negotiation: Negotiation | null = null;
    let hand: Hand | null = null;
    const step = (): boolean => {
      const [need, act] = next();
      if (bytes.length < need) return false;
      const whole = bytes.subarray(0, need);
      bytes = bytes.subarray(need);
      act(whole);
      return true;
    };
    const next = (): [number, (whole: Buffer) => void] => {
      if (negotiation === null) {
        return [
          4,
          (whole) => {
            negotiation = new Negotiation(exported, whole.readUInt32BE(0), false);
          },
        ];
      }
      if (hand !== null) {
        const agreed = hand;
        const isWrite = bytes.length >= bytesOf.request && bytes.readUInt16BE(6) === command.write;
        const need = bytesOf.request + (isWrite ? bytes.readUInt32BE(24) : 0);
        return [need, (whole) => took(takenOf(whole), agreed)];
      }
      const asks = negotiation;
      if (bytes.length < bytesOf.optionHeader) return [bytesOf.optionHeader, () => undefined];
      return [
        bytesOf.optionHeader + bytes.readUInt32BE(12),
        (whole) => {
          const number = whole.readUInt32BE(8);
          const isUnknown =
            (number === option.structuredReply && options.structured === false) ||
            (number === option.go && options.go === false);
          const answer = asks.answer(isUnknown ? 0xdead : number, whole.subarray(bytesOf.optionHeader));
          if (isUnknown) answer.bytes.writeUInt32BE(number, 8);
          if (answer.session !== undefined) hand = { socket, structured: answer.session.structured };
          socket.write(answer.bytes);
        },
      ];
    };
    socket.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      while (step());
    });
    socket.write(greeting());
  });
}

function takenOf(whole: Buffer): Taken {
  return {
    flags: whole.readUInt16BE(4),
    type: whole.readUInt16BE(6),
    cookie: whole.subarray(8, 16),
    offset: Number(whole.readBigUInt64BE(16)),
    length: whole.readUInt32BE(24),
    payload: whole.subarray(bytesOf.request),
  };
}

export function simple(cookie: Buffer, errno = 0, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([words(magic.simpleReply, errno), cookie, data]);
}

/** @param length as it is said, where that is not what is sent */
export function piece(
  cookie: Buffer,
  type: number,
  payload: Buffer,
  { flags = replyFlag.done as number, length = payload.length } = {},
): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(magic.structuredReply, 0);
  head.writeUInt16BE(flags, 4);
  head.writeUInt16BE(type, 6);
  return Buffer.concat([head, cookie, words(length), payload]);
}

export function dataOf(cookie: Buffer, offset: number, data: Buffer, flags: number = replyFlag.done): Buffer {
  return piece(cookie, chunk.offsetData, Buffer.concat([wide(offset), data]), { flags });
}

/** What a server does that does as it should, with zeros in it. */
export function answered({ type, cookie, offset, length }: Taken, structured: boolean): Buffer {
  if (type === command.blockStatus) return piece(cookie, chunk.blockStatus, words(1, length, 3));
  if (type !== command.read) return simple(cookie);
  return structured ? dataOf(cookie, offset, Buffer.alloc(length)) : simple(cookie, 0, Buffer.alloc(length));
}

export function words(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [i, number] of numbers.entries()) bytes.writeUInt32BE(number, 4 * i);
  return bytes;
}

export function wide(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
