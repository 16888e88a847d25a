// The host's memory, as a command names it: physical region pages (4.3).
//
//   PRP 1: the first page, from any offset that is a multiple of 4 on
//   PRP 2: the second page, where that is the last; else a list of all pages behind the first
//   a list: 8 bytes a page, up to the end of the page that the list is in; its last entry is the next list, if more are needed
//
// Nothing of it can be trusted: each address is checked as it is read, once, and what is not mapped fails the command alone. Bytes
// are copied to the pages and from there by the controller itself, never by whoever has the blocks: so none arrive when the
// controller was reset meanwhile, and the pages are somebody else's.
import { bytesOf, outcome } from './specification.js';

/** What the controller reaches of its host. `read` and `write` throw ERR_ISMIO_DMA where they may not. */
export interface Host {
  read(address: bigint, target: Uint8Array): void;
  write(address: bigint, source: Uint8Array): void;
  view(address: bigint, length: number): Uint8Array | null;
  interrupt(vector: number): void;
}

const pageMask = BigInt(bytesOf.page - 1);
/** Whether `error` is the host's: an address that is not mapped, or may not be reached. */
export function isHostError(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === 'ERR_ISMIO_DMA';
}

/** The pages of one command. An object is used for one command after the other. */
export class HostPages {
  readonly #host: Host;
  /** Pages that follow one another are one run. */
  readonly #addresses: bigint[] = [];
  readonly #lengths: number[] = [];
  #runs = 0;
  #list: DataView<ArrayBuffer> | null = null;
  /** Whether the command is in progress. When the controller is reset it is not, and the host's memory is not touched any more. */
  live = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Takes the pages of `length` bytes from the two entries of a command. */
  take(first: bigint, second: bigint, length: number): number {
    this.#runs = 0;
    const offset = Number(first & pageMask);
    if (offset % 4 !== 0) return outcome.invalidPageOffset;
    const ahead = Math.min(length, bytesOf.page - offset);
    this.#add(first, ahead);
    const rest = length - ahead;
    if (rest === 0) return outcome.success;
    if (rest > bytesOf.page) return this.#takeList(second, rest);
    if ((second & pageMask) !== 0n) return outcome.invalidPageOffset;
    this.#add(second, rest);
    return outcome.success;
  }

  /** Writes `bytes`, as long as the pages, to the host. */
  put(bytes: Uint8Array): number {
    return this.#each(bytes, (address, part) => this.#host.write(address, part));
  }

  /** Fills `bytes`, as long as the pages, from the host: only where this is a success are they all its. */
  get(bytes: Uint8Array): number {
    return this.#each(bytes, (address, part) => this.#host.read(address, part));
  }

  #each(bytes: Uint8Array, move: (address: bigint, part: Uint8Array) => void): number {
    let at = 0;
    try {
      for (let run = 0; run < this.#runs && this.live; run++) {
        const length = this.#lengths[run] as number;
        // Most commands are of one run: no view is made for that.
        move(this.#addresses[run] as bigint, this.#runs === 1 ? bytes : bytes.subarray(at, at + length));
        at += length;
      }
    } catch (error) {
      if (isHostError(error)) return outcome.dataTransfer;
      throw error;
    }
    return this.live ? outcome.success : outcome.abortRequested;
  }

  /** Lists are read as far as they are needed. Behind the first, a list begins at a page, so few of them are read. */
  #takeList(second: bigint, length: number): number {
    let at = second;
    let rest = length;
    for (;;) {
      const offset = Number(at & pageMask);
      if (offset % 8 !== 0) return outcome.invalidPageOffset;
      const room = (bytesOf.page - offset) / 8;
      const needed = Math.ceil(rest / bytesOf.page);
      const here = Math.min(needed, room);
      this.#list ??= new DataView(new ArrayBuffer(bytesOf.page));
      this.#host.read(at, new Uint8Array(this.#list.buffer, 0, here * 8));
      if (!this.live) return outcome.abortRequested;
      const pages = needed > room ? room - 1 : here;
      for (let i = 0; i < pages; i++) {
        const address = this.#list.getBigUint64(i * 8, true);
        if ((address & pageMask) !== 0n) return outcome.invalidPageOffset;
        const part = Math.min(rest, bytesOf.page);
        this.#add(address, part);
        rest -= part;
      }
      if (rest === 0) return outcome.success;
      at = this.#list.getBigUint64(pages * 8, true);
      if ((at & pageMask) !== 0n) return outcome.invalidPageOffset;
    }
  }

  #add(address: bigint, length: number): void {
    const last = this.#runs - 1;
    if (last >= 0 && (this.#addresses[last] as bigint) + BigInt(this.#lengths[last] as number) === address) {
      this.#lengths[last] = (this.#lengths[last] as number) + length;
      return;
    }
    this.#addresses[this.#runs] = address;
    this.#lengths[this.#runs] = length;
    this.#runs++;
  }
}
