// Replies as they come, cut out of the chunks that a socket gives: what was read goes straight to whoever reads. Whatever the
// server says is held against the request that it answers.
import { addExtent, type Extent } from '../../disk.js';
import { nameOfErrno } from '../../errno.js';
import { Breach } from '../negotiation.js';
import { bytesOf, chunk, command, extentFlag, limits, magic, replyFlag } from '../wire.js';
import type { Coverage } from './coverage.js';

/** A request that waits for its reply, and what is known of that. */
export interface Asked {
  readonly command: number;
  readonly offset: number;
  readonly length: number;
  /** Of a read. */
  readonly target: Uint8Array | null;
  /** What of the target was filled. */
  readonly filled: Coverage;
  /** Of a block status, once it came. */
  extents: Extent[] | null;
  errno: string | null;
  /** What the server says about that. */
  said: string;
  /** Chunks that carried an error. */
  errors: number;
}

export interface ReplyTakers {
  /** The request with this number; undefined where none waits. */
  asked(cookie: number): Asked | undefined;
  /** All of its reply is there. */
  replied(cookie: number): void;
}

/** Extents of one answer: as many as servers send. */
const mostExtents = 2 ** 20;
const mostErrors = 64;
const longestPayload = 4 + 8 * mostExtents;
/** What a hole takes, in front of it nothing; and offsets. */
const [holeBytes, offsetBytes] = [12, 8];
const [errorOffset, offsetHole, errorBit] = [0x8002, 2, 0x8000];

/** Of one connection. */
export class Replies {
  readonly #structured: boolean;
  readonly #allocation: number | null;
  readonly #takers: ReplyTakers;
  /** Bytes that are gathered before they are looked at, by whom, and those that came in parts. */
  #wanted: number = bytesOf.simpleReply;
  #next: (bytes: Buffer) => void = (bytes) => this.#begin(bytes);
  #partial: Buffer | null = null;
  #gathered = 0;
  /** What is being read goes there. */
  #into: Uint8Array | null = null;
  #at = 0;
  #cookie = 0;
  #isLast = true;

  constructor(structured: boolean, allocation: number | null, takers: ReplyTakers) {
    this.#structured = structured;
    this.#allocation = allocation;
    this.#takers = takers;
  }

