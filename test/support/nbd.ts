// A client of NBD of the tests' own, which says whatever it is told to, right or wrong; and a server to say it to.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type BlockDevice, type NbdOptions, type NbdServer, serveNbd } from 'ismio/block';
import { errno } from '../../src/block/errno.js';
import { bytesOf, chunk, command, commandFlag, magic, option } from '../../src/block/nbd/wire.js';
import { temporaryFolder } from './files.js';
import { patience } from './scale.js';

export interface Served {
  readonly server: NbdServer;
  readonly path: string;
  readonly uri: string;
}

/** At a socket of the test's own, closed when it ends. */
export async function served(t: TestContext, disk: BlockDevice, options: NbdOptions = {}): Promise<Served> {
  const path = join(temporaryFolder(t), 'nbd.sock');
  const server = await serveNbd(disk, { path, grace: 1000, ...options });
  t.after(() => server.close());
  return { server, path, uri: `nbd+unix:///${options.name ?? ''}?socket=${path}` };
}

/** Runs a program to its end: what it said, and its exit code. */
export function ran(program: string, ...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const options = { timeout: patience(60_000), killSignal: 'SIGKILL', maxBuffer: 2 ** 26 } as const;
    execFile(program, words, options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}

/** The same, of one that has to end well. */
export async function saidBy(program: string, ...words: string[]): Promise<string> {
  const { code, out, err } = await ran(program, ...words);
  assert.equal(code, 0, `${program} ${words.join(' ')}: ${err}${out}`);
  return out;
}

/** One that has libnbd's module, which is all of nbdsh: the system's has it where another comes first. */
export function nbdPython(): string | undefined {
  return ['python3', '/usr/bin/python3'].find((path) => spawnSync(path, ['-c', 'import nbd']).status === 0);
}

export interface OptionReply {
  readonly option: number;
  readonly kind: number;
  readonly data: Buffer;
}

/** One simple reply, or one chunk. */
export interface Reply {
  readonly cookie: number;
  readonly errno: number;
  readonly data: Buffer;
  /** -1 of a simple reply. */
  readonly type: number;
  readonly flags: number;
}

export interface RequestFields {
  readonly type: number;
  readonly flags?: number;
  readonly cookie?: number;
  readonly offset?: number | bigint;
  readonly length?: number | bigint;
  readonly payload?: Uint8Array;
}

export interface ClientOptions {
  readonly structured?: boolean;
  readonly extended?: boolean;
  readonly allocation?: boolean;
  readonly name?: string;
}

export class NbdClient {
  readonly socket: Socket;
  size = 0;
  flags = 0;
  extended = false;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;
  #cookie = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#wake();
    });
    const ended = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('error', ended).on('close', ended).on('end', ended);
  }

  /** Connected, and no more than greeted. */
  static async greeted(path: string, flags = 3): Promise<NbdClient> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    const client = new NbdClient(socket);
    const greeting = await client.take(bytesOf.greeting);
    assert.equal(greeting.toString('latin1', 0, 16), 'NBDMAGICIHAVEOPT');
    const answer = Buffer.alloc(4);
    answer.writeUInt32BE(flags);
    socket.write(answer);
    return client;
  }

  /** Ready for requests. */
  static async open(path: string, options: ClientOptions = {}): Promise<NbdClient> {
    const { structured = true, extended = false, allocation = true, name = '' } = options;
    const client = await NbdClient.greeted(path);
    if (extended) assert.equal((await client.ask(option.extendedHeaders)).at(-1)?.kind, 1);
    else if (structured) assert.equal((await client.ask(option.structuredReply)).at(-1)?.kind, 1);
    if (allocation && (structured || extended))
      await client.ask(option.setMetaContext, contexts(name, 'base:allocation'));
    await client.go(name);
    client.extended = extended;
    return client;
  }

  /** So many bytes; fewer where the server ended before. */
  async take(length: number): Promise<Buffer> {
    while (this.#bytes.length < length && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  /** Whether the server has ended, once it has. */
  async ended(): Promise<boolean> {
    while (!this.#ended) await this.take(this.#bytes.length + 1);
    return true;
  }

  sendOption(number: number, data: Uint8Array = new Uint8Array(), length = data.length): void {
    const header = Buffer.alloc(bytesOf.optionHeader);
    header.writeUInt32BE(magic.option[0], 0);
    header.writeUInt32BE(magic.option[1], 4);
    header.writeUInt32BE(number, 8);
    header.writeUInt32BE(length, 12);
    this.socket.write(Buffer.concat([header, data]));
  }

  async optionReply(): Promise<OptionReply> {
    const header = await this.take(bytesOf.optionReplyHeader);
    assert.equal(header.length, bytesOf.optionReplyHeader, 'the server has ended');
    assert.equal(header.readUInt32BE(0), magic.optionReply[0]);
    assert.equal(header.readUInt32BE(4), magic.optionReply[1]);
    const data = await this.take(header.readUInt32BE(16));
    return { option: header.readUInt32BE(8), kind: header.readUInt32BE(12), data };
  }

  /** All replies to an option, the last of them an ACK or an error. */
  async ask(number: number, data?: Uint8Array): Promise<OptionReply[]> {
    this.sendOption(number, data);
    const replies: OptionReply[] = [];
    do replies.push(await this.optionReply());
    while (replies.at(-1)?.kind !== 1 && (replies.at(-1)?.kind ?? 0) < 0x8000_0000);
    return replies;
  }

  async go(name = '', ...kinds: number[]): Promise<OptionReply[]> {
    const replies = await this.ask(option.go, asked(name, ...kinds));
    const about = replies.find(({ data }) => data.length === 12 && data.readUInt16BE(0) === 0)?.data;
    assert.ok(about !== undefined, `no export: 0x${replies.at(-1)?.kind.toString(16)}`);
    this.size = Number(about.readBigUInt64BE(2));
    this.flags = about.readUInt16BE(10);
    return replies;
  }

  /** @returns its cookie */
  send(fields: RequestFields): number {
    const { type, cookie = ++this.#cookie, offset = 0, payload } = fields;
    const { length = payload?.length ?? 0 } = fields;
    const own = this.extended && payload !== undefined ? commandFlag.payloadLength : 0;
    const header = Buffer.alloc(this.extended ? bytesOf.extendedRequest : bytesOf.request);
    header.writeUInt32BE(this.extended ? magic.extendedRequest : magic.request, 0);
    header.writeUInt16BE((fields.flags ?? 0) | own, 4);
    header.writeUInt16BE(type, 6);
    header.writeBigUInt64BE(BigInt(cookie), 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    if (this.extended) header.writeBigUInt64BE(BigInt(length), 24);
    else header.writeUInt32BE(Number(length), 24);
    this.socket.write(header);
    if (payload !== undefined) this.socket.write(payload);
    return cookie;
  }

  /** The next reply, of whichever of these reads and other requests: what each carries where it is simple. */
  replyOf(lengths: ReadonlyMap<number, number>): Promise<Reply> {
    return this.reply((cookie) => lengths.get(cookie) ?? 0);
  }

  /** The next reply, whichever it answers; `readLength` is what a simple one carries. */
  async reply(readLength: number | ((cookie: number) => number) = 0): Promise<Reply> {
    const first = await this.take(4);
    assert.equal(first.length, 4, 'the server has ended');
    const kind = first.readUInt32BE(0);
    if (kind === magic.simpleReply) {
      const rest = await this.take(12);
      const error = rest.readUInt32BE(0);
      const cookie = Number(rest.readBigUInt64BE(4));
      const length = typeof readLength === 'number' ? readLength : readLength(cookie);
      const data = error === 0 ? await this.take(length) : Buffer.alloc(0);
      return { cookie, errno: error, data, type: -1, flags: 1 };
    }
    assert.equal(kind, this.extended ? magic.extendedReply : magic.structuredReply, kind.toString(16));
    const rest = await this.take((this.extended ? bytesOf.extendedReply : bytesOf.structuredReply) - 4);
    const length = this.extended ? Number(rest.readBigUInt64BE(20)) : rest.readUInt32BE(12);
    const [flags, type] = [rest.readUInt16BE(0), rest.readUInt16BE(2)];
    const data = await this.take(length);
    const error = type === chunk.error ? data.readUInt32BE(0) : 0;
    return { cookie: Number(rest.readBigUInt64BE(4)), errno: error, data, type, flags };
  }

  /** Sends a request, alone, and gives its reply. */
  async call(fields: RequestFields): Promise<Reply> {
    const cookie = this.send(fields);
    const reads = fields.type === command.read ? Number(fields.length) : 0;
    const reply = await this.reply(reads);
    assert.equal(reply.cookie, cookie);
    assert.equal(reply.flags, 1, 'one chunk');
    return reply;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const { errno: error, data, type } = await this.call({ type: command.read, offset, length });
    assert.equal(error, 0);
    if (type === -1) return data;
    assert.equal(type, chunk.offsetData);
    assert.equal(Number(data.readBigUInt64BE(0)), offset);
    return data.subarray(8);
  }

  async write(offset: number, payload: Uint8Array, flags = 0): Promise<number> {
    return (await this.call({ type: command.write, offset, payload, flags })).errno;
  }
}

/** The data of GO and INFO. */
export function asked(name: string, ...kinds: number[]): Buffer {
  const bytes = Buffer.from(name);
  const data = Buffer.alloc(6 + bytes.length + 2 * kinds.length);
  data.writeUInt32BE(bytes.length);
  bytes.copy(data, 4);
  data.writeUInt16BE(kinds.length, 4 + bytes.length);
  for (const [i, kind] of kinds.entries()) data.writeUInt16BE(kind, 6 + bytes.length + 2 * i);
  return data;
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function contexts(name: string, ...queries: string[]): Buffer {
  const words = [name, ...queries].map((text) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  const count = Buffer.alloc(4);
  count.writeUInt32BE(queries.length);
  return Buffer.concat([words[0] as Buffer, count, ...words.slice(1)]);
}

/** By its number. */
export function errnoName(number: number): string {
  return Object.entries(errno).find(([, value]) => value === number)?.[0] ?? String(number);
}
