// Replies as bytes: simple ones, chunks of structured ones, and extended ones, by what was agreed on.
import type { Extent } from '../disk.js';
import { type Errno, errno } from '../errno.js';
import { type Session, writeWide } from './negotiation.js';
import type { Outlet, Room } from './outlet.js';
import type { Request } from './requests.js';
import { allocationContext, bytesOf, chunk, extentFlag, magic, replyFlag } from './wire.js';

const longestText = 512;

/** Makes the replies of one session. */
export class Replies {
  readonly #session: Session;
  readonly #outlet: Outlet;
  /** Bytes in front of a chunk's payload, and of what is read. */
  readonly #headerBytes: number;
  readonly #readAt: number;

  constructor(session: Session, outlet: Outlet) {
    this.#session = session;
    this.#outlet = outlet;
    this.#headerBytes = session.extended ? bytesOf.extendedReply : bytesOf.structuredReply;
    this.#readAt = session.structured ? this.#headerBytes + 8 : bytesOf.simpleReply;
  }

  /** Bytes that the reply to a read takes. */
  readBytes(length: number): number {
    return this.#readAt + length;
  }

  /** Where the bytes of a read belong. */
  target({ bytes, start }: Room, length: number): Buffer {
    return bytes.subarray(start + this.#readAt, start + this.#readAt + length);
  }

  /** What was read is in the room already. */
  read(request: Request, room: Room, cost: number): void {
    this.#readHeader(request, room);
    this.#outlet.send(room, this.#readAt + request.length, cost);
  }

  /** The reply to a read, from memory that is the disk's. */
  lent(request: Request, pieces: readonly Uint8Array[], cost: number): void {
    const room = this.#outlet.room(this.#readAt);
    this.#readHeader(request, room);
    this.#outlet.sendWith(room, this.#readAt, pieces, cost);
  }

  #readHeader(request: Request, room: Room): void {
    const { offset, length } = request;
    if (this.#session.structured) {
      this.#chunk(room, request, chunk.offsetData, 8 + length);
      writeWide(room.bytes, room.start + this.#headerBytes, offset);
    } else this.#simple(room, request, 0);
  }

  done(request: Request, cost: number): void {
    const room = this.#outlet.room(bytesOf.extendedReply);
    if (this.#session.extended) this.#chunk(room, request, chunk.none, 0);
    else this.#simple(room, request, 0);
    this.#outlet.send(room, this.#session.extended ? bytesOf.extendedReply : bytesOf.simpleReply, cost);
  }

  /** @param room of a read that failed, which is used for this */
  failed(request: Request, name: Errno, message: string, cost: number, room?: Room): void {
    const text = Buffer.from(message).subarray(0, longestText);
    if (!this.#session.structured) {
      const simple = room ?? this.#outlet.room(bytesOf.simpleReply);
      this.#simple(simple, request, errno[name]);
      this.#outlet.send(simple, bytesOf.simpleReply, cost);
      return;
    }
    // The room of a short read is too short for words.
    const said = room === undefined ? text : text.subarray(0, request.length);
    const place = room ?? this.#outlet.room(this.#headerBytes + 6 + said.length);
    this.#chunk(place, request, chunk.error, 6 + said.length);
    const at = place.start + this.#headerBytes;
    place.bytes.writeUInt32BE(errno[name], at);
    place.bytes.writeUInt16BE(said.length, at + 4);
    said.copy(place.bytes, at + 6);
    this.#outlet.send(place, this.#headerBytes + 6 + said.length, cost);
  }

  extents(request: Request, extents: readonly Extent[], cost: number): void {
    const { extended } = this.#session;
    const payload = extended ? 8 + 16 * extents.length : 4 + 8 * extents.length;
    const room = this.#outlet.room(this.#headerBytes + payload);
    const { bytes, start } = room;
    this.#chunk(room, request, extended ? chunk.blockStatusExtended : chunk.blockStatus, payload);
    let at = bytes.writeUInt32BE(allocationContext.id, start + this.#headerBytes);
    if (extended) at = bytes.writeUInt32BE(extents.length, at);
    for (const { length, hole, zero } of extents) {
      const flags = (hole ? extentFlag.hole : 0) | (zero ? extentFlag.zero : 0);
      if (extended) {
        writeWide(bytes, at, length);
        writeWide(bytes, at + 8, flags);
        at += 16;
      } else at = bytes.writeUInt32BE(flags, bytes.writeUInt32BE(length, at));
    }
    this.#outlet.send(room, this.#headerBytes + payload, cost);
  }

  #simple({ bytes, start }: Room, { cookieHigh, cookieLow }: Request, error: number): void {
    bytes.writeUInt32BE(magic.simpleReply, start);
    bytes.writeUInt32BE(error, start + 4);
    bytes.writeUInt32BE(cookieHigh, start + 8);
    bytes.writeUInt32BE(cookieLow, start + 12);
  }

  /** The header of a chunk that is the only one of its reply. */
  #chunk({ bytes, start }: Room, request: Request, type: number, payload: number): void {
    const { extended } = this.#session;
    const { cookieHigh, cookieLow, offsetHigh, offsetLow } = request;
    bytes.writeUInt32BE(extended ? magic.extendedReply : magic.structuredReply, start);
    bytes.writeUInt16BE(replyFlag.done, start + 4);
    bytes.writeUInt16BE(type, start + 6);
    bytes.writeUInt32BE(cookieHigh, start + 8);
    bytes.writeUInt32BE(cookieLow, start + 12);
    if (!extended) {
      bytes.writeUInt32BE(payload, start + 16);
      return;
    }
    bytes.writeUInt32BE(offsetHigh, start + 16);
    bytes.writeUInt32BE(offsetLow, start + 20);
    writeWide(bytes, start + 24, payload);
  }
}
