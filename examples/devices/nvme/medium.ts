// Where the blocks are: in memory, or in a file. A medium moves bytes between itself and the pages of a command, and says how that
// ended: at once, or later from the event loop.
import { closeSync, fdatasync, fstatSync, openSync, read, readSync, write, writeSync } from 'node:fs';
import type { HostPages } from './host.js';
import { limit, outcome } from './specification.js';

export type Ended = (outcome: number) => void;

export interface Medium {
  /** Its length in bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  /** False while it has as many commands as it wants at once. */
  readonly ready: boolean;
  /** `pages` are of `length` bytes. */
  read(pages: HostPages, position: number, length: number, ended: Ended): void;
  /** `durable`: not before a loss of power would leave it there. */
  write(pages: HostPages, position: number, length: number, durable: boolean, ended: Ended): void;
  zero(position: number, length: number, durable: boolean, ended: Ended): void;
  /** Nobody needs these bytes any more. */
  discard(position: number, length: number): void;
  flush(ended: Ended): void;
  close(): void;
}

export class MemoryMedium implements Medium {
  readonly size: number;
  readonly readOnly: boolean;
  readonly ready = true;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, readOnly: boolean) {
    this.#bytes = bytes;
    this.size = bytes.length;
    this.readOnly = readOnly;
  }

  read(pages: HostPages, position: number, length: number, ended: Ended): void {
    ended(pages.put(this.#bytes.subarray(position, position + length)));
  }

  write(pages: HostPages, position: number, length: number, _durable: boolean, ended: Ended): void {
    ended(pages.get(this.#bytes.subarray(position, position + length)));
  }

  zero(position: number, length: number, _durable: boolean, ended: Ended): void {
    this.#bytes.fill(0, position, position + length);
    ended(outcome.success);
  }

  discard(position: number, length: number): void {
    this.#bytes.fill(0, position, position + length);
  }

  flush(ended: Ended): void {
    ended(outcome.success);
  }

  close(): void {}
}

/** Most transfers are of so many bytes at most; longer ones have buffers of their own, of which there are fewer. */
const shortTransfer = 16 << 10;
const mostLong = 32;
const zeros = new Uint8Array(1 << 20);

/**
 * Longer than this a short read takes where it waits for the disk, in milliseconds, and a short write where the system has no room
 * for more: until then, writes of one file wait for one another, and threads have nothing to gain.
 */
const slow = { read: 0.04, write: 1 } as const;
/** So many transfers behind a slow one are left to the threads. */
const leftToThreads = 64;

/**
 * Which transfers are done at once. What the system has in memory is read in a microsecond or two, a tenth of what it takes to have
 * a thread do it; but what waits for the disk is done by the threads of the event loop (UV_THREADPOOL_SIZE, 4 where nothing is
 * said), many at once. Two transfers that were done at once and took long, one after the other, say that the next ones would as well.
 */
class Pace {
  readonly #most: number;
  #left = 0;
  #slow = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Whether to do one of `length` bytes at once. */
  atOnce(length: number): boolean {
    if (length > shortTransfer) return false;
    if (this.#left === 0) return true;
    this.#left--;
    return false;
  }

  /** One was done at once, and took so many milliseconds. */
  took(milliseconds: number): void {
    this.#slow = milliseconds > this.#most ? this.#slow + 1 : 0;
    if (this.#slow >= 2) this.#left = leftToThreads;
  }
}

/** A file. What is discarded stays in it: Node.js cannot make holes. */
export class FileMedium implements Medium {
  readonly size: number;
  readonly readOnly: boolean;
  readonly #file: number;
  readonly #short: Transfer[] = [];
  readonly #long: Transfer[] = [];
  readonly #pace = { read: new Pace(slow.read), write: new Pace(slow.write) };
  #longInUse = 0;

  constructor(path: string, readOnly: boolean) {
    this.readOnly = readOnly;
    this.#file = openSync(path, readOnly ? 'r' : 'r+');
    this.size = fstatSync(this.#file).size;
  }

  get ready(): boolean {
    return this.#longInUse < mostLong;
  }

  read(pages: HostPages, position: number, length: number, ended: Ended): void {
    this.#claim(length).read(pages, position, length, ended);
  }

  write(pages: HostPages, position: number, length: number, durable: boolean, ended: Ended): void {
    this.#claim(length).write(pages, position, length, durable ? (how) => this.#settle(how, ended) : ended);
  }

  zero(position: number, length: number, durable: boolean, ended: Ended): void {
    const part = Math.min(length, zeros.length);
    write(this.#file, zeros, 0, part, position, (error, count) => {
      if (error !== null || count === 0) ended(faultOf(error));
      else if (count < length) this.zero(position + count, length - count, durable, ended);
      else if (durable) this.flush(ended);
      else ended(outcome.success);
    });
  }

  discard(): void {}

  flush(ended: Ended): void {
    fdatasync(this.#file, (error) => ended(error === null ? outcome.success : outcome.writeFault));
  }

  close(): void {
    closeSync(this.#file);
  }

  #settle(how: number, ended: Ended): void {
    if (how === outcome.success) this.flush(ended);
    else ended(how);
  }

  #claim(length: number): Transfer {
    if (length <= shortTransfer) {
      return this.#short.pop() ?? new Transfer(this.#file, this.#pace, shortTransfer, (done) => this.#short.push(done));
    }
    this.#longInUse++;
    return (
      this.#long.pop() ??
      new Transfer(this.#file, this.#pace, limit.transfer, (done) => {
        this.#longInUse--;
        if (this.#long.length < mostLong) this.#long.push(done);
      })
    );
  }
}

const idle: Ended = () => {};

type Paces = Readonly<Record<'read' | 'write', Pace>>;
type Move = (file: number, buffer: Uint8Array, offset: number, length: number, position: number) => number;

/** A buffer between the file and the host, used for one transfer after the other. */
class Transfer {
  readonly #file: number;
  readonly #pace: Paces;
  readonly #buffer: Uint8Array;
  readonly #done: (transfer: Transfer) => void;
  readonly #onRead: (error: Error | null, count: number) => void;
  readonly #onWritten: (error: Error | null, count: number) => void;
  #pages: HostPages | null = null;
  /** The first bytes of the buffer: as many as the transfer has, and as most transfers before it had. */
  #bytes: Uint8Array;
  #position = 0;
  #at = 0;
  #ended: Ended = idle;

  constructor(file: number, pace: Paces, room: number, done: (transfer: Transfer) => void) {
    this.#file = file;
    this.#pace = pace;
    this.#buffer = new Uint8Array(room);
    this.#bytes = this.#buffer;
    this.#done = done;
    this.#onRead = (error, count) => this.#wasRead(error, count);
    this.#onWritten = (error, count) => this.#wasWritten(error, count);
  }

  read(pages: HostPages, position: number, length: number, ended: Ended): void {
    this.#begin(pages, position, length, ended);
    if (this.#pace.read.atOnce(length)) this.#atOnce(readSync, this.#pace.read, this.#onRead);
    else read(this.#file, this.#buffer, 0, length, position, this.#onRead);
  }

  write(pages: HostPages, position: number, length: number, ended: Ended): void {
    this.#begin(pages, position, length, ended);
    const how = pages.get(this.#bytes);
    if (how !== outcome.success) this.#end(how);
    else if (this.#pace.write.atOnce(length)) this.#atOnce(writeSync, this.#pace.write, this.#onWritten);
    else write(this.#file, this.#buffer, 0, length, position, this.#onWritten);
  }

  #begin(pages: HostPages, position: number, length: number, ended: Ended): void {
    if (this.#bytes.length !== length) this.#bytes = this.#buffer.subarray(0, length);
    this.#pages = pages;
    this.#position = position;
    this.#at = 0;
    this.#ended = ended;
  }

  #atOnce(transfer: Move, pace: Pace, then: (error: Error | null, count: number) => void): void {
    const began = performance.now();
    let count = 0;
    try {
      count = transfer(this.#file, this.#buffer, 0, this.#bytes.length, this.#position);
    } catch (error) {
      then(error as Error, 0);
      return;
    }
    pace.took(performance.now() - began);
    then(null, count);
  }

  /** A file that was made shorter meanwhile has no such bytes. */
  #wasRead(error: Error | null, count: number): void {
    this.#at += count;
    const left = this.#bytes.length - this.#at;
    if (error !== null || count === 0) this.#end(outcome.unrecoveredRead);
    else if (left > 0) read(this.#file, this.#buffer, this.#at, left, this.#position + this.#at, this.#onRead);
    else this.#end((this.#pages as HostPages).put(this.#bytes));
  }

  #wasWritten(error: Error | null, count: number): void {
    this.#at += count;
    const left = this.#bytes.length - this.#at;
    if (error !== null || count === 0) this.#end(faultOf(error));
    else if (left > 0) write(this.#file, this.#buffer, this.#at, left, this.#position + this.#at, this.#onWritten);
    else this.#end(outcome.success);
  }

  #end(how: number): void {
    const ended = this.#ended;
    this.#pages = null;
    this.#ended = idle;
    this.#done(this);
    ended(how);
  }
}

function faultOf(error: NodeJS.ErrnoException | null): number {
  return error?.code === 'ENOSPC' || error?.code === 'EDQUOT' ? outcome.capacityExceeded : outcome.writeFault;
}
