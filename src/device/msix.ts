// The MSI-X table and pending bits of a function, where they lie in a BAR. Little-endian, as all of MSI-X.
//
// VFIO keeps a driver from the table: it is the kernel's, or QEMU's, which set interrupts up in their own way. What is written
// to it is kept, and decides nothing.
import type { CheckedMsix } from './check.js';

const entryBytes = 16;
/** Where the control word of an entry is; its bit 0 masks the vector, as after a reset. */
const control = 12;

export class MsixTable {
  readonly #at: CheckedMsix;
  readonly #entries: Uint8Array;
  readonly #pending: (vector: number) => boolean;

  /** `pending`: whether a vector is held back. */
  constructor(at: CheckedMsix, pending: (vector: number) => boolean) {
    this.#at = at;
    this.#entries = new Uint8Array(at.vectors * entryBytes);
    this.#pending = pending;
    this.reset();
  }

  /** [from, to) of the BAR that it takes. */
  get places(): readonly (readonly [from: number, to: number])[] {
    const { table, pending, vectors } = this.#at;
    return [
      [table, table + this.#entries.length],
      [pending, pending + Math.ceil(vectors / 64) * 8],
    ];
  }

  reset(): void {
    this.#entries.fill(0);
    for (let at = control; at < this.#entries.length; at += entryBytes) this.#entries[at] = 1;
  }

  /** What the table holds. */
  get entries(): Uint8Array {
    return this.#entries;
  }

  load(offset: number, target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) {
      target[i] = this.#entries[offset + i - this.#at.table] ?? this.#bits((offset + i - this.#at.pending) * 8);
    }
  }

  /** Pending bits are read only. */
  store(offset: number, bytes: Uint8Array): void {
    for (const [i, value] of bytes.entries()) {
      const place = offset + i - this.#at.table;
      if (place >= 0 && place < this.#entries.length) this.#entries[place] = value;
    }
  }

  #bits(first: number): number {
    let byte = 0;
    for (let n = 0; n < 8; n++) {
      const vector = first + n;
      if (vector >= 0 && vector < this.#at.vectors && this.#pending(vector)) byte |= 1 << n;
    }
    return byte;
  }
}
