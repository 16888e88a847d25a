// Configuration space, typed. Little-endian, as PCI has it; each access is one pread or pwrite of its width.
import { type BytesLike, bytesOf, checkAligned, checkOffset, checkValue, type Whole } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';
import type { DeviceCalls } from './access.js';
import {
  checkCapabilityKey,
  isCapability,
  type PciCapability,
  type PciCapabilityKey,
  walkCapabilities,
} from './capabilities.js';
import { checked } from './failure.js';
import type { VfioRegionInfo } from './info.js';

const widths = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;
type Width = keyof typeof widths;

/** The configuration space of a function: little-endian, with offsets in bytes. */
export class ConfigSpace {
  /** A symbol: with it, posting a configuration space to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /** In bytes: 256, or 4096 with PCI Express. */
  readonly size: number;
  readonly #name: string;
  readonly #bdf: string;
  readonly #base: bigint;
  readonly #calls: () => DeviceCalls;

  /** `calls` gives whom to ask, or throws when the device is closed. */
  constructor(calls: () => DeviceCalls, info: VfioRegionInfo, bdf: string) {
    this.size = Number(info.size);
    this.#base = info.offset;
    this.#name = `configuration space of ${bdf}`;
    this.#bdf = bdf;
    this.#calls = calls;
  }

  /** Reads the byte at `offset`. */
  read8(offset: Whole): number {
    return this.#load(offset, 1).getUint8(0);
  }

  /** Reads the 16-bit word at `offset`. */
  read16(offset: Whole): number {
    return this.#load(offset, 2).getUint16(0, true);
  }

  /** Reads the 32-bit word at `offset`. */
  read32(offset: Whole): number {
    return this.#load(offset, 4).getUint32(0, true);
  }

  /** Writes the byte at `offset`. */
  write8(offset: Whole, value: number): void {
    this.#store(offset, 1, value);
  }

  /** Writes the 16-bit word at `offset`. */
  write16(offset: Whole, value: number): void {
    this.#store(offset, 2, value);
  }

  /** Writes the 32-bit word at `offset`. */
  write32(offset: Whole, value: number): void {
    this.#store(offset, 4, value);
  }

  /** Fills `target` from `offset` on. */
  read(offset: Whole, target: BytesLike): void {
    const bytes = bytesOf(target, 'target');
    const place = checkOffset(offset, bytes.length, this.size, this.#name);
    const answer = this.#calls().pread(this.#base + BigInt(place), bytes);
    this.#moved('pread', answer, place, bytes.length);
  }

  /**
   * The first capability of a kind: by its name, such as 'msix' or 'aer', or by its id in the standard list. Null where the
   * function has none. A function may have several of one kind ('vendor'): `capabilities` lists all.
   * @throws IsmioError ERR_ISMIO_VFIO when the list leads astray before one is found
   */
  capability(key: PciCapabilityKey): PciCapability | null {
    checkCapabilityKey(key);
    for (const one of walkCapabilities(this, this.#bdf)) if (isCapability(one, key)) return one;
    return null;
  }

  /**
   * All capabilities, in the order of their lists: the standard one, then with PCI Express the extended one.
   * @throws IsmioError ERR_ISMIO_VFIO when a list leads outside of where capabilities can be, goes round, or does not answer;
   * `capabilities` of the error are those before that
   */
  capabilities(): PciCapability[] {
    const found: PciCapability[] = [];
    try {
      for (const one of walkCapabilities(this, this.#bdf)) found.push(one);
    } catch (error) {
      throw Object.assign(error as Error, { capabilities: found });
    }
    return found;
  }

  #load(offset: Whole, width: Width): DataView {
    const place = checkAligned(offset, width, this.size, this.#name);
    const bytes = new Uint8Array(width);
    this.#moved('pread', this.#calls().pread(this.#base + BigInt(place), bytes), place, width);
    return new DataView(bytes.buffer);
  }

  #store(offset: Whole, width: Width, value: number): void {
    const place = checkAligned(offset, width, this.size, this.#name);
    checkValue(value, widths[width]);
    const bytes = Uint8Array.from({ length: width }, (_, i) => value >>> (8 * i));
    this.#moved('pwrite', this.#calls().pwrite(this.#base + BigInt(place), bytes), place, width);
  }

  #moved(call: string, answer: number, offset: number, length: number): void {
    const values = { offset, length };
    if (checked(call, answer, this.#name, values) === length) return;
    const text = `${this.#name}: ${call} moved ${answer} of ${length} bytes at offset ${offset}`;
    throw new IsmioError('ERR_ISMIO_VFIO', text, { ...values, bytesDone: answer });
  }
}
