// Requests on their way: each has a number, and waits until the server has replied to it. Whatever ends the connection ends all
// that wait.
import type { Socket } from 'node:net';
import type { IsmioError } from '../../../support/errors.js';
import { within } from '../../../support/within.js';
import { Breach, writeWide } from '../negotiation.js';
import { bytesOf, command, magic } from '../wire.js';
import { Coverage } from './coverage.js';
import { nbdError } from './failure.js';
import type { Agreement } from './negotiation.js';
import { type Asked, Replies } from './replies.js';

/** What a request is made of. */
export interface Wanted {
  readonly command: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  /** Of a read. */
  readonly target?: Uint8Array;
  /** Of a write. */
  readonly pieces?: readonly Uint8Array[];
}

interface Waiting extends Asked {
  /** All of its bytes are out of the caller's memory. */
  isSent: boolean;
  isReplied: boolean;
  readonly resolve: (asked: Asked) => void;
  readonly reject: (error: Error) => void;
}

/** Of one connection. */
export class Transmission {
  readonly #disk: string;
  readonly #socket: Socket;
  readonly #replies: Replies;
  readonly #lost: (error: IsmioError) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #closed: Promise<void>;
  #cookie = 0;
  #isCorked = false;
  #error: IsmioError | null = null;
  #idle: () => void = () => undefined;

  /** @param lost is told why it is of no use any more, once, unless it was left */
  constructor(disk: string, { socket, rest, structured, allocation }: Agreement, lost: (error: IsmioError) => void) {
    this.#disk = disk;
    this.#socket = socket;
    this.#lost = lost;
    this.#replies = new Replies(structured, allocation, {
      asked: (cookie) => {
        const waiting = this.#waiting.get(cookie);
        return waiting?.isReplied === false ? waiting : undefined;
      },
      replied: (cookie) => this.#replied(cookie),
    });
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#break(nbdError(disk, 'lost', `the connection has broken: ${error.code ?? error.message}`, error));
    });
    const ended = () => this.#break(nbdError(disk, 'lost', 'the server has ended the connection; open the disk again'));
    socket.on('end', ended).on('close', ended);
    if (rest.length > 0) this.#take(rest);
    socket.resume();
  }

  /** Requests that are not answered. */
  get inFlight(): number {
    return this.#waiting.size;
  }

  /** Ends it where the server says nothing for so many milliseconds while somebody waits. */
  limit(silence: number): void {
    // Not as an argument of setTimeout, which would hear of the first time alone.
    this.#socket.setTimeout(silence).on('timeout', () => {
      if (this.#waiting.size === 0) return;
      this.#break(
        nbdError(this.#disk, 'timeout', `the server has not answered for ${silence} ms; open the disk again`),
      );
    });
  }

  /** Resolves when the server has answered, whatever it says; rejects where it does not. */
  ask(wanted: Wanted): Promise<Asked> {
    return new Promise((resolve, reject) => {
      if (this.#error !== null) {
        reject(this.#error);
        return;
      }
      const { command: asked, offset, length, target = null, pieces = [] } = wanted;
      const cookie = ++this.#cookie;
      const waiting: Waiting = {
        ...{ command: asked, offset, length, target, resolve, reject, filled: new Coverage(), extents: null },
        ...{ errno: null, said: '', errors: 0, isSent: pieces.length === 0, isReplied: false },
      };
      this.#waiting.set(cookie, waiting);
      this.#cork();
      this.#socket.write(header(wanted, cookie));
      // The server may answer before it has everything: until then the memory is not the caller's.
      const sent = () => {
        waiting.isSent = true;
        this.#settle(cookie, waiting);
      };
      for (const [i, piece] of pieces.entries()) this.#socket.write(piece, i === pieces.length - 1 ? sent : undefined);
    });
  }

  /** Waits for what is in flight, and says goodbye; each for so many milliseconds at most. */
  async leave(grace: number, error: IsmioError): Promise<void> {
    if (this.#error === null && this.#waiting.size > 0) {
      await within(grace, (came) => {
        this.#idle = came;
      });
    }
    const isWhole = [...this.#waiting.values()].every(({ isSent }) => isSent);
    if (this.#error === null && isWhole) {
      this.#cork();
      this.#socket.end(header({ command: command.disconnect, flags: 0, offset: 0, length: 0 }, ++this.#cookie));
    } else this.#socket.destroy();
    this.#end(error);
    await within(grace, (came) => void this.#closed.then(came));
    this.#socket.destroy();
  }

  /** What is asked for in one turn goes together. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }

  #take(bytes: Buffer): void {
    if (this.#error !== null) return; // what it says now has nobody's memory to go to
    try {
      this.#replies.take(bytes);
    } catch (error) {
      if (!(error instanceof Breach)) throw error;
      this.#break(nbdError(this.#disk, 'protocol', `the server breaks the protocol: ${error.message}`));
    }
  }

  #replied(cookie: number): void {
    const waiting = this.#waiting.get(cookie) as Waiting;
    const { errno, target, filled, length } = waiting;
    if (errno === null && target !== null && !filled.isAll(length)) {
      throw new Breach('it ends a read, and has not sent all of it');
    }
    if (errno === null && waiting.command === command.blockStatus && waiting.extents === null) {
      throw new Breach('it tells no extents, and no error');
    }
    waiting.isReplied = true;
    this.#settle(cookie, waiting);
  }

  #settle(cookie: number, waiting: Waiting): void {
    if (!waiting.isSent || !waiting.isReplied || !this.#waiting.delete(cookie)) return;
    waiting.resolve(waiting);
    if (this.#waiting.size === 0) this.#idle();
  }

  #break(error: IsmioError): void {
    if (this.#error !== null) return;
    this.#socket.destroy();
    this.#end(error);
    this.#lost(error);
  }

  #end(error: IsmioError): void {
    this.#error ??= error;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
    this.#idle();
  }
}

function header({ command: type, flags, offset, length }: Wanted, cookie: number): Buffer {
  const bytes = Buffer.allocUnsafe(bytesOf.request);
  bytes.writeUInt32BE(magic.request, 0);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(type, 6);
  writeWide(bytes, 8, cookie);
  writeWide(bytes, 16, offset);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}
