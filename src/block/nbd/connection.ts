// One client's socket: greeting, options, requests, and the end, whoever makes it.
import type { Socket } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { Inlet, type Span } from './inlet.js';
import { Breach, greeting, type NbdExport, Negotiation, type Session } from './negotiation.js';
import { Outlet } from './outlet.js';
import { encrypted, type NbdTls } from './tls.js';
import { type Shared, Transmission } from './transmission.js';
import { bytesOf, limits, magic } from './wire.js';

/** Milliseconds for all options together. */
const negotiationTime = 60_000;

/** Who is told of a connection's life. */
export interface Watcher {
  /** The client has chosen the export. */
  begun(connection: NbdConnection): void;
  /** The socket is closed. A reason is given where the client did not end it as it should. */
  gone(connection: NbdConnection, reason: string | null): void;
}

/** Of a server. */
export class NbdConnection {
  /** The client's own. It closes last. */
  readonly #plain: Socket;
  /** The same, or what decrypts it. */
  #socket: Socket;
  readonly #tls: NbdTls | null;
  readonly #export: NbdExport;
  readonly #shared: Shared;
  readonly #watcher: Watcher;
  /** Where all that the client sends comes by, in the clear or decrypted. */
  readonly #inlet = new Inlet((span) => this.#guarded(() => this.#take(span)));
  #outlet: Outlet;
  /** Takes nothing more from where it takes it now. */
  #turnAway: () => void = () => undefined;
  #timer: NodeJS.Timeout;
  #negotiation: Negotiation | null = null;
  #transmission: Transmission | null = null;
  /** What came of an option that is not whole. */
  #pending: Buffer = Buffer.alloc(0);
  /** Bytes of an option that is too long, and its number. */
  #skip = 0;
  #skipped = 0;
  #reason: string | null = null;
  #isOver = false;
  /** The client said that it would leave, and need not wait for the answer: what fails from then on is nobody's fault. */
  #isLeaving = false;

