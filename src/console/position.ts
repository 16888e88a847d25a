// Where a client is in the output of a console: it has each byte once and in order, and is told of those that it cannot have.
import type { Replay } from './options.js';
import { beginning, type Welcome } from './welcome.js';
import { broken } from './wire.js';

export class Position {
  #next: number | null = null;

  /** Of the byte that comes next; null until that is known. */
  get next(): number | null {
    return this.#next;
  }

  begin(replay: Replay, welcome: Welcome): void {
    this.#next = beginning(replay, welcome);
  }

  /** The console was begun anew, and with it what it says. */
  beginAnew(): void {
    if (this.#next !== null) this.#next = 0;
  }

  /** @throws IsmioError ERR_ISMIO_CONSOLE where other output was next */
  data(offset: number, length: number): void {
    if (offset !== this.#next) {
      throw broken(`output of position ${offset} came, and that of ${this.#next} was next`, { offset });
    }
    this.#next = offset + length;
  }

  /** @throws IsmioError ERR_ISMIO_CONSOLE where the position was known without one */
  screen(offset: number): void {
    if (this.#next !== null) throw broken('a screen came that nobody has asked for', { offset });
    this.#next = offset;
  }

  /** @throws IsmioError ERR_ISMIO_CONSOLE where it is none, or of other output than what was next */
  gap(from: number, bytes: number): void {
    if (from !== this.#next || bytes === 0 || !Number.isSafeInteger(from + bytes)) {
      throw broken(`a gap of ${bytes} bytes at ${from} came, and output of ${this.#next} was next`, { from });
    }
    this.#next = from + bytes;
  }
}
