// The requests of one client, from the first to the last: each is asked of the disk as it comes, and answered when it is done,
// in whichever order. What is in flight is bounded: a client that sends more, or does not read its replies, waits.
import { setImmediate } from 'node:timers';
import type { BlockDevice, DiskWriteOptions, Done, Extent } from '../disk.js';
import { type Errno, errnoOf } from '../errno.js';
import type { Attention } from './attention.js';
import type { Inlet, Payload, Span } from './inlet.js';
import type { Session } from './negotiation.js';
import type { Outlet, Room } from './outlet.js';
import { Replies } from './replies.js';
import { type Request, Requests, refusalOf, type Takers } from './requests.js';
import { command, commandFlag, limits } from './wire.js';

/** What a client may have in flight. One request may be begun while there is less. */
const mostRequests = 512;
const mostBytes = 2 ** 21;

/** Shorter reads are copied, which costs less than a write of their own. */
const leastLent = 32_768;

/** A request that the disk failed. */
export interface NbdFailure {
  /** Its name in the protocol, such as 'write'. */
  readonly command: string;
  readonly offset: number;
  readonly length: number;
  /** What the client was told. */
  readonly errno: string;
  readonly message: string;
}

/** What all clients of an export have in common. */
export interface Shared {
  readonly disk: BlockDevice;
  readonly readOnly: boolean;
  readonly counts: { requests: number; bytesRead: number; bytesWritten: number; failed: number };
  /**
   * Flushes that failed. What they lost may have been any client's, and each is told at its next flush. Of one whose client has gone
   * since, whoever comes next is told as well: it may be the same, which has not heard of it.
   */
  readonly lost: { times: number; errno: Errno; isUnheard: boolean };
  readonly attention: Attention;
  failed(failure: NbdFailure): void;
}

const commandNames = new Map<number, string>(Object.entries(command).map(([name, number]) => [number, name]));

/** Of one client. */
export class Transmission implements Takers {
  readonly #session: Session;
  readonly #shared: Shared;
  readonly #outlet: Outlet;
  readonly #replies: Replies;
  readonly #requests: Requests;
  readonly #over: () => void;
  /** Begun, and not handed to the kernel as a reply. */
  #inFlight = 0;
  #heldBytes = 0;
  /** Of `lost.times`, how many this client was told. */
  #told: number;
  readonly #isHeir: boolean;
  /** A flush of its own failed, and it has asked for none since. */
  #mayNotKnow = false;
  #isClosed = false;
  #isEnding = false;
  /** The client sends nothing more, but some of what it sent waits for room. */
  #isLast = false;
  #flushes = false;

  /** @param over is called when the client wants nothing more and has all replies */
  constructor(session: Session, shared: Shared, inlet: Inlet, outlet: Outlet, over: () => void) {
    this.#session = session;
    this.#shared = shared;
    this.#outlet = outlet;
    this.#replies = new Replies(session, outlet);
    this.#requests = new Requests(session, inlet, this);
    this.#over = over;
    this.#isHeir = shared.lost.isUnheard;
    this.#told = shared.lost.times - (this.#isHeir ? 1 : 0);
  }

