// What is said before the first request: one option after the other, and what of an export its server gives. All of its answers
// are held against the protocol.
import type { Socket } from 'node:net';
import { harmless } from '../../../support/text.js';
import type { BlockSizes } from '../../disk.js';
import { Breach } from '../negotiation.js';
import {
  allocationContext,
  bytesOf,
  exportFlag,
  handshakeFlag,
  info,
  limits,
  magic,
  option,
  optionReply,
} from '../wire.js';
import { encrypted, Intake } from './dial.js';
import { nbdError } from './failure.js';
import type { NbdOpening } from './options.js';

/** What was agreed on. */
export interface Agreement {
  /** The one that was dialled, or what encrypts it. Paused. */
  readonly socket: Socket;
  /** What came behind the last answer. */
  readonly rest: Buffer;
  /** Bytes. */
  readonly size: number;
  /** What the export can do. */
  readonly flags: number;
  readonly blockSize: BlockSizes;
  readonly structured: boolean;
  /** The number of base:allocation; null where the server has no extents. */
  readonly allocation: number | null;
}

/** The greeting's second word of servers before 2009. */
const oldstyle = [0x00420281, 0x861253] as const;
/** Replies to one option, and kinds of them that only a client knows. */
const mostReplies = 64;
const blockSizeRequired = 0x8000_0008;
const shuttingDown = 0x8000_0007;
const firstError = 0x8000_0000;
/** Bytes of zeros behind the answer to EXPORT_NAME. */
const zeroesBehindName = 124;
/** Where the server says nothing of them: what all servers take. */
const usualSizes: BlockSizes = { minimum: 1, preferred: 4096, maximum: limits.payloadBytes };

const refusals = new Map<number, string>([
  [optionReply.unsupported, 'it does not know the option'],
  [optionReply.policy, 'its policy forbids it'],
  [optionReply.invalid, 'it takes the option for invalid'],
  [optionReply.tlsRequired, 'it wants TLS: use nbds://'],
  [optionReply.unknown, 'it has no such export'],
  [shuttingDown, 'it is about to end'],
  [blockSizeRequired, 'it wants its block sizes to be kept'],
  [optionReply.tooBig, 'the option is too long for it'],
]);

interface OptionAnswer {
  readonly kind: number;
  readonly data: Buffer;
}

/** Asks one server. */
export class Greeted {
  readonly #opening: NbdOpening;
  #socket: Socket;
  #intake: Intake;
  #noZeroes = false;

  constructor(opening: NbdOpening, socket: Socket, intake: Intake) {
    this.#opening = opening;
    this.#socket = socket;
    this.#intake = intake;
  }

  /** The one that was dialled, or what encrypts it. */
  get socket(): Socket {
    return this.#socket;
  }

  /** @throws Breach, IsmioError ERR_ISMIO_NBD */
  async agree(): Promise<Agreement> {
    const isFixed = await this.#greet();
    const { tls } = this.#opening;
    if (!isFixed) {
      if (tls !== null) throw this.#error('tls', 'the server is too old for TLS');
      return this.#byName(false, null);
    }
    if (tls !== null) await this.#startTls();
    const structured = (await this.#ask(option.structuredReply)).at(-1)?.kind === optionReply.ack;
    const allocation = structured ? await this.#allocation() : null;
    return (await this.#go(structured, allocation)) ?? this.#byName(structured, allocation);
  }

  /** Whether the server has options that can be refused. */
  async #greet(): Promise<boolean> {
    const greeting = await this.#intake.take(bytesOf.greeting);
    if (!isPair(greeting, 0, magic.server)) throw new Breach('what listens there is no NBD server');
    if (isPair(greeting, 8, oldstyle))
      throw this.#error('refused', 'the server speaks oldstyle NBD, which has no options');
    if (!isPair(greeting, 8, magic.option)) throw new Breach('its greeting is of no NBD that is known');
    const flags = greeting.readUInt16BE(16) & (handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes);
    this.#noZeroes = (flags & handshakeFlag.noZeroes) !== 0;
    const answer = Buffer.alloc(bytesOf.clientFlags);
    answer.writeUInt32BE(flags);
    this.#socket.write(answer);
    return (flags & handshakeFlag.fixedNewstyle) !== 0;
  }

  async #startTls(): Promise<void> {
    const { kind, data } = (await this.#ask(option.startTls)).at(-1) as OptionAnswer;
    if (kind !== optionReply.ack) throw this.#error('tls', `the server does not begin TLS: ${refusal(kind, data)}`);
    // Somebody on the way could have put it there.
    if (this.#intake.release().length > 0)
      throw new Breach('something came in the clear behind the answer to STARTTLS');
    const { address, tls } = this.#opening;
    try {
      this.#socket = await encrypted(this.#socket, address, tls ?? {});
    } catch (error) {
      throw nbdError(address.words, 'tls', `TLS came to nothing: ${(error as Error).message}`, error);
    }
    this.#intake = new Intake(address.words, this.#socket);
  }

  /** Asks for base:allocation alone. Null where the server does not have it. */
  async #allocation(): Promise<number | null> {
    const { name } = this.#opening.address;
    const data = Buffer.concat([text(name), word(1), text(allocationContext.name)]);
    const answers = await this.#ask(option.setMetaContext, data);
    const [given, ...others] = answers.filter(({ kind }) => kind === optionReply.metaContext).map((one) => one.data);
    if (given === undefined || answers.at(-1)?.kind !== optionReply.ack) return null;
    if (others.length > 0 || given.toString('utf8', 4) !== allocationContext.name) {
      throw new Breach('it gives a metadata context that it was not asked for');
    }
    return given.readUInt32BE(0);
  }

  /** Undefined where the server does not know GO. */
  async #go(structured: boolean, allocation: number | null): Promise<Agreement | undefined> {
    const asked = Buffer.alloc(4);
    asked.writeUInt16BE(1, 0);
    asked.writeUInt16BE(info.blockSize, 2);
    const answers = await this.#ask(option.go, Buffer.concat([text(this.#opening.address.name), asked]));
    const { kind, data } = answers.at(-1) as OptionAnswer;
    if (kind === optionReply.unsupported) return undefined;
    if (kind !== optionReply.ack)
      throw this.#error('refused', `the server does not give the export: ${refusal(kind, data)}`);
    let about: Buffer | undefined;
    let sizes: Buffer | undefined;
    for (const { data: told } of answers.slice(0, -1)) {
      if (told.length < 2) throw new Breach('it tells of an export without saying what');
      const type = told.readUInt16BE(0);
      if (type === info.export) about = told;
      else if (type === info.blockSize) sizes = told;
    }
    if (about?.length !== 12) throw new Breach('it gives an export, and does not say how large it is');
    return this.#agreement(about.subarray(2), sizesOf(sizes), structured, allocation);
  }

