// The two ends of a disk over ISM as tests have them: they say whatever they are told to, right or wrong.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Dmb, Ism, IsmStream } from 'ismio/ism';
import {
  type FromInitiator,
  type FromTarget,
  fromInitiator,
  fromTarget,
  packTokens,
  version,
} from '../../src/block/ism/wire.js';
import { checkOf } from '../../src/ism/stream/layout.js';
import { decode, encode, type MessageOf, type Table, type ValuesOf } from '../../src/ism/talk/messages.js';
import { until } from './console-line.js';

/** Slots of sessions made by hand, which are of 4 KiB: one DMB of data has them all. */
export const slots = 4;
export const ioBytes = 4096;

/** A structure of the memory: words of 32 bits, and their check. */
export function sealed(words: readonly number[], bytes = 4 * words.length, inline?: Uint8Array): Uint8Array {
  const made = new Uint8Array(bytes);
  const view = new DataView(made.buffer);
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word >>> 0);
  if (inline !== undefined) made.set(inline, 64);
  return seal(made);
}

export function seal(made: Uint8Array): Uint8Array {
  const view = new DataView(made.buffer, made.byteOffset, made.length);
  view.setUint32(0, checkOf(view, made.length));
  return made;
}

export class Talk<Mine extends Table, Theirs extends Table> {
  readonly stream: IsmStream;
  readonly heard: MessageOf<Theirs>[] = [];
  readonly #mine: Mine;
  isOver = false;

  constructor(stream: IsmStream, mine: Mine, theirs: Theirs) {
    this.stream = stream;
    this.#mine = mine;
    stream.on('data', (record: Uint8Array) => {
      this.heard.push(decode(theirs, Buffer.from(record), (text) => new Error(text)));
    });
    stream.on('error', () => undefined);
    stream.on('end', () => stream.end());
    stream.on('close', () => {
      this.isOver = true;
    });
  }

