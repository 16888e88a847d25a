// A device of this thread, served to drivers in other processes: over the socket of vfio-user, as QEMU's vfio-user-pci and
// openVfioUser take it.
import { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { native } from '../addon/binding.js';
import { noHandle, type ServerHandle } from '../addon/handles.js';
import { happenings, serverCounts } from '../addon/wire.js';
import { type Device, functionOf } from '../device/device.js';
import { checkSignal, onAbort } from '../support/abort.js';
import { checkBetween, checkOptions, checkPath, withDefaults } from '../support/check.js';
import { IsmioError, rangeError, systemError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';

/** Options of `serve`. */
export interface ServeOptions {
  /** Where the socket is made: at most 107 bytes. One that nobody listens to any more is replaced. */
  readonly path: string | URL;
  /** The rights of the socket: who may connect has to be able to write to it. Default 0o600, whatever the umask. */
  readonly mode?: number;
  /** How many DMA mappings a client may have, at most 65535, which is the default. It is told so. */
  readonly maxDmaMaps?: number;
  /** Closes the server. */
  readonly signal?: AbortSignal;
}

/** The process at the other end. Of another PID namespace, its `pid` is 0. */
export interface VfioUserClient {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What a server emits. */
export interface VfioUserServerEvents {
  /** One has connected. There is one at a time: the version of another is refused with EBUSY. */
  client: [VfioUserClient];
  /** It has gone. What it mapped and enabled went with it, and the next may come. */
  gone: [];
  /**
   * A request failed that its client wanted no reply to, mostly a posted write: the client knows nothing of it. `errno` is the
   * name of what a reply would have said. Of more than a thousand together the rest are counted in `stats` alone.
   */
  refused: [{ readonly errno: string }];
  /** Clients cannot be taken for now, for want of descriptors or memory. */
  error: [IsmioError];
  /** It was closed: by `close`, by its signal, or with its device. */
  close: [];
}

/** What a server has done since it was opened. */
export interface VfioUserServerStats {
  /** Clients that were taken. */
  readonly clients: number;
  /** Clients that came while there was another. */
  readonly turnedAway: number;
  /** Messages of clients. */
  readonly requests: number;
  /** Bytes of regions that were read by messages, and written. What a client maps it reads and writes by itself. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Requests that failed and wanted no reply. */
  readonly refused: number;
  /** Requests that were answered with ETIMEDOUT, because the device's handlers had not answered in 4 seconds. */
  readonly late: number;
  /** Replies to nothing that was asked. */
  readonly unexpected: number;
}

const names = ['path', 'mode', 'maxDmaMaps', 'signal'];

/** sockaddr_un.sun_path of Linux, less its NUL. */
const longestPath = 107;
/** What QEMU takes. */
const mostDmaMaps = 65_535;

/** Made by `serve`. While it is open it keeps the process running, as a listening socket does, until `unref`. */
export class VfioUserServer extends EventEmitter<VfioUserServerEvents> {
  /** A symbol: with it, posting a server to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /** Where its socket is. */
  readonly path: string;
  #handle: ServerHandle;
  #client: VfioUserClient | null = null;
  #last: VfioUserServerStats = statsOf(noHandle);
  #ended: () => void = () => undefined;
  readonly #forget: () => void;

  /** @internal */
  constructor(device: Device, path: string, mode: number, maxDmaMaps: number) {
    super();
    this.path = path;
    const opened = native.servers.open(
      functionOf(device).handle,
      path,
      mode,
      maxDmaMaps,
      (what, errno, pid, uid, gid) => this.#happened(what, errno, { pid, uid, gid }),
    );
    if (typeof opened === 'object') throw refused(path, opened.call, opened.errno);
    this.#handle = opened;
    this.#forget = functionOf(device).endWith(() => void this.close());
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#handle === noHandle;
  }

  /** Who is connected, or null. */
  get client(): VfioUserClient | null {
    return this.#client;
  }

  /** What it has done; when it is closed, what it had done by then. */
  stats(): VfioUserServerStats {
    if (!this.closed) this.#last = statsOf(this.#handle);
    return this.#last;
  }

  /**
   * Lets go of the client, and takes the socket away, which both has happened when it returns; when its promise is fulfilled the
   * device is there for another driver. May be called again. A device that is closed closes its servers.
   */
  async close(): Promise<void> {
    if (this.closed) return;
    this.stats();
    const handle = this.#handle;
    this.#handle = noHandle;
    this.#ended();
    this.#forget();
    native.servers.close(handle);
    if (this.#client !== null) {
      this.#client = null;
      this.emit('gone');
    }
    this.emit('close');
    await setImmediate();
    native.devices.serve(); // the device hears of it
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** It no longer keeps the process running. */
  unref(): this {
    native.servers.keepAlive(this.#handle, false);
    return this;
  }

  /** It keeps the process running again, as it does before `unref`. */
  ref(): this {
    native.servers.keepAlive(this.#handle, true);
    return this;
  }

  /** @internal Closes it when the signal is aborted. */
  closeOn(signal: AbortSignal): void {
    this.#ended = onAbort(signal, () => void this.close());
  }

  #happened(what: number, errno: number, client: VfioUserClient): void {
    switch (happenings[what]) {
      case 'client':
        this.#client = client;
        this.emit('client', client);
        break;
      case 'gone':
        this.#client = null;
        this.emit('gone');
        break;
      case 'refused':
        this.emit('refused', { errno: systemError(errno, 'reply').code });
        break;
      default:
        this.emit('error', refused(this.path, 'accept', errno));
    }
  }
}

/**
 * Serves a device over a socket, to one client at a time. What needs none of its handlers (memory, DMA maps, interrupts) is
 * answered by a thread of the addon's own.
 * @throws IsmioError ERR_ISMIO_OPEN where the socket cannot be made, ERR_ISMIO_CLOSED, ERR_ISMIO_ABORTED
 */
export async function serve(device: Device, options: ServeOptions): Promise<VfioUserServer> {
  checkOptions(options, names, 'serve');
  const { mode, maxDmaMaps } = withDefaults({ mode: 0o600, maxDmaMaps: mostDmaMaps }, options);
  const path = checkPath(options.path, 'path');
  if (Buffer.byteLength(path) > longestPath) {
    const text = `path must have at most ${longestPath} bytes, as the kernel's sockets do, not ${Buffer.byteLength(path)}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { path });
  }
  const rights = checkBetween(mode, 'mode', 0, 0o777);
  const most = checkBetween(maxDmaMaps, 'maxDmaMaps', 1, mostDmaMaps);
  const signal = checkSignal(options.signal, 'serve');
  if (signal?.aborted) {
    throw new IsmioError('ERR_ISMIO_ABORTED', 'serve was stopped by its signal', {}, signal.reason);
  }
  const server = new VfioUserServer(device, path, rights, most);
  if (signal !== undefined) server.closeOn(signal);
  return server;
}

function statsOf(handle: ServerHandle): VfioUserServerStats {
  const counts = new Float64Array(serverCounts.length);
  native.servers.counts(handle, counts);
  return Object.fromEntries(serverCounts.map((name, index) => [name, counts[index]])) as Record<
    (typeof serverCounts)[number],
    number
  >;
}

function refused(path: string, call: string, errno: number): IsmioError {
  const cause = systemError(errno, call);
  const advice: Record<string, string> = {
    EADDRINUSE: 'a server listens there already',
    EEXIST: 'there is a file of that name which is no socket',
    ENOENT: 'there is no such folder',
    EACCES: 'no permission in that folder',
  };
  const text = `the socket ${path}: ${advice[cause.code] ?? cause.message}`;
  return new IsmioError('ERR_ISMIO_OPEN', text, { path, call, errno: cause.code }, cause);
}