  /** @throws Breach where the server is out of step */
  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at = this.#into === null ? this.#gather(bytes, at) : this.#fill(bytes, at);
  }

  #gather(bytes: Buffer, at: number): number {
    const wanted = this.#wanted;
    if (this.#partial === null && bytes.length - at >= wanted) {
      this.#next(bytes.subarray(at, at + wanted));
      return at + wanted;
    }
    const partial = this.#partial ?? Buffer.allocUnsafe(wanted);
    const end = Math.min(at + wanted - this.#gathered, bytes.length);
    bytes.copy(partial, this.#gathered, at, end);
    this.#gathered += end - at;
    this.#partial = this.#gathered < wanted ? partial : null;
    if (this.#partial === null) {
      this.#gathered = 0;
      this.#next(partial);
    }
    return end;
  }

  #fill(bytes: Buffer, at: number): number {
    const into = this.#into as Uint8Array;
    const end = Math.min(at + into.length - this.#at, bytes.length);
    into.set(bytes.subarray(at, end), this.#at);
    this.#at += end - at;
    if (this.#at === into.length) this.#ended();
    return end;
  }

  #expect(wanted: number, next: (bytes: Buffer) => void): void {
    this.#wanted = wanted;
    this.#next = next;
  }

  /** As much as simple replies and chunks have in common. */
  #begin(bytes: Buffer): void {
    const kind = bytes.readUInt32BE(0);
    if (kind === magic.simpleReply) this.#simple(bytes);
    else if (kind !== magic.structuredReply) throw new Breach(`a reply begins with 0x${kind.toString(16)}`);
    else if (!this.#structured) throw new Breach('it sends a structured reply, on which nobody has agreed');
    else this.#chunk(bytes);
  }

  #askedBy(bytes: Buffer): Asked {
    const [high, low] = [bytes.readUInt32BE(8), bytes.readUInt32BE(12)];
    this.#cookie = high * 2 ** 32 + low;
    const asked = this.#takers.asked(this.#cookie);
    if (asked === undefined)
      throw new Breach(`it replies to request ${high.toString(16)}:${low.toString(16)}, which nobody made`);
    return asked;
  }

  #simple(bytes: Buffer): void {
    const asked = this.#askedBy(bytes);
    const number = bytes.readUInt32BE(4);
    const isData = asked.command === command.read || asked.command === command.blockStatus;
    if (isData && this.#structured) throw new Breach('it gives a simple reply where a structured one is due');
    this.#isLast = true;
    if (number !== 0) this.#failed(asked, number, '');
    else if (asked.target !== null) {
      this.#read(asked, asked.offset, asked.length);
      return;
    }
    this.#ended();
  }

  #chunk(first: Buffer): void {
    const asked = this.#askedBy(first);
    this.#isLast = (first.readUInt16BE(4) & replyFlag.done) !== 0;
    const type = first.readUInt16BE(6);
    this.#expect(bytesOf.structuredReply - bytesOf.simpleReply, (last) =>
      this.#payload(asked, type, last.readUInt32BE(0)),
    );
  }

  /** Whether a chunk may have so many bytes, before any of them is kept. */
  #payload(asked: Asked, type: number, length: number): void {
    const is = (wanted: number) => asked.command === wanted;
    const wrong = () =>
      new Breach(`it sends a chunk of type ${type} with ${length} bytes for a request ${asked.command}`);
    if (type === chunk.none) {
      if (length !== 0 || !this.#isLast) throw wrong();
      this.#ended();
    } else if (type === chunk.offsetData) {
      if (!is(command.read) || length <= offsetBytes) throw wrong();
      this.#expect(offsetBytes, (bytes) => this.#read(asked, wide(bytes), length - offsetBytes));
    } else if (type === offsetHole) {
      if (!is(command.read) || length !== holeBytes) throw wrong();
      this.#expect(holeBytes, (bytes) => this.#hole(asked, wide(bytes), bytes.readUInt32BE(8)));
    } else if (type === chunk.blockStatus) {
      if (!is(command.blockStatus) || length < 12 || (length - 4) % 8 !== 0 || length > longestPayload) throw wrong();
      this.#expect(length, (bytes) => this.#status(asked, bytes));
    } else if ((type & errorBit) !== 0) {
      if (length < 6 || length > 6 + limits.stringBytes + offsetBytes) throw wrong();
      this.#expect(length, (bytes) => this.#error(asked, type, bytes));
    } else throw wrong();
  }

  /** What follows is so many bytes of the disk. */
  #read(asked: Asked, offset: number, length: number): void {
    const start = this.#cover(asked, offset, length);
    this.#into = (asked.target as Uint8Array).subarray(start, start + length);
    this.#at = 0;
  }

  #hole(asked: Asked, offset: number, length: number): void {
    if (length === 0) throw new Breach('it sends a hole of no bytes');
    const start = this.#cover(asked, offset, length);
    (asked.target as Uint8Array).fill(0, start, start + length);
    this.#ended();
  }

  /** Where in the target a part of a read belongs. */
  #cover(asked: Asked, offset: number, length: number): number {
    const start = offset - asked.offset;
    if (start < 0 || start + length > asked.length) {
      throw new Breach(`it sends ${length} bytes at ${offset}, and was asked for ${asked.length} at ${asked.offset}`);
    }
    if (!asked.filled.add(start, start + length))
      throw new Breach(`it sends the bytes at ${offset} twice, or all in pieces`);
    return start;
  }

  #status(asked: Asked, bytes: Buffer): void {
    const id = bytes.readUInt32BE(0);
    if (id !== this.#allocation) throw new Breach(`it tells of metadata context ${id}, for which nobody has asked`);
    if (asked.extents !== null) throw new Breach('it tells the extents twice');
    const extents: Extent[] = [];
    let told = 0;
    for (let at = 4; at < bytes.length; at += 8) {
      const length = bytes.readUInt32BE(at);
      const flags = bytes.readUInt32BE(at + 4);
      if (length === 0 || told >= asked.length)
        throw new Breach('it tells of an extent without bytes, or past the request');
      const [hole, zero] = [(flags & extentFlag.hole) !== 0, (flags & extentFlag.zero) !== 0];
      addExtent(extents, { length: Math.min(length, asked.length - told), hole, zero }); // the last may be longer
      told += length;
    }
    asked.extents = extents;
    this.#ended();
  }

  /** Of a type that nobody knows as well: each begins with a number and words. */
  #error(asked: Asked, type: number, bytes: Buffer): void {
    const end = 6 + bytes.readUInt16BE(4);
    const isAt = type === errorOffset;
    if (end + (isAt ? offsetBytes : 0) > bytes.length)
      throw new Breach('the words of an error are longer than its chunk');
    if (isAt) {
      const at = wide(bytes.subarray(end));
      const isWithin = at >= asked.offset && at < asked.offset + Math.max(asked.length, 1);
      if (!isWithin) throw new Breach(`it tells of an error at ${at}, outside the request`);
    }
    if (++asked.errors > mostErrors) throw new Breach(`more than ${mostErrors} errors of one request`);
    this.#failed(asked, bytes.readUInt32BE(0), bytes.toString('utf8', 6, end));
    this.#ended();
  }

  #failed(asked: Asked, number: number, said: string): void {
    if (number === 0) throw new Breach('it tells of an error without a number');
    // A number that the protocol does not have is to be taken for this one.
    asked.errno ??= nameOfErrno(number) ?? 'EINVAL';
    asked.said ||= said;
  }

  /** A simple reply, or a chunk, is over. */
  #ended(): void {
    this.#into = null;
    this.#expect(bytesOf.simpleReply, (bytes) => this.#begin(bytes));
    if (this.#isLast) this.#takers.replied(this.#cookie);
  }
}

/** Beyond 2^53 it is not exact, and past any request. */
function wide(bytes: Buffer): number {
  return bytes.readUInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4);
}
