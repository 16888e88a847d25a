// The numbers of the kernel's VFIO interface, and what its structs look like. Source: Linux include/uapi/linux/vfio.h,
// vfio_zdev.h.
import { endianness } from 'node:os';
import { native } from '../addon/binding.js';
import { type ErrorValues, IsmioError } from '../support/errors.js';

/** The addon's calls: one for each ioctl. A negative answer is -errno. */
export const kernel = native.vfio;

export const apiVersion = 0;
export const extension = { type1v2: 3, noIommu: 8 } as const;
export const groupFlag = { viable: 1, containerSet: 2 } as const;
export const dmaFlag = { read: 1, write: 2 } as const;
export const ioasFlag = { writable: 2, readable: 4 } as const;
export const deviceFlag = { reset: 1, pci: 2, capabilities: 128 } as const;
export const regionFlag = { read: 1, write: 2, mmap: 4, capabilities: 8 } as const;
export const irqFlag = { eventfd: 1, maskable: 2, autoMasked: 4, noResize: 8 } as const;
export const irqSet = { none: 1, bool: 2, eventfd: 4, mask: 8, unmask: 16, trigger: 32 } as const;
export const capability = {
  zpciBase: 1,
  zpciGroup: 2,
  zpciUtility: 3,
  sparseMmap: 1,
  msixMappable: 3,
  iovaRange: 1,
} as const;

/** Names of a PCI device's regions and interrupts, by index. */
export const regionNames = ['bar0', 'bar1', 'bar2', 'bar3', 'bar4', 'bar5', 'rom', 'config', 'vga'] as const;
export const irqNames = ['intx', 'msi', 'msix', 'err', 'req'] as const;
export const configIndex = 7;

const little = endianness() === 'LE';

/** No struct of a kernel is longer, nor has one more regions or kinds of interrupts: past them it is taken for broken. */
export const most = { structBytes: 1 << 20, indexes: 1024 } as const;

/**
 * A struct as the kernel filled it in: words in the byte order of this machine. What it says of itself may lead past its end;
 * reading there throws ERR_ISMIO_VFIO.
 */
export class Struct {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(offset: number): number {
    return this.#view.getUint8(this.#within(offset, 1));
  }
  u16(offset: number): number {
    return this.#view.getUint16(this.#within(offset, 2), little);
  }
  u32(offset: number): number {
    return this.#view.getUint32(this.#within(offset, 4), little);
  }
  u64(offset: number): bigint {
    return this.#view.getBigUint64(this.#within(offset, 8), little);
  }

  #within(offset: number, width: number): number {
    const { length } = this.bytes;
    if (offset + width <= length) return offset;
    throw broken(`a struct of ${length} bytes leads to byte ${offset + width - 1}`, { offset, length });
  }
}

/** A capability: `at` is where it begins in its struct, header included. */
export interface Capability {
  readonly id: number;
  readonly version: number;
  readonly at: number;
}

/** The chain of capabilities that begins at `first`; it ends at 0, and never leads out of the struct or back. */
export function capabilities(struct: Struct, first: number): Capability[] {
  const found: Capability[] = [];
  for (let at = first; at >= 16 && at + 8 <= struct.bytes.length; at = struct.u32(at + 4)) {
    if (found.some((one) => one.at === at)) break;
    found.push({ id: struct.u16(at), version: struct.u16(at + 2), at });
  }
  return found;
}

/** Asks with a buffer of `least` bytes, and again with one that is long enough for what the kernel has to say. */
export function askGrowing(least: number, ask: (into: Uint8Array) => number): { answer: number; struct: Struct } {
  let bytes = new Uint8Array(least);
  let answer = ask(bytes);
  if (answer > bytes.length) {
    if (answer > most.structBytes) throw broken(`a struct takes ${answer} bytes`, { length: answer });
    bytes = new Uint8Array(answer);
    answer = ask(bytes);
  }
  return { answer, struct: new Struct(bytes) };
}

/** What the kernel says cannot be. */
export function broken(what: string, values: ErrorValues): IsmioError {
  return new IsmioError('ERR_ISMIO_VFIO', `the kernel's answer is broken: ${what}`, values);
}

/** How many there are of something, as the kernel says. */
export function plausible(count: number, what: string): number {
  if (count <= most.indexes) return count;
  throw broken(`it has ${count} ${what}`, { count });
}