  /** The one option that is answered without a header, or by the end of the connection. */
  async #byName(structured: boolean, allocation: number | null): Promise<Agreement> {
    this.#send(option.exportName, Buffer.from(this.#opening.address.name));
    const about = await this.#intake.take(10 + (this.#noZeroes ? 0 : zeroesBehindName)).catch((error: unknown) => {
      throw this.#error('refused', 'the server has ended the connection, as if it had no such export', error);
    });
    return this.#agreement(about, usualSizes, structured, allocation);
  }

  #agreement(about: Buffer, blockSize: BlockSizes, structured: boolean, allocation: number | null): Agreement {
    const size = about.readUInt32BE(0) * 2 ** 32 + about.readUInt32BE(4);
    const flags = about.readUInt16BE(8);
    if (!Number.isSafeInteger(size)) throw new Breach(`it has an export of ${about.readBigUInt64BE(0)} bytes`);
    if ((flags & exportFlag.hasFlags) === 0)
      throw new Breach(`its flags of the export, 0x${flags.toString(16)}, are none`);
    if (size % blockSize.minimum !== 0) {
      throw new Breach(`it has an export of ${size} bytes in blocks of ${blockSize.minimum}`);
    }
    return { socket: this.#socket, rest: this.#intake.release(), size, flags, blockSize, structured, allocation };
  }

  /** All answers to an option; the last is an acknowledgement or an error. */
  async #ask(number: number, data: Buffer = Buffer.alloc(0)): Promise<OptionAnswer[]> {
    this.#send(number, data);
    const answers: OptionAnswer[] = [];
    while (answers.length < mostReplies) {
      const header = await this.#intake.take(bytesOf.optionReplyHeader);
      if (!isPair(header, 0, magic.optionReply)) throw new Breach('an answer to an option begins with something else');
      const [about, kind, length] = [header.readUInt32BE(8), header.readUInt32BE(12), header.readUInt32BE(16)];
      if (about !== number) throw new Breach(`it answers option ${about}, and was asked for ${number}`);
      if (length > limits.optionBytes) throw new Breach(`an answer to an option has ${length} bytes`);
      answers.push({ kind, data: await this.#intake.take(length) });
      if (kind === optionReply.ack || kind >= firstError) return answers;
      const known =
        number === option.go ? optionReply.info : number === option.setMetaContext ? optionReply.metaContext : 0;
      if (kind !== known || length < 2) throw new Breach(`it answers option ${number} with ${kind} of ${length} bytes`);
    }
    throw new Breach(`more than ${mostReplies} answers to an option`);
  }

  #send(number: number, data: Buffer): void {
    const header = Buffer.alloc(bytesOf.optionHeader);
    header.writeUInt32BE(magic.option[0], 0);
    header.writeUInt32BE(magic.option[1], 4);
    header.writeUInt32BE(number, 8);
    header.writeUInt32BE(data.length, 12);
    this.#socket.write(Buffer.concat([header, data]));
  }

  #error(reason: 'tls' | 'refused', what: string, cause?: unknown): Error {
    return nbdError(this.#opening.address.words, reason, what, cause);
  }
}

/** Which requests the server takes, held against what can be true. */
function sizesOf(told: Buffer | undefined): BlockSizes {
  if (told === undefined) return usualSizes;
  if (told.length !== 14) throw new Breach(`it tells of block sizes in ${told.length} bytes`);
  const [minimum, preferred, maximum] = [told.readUInt32BE(2), told.readUInt32BE(6), told.readUInt32BE(10)];
  const isMost = maximum === 0xffff_ffff;
  const makesSense =
    isPowerOfTwo(minimum) &&
    minimum <= 65_536 &&
    isPowerOfTwo(preferred) &&
    preferred >= minimum &&
    maximum >= minimum &&
    (isMost || maximum % minimum === 0);
  if (!makesSense) throw new Breach(`it has block sizes of ${minimum}, ${preferred} and ${maximum}`);
  return { minimum, preferred, maximum: Math.min(maximum, limits.payloadBytes) };
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/** In words, with those of the server. */
function refusal(kind: number, data: Buffer): string {
  const words = refusals.get(kind) ?? `error 0x${kind.toString(16)}`;
  return data.length === 0 ? words : `${words} (${harmless(data.toString('utf8', 0, limits.stringBytes))})`;
}

function isPair(bytes: Buffer, at: number, [high, low]: readonly [number, number]): boolean {
  return bytes.readUInt32BE(at) === high && bytes.readUInt32BE(at + 4) === low;
}

/** With its length in front. */
function text(words: string): Buffer {
  const bytes = Buffer.from(words);
  return Buffer.concat([word(bytes.length), bytes]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