  constructor(accepted: Socket, exported: NbdExport, shared: Shared, tls: NbdTls | null, watcher: Watcher) {
    const socket = tls === null ? this.#inlet.receive(accepted) : accepted;
    this.#plain = socket;
    this.#socket = socket;
    this.#tls = tls;
    this.#export = exported;
    this.#shared = shared;
    this.#watcher = watcher;
    this.#outlet = this.#listen(socket);
    this.#timer = setTimeout(() => this.#giveUp('it did not choose an export in time'), negotiationTime);
    socket.on('close', () => {
      clearTimeout(this.#timer);
      this.#transmission?.closed();
      watcher.gone(this, this.#reason);
    });
    socket.write(greeting());
  }

  /** Whether the client has chosen the export. */
  get isSession(): boolean {
    return this.#transmission !== null;
  }

  /** Answers what is in flight, for so many milliseconds at most, and ends: the promise, when the socket is closed. */
  close(grace: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#plain.once('close', () => resolve()));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.destroy(), grace);
    this.#socket.pause();
    if (this.#transmission === null) this.#socket.destroy();
    else this.#transmission.end();
    return closed;
  }

  /** What the client sends is taken from there from now on, and replies go there. */
  #listen(socket: Socket): Outlet {
    const taken = (chunk: Buffer) => this.#inlet.put(chunk);
    const ended = () => this.#ended();
    socket.on('data', taken).on('end', ended).resume();
    this.#turnAway = () => socket.off('data', taken).off('end', ended);
    socket.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
      // As one that says nothing at all before it goes: it has looked whether somebody is there.
      const hasLeft = this.#transmission === null && (code === 'EPIPE' || code === 'ECONNRESET');
      if (!this.#isLeaving && !hasLeft) this.#reason ??= `the connection broke: ${code}`;
    });
    return new Outlet(socket, (requests, cost) => this.#sent(requests, cost));
  }

  /** Nothing that came before the first encrypted byte counts from now on: somebody else may have sent it. */
  #startTls(): void {
    if (this.#pending.length > 0) throw new Breach('the client has sent something in the clear after STARTTLS');
    this.#turnAway();
    encrypted(this.#plain, this.#tls as NbdTls, {
      begun: (socket) => {
        this.#socket = socket;
        this.#outlet = this.#listen(socket);
      },
      failed: (reason) => this.#giveUp(`TLS: ${reason}`),
    });
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Breach)) throw error;
      this.#giveUp(error.message);
    }
  }

  #giveUp(reason: string): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  #take(span: Span): void {
    if (this.#isOver) return;
    if (this.#transmission === null) {
      this.#negotiate(span.slab.bytes.subarray(span.start, span.end));
      return;
    }
    this.#shared.attention.heard();
    this.#transmission.take(span);
    if (this.#transmission.isFull) this.#socket.pause();
  }

  #sent(requests: number, cost: number): void {
    this.#guarded(() => {
      if (this.#socket.destroyed) return;
      this.#transmission?.sent(requests, cost);
      if (this.#transmission?.isFull === false && this.#socket.isPaused() && !this.#isOver) this.#socket.resume();
    });
  }

  /** The client sends nothing more; that it went between two requests is how most do. */
  #ended(): void {
    const transmission = this.#transmission;
    if (transmission === null) this.#over();
    else if (transmission.isWithin && !transmission.isFull) this.#giveUp('it left in the middle of a request');
    else transmission.endInput();
  }

  #over(): void {
    this.#isOver = true;
    this.#outlet.flush();
    this.#socket.destroySoon();
  }

  #negotiate(chunk: Buffer): void {
    const passed = Math.min(this.#skip, chunk.length);
    this.#skip -= passed;
    this.#pending = Buffer.concat([this.#pending, chunk.subarray(passed)]);
    if (passed > 0 && this.#skip === 0)
      this.#socket.write((this.#negotiation as Negotiation).tooLong(this.#skipped).bytes);
    while (this.#skip === 0 && this.#transmission === null && !this.#isOver && this.#step());
  }

  /** Takes the flags, or an option; whether it was there. */
  #step(): boolean {
    const pending = this.#pending;
    if (this.#negotiation === null) {
      if (pending.length < bytesOf.clientFlags) return false;
      this.#negotiation = new Negotiation(this.#export, pending.readUInt32BE(0), this.#tls !== null);
      this.#pending = pending.subarray(bytesOf.clientFlags);
      return true;
    }
    if (pending.length < bytesOf.optionHeader) return false;
    if (pending.readUInt32BE(0) !== magic.option[0] || pending.readUInt32BE(4) !== magic.option[1]) {
      throw new Breach('an option begins with something else');
    }
    const [number, length] = [pending.readUInt32BE(8), pending.readUInt32BE(12)];
    const end = bytesOf.optionHeader + length;
    if (length > limits.optionBytes) {
      this.#skipped = number;
      const there = Math.min(pending.length, end);
      this.#skip = end - there;
      this.#pending = pending.subarray(there);
      if (this.#skip === 0) this.#socket.write(this.#negotiation.tooLong(number).bytes);
      return true;
    }
    if (pending.length < end) return false;
    this.#pending = pending.subarray(end);
    const answer = this.#negotiation.answer(number, pending.subarray(bytesOf.optionHeader, end));
    const { bytes, session, ends, startsTls } = answer;
    this.#socket.write(bytes);
    this.#isLeaving = ends === true;
    if (this.#isLeaving) this.#over();
    else if (startsTls === true) this.#startTls();
    else if (session !== undefined) this.#begin(session);
    return true;
  }

  #begin(session: Session): void {
    clearTimeout(this.#timer);
    this.#transmission = new Transmission(session, this.#shared, this.#inlet, this.#outlet, () => this.#over());
    this.#watcher.begun(this);
    const early = this.#pending;
    this.#pending = Buffer.alloc(0);
    this.#inlet.put(early);
  }
}
