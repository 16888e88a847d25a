// The way to a server: a socket, what decrypts it, and the bytes that come until the export is chosen.
import { connect, isIP, type Socket } from 'node:net';
import { connect as secure } from 'node:tls';
import type { IsmioError } from '../../../support/errors.js';
import { nbdError } from './failure.js';
import type { NbdClientTls } from './options.js';
import type { Address } from './uri.js';

/** Probes of a host that has gone without a word begin behind so many milliseconds. */
const keepAlive = 30_000;

/** Not connected yet: what is written waits. */
export function dial({ target }: Address): Socket {
  if ('path' in target) return connect({ path: target.path });
  return connect({
    host: target.host,
    port: target.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAlive,
  });
}

/** Its server has to prove that it is who was dialled. */
export function encrypted(socket: Socket, { target }: Address, { hostname, ...tls }: NbdClientTls): Promise<Socket> {
  socket.on('error', () => undefined); // what encrypts it tells of the same
  const host = hostname ?? ('path' in target ? 'localhost' : target.host);
  return new Promise((resolve, reject) => {
    // An address is no name that a server could be asked for.
    const secured = secure({ ...tls, socket, host, ...(isIP(host) === 0 && { servername: host }) });
    secured.once('secureConnect', () => {
      secured.off('error', reject).off('close', left);
      resolve(secured);
    });
    const left = () => reject(new Error('the server has ended the connection'));
    secured.once('error', reject).once('close', left);
  });
}

/** What a socket gives, by as many bytes as are asked for. */
export class Intake {
  readonly #disk: string;
  readonly #socket: Socket;
  readonly #taken = (bytes: Buffer) => this.#take(bytes);
  readonly #closed = () => this.#end(nbdError(this.#disk, 'lost', 'the server has ended the connection'));
  readonly #failed = (error: NodeJS.ErrnoException) => this.#end(this.#errorOf(error));
  readonly #parts: Buffer[] = [];
  #length = 0;
  #connected: boolean;
  #error: IsmioError | null = null;
  #wake: () => void = () => undefined;

  constructor(disk: string, socket: Socket) {
    this.#disk = disk;
    this.#socket = socket;
    this.#connected = !socket.connecting;
    socket.once('connect', () => {
      this.#connected = true;
    });
    socket.on('data', this.#taken).on('error', this.#failed).on('end', this.#closed).on('close', this.#closed);
  }

  /** @throws IsmioError ERR_ISMIO_NBD where the server goes before */
  async take(length: number): Promise<Buffer> {
    while (this.#length < length) {
      if (this.#error !== null) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const all = Buffer.concat(this.#parts);
    this.#keep(all.subarray(length));
    return all.subarray(0, length);
  }

  /** Hears no more of the socket; what was not taken. */
  release(): Buffer {
    this.#socket
      .off('data', this.#taken)
      .off('error', this.#failed)
      .off('end', this.#closed)
      .off('close', this.#closed);
    this.#socket.pause();
    const rest = Buffer.concat(this.#parts);
    this.#keep(Buffer.alloc(0));
    return rest;
  }

  #keep(rest: Buffer): void {
    this.#parts.length = 0;
    if (rest.length > 0) this.#parts.push(rest);
    this.#length = rest.length;
  }

  #take(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    this.#wake();
  }

  #end(error: IsmioError): void {
    this.#error ??= error;
    this.#wake();
  }

  #errorOf(error: NodeJS.ErrnoException): IsmioError {
    const { code = error.message } = error;
    if (this.#connected) return nbdError(this.#disk, 'lost', `the connection has broken: ${code}`, error);
    return nbdError(this.#disk, 'unreachable', `nobody can be reached there: ${code}; is the server running?`, error);
  }
}
