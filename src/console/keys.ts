// Keys on their way into a terminal, which takes a few thousand bytes and then none until somebody reads them.
import { writeSync } from 'node:fs';
import { clearTimeout, setTimeout } from 'node:timers';
import { native } from '../addon/binding.js';
import { IsmioError, systemError } from '../support/errors.js';

/** Bytes that may wait here. */
const most = 65_536;
/** Milliseconds until a terminal that was full is tried again: it says nothing when it has room. */
const pause = 5;
/** Milliseconds of a break: POSIX has a quarter of a second at least, and half a second at most. */
const breakTime = 300;

export class Keys {
  readonly #descriptor: number;
  readonly #drained: () => void;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #break: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param descriptor of a terminal that does not block; it stays its owner's */
  constructor(descriptor: number, drained: () => void) {
    this.#descriptor = descriptor;
    this.#drained = drained;
  }

  /** @returns whether more may come before `drained` */
  write(bytes: Uint8Array): boolean {
    if (this.#isClosed) return true;
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#timer === null) this.#flush();
    return this.#bytes < most;
  }

  /** @throws IsmioError ERR_ISMIO_CONSOLE_LINE where the line knows of no breaks */
  sendBreak(): void {
    if (this.#break !== null || this.#isClosed) return;
    const errno = native.setBreak(this.#descriptor, true);
    if (errno !== 0) throw noBreak(errno);
    this.#break = setTimeout(() => {
      this.#break = null;
      native.setBreak(this.#descriptor, false); // a line that has gone meanwhile is held by nobody: its reader sees the end
    }, breakTime);
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    for (const timer of [this.#timer, this.#break]) if (timer !== null) clearTimeout(timer);
  }

  #flush(): void {
    this.#timer = null;
    const before = this.#bytes;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const taken = this.#attempt(first);
      this.#bytes -= taken;
      if (taken < first.length) {
        this.#waiting[0] = first.subarray(taken);
        this.#timer = setTimeout(() => this.#flush(), pause);
        break;
      }
      this.#waiting.shift();
    }
    if (before >= most && this.#bytes < most) this.#drained();
  }

  /** Of a terminal that has gone nothing is told here: its reader sees the end. */
  #attempt(bytes: Uint8Array): number {
    try {
      return writeSync(this.#descriptor, bytes);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : bytes.length;
    }
  }
}

function noBreak(errno: number): IsmioError {
  const cause = systemError(errno, 'TIOCSBRK');
  return new IsmioError('ERR_ISMIO_CONSOLE_LINE', `the line takes no break: ${cause.message}`, {}, cause);
}
