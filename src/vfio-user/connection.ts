// A connection to a server of vfio-user: how it is made, and how it is lost. What travels over it is native/vfio-user.
import { native } from '../addon/binding.js';
import type { ConnectionHandle } from '../addon/handles.js';
import { type LostReason, lostReasons } from '../addon/wire.js';
import { type ErrorValues, IsmioError, systemError } from '../support/errors.js';

/** What it means that the server cannot be connected to. */
const meanings: Record<string, string> = {
  ENOENT: 'there is no such socket; is the server running?',
  ECONNREFUSED: 'nobody listens there: it is what a server left that has ended, or no socket at all',
  EACCES: 'no permission to write to it',
  ENAMETOOLONG: 'the path of a socket has 107 bytes at most; a relative one may be shorter',
  ETIMEDOUT: 'its queue of connections stayed full',
};

/** A socket that is connected, until `close`. */
export class Connection {
  readonly path: string;
  readonly handle: ConnectionHandle;
  readonly #milliseconds: number;
  readonly #process: number;
  #told: (error: IsmioError) => void = () => undefined;

  /** @throws IsmioError ERR_ISMIO_VFIO_USER */
  constructor(path: string, milliseconds: number) {
    this.path = path;
    this.#milliseconds = milliseconds;
    const self = new WeakRef(this);
    const made = native.connections.connect(path, milliseconds, () => self.deref()?.tell());
    if ('errno' in made) {
      const cause = systemError(made.errno, made.call);
      const text = `${path}: ${made.call} answered ${cause.code}${cause.code in meanings ? `: ${meanings[cause.code]}` : ''}`;
      throw new IsmioError('ERR_ISMIO_VFIO_USER', text, { path, call: made.call, errno: cause.code }, cause);
    }
    this.handle = made.connection;
    this.#process = made.process;
  }

  /** How many bytes the reply has, or -errno. */
  call(command: number, payload: Uint8Array, reply: Uint8Array, descriptors: Int32Array | null = null): number {
    return native.connections.call(this.handle, command, payload, descriptors, reply);
  }

  get reason(): LostReason {
    return lostReasons[native.connections.lost(this.handle)] ?? 'broken';
  }

  /** What has happened to the server, in words; null while it is there. */
  get lost(): string | null {
    switch (this.reason) {
      case 'no':
        return null;
      case 'closed':
        return 'the connection was closed';
      case 'hungUp':
        return 'the server has closed the connection, or has ended,';
      case 'silent':
        return `the server did not answer for ${this.#milliseconds} ms`;
      default:
        return 'the server sent what is no message of vfio-user, or a reply to nothing,';
    }
  }

  /** The error of whatever is asked of a server that is lost. */
  error(): IsmioError {
    const values: ErrorValues = { path: this.path, reason: this.reason, pid: this.#process };
    const text = `${this.path}: ${this.lost ?? 'the server is there'} and the device is lost; open it again`;
    return new IsmioError('ERR_ISMIO_REGION_LOST', text, values);
  }

  /** `told` is called once when the server is lost, from the event loop. */
  whenLost(told: (error: IsmioError) => void): void {
    this.#told = told;
  }

  close(): void {
    native.connections.close(this.handle);
  }

  /** @internal */
  tell(): void {
    this.#told(this.error());
  }
}
