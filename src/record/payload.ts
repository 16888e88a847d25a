// The payloads of a block: bytes that were copied, and stretches of memory that are read later, where they are.
import { detached } from '../check.js';
import { ByteWriter } from './bytes.js';

/** Bytes that are still where the program has them, and that it leaves alone until they have been read. */
export interface Reference {
  /** Where they belong: in the payloads, later in the content of a block. */
  readonly at: number;
  readonly source: Uint8Array;
  readonly from: number;
  length: number;
}

/** Fewer bytes than these are copied at once: that takes less than to remember where they are. */
export const leastReferred = 512;

export class Payload {
  readonly #copied: ByteWriter;
  #references: Reference[] = [];
  #referred = 0;

  constructor(capacity: number) {
    this.#copied = new ByteWriter(capacity);
  }

  get length(): number {
    return this.#copied.length + this.#referred;
  }

  /** What was copied, without gaps. */
  get copied(): Uint8Array {
    return this.#copied.written;
  }

  append(bytes: Uint8Array): void {
    this.#copied.append(bytes);
  }

  /** The bytes [from, from + length) of `source`, to be read later. */
  refer(source: Uint8Array, from: number, length: number): void {
    const last = this.#references.at(-1);
    const goesOn = last !== undefined && last.at + last.length === this.length && last.from + last.length === from;
    if (goesOn && last.source === source) last.length += length;
    else if (length < leastReferred) {
      this.append(source.subarray(from, from + length));
      return;
    } else this.#references.push({ at: this.length, source, from, length });
    this.#referred += length;
  }

  value(value: number | bigint, width: number, bigEndian: boolean): void {
    this.#copied.value(value, width, bigEndian);
  }

  /** Zeros up to a multiple of 8. */
  align(): void {
    while (this.length % 8 !== 0) this.#copied.byte(0);
  }

  /** What is to be read later; nothing of it is held any more. */
  takeReferences(): readonly Reference[] {
    const references = this.#references;
    this.#references = [];
    return references;
  }

  /** Reads what was to be read later, now. */
  readAll(): void {
    if (this.#references.length === 0) return;
    const copied = this.copied.slice();
    const references = this.#references;
    this.clear();
    let from = 0;
    for (const reference of references) {
      const before = reference.at - this.length;
      this.append(copied.subarray(from, from + before));
      this.append(bytesAt(reference));
      from += before;
    }
    this.append(copied.subarray(from));
  }

  clear(): void {
    this.#copied.clear();
    this.#references = [];
    this.#referred = 0;
  }
}

/** The bytes of a reference. Throws where the program has given their memory away before its drain had ended. */
export function bytesAt({ source, from, length }: Reference): Uint8Array {
  const bytes = source.subarray(from, from + length);
  if (bytes.length < length) throw detached('source');
  return bytes;
}
