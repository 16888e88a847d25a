// What happens before the first request: a client asks by options, one after the other, and what it is answered opens nothing
// and reads nothing of the disk. Pure: options in, bytes out.
import { allocationContext, bytesOf, handshakeFlag, info, limits, magic, option, optionReply } from './wire.js';

/** What is exported, as a client sees it. */
export interface NbdExport {
  readonly name: string;
  readonly description: string;
  /** Bytes. */
  readonly size: number;
  /** Whether extents are told. */
  readonly extents: boolean;
  readonly blockSize: { readonly minimum: number; readonly preferred: number; readonly maximum: number };
  flags(structured: boolean): number;
}

/** What was agreed on. */
export interface Session {
  readonly structured: boolean;
  readonly extended: boolean;
  readonly allocation: boolean;
  /** Bytes of the disk that the client may see. */
  readonly size: number;
}

/** An option's answer, and what comes of it. */
export interface Answer {
  readonly bytes: Buffer;
  readonly session?: Session;
  readonly ends?: boolean;
  /** What follows is encrypted, in both directions. */
  readonly startsTls?: boolean;
}

/** What breaks the protocol, so that nothing more can be understood. */
export class Breach extends Error {}

export function greeting(): Buffer {
  const bytes = Buffer.alloc(bytesOf.greeting);
  writePair(bytes, 0, magic.server);
  writePair(bytes, 8, magic.option);
  bytes.writeUInt16BE(handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes, 16);
  return bytes;
}

/** The options of one connection. */
export class Negotiation {
  readonly #export: NbdExport;
  readonly #noZeroes: boolean;
  /** What TLS is to this client: not offered, wanted before anything else, or there. */
  #tls: 'none' | 'required' | 'begun';
  #structured = false;
  #extended = false;
  /** The name that base:allocation was asked for with. */
  #allocationOf: string | null = null;
  #options = 0;

  /** @throws Breach of flags that nobody knows, or of a client before 2009 */
  constructor(exported: NbdExport, clientFlags: number, requiresTls: boolean) {
    const known = handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes;
    if ((clientFlags & ~known) !== 0) throw new Breach(`the client has unknown flags 0x${clientFlags.toString(16)}`);
    this.#export = exported;
    this.#tls = requiresTls ? 'required' : 'none';
    this.#noZeroes = (clientFlags & handshakeFlag.noZeroes) !== 0;
  }

  /** An option whose data is longer than it may be, and was not kept. */
  tooLong(number: number): Answer {
    this.#count();
    if (number === option.exportName) throw new Breach('the name of an export is too long');
    return { bytes: reply(number, optionReply.tooBig) };
  }

