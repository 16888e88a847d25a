// A disk as an NBD export, at a socket: for qemu, the kernel's nbd, libnbd's tools, fio. Several connections may be open, of
// one client or of many; a flush on one covers what was completed on all.
import { EventEmitter } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { checkSignal, onAbort } from '../../support/abort.js';
import { checkBetween, checkFlag, checkOptions, checkPath, checkText, withDefaults } from '../../support/check.js';
import { rangeError, typeError } from '../../support/errors.js';
import type { BlockDevice } from '../disk.js';
import { Attention } from './attention.js';
import { NbdConnection } from './connection.js';
import { listenAt, type Place } from './listening.js';
import type { NbdExport } from './negotiation.js';
import { checkTls, type NbdTls } from './tls.js';
import type { NbdFailure, Shared } from './transmission.js';
import { exportFlag, limits } from './wire.js';

/** Options of `serveNbd`. One of `path`, `port` and `fd` has to be given. */
export interface NbdOptions {
  /** Where a unix socket is made: at most 107 bytes. One that nobody listens to any more is replaced. */
  readonly path?: string | URL;
  /** The rights of that socket: who may connect has to be able to write to it. Default 0o600. */
  readonly mode?: number;
  /** A port of TCP; 0 for any that is free. Without `tls` nothing is encrypted, and everybody who reaches it may connect. */
  readonly port?: number;
  /** The address to listen at. Default 127.0.0.1: this machine alone. */
  readonly host?: string;
  /** The descriptor of a socket that is bound already, by whoever started this process. Its name stays when the server closes. */
  readonly fd?: number;
  /** Every client has to encrypt (NBD_OPT_STARTTLS), and with `ca` to have a certificate. Default: none can. */
  readonly tls?: NbdTls;
  /** The export's name. Clients that name none get it as well. Default ''. */
  readonly name?: string;
  /** What the export is, for people. */
  readonly description?: string;
  /** Writes are refused. Default: as the disk is. */
  readonly readOnly?: boolean;
  /** Connections at a time. Default 64. */
  readonly maxConnections?: number;
  /** Milliseconds that `close` waits for requests in flight. Default 2000. */
  readonly grace?: number;
  /** Closes the server. */
  readonly signal?: AbortSignal;
}

const defaults = { host: '127.0.0.1', name: '', description: '', mode: 0o600, maxConnections: 64, grace: 2000 };
const names = ['path', 'port', 'fd', 'tls', 'readOnly', 'signal', ...Object.keys(defaults)];

/** What a server emits. */
export interface NbdServerEvents {
  /** A client has chosen the export; how many there are now. */
  client: [sessions: number];
  /** One of them has gone, and why, where it did not end as it should. */
  gone: [sessions: number, reason: string | null];
  /** The disk failed a request. The client was told the errno, which is all that most show. */
  failed: [NbdFailure];
  /** Somebody was sent away before it chose the export: the reason. */
  refused: [reason: string];
  /** It was closed: by `close`, or by its signal. */
  close: [];
}

/** What a server has done since it was opened. */
export interface NbdServerStats {
  /** Connections that were accepted, and those of them that are open. */
  readonly accepted: number;
  readonly open: number;
  /** Connections that were broken off by a client, or with one that broke the protocol. */
  readonly broken: number;
  readonly requests: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Requests that the disk failed. */
  readonly failed: number;
}

/** How connections are taken. */
interface Limits {
  readonly tls: NbdTls | null;
  readonly maxConnections: number;
  readonly grace: number;
}

