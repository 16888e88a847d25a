// The way of requests from the socket. They are received into slabs, and the payload of a write is used where it was received.
// Where node:net cannot be told to receive there, they are copied: what TLS has decrypted, and on other runtimes.
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { native } from '../../addon/binding.js';
import { Slab, Slabs } from './slabs.js';

const slabBytes = 2 ** 19;
/** A read of the socket has at least so much room. */
const leastRoom = 2 ** 16;
/** Slabs that may be held by payloads. Of more, each might be held by a few bytes: they are copied instead. */
const mostHeld = 8;

/** Bytes that came. */
export interface Span {
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
}

/** The payload of a write, where it was received: it stays there until it is let go of. */
export class Payload {
  readonly #slabs: Slabs;
  readonly #own: Slab | null;
  readonly #spans: { slab: Slab; start: number; end: number }[] = [];
  #length = 0;

  /** @param own memory for all of it, that it is copied to */
  constructor(slabs: Slabs, own: Slab | null) {
    this.#slabs = slabs;
    this.#own = own;
  }

  get length(): number {
    return this.#length;
  }

  /** The memory, piece by piece. */
  get pieces(): Buffer[] {
    return this.#spans.map(({ slab, start, end }) => slab.bytes.subarray(start, end));
  }

  add(slab: Slab, start: number, end: number): void {
    if (this.#own === null) this.#hold(slab, start, end);
    else {
      slab.bytes.copy(this.#own.bytes, this.#length, start, end);
      this.#hold(this.#own, this.#length, this.#length + end - start);
    }
    this.#length += end - start;
  }

  /** Nobody needs it any more. */
  letGo(): void {
    for (const { slab } of this.#spans.splice(0)) this.#slabs.giveBack(slab, 1);
  }

  #hold(slab: Slab, start: number, end: number): void {
    const last = this.#spans.at(-1);
    if (last?.slab === slab && last.end === start) {
      last.end = end;
      return;
    }
    slab.live++;
    this.#spans.push({ slab, start, end });
  }
}

/** Of one connection. */
export class Inlet {
  readonly #slabs = new Slabs(slabBytes);
  readonly #taken: (span: Span) => void;
  /** Where the socket puts what comes next. */
  #slab: Slab | null = null;

  /** @param taken is given what comes. It stays where it is until `taken` returns, or while it is held */
  constructor(taken: (span: Span) => void) {
    this.#taken = taken;
  }

  /**
   * Takes what comes at a socket that a server has accepted, where it can: else it has to be `put`. Nothing of it was read.
   * @returns the socket to use from now on
   */
  receive(accepted: Socket): Socket {
    const descriptor = duplicateOf(accepted);
    if (descriptor === null) return accepted;
    accepted.destroy();
    const options: SocketConstructorOpts & ConnectOpts = {
      fd: descriptor,
      allowHalfOpen: true,
      onread: { buffer: () => this.#next(), callback: (length) => this.#received(length) },
    };
    return new Socket(options);
  }

  /** Takes what came elsewhere: it is copied. */
  put(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const slab = this.#slabs.having(Math.min(chunk.length - at, leastRoom));
      const start = slab.used;
      const copied = chunk.copy(slab.bytes, start, at);
      slab.used += copied;
      at += copied;
      this.#taken({ slab, start, end: start + copied });
    }
  }

  /** For a payload of so many bytes. */
  payload(length: number): Payload {
    return new Payload(this.#slabs, this.#slabs.held < mostHeld ? null : new Slab(length));
  }

  hold({ slab }: Span): void {
    slab.live++;
  }

  letGo({ slab }: Span): void {
    this.#slabs.giveBack(slab, 1);
  }

  #next(): Buffer {
    this.#slab = this.#slabs.having(leastRoom);
    return this.#slab.bytes.subarray(this.#slab.used);
  }

  #received(length: number): boolean {
    const slab = this.#slab as Slab;
    const start = slab.used;
    slab.used += length;
    try {
      this.#taken({ slab, start, end: slab.used });
    } catch (error) {
      // Out of here the socket would not ask for the next memory, and receive into this once more, which is in use.
      process.nextTick(() => {
        throw error;
      });
    }
    return true;
  }
}

/** What a socket has of the system. */
interface Handle {
  readonly fd: number;
  /** There where `onread` is. */
  useUserBuffer?(memory: Uint8Array): void;
}

/**
 * Sockets that are connected can be told where to receive (`onread`), those that a server has accepted cannot [Node.js 20 to 26,
 * lib/net.js, onconnection]: but one that is opened by its descriptor can.
 */
function duplicateOf({ _handle: handle }: Socket & { readonly _handle?: Handle }): number | null {
  if (handle?.useUserBuffer === undefined) return null;
  const descriptor = native.duplicate(handle.fd);
  return descriptor < 0 ? null : descriptor;
}
