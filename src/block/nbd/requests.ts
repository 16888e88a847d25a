// Requests as they come: headers and payloads out of the chunks that a socket gives, without a copy where a payload lies in one
// chunk; and which requests are refused before a disk hears of them.
import type { BlockDevice } from '../disk.js';
import type { Errno } from '../errno.js';
import { Breach, type Session } from './negotiation.js';
import { bytesOf, command, commandFlag, limits, magic } from './wire.js';

export interface Request {
  readonly type: number;
  readonly flags: number;
  /** What the client calls it by: 64 bits that mean nothing here. */
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /** As it stands in the request, for the reply. */
  readonly offsetHigh: number;
  readonly offsetLow: number;
  /** Beyond 2^53 it is not exact, and past any end. */
  readonly offset: number;
  readonly length: number;
}

/** Of a write; what came in several chunks is in as many pieces. */
export type Payload = Buffer | readonly Buffer[] | null;

/** Shorter pieces are joined: each that is kept costs memory of its own. */
const leastPiece = 16_384;

/** Who answers requests. */
export interface Takers {
  /** Whether the next request may be begun; else the rest waits for `resume`. */
  hasRoom(): boolean;
  /** A request came. Whether it is served, if it has a payload: one that is not has its payload passed over. */
  begin(request: Request): boolean;
  /** All of it is there. */
  serve(request: Request, payload: Payload): void;
}

/** Cuts what one client sends into requests. */
export class Requests {
  readonly #takers: Takers;
  readonly #extended: boolean;
  readonly #headerBytes: number;
  /** A header that came in parts. */
  readonly #header = Buffer.alloc(bytesOf.extendedRequest);
  #headerFilled = 0;
  #request: Request | null = null;
  /** Of a payload that comes in parts: those that are kept as they are, or the memory that short ones are joined in. */
  #pieces: Buffer[] = [];
  #joined: Buffer | null = null;
  #filled = 0;
  /** Bytes of a payload that are passed over. */
  #skip = 0;
  #rest: Buffer | null = null;

  constructor(session: Session, takers: Takers) {
    this.#extended = session.extended;
    this.#headerBytes = session.extended ? bytesOf.extendedRequest : bytesOf.request;
    this.#takers = takers;
  }

  /** Whether some of what came waits for room. */
  get waits(): boolean {
    return this.#rest !== null;
  }

  /** Whether nothing of a request that is not whole has come. */
  get isBetween(): boolean {
    return this.#headerFilled === 0 && this.#request === null && this.#skip === 0 && this.#rest === null;
  }

  /** @throws Breach where the client is out of step */
  take(chunk: Buffer): void {
    if (this.#rest !== null) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      return;
    }
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        this.#skip -= passed;
        at += passed;
      } else if (this.#request !== null) at = this.#fill(this.#request, chunk, at);
      else if (this.#takers.hasRoom()) at = this.#head(chunk, at);
      else {
        this.#rest = chunk.subarray(at);
        return;
      }
    }
  }

  /** Goes on with what waited. */
  resume(): void {
    const rest = this.#rest;
    this.#rest = null;
    if (rest !== null) this.take(rest);
  }

  #head(chunk: Buffer, at: number): number {
    const size = this.#headerBytes;
    if (this.#headerFilled === 0 && chunk.length - at >= size) {
      return this.#begin(this.#parse(chunk, at), chunk, at + size);
    }
    const taken = Math.min(size - this.#headerFilled, chunk.length - at);
    chunk.copy(this.#header, this.#headerFilled, at, at + taken);
    this.#headerFilled += taken;
    if (this.#headerFilled < size) return at + taken;
    this.#headerFilled = 0;
    return this.#begin(this.#parse(this.#header, 0), chunk, at + taken);
  }

  #parse(bytes: Buffer, at: number): Request {
    const wanted = this.#extended ? magic.extendedRequest : magic.request;
    const found = bytes.readUInt32BE(at);
    if (found !== wanted) throw new Breach(`a request begins with 0x${found.toString(16)}`);
    const [offsetHigh, offsetLow] = [bytes.readUInt32BE(at + 16), bytes.readUInt32BE(at + 20)];
    return {
      flags: bytes.readUInt16BE(at + 4),
      type: bytes.readUInt16BE(at + 6),
      cookieHigh: bytes.readUInt32BE(at + 8),
      cookieLow: bytes.readUInt32BE(at + 12),
      offsetHigh,
      offsetLow,
      offset: offsetHigh * 2 ** 32 + offsetLow,
      length: this.#extended
        ? bytes.readUInt32BE(at + 24) * 2 ** 32 + bytes.readUInt32BE(at + 28)
        : bytes.readUInt32BE(at + 24),
    };
  }

  #begin(request: Request, chunk: Buffer, at: number): number {
    const length = this.#payloadOf(request);
    const isServed = this.#takers.begin(request);
    if (length === 0) {
      if (isServed) this.#takers.serve(request, null);
      return at;
    }
    if (!isServed) {
      this.#skip = length;
      return at;
    }
    if (chunk.length - at >= length) {
      this.#takers.serve(request, chunk.subarray(at, at + length));
      return at + length;
    }
    this.#request = request;
    this.#pieces = [];
    this.#joined = null;
    this.#filled = 0;
    return at;
  }