  /** Whether it wants to be given no more for now. */
  get isFull(): boolean {
    return this.#requests.waits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether the client has sent a part of a request, and not the rest. */
  get isWithin(): boolean {
    return !this.#isEnding && !this.#requests.isBetween;
  }

  /** @throws Breach */
  take(span: Span): void {
    if (this.#isEnding) return;
    this.#requests.take(span);
    this.#outlet.flush();
  }

  /** No more is taken; what is in flight is answered. */
  end(): void {
    this.#isEnding = true;
    if (this.#inFlight === 0) this.#over();
  }

  /** The connection is closed. */
  closed(): void {
    this.#isClosed = true;
    if (this.#mayNotKnow) this.#shared.lost.isUnheard = true;
  }

  /** It is answered that a flush failed, and may go before it hears that, or has gone already. */
  #tellsOfLoss(): void {
    this.#mayNotKnow = true;
    if (this.#isClosed) this.#shared.lost.isUnheard = true;
  }

  /** The client sends nothing more: what came is answered. */
  endInput(): void {
    if (this.#requests.waits) this.#isLast = true;
    else this.end();
  }

  /** These have gone: there may be room for what waited. */
  sent(requests: number, cost: number): void {
    this.#inFlight -= requests;
    this.#heldBytes -= cost;
    if (!this.#isEnding) {
      this.#requests.resume();
      this.#outlet.flush();
      if (this.#isLast && !this.#requests.waits) this.end();
    } else if (this.#inFlight === 0) this.#over();
  }

  hasRoom(): boolean {
    return this.#inFlight < mostRequests && this.#heldBytes < mostBytes && !this.#isEnding;
  }

  begin(request: Request): boolean {
    if (request.type === command.disconnect) {
      this.#mayNotKnow = false;
      this.end();
      return false;
    }
    const { disk, readOnly, counts } = this.#shared;
    this.#inFlight++;
    counts.requests++;
    const refusal = refusalOf(request, disk, this.#session, readOnly);
    if (refusal === null) {
      this.#heldBytes += this.#costOf(request);
      return true;
    }
    this.#replies.failed(request, refusal, `refused: ${placeOf(request)}`, 0);
    return false;
  }

  serve(request: Request, payload: Payload | null): void {
    if (request.type === command.blockStatus) {
      this.#tellExtents(request);
      return;
    }
    if (request.type === command.read && request.length >= leastLent && this.#lend(request)) return;
    const room = request.type === command.read ? this.#outlet.room(this.#replies.readBytes(request.length)) : undefined;
    let done: Done;
    try {
      done = this.#ask(request, payload?.pieces ?? [], room);
    } catch (error) {
      payload?.letGo();
      this.#failed(request, error, room);
      return;
    }
    if (done === undefined) {
      payload?.letGo();
      this.#done(request, room);
      return;
    }
    const later = (answer: () => void) => {
      payload?.letGo();
      this.#later(answer);
    };
    done.then(
      () => later(() => this.#done(request, room)),
      (error: unknown) => later(() => this.#failed(request, error, room)),
    );
  }

  /** Sends a read from the disk's own memory, where it has any. */
  #lend(request: Request): boolean {
    const { disk, counts } = this.#shared;
    if (disk.view === undefined) return false;
    try {
      const pieces = disk.view(request.offset, request.length);
      counts.bytesRead += request.length;
      this.#replies.lent(request, pieces, this.#costOf(request));
    } catch (error) {
      this.#failed(request, error, undefined);
    }
    return true;
  }

  #ask(request: Request, payload: readonly Buffer[], room: Room | undefined): Done {
    const { disk } = this.#shared;
    const { type, flags, offset, length } = request;
    const fua = (flags & commandFlag.fua) !== 0;
    switch (type) {
      case command.read:
        return disk.read(offset, this.#replies.target(room as Room, length));
      case command.write:
        return length === 0 ? undefined : writeTo(disk, offset, payload, fua ? { fua } : undefined);
      case command.flush:
        this.#mayNotKnow = false;
        return disk.flush();
      case command.trim:
        return fua ? this.#trimAndFlush(offset, length) : disk.trim(offset, length);
      case command.cache:
        return disk.cache(offset, length);
      default: {
        const [fast, mayTrim] = [(flags & commandFlag.fastZero) !== 0, (flags & commandFlag.noHole) === 0];
        return disk.zero(offset, length, { fast, mayTrim, fua });
      }
    }
  }

  async #trimAndFlush(offset: number, length: number): Promise<void> {
    await this.#shared.disk.trim(offset, length);
    await this.#shared.disk.flush();
  }

  #tellExtents(request: Request): void {
    const { offset, length, flags } = request;
    const most = (flags & commandFlag.reqOne) === 0 ? limits.extents : 1;
    const tell = (extents: readonly Extent[]): void => {
      const fitting = fit(extents, length).slice(0, most);
      if (fitting.length === 0) this.#failed(request, new Error('the disk has no extent there'), undefined);
      else this.#replies.extents(request, fitting, 0);
    };
    try {
      const found = this.#shared.disk.extents(offset, length, most);
      if (Array.isArray(found)) tell(found);
      else
        found.then(
          (extents) => this.#later(() => tell(extents)),
          (error: unknown) => this.#later(() => this.#failed(request, error, undefined)),
        );
    } catch (error) {
      this.#failed(request, error, undefined);
    }
  }

  /** What completes in one turn goes out in one write. */
  #later(answer: () => void): void {
    answer();
    if (this.#flushes) return;
    this.#flushes = true;
    setImmediate(() => {
      this.#flushes = false;
      this.#outlet.flush();
    });
  }

  #done(request: Request, room: Room | undefined): void {
    const { counts, lost } = this.#shared;
    const cost = this.#costOf(request);
    if (room !== undefined) {
      counts.bytesRead += request.length;
      this.#replies.read(request, room, cost);
      return;
    }
    if (request.type === command.write) counts.bytesWritten += request.length;
    if (request.type === command.flush && this.#told !== lost.times) {
      this.#told = lost.times;
      if (this.#isHeir) lost.isUnheard = false;
      this.#tellsOfLoss();
      this.#replies.failed(request, lost.errno, 'an earlier flush of this export failed', cost);
      return;
    }
    this.#replies.done(request, cost);
  }

  #failed(request: Request, error: unknown, room: Room | undefined): void {
    const { counts, lost } = this.#shared;
    const name = errnoOf(error);
    const place = placeOf(request);
    counts.failed++;
    if (request.type === command.flush || (request.flags & commandFlag.fua) !== 0) {
      // Only this client hears of it now.
      const toldAll = this.#told === lost.times;
      lost.times++;
      lost.errno = name;
      if (toldAll) this.#told = lost.times;
      this.#tellsOfLoss();
    }
    this.#replies.failed(request, name, `${place} failed`, this.#costOf(request), room);
    const { type, offset, length } = request;
    const message = error instanceof Error ? error.message : String(error);
    this.#shared.failed({ command: commandNames.get(type) ?? String(type), offset, length, errno: name, message });
  }

  /** What of the memory that is bounded it takes. */
  #costOf({ type, length }: Request): number {
    return type === command.read || type === command.write ? length : 0;
  }
}

function writeTo(disk: BlockDevice, offset: number, pieces: readonly Buffer[], options?: DiskWriteOptions): Done {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return disk.write(offset, first, options);
  return disk.writePieces === undefined
    ? disk.write(offset, Buffer.concat(pieces), options)
    : disk.writePieces(offset, pieces, options);
}

function placeOf({ type, offset, length }: Request): string {
  return `${commandNames.get(type) ?? `command ${type}`} of ${length} bytes at ${offset}`;
}

/** None of them empty, nor past the end of what was asked for: a client believes what it is told. */
function fit(extents: readonly Extent[], length: number): Extent[] {
  const fitting: Extent[] = [];
  let left = length;
  for (const extent of extents) {
    const clipped = Math.min(extent.length, left);
    if (!(clipped > 0)) continue;
    fitting.push({ ...extent, length: clipped });
    left -= clipped;
  }
  return fitting;
}
