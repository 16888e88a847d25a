// The server of consoles at a port of an ISM function. The rooms outlive the function's driver: when the fabric has gone, and a
// new one is there, clients find what was said meanwhile.
import { EventEmitter } from 'node:events';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import type { Ism } from '../ism/driver/ism.js';
import type { IsmListener } from '../ism/stream/listen.js';
import { onAbort } from '../support/abort.js';
import { IsmioError } from '../support/errors.js';
import { Retry } from '../support/retry.js';
import { checkServe, type ServeConsolesOptions, type Serving } from './options.js';
import { Room } from './room.js';
import { type House, Session } from './session.js';
import { longestFromClient } from './wire.js';

/** What happened at a console, for those who keep the books. */
export interface ConsoleAudit {
  readonly time: Date;
  /** 'attach', 'detach', 'kick', 'write', 'view', 'refuse', 'exit' (of the line), 'failed' (to open it again). */
  readonly event: string;
  readonly console: string | null;
  /** Of the client. */
  readonly gid: bigint | null;
  /** What else there is to say: role, reason, by, code, status, signal. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** A console as it is. */
export interface ConsoleStatus {
  readonly name: string;
  readonly line: string;
  readonly running: boolean;
  /** GID of whoever writes. */
  readonly writer: bigint | null;
  readonly viewers: number;
  /** Positions of the oldest byte that is kept, and of the next one. */
  readonly start: number;
  readonly end: number;
}

export interface ConsoleServerEvents {
  audit: [entry: ConsoleAudit];
  /** It is reached by this function. */
  open: [gid: bigint];
  /** The function's driver was lost; a new one is looked for. */
  lost: [error: Error];
  /** Every console has closed, or the server was; those who were there know, or were not waited for any longer. */
  close: [];
}

/** Made by `serveConsoles`. */
export class ConsoleServer extends EventEmitter<ConsoleServerEvents> {
  readonly port: number;
  readonly #settings: Serving;
  readonly #rooms = new Map<string, Room>();
  /** Consoles that have closed, and still say why. */
  readonly #leaving = new Set<Room>();
  readonly #open: () => Promise<Ism>;
  #ism: Ism | null = null;
  #listener: IsmListener | null = null;
  readonly #retry = new Retry();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #hasBegun = false;
  #hasToldClosed = false;
  #endSignal: () => void = () => undefined;

  /** @internal */
  constructor(open: () => Promise<Ism>, settings: Serving) {
    super();
    this.port = settings.port;
    this.#open = open;
    this.#settings = settings;
  }

  /** @internal */
  async start(): Promise<void> {
    const { signal } = this.#settings;
    if (signal === undefined) return this.#begin();
    this.#endSignal = onAbort(signal, () => this.close('the server was stopped'));
    if (!signal.aborted) await this.#begin();
    if (signal.aborted) throw this.#stopped(signal);
  }

  async #begin(): Promise<void> {
    for (const setup of this.#settings.consoles) {
      const { name } = setup;
      const room: Room = new Room(setup, {
        happened: (event, gid, values) => this.#happened(event, name, gid, values),
        closing: () => this.#closing(room),
        closed: () => this.#gone(room),
      });
      this.#rooms.set(name, room);
      await room.start();
    }
    await this.#reach();
    this.#hasBegun = true;
    this.#tellClosed();
  }

  #stopped({ reason }: AbortSignal): IsmioError {
    return new IsmioError('ERR_ISMIO_ABORTED', 'serving was aborted', {}, reason);
  }

  /** The consoles there are. */
  get consoles(): readonly ConsoleStatus[] {
    return [...this.#rooms.values()].map(({ name, title, isRunning, writer, viewers, history }) => ({
      ...{ name, line: title, running: isRunning, writer: writer?.gid ?? null, viewers },
      ...{ start: history.start, end: history.end },
    }));
  }

  /** Closes every console: clients are told, and lines are given up. A driver that was given stays its owner's. */
  close(reason = 'the server has closed'): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endSignal();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#listener?.close();
    for (const room of this.#rooms.values()) room.close(reason);
    this.#tellClosed();
  }

  /** Once those who were there have been told why, or were not waited for any longer. */
  #tellClosed(): void {
    if (!this.#isClosed || !this.#hasBegun || this.#leaving.size > 0 || this.#hasToldClosed) return;
    this.#hasToldClosed = true;
    if (this.#settings.reopens) this.#ism?.close();
    this.#ism = null;
    setImmediate(() => this.emit('close')); // whoever is given the server, or closes it, in this turn can listen first
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal A console could not be begun: those that were are given up. */
  undo(): void {
    this.close('the server could not begin');
  }

  async #reach(): Promise<void> {
    const ism = await this.#open();
    if (this.#isClosed) {
      if (this.#settings.reopens) ism.close();
      return;
    }
    this.#ism = ism;
    const { port } = this.#settings;
    const options = { mode: 'messages', recordLimit: longestFromClient, ...this.#settings.stream } as const;
    try {
      this.#listener = ism.listen(port, options, (stream) => new Session(this.#house(ism), stream));
    } catch (error) {
      this.#ism = null;
      if (this.#settings.reopens) ism.close();
      throw error;
    }
    const lost = (error: Error): void => this.#lost(ism, error);
    ism.once('lost', lost);
    ism.once('close', () => lost(new IsmioError('ERR_ISMIO_CLOSED', 'the driver of the function was closed')));
    this.emit('open', ism.gid);
  }

  #house(ism: Ism): House {
    return {
      gid: ism.gid,
      key: this.#settings.key,
      rooms: this.#rooms,
      happened: (event, console, gid, values) => this.#happened(event, console, gid, values),
    };
  }

  #lost(ism: Ism, error: Error): void {
    if (this.#ism !== ism || this.#isClosed) return;
    this.#ism = null;
    this.#listener = null;
    this.emit('lost', error);
    if (!ism.closed) ism.close();
    if (this.#settings.reopens) this.#reachLater();
    else this.close('its function has gone');
  }

  #reachLater(): void {
    this.#timer = setTimeout(() => {
      this.#reach().then(
        () => this.#retry.succeeded(),
        () => {
          if (!this.#isClosed) this.#reachLater();
        },
      );
    }, this.#retry.next());
  }

  #happened(event: string, console: string | null, gid: bigint | null, values: Record<string, unknown>): void {
    this.emit('audit', { time: new Date(), event, console, gid, values });
  }

  #closing(room: Room): void {
    this.#rooms.delete(room.name);
    this.#leaving.add(room);
  }

  #gone(room: Room): void {
    this.#leaving.delete(room);
    if (this.#rooms.size === 0) this.close('every console has closed');
    this.#tellClosed();
  }
}

/**
 * Serves consoles at a port of an ISM function.
 * @param ism a driver, or what opens one: then the consoles outlive a fabric that goes and comes back
 * @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE; IsmioError ERR_ISMIO_CONSOLE_LINE where a line cannot
 * be had, ERR_ISMIO_IN_USE where somebody listens at the port,
 * ERR_ISMIO_ABORTED
 */
export async function serveConsoles(
  ism: Ism | (() => Promise<Ism>),
  options: ServeConsolesOptions,
): Promise<ConsoleServer> {
  const reopens = typeof ism === 'function';
  const settings = checkServe(options, reopens);
  const server = new ConsoleServer(reopens ? ism : () => Promise.resolve(ism), settings);
  try {
    await server.start();
  } catch (error) {
    server.undo();
    throw error;
  }
  return server;
}