  #payloadOf({ type, flags, length }: Request): number {
    if (!this.#extended) return type === command.write ? length : 0;
    if ((flags & commandFlag.payloadLength) === 0) return 0;
    if (length > limits.payloadBytes) throw new Breach(`a payload of ${length} bytes`);
    return length;
  }

  #fill(request: Request, chunk: Buffer, at: number): number {
    const taken = Math.min(request.length - this.#filled, chunk.length - at);
    const isLast = this.#filled + taken === request.length;
    if (this.#joined === null && taken < leastPiece && !(isLast && this.#pieces.length > 0)) this.#join(request.length);
    if (this.#joined === null) this.#pieces.push(chunk.subarray(at, at + taken));
    else chunk.copy(this.#joined, this.#filled, at, at + taken);
    this.#filled += taken;
    if (isLast) {
      const payload = this.#joined ?? this.#pieces;
      this.#request = null;
      this.#joined = null;
      this.#pieces = [];
      this.#takers.serve(request, payload);
    }
    return at + taken;
  }

  /** From here on what comes is copied, as is what was kept. */
  #join(length: number): void {
    this.#joined = Buffer.allocUnsafeSlow(length);
    let at = 0;
    for (const piece of this.#pieces) at += piece.copy(this.#joined, at);
    this.#pieces = [];
  }
}

const allowedFlags: Readonly<Record<number, number>> = {
  [command.read]: commandFlag.df,
  [command.write]: 0,
  [command.disconnect]: 0,
  [command.flush]: 0,
  [command.trim]: 0,
  [command.cache]: 0,
  [command.writeZeroes]: commandFlag.noHole | commandFlag.fastZero,
  [command.blockStatus]: commandFlag.reqOne,
};

const changing: ReadonlySet<number> = new Set([command.write, command.trim, command.writeZeroes]);

/** Why a request is refused, or null. */
export function refusalOf(request: Request, disk: BlockDevice, session: Session, isReadOnly: boolean): Errno | null {
  const { type, offset, length } = request;
  const { features } = disk;
  if (!areFlagsAllowed(request, session, isReadOnly, disk)) return 'EINVAL';
  if (type === command.flush) return null;
  if (changing.has(type) && isReadOnly) return 'EPERM';
  if (type === command.trim && !features.trim) return 'EINVAL';
  if (type === command.writeZeroes && !features.zero) return 'EINVAL';
  if (type === command.cache && !features.cache) return 'EINVAL';
  if (type === command.blockStatus && !session.allocation) return 'EINVAL';
  if ((type === command.read || type === command.write) && length > limits.payloadBytes) return 'EINVAL';
  if ((type === command.read || type === command.blockStatus) && length === 0) return 'EINVAL';
  if (offset + length > session.size) return changing.has(type) ? 'ENOSPC' : 'EINVAL';
  return null;
}

function areFlagsAllowed({ type, flags }: Request, session: Session, isReadOnly: boolean, disk: BlockDevice): boolean {
  let allowed = allowedFlags[type];
  if (allowed === undefined) return false;
  if (!isReadOnly) allowed |= commandFlag.fua;
  if (!session.structured) allowed &= ~commandFlag.df;
  if (!disk.features.fastZero) allowed &= ~commandFlag.fastZero;
  if (type === command.write && session.extended) {
    if ((flags & commandFlag.payloadLength) === 0) return false;
    allowed |= commandFlag.payloadLength;
  }
  return (flags & ~allowed) === 0;
}
