// What a replay may take of the machine's memory. A recording of some hundred bytes can ask for all of it: only what is
// taken as one goes along can be counted.
import { IsmioError } from '../support/errors.js';

export class Allowance {
  readonly #most: number;
  #taken = 0;

  /** @param most bytes, the option `memory` */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * @param what takes them, for the error
   * @param instead what else one could do than to allow more
   * @throws IsmioError ERR_ISMIO_TOO_LONG
   */
  take(bytes: number, what: string, instead = ''): void {
    this.#taken += bytes;
    if (this.#taken <= this.#most) return;
    const text = `${what} takes more than { memory: ${this.#most} } bytes. Allow more${instead}`;
    throw new IsmioError('ERR_ISMIO_TOO_LONG', text, { memory: this.#most });
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}