  say<Name extends keyof Mine & string>(name: Name, values: ValuesOf<Mine[Name]['fields']>): void {
    this.stream.write(encode<Mine, Name>(this.#mine, name, values));
  }

  async hear<Name extends keyof Theirs & string>(name: Name): Promise<ValuesOf<Theirs[Name]['fields']>> {
    const found = () => this.heard.find((message) => message.name === name);
    await until(() => found() !== undefined || this.isOver, `a message '${name}'`);
    assert.ok(
      found() !== undefined,
      `'${name}' did not come, but ${JSON.stringify(this.heard.map((one) => one.name))}`,
    );
    return found()?.values as ValuesOf<Theirs[Name]['fields']>;
  }
}

const nonce = new Uint8Array(32);
export const hello = { version, flags: 0, digest: 0, reserved: 0, initiator: 7n, nonce };

/** An initiator by hand. */
export class HandInitiator extends Talk<FromInitiator, FromTarget> {
  readonly #ism: Ism;
  readonly heads: Dmb;
  readonly data: Dmb;
  #epoch = 0;
  #targetHeads = 0n;
  #targetData = 0n;

  static async open(ism: Ism, gid: bigint, port: number): Promise<HandInitiator> {
    return new HandInitiator(ism, await ism.connect(gid, port, { mode: 'messages' }));
  }

  private constructor(ism: Ism, stream: IsmStream) {
    super(stream, fromInitiator, fromTarget);
    this.#ism = ism;
    const peer = stream.remoteGid;
    this.heads = ism.registerDmb({ length: (slots + 1) * 4096, peer });
    this.data = ism.registerDmb({ length: slots * ioBytes, peer });
    stream.once('close', () => {
      for (const dmb of [this.heads, this.data]) if (!ism.closed) dmb.unregister();
    });
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** @param own what its hello says otherwise */
  async greet(own: Partial<typeof hello> = {}): Promise<void> {
    this.say('hello', { ...hello, ...own });
    const { epoch, heads, data } = await this.hear('welcome');
    this.#epoch = epoch;
    this.#targetHeads = heads;
    this.#targetData = Buffer.from(data).readBigUInt64BE();
  }

  async begin(own: Partial<typeof hello> = {}): Promise<this> {
    await this.greet(own);
    this.say('memory', { heads: this.heads.token, data: packTokens([this.data.token]) });
    await this.hear('ready');
    return this;
  }

  /** Bytes at the head of a slot's page. A session that has ended has no memory to move into. */
  move(slot: number, bytes: Uint8Array): boolean {
    try {
      this.#ism.move(this.#targetHeads, slot * 4096, bytes, { signal: 0 });
      return true;
    } catch {
      return false;
    }
  }

  moveData(slot: number, bytes: Uint8Array): void {
    this.#ism.move(this.#targetData, slot * ioBytes, bytes);
  }

  /** Waits for its end. @returns why it was refused */
  async refused(): Promise<string> {
    const { reason } = await this.hear('refused');
    await this.closed();
    return reason;
  }

  async closed(): Promise<void> {
    if (!this.isOver) await once(this.stream, 'close');
  }

  /** An answer in the array. */
  entry(slot: number): Buffer {
    const at = slots * 4096 + slot * 32;
    return Buffer.from(this.heads.memory.slice(at, at + 32));
  }
}

/** A target by hand: one session at a time. */
export class HandTarget {
  readonly #ism: Ism;
  readonly #listener;
  /** What its welcome says, in place of what would be right. */
  readonly #welcome: Partial<ValuesOf<FromTarget['welcome']['fields']>>;
  readonly epoch = 99;
  talk: Talk<FromTarget, FromInitiator> | null = null;
  heads: Dmb | null = null;
  data: Dmb | null = null;
  #peerHeads = 0n;

  constructor(ism: Ism, port: number, welcome: Partial<ValuesOf<FromTarget['welcome']['fields']>> = {}) {
    this.#ism = ism;
    this.#welcome = welcome;
    this.#listener = ism.listen(
      port,
      { mode: 'messages' },
      (stream) => void this.#serve(stream).catch(() => undefined),
    );
  }

  async #serve(stream: IsmStream): Promise<void> {
    const talk = new Talk(stream, fromTarget, fromInitiator);
    this.talk = talk;
    const peer = stream.remoteGid;
    this.heads = this.#ism.registerDmb({ length: (slots + 1) * 4096, peer });
    this.data = this.#ism.registerDmb({ length: slots * ioBytes, peer });
    await talk.hear('hello');
    talk.say('welcome', {
      ...{
        version,
        flags: 30,
        digest: 0,
        slots,
        epoch: this.epoch,
        ioBytes,
        minimum: 1,
        preferred: 4096,
        maximum: 2 ** 25,
      },
      ...{ size: 65_536n, life: 1n, proof: nonce, name: 'by hand', heads: this.heads.token },
      ...{ data: packTokens([this.data.token]), ...this.#welcome },
    });
    const memory = await talk.hear('memory');
    this.#peerHeads = memory.heads;
    talk.say('ready', {});
  }

  /** Waits for a request of a slot. */
  async asked(slot: number): Promise<DataView> {
    const { heads } = this;
    assert.ok(heads !== null);
    const view = new DataView(heads.memory.buffer, heads.memory.byteOffset + slot * 4096, 64);
    await until(() => view.getUint32(8) !== 0, 'a request');
    return view;
  }

  answer(slot: number, entry: Uint8Array): void {
    this.#ism.move(this.#peerHeads, slots * 4096 + slot * 32, entry, { signal: 0 });
  }

  answerInline(slot: number, page: Uint8Array): void {
    this.#ism.move(this.#peerHeads, slot * 4096, page, { signal: 0 });
  }

  close(): void {
    this.#listener.close();
    this.talk?.stream.destroy();
  }
}
