// Whole records in a stream of bytes: 4 bytes of length, big-endian, before each.
import { IsmioError } from '../../support/errors.js';
import type { End } from './end.js';
import { breach } from './reasons.js';

const headerLength = 4;

/** The length that goes before a record. @throws IsmioError ERR_ISMIO_TOO_LONG */
export function headerOf(record: Uint8Array, limit: number): Uint8Array {
  if (record.length > limit) {
    const text = `a record of ${record.length} bytes is longer than ${limit}, the most that the peer takes. Cut it`;
    throw new IsmioError('ERR_ISMIO_TOO_LONG', text, { length: record.length, limit });
  }
  const header = Buffer.allocUnsafe(headerLength);
  header.writeUInt32BE(record.length);
  return header;
}

export class Records {
  readonly #limit: number;
  readonly #header = Buffer.alloc(headerLength);
  #filled = 0;
  #record: Buffer | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether the stream may end here. */
  get isBetween(): boolean {
    return this.#record === null && this.#filled === 0;
  }

  /**
   * @returns the next whole record, or null where it is not there yet; an error for one that is longer than the limit
   */
  read(end: End): Buffer | IsmioError | null {
    if (this.#record === null) {
      if (!this.#fill(end, this.#header)) return null;
      const length = this.#header.readUInt32BE();
      if (length > this.#limit) {
        return breach('record', `a record of ${length} bytes, with a limit of ${this.#limit}`, { length });
      }
      // Not touched before it is filled: what a peer announces costs no memory.
      this.#record = Buffer.allocUnsafeSlow(length);
    }
    const record = this.#record;
    if (!this.#fill(end, record)) return null;
    this.#record = null;
    return record;
  }

  #fill(end: End, target: Buffer): boolean {
    this.#filled += end.read(this.#filled === 0 ? target : target.subarray(this.#filled));
    if (this.#filled < target.length) return false;
    this.#filled = 0;
    return true;
  }
}