/** Made by `serveNbd`. The disk stays open when it is closed. */
export class NbdServer extends EventEmitter<NbdServerEvents> {
  readonly #server: Server;
  readonly #shared: Shared;
  readonly #export: NbdExport;
  readonly #tls: NbdTls | null;
  readonly #connections = new Set<NbdConnection>();
  readonly #maxConnections: number;
  readonly #grace: number;
  #release: (() => void) | null = null;
  #address: string | AddressInfo | null = null;
  #accepted = 0;
  #broken = 0;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(disk: BlockDevice, exported: NbdExport, readOnly: boolean, { tls, maxConnections, grace }: Limits) {
    super();
    this.#export = exported;
    this.#tls = tls;
    this.#grace = grace;
    this.#shared = {
      disk,
      readOnly,
      counts: { requests: 0, bytesRead: 0, bytesWritten: 0, failed: 0 },
      lost: { times: 0, errno: 'EIO', isUnheard: false },
      attention: new Attention(),
      failed: (failure) => this.emit('failed', failure),
    };
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) =>
      this.#accept(socket),
    );
    this.#maxConnections = maxConnections;
  }

  /** The path of its unix socket, or null: that of one that it was given is known to whoever made it. */
  get path(): string | null {
    return typeof this.#address === 'string' ? this.#address : null;
  }

  /** Its port of TCP, or null. */
  get port(): number | null {
    return this.#address === null || typeof this.#address === 'string' ? null : this.#address.port;
  }

  /** Clients that have chosen the export. */
  get sessions(): number {
    let sessions = 0;
    for (const { isSession } of this.#connections) if (isSession) sessions++;
    return sessions;
  }

  stats(): NbdServerStats {
    return {
      accepted: this.#accepted,
      open: this.#connections.size,
      broken: this.#broken,
      ...this.#shared.counts,
    };
  }

  /**
   * Takes no more clients and no more requests, answers those in flight, for the time of `grace` at most, and takes the socket
   * away. Again: waits for the same end.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  async listen(place: Place, signal: AbortSignal | undefined): Promise<this> {
    const { address, release } = await listenAt(this.#server, place);
    this.#address = address;
    const forget = signal === undefined ? () => undefined : onAbort(signal, () => void this.close());
    this.#release = () => {
      forget();
      release();
    };
    // A socket that could not be taken, for want of descriptors: its client is told by the kernel, and the next may come.
    this.#server.on('error', ({ message }) => this.emit('refused', message));
    return this;
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#release?.();
    await Promise.all([closed, ...[...this.#connections].map((connection) => connection.close(this.#grace))]);
    this.emit('close');
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#maxConnections) {
      socket.destroy();
      return;
    }
    this.#accepted++;
    const connection = new NbdConnection(socket, this.#export, this.#shared, this.#tls, {
      begun: () => this.emit('client', this.sessions),
      gone: (one, reason) => this.#gone(one, reason),
    });
    this.#connections.add(connection);
  }

  #gone(connection: NbdConnection, reason: string | null): void {
    this.#connections.delete(connection);
    if (reason !== null) this.#broken++;
    if (connection.isSession) this.emit('gone', this.sessions, reason);
    else if (reason !== null) this.emit('refused', reason);
  }
}

/**
 * Serves a disk to clients of NBD.
 * @throws RangeError ERR_ISMIO_OPTION; rejects with IsmioError ERR_ISMIO_OPEN where the socket cannot be had
 */
export async function serveNbd(disk: BlockDevice, options: NbdOptions): Promise<NbdServer> {
  checkOptions(options, names, 'serveNbd');
  const { host, name, description, mode, maxConnections, grace } = withDefaults(defaults, options as typeof defaults);
  const signal = checkSignal(options.signal, 'serveNbd');
  const readOnly = checkFlag(options.readOnly ?? disk.readOnly, 'readOnly');
  checkBetween(maxConnections, 'maxConnections', 1, 65_536);
  checkBetween(grace, 'grace', 0, 600_000);
  checkBetween(mode, 'mode', 0, 0o777);
  for (const [what, text] of Object.entries({ name, description })) checkString(text, what);
  if (disk.readOnly && !readOnly) {
    throw rangeError('ERR_ISMIO_OPTION', `readOnly cannot be false: ${disk.name} is read-only`, { readOnly });
  }
  const tls = options.tls === undefined ? null : checkTls(options.tls);
  const place = placeOf(options, checkText(host, 'host'), mode);
  const exported: NbdExport = {
    name,
    description,
    size: disk.size,
    extents: disk.features.extents,
    blockSize: { minimum: 1, preferred: preferredOf(disk), maximum: limits.payloadBytes },
    flags: (structured) => flagsOf(disk, readOnly, structured),
  };
  return new NbdServer(disk, exported, readOnly, { tls, maxConnections, grace }).listen(place, signal);
}

function placeOf({ path, port, fd }: NbdOptions, host: string, mode: number): Place {
  if ([path, port, fd].filter((one) => one !== undefined).length !== 1) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', 'serveNbd takes one of path, port and fd', { path, port, fd });
  }
  if (path !== undefined) return { path: checkPath(path, 'path'), mode };
  if (fd !== undefined) return { fd: checkBetween(fd, 'fd', 0, 2 ** 31 - 1) };
  return { port: checkBetween(port as number, 'port', 0, 65_535), host };
}

function checkString(text: unknown, what: string): void {
  const { length } = Buffer.from(checkText(text, what));
  if (length <= limits.stringBytes) return;
  throw rangeError('ERR_ISMIO_OPTION', `${what} must be at most ${limits.stringBytes} bytes, not ${length}`, {
    length,
  });
}

/** What every client takes: less or more, and some ignore all sizes, or make requests of this size. */
function preferredOf({ blockSize: { preferred } }: BlockDevice): number {
  const isPower = preferred > 0 && Number.isInteger(Math.log2(preferred));
  return isPower ? Math.min(Math.max(preferred, 512), 2 ** 18) : 4096;
}

function flagsOf({ features }: BlockDevice, readOnly: boolean, structured: boolean): number {
  const { trim, zero, fastZero, cache } = features;
  let flags = exportFlag.hasFlags | exportFlag.flush | exportFlag.multiConn;
  flags |= readOnly ? exportFlag.readOnly : exportFlag.fua;
  if (trim && !readOnly) flags |= exportFlag.trim;
  if (zero && !readOnly) flags |= exportFlag.writeZeroes | (fastZero ? exportFlag.fastZero : 0);
  if (cache) flags |= exportFlag.cache;
  if (structured) flags |= exportFlag.df;
  return flags;
}