  answer(number: number, data: Buffer): Answer {
    this.#count();
    if (this.#tls === 'required' && number !== option.startTls && number !== option.abort) {
      // The one option that has no way to be refused.
      if (number === option.exportName) throw new Breach('the client wants an export without TLS');
      return { bytes: reply(number, optionReply.tlsRequired, Buffer.from('this export takes TLS')) };
    }
    switch (number) {
      case option.exportName:
        return this.#enterByName(data);
      case option.abort:
        return { bytes: reply(number, optionReply.ack), ends: true };
      case option.startTls:
        return this.#startTls(data);
      case option.list:
        return { bytes: this.#list(data) };
      case option.info:
      case option.go:
        return this.#inform(number, data);
      case option.structuredReply:
        return { bytes: reply(number, this.#agreeOnStructured(data)) };
      case option.extendedHeaders:
        return { bytes: reply(number, this.#agreeOnExtended(data)) };
      case option.listMetaContext:
      case option.setMetaContext:
        return { bytes: this.#contexts(number, data) };
      default:
        return { bytes: reply(number, optionReply.unsupported) };
    }
  }

  #count(): void {
    if (++this.#options > limits.options) throw new Breach(`more than ${limits.options} options`);
  }

  #startTls(data: Buffer): Answer {
    if (this.#tls === 'none') return { bytes: reply(option.startTls, optionReply.unsupported) };
    if (data.length > 0 || this.#tls === 'begun') return { bytes: reply(option.startTls, optionReply.invalid) };
    this.#tls = 'begun';
    return { bytes: reply(option.startTls, optionReply.ack), startsTls: true };
  }

  #enterByName(data: Buffer): Answer {
    const name = data.toString('utf8');
    if (!this.#isExport(name)) throw new Breach(`there is no export ${JSON.stringify(name.slice(0, 80))}`);
    const session = this.#session(name);
    const bytes = Buffer.alloc(this.#noZeroes ? 10 : 134);
    writeWide(bytes, 0, session.size);
    bytes.writeUInt16BE(this.#export.flags(this.#structured || this.#extended), 8);
    return { bytes, session };
  }

  #list(data: Buffer): Buffer {
    if (data.length > 0) return reply(option.list, optionReply.invalid);
    const [name, description] = [Buffer.from(this.#export.name), Buffer.from(this.#export.description)];
    return Buffer.concat([
      reply(option.list, optionReply.server, word(name.length), name, description),
      reply(option.list, optionReply.ack),
    ]);
  }

  #inform(number: number, data: Buffer): Answer {
    const asked = askedInfo(data);
    if (asked === null) return { bytes: reply(number, optionReply.invalid) };
    if (!this.#isExport(asked.name)) {
      const text = Buffer.from(`there is no export ${JSON.stringify(asked.name.slice(0, 80))}`);
      return { bytes: reply(number, optionReply.unknown, text) };
    }
    const session = this.#session(asked.name);
    const about = Buffer.alloc(12);
    about.writeUInt16BE(info.export, 0);
    writeWide(about, 2, session.size);
    about.writeUInt16BE(this.#export.flags(this.#structured || this.#extended), 10);
    const { minimum, preferred, maximum } = this.#export.blockSize;
    const more = new Map([
      [info.name, Buffer.from(this.#export.name)],
      [info.description, Buffer.from(this.#export.description)],
      [info.blockSize, Buffer.concat([minimum, preferred, maximum].map(word))],
    ] as const);
    const replies = [reply(number, optionReply.info, about)];
    for (const [kind, bytes] of more) {
      if (asked.kinds.has(kind)) replies.push(reply(number, optionReply.info, half(kind), bytes));
    }
    replies.push(reply(number, optionReply.ack));
    return { bytes: Buffer.concat(replies), ...(number === option.go && { session }) };
  }

  #agreeOnStructured(data: Buffer): number {
    if (data.length > 0) return optionReply.invalid;
    if (this.#extended) return optionReply.extendedHeadersRequired;
    this.#structured = true;
    return optionReply.ack;
  }

  #agreeOnExtended(data: Buffer): number {
    if (data.length > 0 || this.#extended) return optionReply.invalid;
    this.#extended = true;
    return optionReply.ack;
  }

  /** A list of contexts that there are, or the choice of those that are wanted. */
  #contexts(number: number, data: Buffer): Buffer {
    const isSet = number === option.setMetaContext;
    if (isSet) this.#allocationOf = null; // whatever comes of it
    const asked = askedContexts(data);
    if (asked === null || (isSet && !this.#structured && !this.#extended)) return reply(number, optionReply.invalid);
    if (!this.#isExport(asked.name)) return reply(number, optionReply.unknown);
    const all = !isSet && asked.queries.length === 0;
    const matches = (query: string) => query === allocationContext.name || (!isSet && query === 'base:');
    const done = reply(number, optionReply.ack);
    if (!this.#export.extents || !(all || asked.queries.some(matches))) return done;
    if (isSet) this.#allocationOf = asked.name;
    const id = word(isSet ? allocationContext.id : 0);
    return Buffer.concat([reply(number, optionReply.metaContext, id, Buffer.from(allocationContext.name)), done]);
  }

  /** The one that there is, by its name or as the default. */
  #isExport(name: string): boolean {
    return name === '' || name === this.#export.name;
  }

  #session(name: string): Session {
    const { size } = this.#export;
    const structured = this.#structured || this.#extended;
    // Without structured replies clients count in sectors, and would ask for what lies behind an odd end.
    const seen = structured ? size : size - (size % 512);
    return { structured, extended: this.#extended, allocation: this.#allocationOf === name, size: seen };
  }
}

/** Null where the lengths do not fit the data. */
function askedInfo(data: Buffer): { name: string; kinds: ReadonlySet<number> } | null {
  const name = textAt(data, 0);
  if (name === null || data.length < name.end + 2) return null;
  const count = data.readUInt16BE(name.end);
  if (data.length !== name.end + 2 + 2 * count) return null;
  const kinds = Array.from({ length: count }, (_, i) => data.readUInt16BE(name.end + 2 + 2 * i));
  return { name: name.text, kinds: new Set(kinds) };
}

function askedContexts(data: Buffer): { name: string; queries: string[] } | null {
  const name = textAt(data, 0);
  if (name === null || data.length < name.end + 4) return null;
  const count = data.readUInt32BE(name.end);
  const queries: string[] = [];
  let at = name.end + 4;
  while (queries.length < count) {
    const query = textAt(data, at);
    if (query === null) return null;
    queries.push(query.text);
    at = query.end;
  }
  return at === data.length ? { name: name.text, queries } : null;
}

function textAt(data: Buffer, at: number): { text: string; end: number } | null {
  if (data.length < at + 4) return null;
  const length = data.readUInt32BE(at);
  const end = at + 4 + length;
  if (length > limits.stringBytes || end > data.length) return null;
  return { text: data.toString('utf8', at + 4, end), end };
}

function reply(number: number, kind: number, ...parts: Buffer[]): Buffer {
  const header = Buffer.alloc(bytesOf.optionReplyHeader);
  writePair(header, 0, magic.optionReply);
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(kind, 12);
  header.writeUInt32BE(
    parts.reduce((all, { length }) => all + length, 0),
    16,
  );
  return Buffer.concat([header, ...parts]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function half(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function writePair(bytes: Buffer, at: number, [high, low]: readonly [number, number]): void {
  bytes.writeUInt32BE(high, at);
  bytes.writeUInt32BE(low, at + 4);
}

/** 64 bits of a number below 2^53. */
export function writeWide(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value % 2 ** 32, at + 4);
}
