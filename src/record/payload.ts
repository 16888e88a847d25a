// The payloads of a block: bytes that were copied, and stretches of memory that are read later, where they are.
import type { SourceBytes } from '../queue/sources.js';
import { ByteWriter } from './bytes.js';

/** Bytes that are still where the program has them, and that it leaves alone until they have been read. */
export interface Reference {
  /** Where they belong: in the payloads, later in the content of a block. */
  readonly at: number;
  readonly source: SourceBytes;
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
  refer(source: SourceBytes, from: number, length: number): void {
    const last = this.#references.at(-1);
    const goesOn = last !== undefined && last.at + last.length === this.length && last.from + last.length === from;
    if (goesOn && last.source === source) last.length += length;
    else if (length < leastReferred) {
      this.append(bytesOf(source, from, length));
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

/** The bytes of a reference, wherever they still are. */
export function bytesAt({ source, from, length }: Reference): Uint8Array {
  return bytesOf(source, from, length);
}

/** Bytes of the program: where it sees them, or, where it has freed them meanwhile, where they are held for its batch. */
export function bytesOf(source: SourceBytes, from: number, length: number): Uint8Array {
  return isFreed(source) ? source.copy(from, length) : source.bytes.subarray(from, from + length);
}

export function isFreed({ bytes }: SourceBytes): boolean {
  return bytes.length === 0;
}
