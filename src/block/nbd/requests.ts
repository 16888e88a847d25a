// Requests as they come: headers and payloads out of the bytes that a socket gives; and which requests are refused before a disk
// hears of them.
import type { BlockDevice } from '../disk.js';
import type { Errno } from '../errno.js';
import type { Inlet, Payload, Span } from './inlet.js';
import { Breach, type Session } from './negotiation.js';
import type { Slab } from './slabs.js';
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

/** Who answers requests. */
export interface Takers {
  /** Whether the next request may be begun; else the rest waits for `resume`. */
  hasRoom(): boolean;
  /** A request came. Whether it is served, if it has a payload: one that is not has its payload passed over. */
  begin(request: Request): boolean;
  /** All of it is there. Who serves it lets go of the payload. */
  serve(request: Request, payload: Payload | null): void;
}

/** Cuts what one client sends into requests. */
export class Requests {
  readonly #takers: Takers;
  readonly #inlet: Inlet;
  readonly #extended: boolean;
  readonly #headerBytes: number;
  /** A header that came in parts. */
  readonly #header = Buffer.alloc(bytesOf.extendedRequest);
  #headerFilled = 0;
  #request: Request | null = null;
  /** Of the request, as far as it has come. */
  #payload: Payload | null = null;
  /** Bytes of a payload that are passed over. */
  #skip = 0;
  /** What came behind the last request for which there was room. */
  #rest: Span[] = [];

  constructor(session: Session, inlet: Inlet, takers: Takers) {
    this.#extended = session.extended;
    this.#headerBytes = session.extended ? bytesOf.extendedRequest : bytesOf.request;
    this.#inlet = inlet;
    this.#takers = takers;
  }

  /** Whether some of what came waits for room. */
  get waits(): boolean {
    return this.#rest.length > 0;
  }

  /** Whether nothing of a request that is not whole has come. */
  get isBetween(): boolean {
    return this.#headerFilled === 0 && this.#request === null && this.#skip === 0 && !this.waits;
  }

  /** @throws Breach where the client is out of step */
  take(span: Span): void {
    if (this.waits) this.#keep(span);
    else this.#cut(span);
  }

  /** Goes on with what waited. */
  resume(): void {
    const rest = this.#rest;
    this.#rest = [];
    for (const span of rest) {
      this.take(span);
      this.#inlet.letGo(span);
    }
  }

  #keep(span: Span): void {
    this.#inlet.hold(span);
    this.#rest.push(span);
  }

  #cut({ slab, start, end }: Span): void {
    let at = start;
    while (at < end) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, end - at);
        this.#skip -= passed;
        at += passed;
      } else if (this.#request !== null) at = this.#fill(this.#request, this.#payload as Payload, slab, at, end);
      else if (this.#takers.hasRoom()) at = this.#head(slab.bytes, at, end);
      else {
        this.#keep({ slab, start: at, end });
        return;
      }
    }
  }

  #head(bytes: Buffer, at: number, end: number): number {
    const size = this.#headerBytes;
    if (this.#headerFilled === 0 && end - at >= size) {
      this.#begin(this.#parse(bytes, at));
      return at + size;
    }
    const taken = Math.min(size - this.#headerFilled, end - at);
    bytes.copy(this.#header, this.#headerFilled, at, at + taken);
    this.#headerFilled += taken;
    if (this.#headerFilled === size) {
      this.#headerFilled = 0;
      this.#begin(this.#parse(this.#header, 0));
    }
    return at + taken;
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

  #begin(request: Request): void {
    const length = this.#payloadOf(request);
    const isServed = this.#takers.begin(request);
    if (length === 0) {
      if (isServed) this.#takers.serve(request, null);
    } else if (isServed) {
      this.#request = request;
      this.#payload = this.#inlet.payload(length);
    } else this.#skip = length;
  }

  #payloadOf({ type, flags, length }: Request): number {
    if (!this.#extended) return type === command.write ? length : 0;
    if ((flags & commandFlag.payloadLength) === 0) return 0;
    if (length > limits.payloadBytes) throw new Breach(`a payload of ${length} bytes`);
    return length;
  }

  #fill(request: Request, payload: Payload, slab: Slab, at: number, end: number): number {
    const next = Math.min(at + request.length - payload.length, end);
    payload.add(slab, at, next);
    if (payload.length === request.length) {
      this.#request = null;
      this.#payload = null;
      this.#takers.serve(request, payload);
    }
    return next;
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
