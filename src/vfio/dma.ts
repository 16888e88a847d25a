// Buffers that a device reads and writes by itself.
import { types } from 'node:util';
import { memoryOf } from '../access/memory.js';
import { checkFlag, checkOptions } from '../support/check.js';
import { hex, IsmioError, rangeError, shown, typeError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';
import type { DeviceAccess } from './access.js';
import { checked } from './failure.js';
import { kernel } from './kernel.js';

/** Where a buffer is mapped for a device, and what the device may do with it. */
export interface DmaOptions {
  /** Bus address, a multiple of the page size. Default: the lowest that is free. */
  iova?: bigint;
  /** Last bus address that the device can reach; for devices with fewer than 64 address bits. Default: no limit. */
  limit?: bigint;
  /**
   * A power of two, and multiple of the page size: the buffer does not cross a multiple of it, where no `iova` is given. Devices
   * have such limits on their buffers (Linux: dma_set_seg_boundary). Default: none.
   */
  boundary?: bigint;
  /** Whether the device may read the buffer. Default true. */
  readable?: boolean;
  /** Whether the device may write it. Default true. */
  writable?: boolean;
}

/** A buffer at a bus address, until it is unmapped. */
export interface DmaMapping {
  /** A symbol: with it, posting a mapping to another thread is refused with a DataCloneError. */
  readonly thread: symbol;
  /** Bus address of the buffer's first byte. */
  readonly iova: bigint;
  /**
   * The same as a number, for arithmetic and for descriptors that are filled with numbers.
   * @throws RangeError ERR_ISMIO_VALUE when it is past 2^53 - 1, where numbers are no longer exact
   */
  readonly iovaNumber: number;
  /** Bits 0 to 31 of the bus address: the lower word of a descriptor that has it in two. */
  readonly iovaLow: number;
  /** Bits 32 to 63 of the bus address: the upper word. */
  readonly iovaHigh: number;
  /** The buffer's length in bytes. */
  readonly length: number;
  /** The buffer that was mapped. */
  readonly buffer: Uint8Array;
  /** Whether the device can still reach the buffer: true until an `unmap`, or the device's `close`, has succeeded. */
  readonly mapped: boolean;
  /**
   * Takes the buffer away from the device, which can no longer reach it when this returns. A device that is still at it meets a
   * fault of the IOMMU: stop it first, or `enableBusMaster(false)`. Where the kernel refuses, the buffer stays mapped, and
   * another call tries again; once it is unmapped, another call does nothing.
   * @throws IsmioError ERR_ISMIO_VFIO when the kernel refuses; ERR_ISMIO_CLOSED when the kernel refused it at the device's
   * `close` already, and nobody can ask any more
   */
  unmap(): void;
  [Symbol.dispose](): void;
}

const { pageSize } = kernel;
const noLimit = 2n ** 64n - 1n;

/** The buffers of one device. They are kept from the garbage collector until they are unmapped. */
export class DmaMappings {
  readonly #access: DeviceAccess;
  readonly #bdf: string;
  readonly #mapped = new Set<DmaMapping>();
  #ended = false;

  constructor(access: DeviceAccess, bdf: string) {
    this.#access = access;
    this.#bdf = bdf;
  }

  map(buffer: Uint8Array, options: DmaOptions): DmaMapping {
    checkOptions(options, ['iova', 'limit', 'boundary', 'readable', 'writable'], 'device.dmaMap');
    const readable = checkFlag(options.readable ?? true, 'readable');
    const writable = checkFlag(options.writable ?? true, 'writable');
    if (!readable && !writable) {
      throw rangeError('ERR_ISMIO_OPTION', 'a buffer that the device may neither read nor write is of no use', {
        readable,
        writable,
      });
    }
    const { length, memory } = pagesOf(buffer);
    const limit = checkAddress(options.limit ?? noLimit, 'limit');
    const boundary = options.boundary === undefined ? undefined : checkBoundary(options.boundary, length);
    const { space } = this.#access;
    const iova =
      options.iova === undefined
        ? space.take(BigInt(length), limit, boundary)
        : space.claim(checkAddress(options.iova, 'iova'), BigInt(length), limit);
    if (!writable) populate(buffer);
    const answer = this.#access.map(iova, [memory, buffer.byteOffset, length], readable, writable);
    if (answer < 0) space.release(iova);
    checked(this.#access.mapCall, answer, `${length} bytes at bus address ${hex(iova)} of ${this.#bdf}`, {
      iova,
      length,
    });
    return this.#keep(iova, length, buffer);
  }

  /** The buffers that the device can reach. */
  get mappings(): readonly DmaMapping[] {
    return [...this.#mapped];
  }

  /** The device's descriptors are somebody else's from now on: what is mapped still can no longer be unmapped from here. */
  end(): void {
    this.#ended = true;
  }

  #keep(iova: bigint, length: number, buffer: Uint8Array): DmaMapping {
    const isMapped = () => this.#mapped.has(mapping);
    const unmap = () => {
      if (!isMapped()) return;
      this.#unmap(iova, length);
      this.#mapped.delete(mapping);
      this.#access.space.release(iova);
    };
    const mapping: DmaMapping = Object.freeze({
      thread: ofThisThread,
      iova,
      get iovaNumber() {
        return exact(iova);
      },
      iovaLow: Number(iova & 0xffff_ffffn),
      iovaHigh: Number(iova >> 32n),
      length: buffer.byteLength,
      buffer,
      get mapped() {
        return isMapped();
      },
      unmap,
      [Symbol.dispose]: unmap,
    });
    this.#mapped.add(mapping);
    return mapping;
  }

  /** Returns when the kernel has unmapped all of it. */
  #unmap(iova: bigint, length: number): void {
    const what = `${length} bytes at bus address ${hex(iova)} of ${this.#bdf}`;
    const values = { iova, length };
    if (this.#ended) {
      const text = `${what}: the device is closed, and the kernel refused to unmap them; they stay mapped until the last device of its IOMMU group is closed`;
      throw new IsmioError('ERR_ISMIO_CLOSED', text, { ...values, bdf: this.#bdf });
    }
    const done = checked(this.#access.unmapCall, this.#access.unmap(iova, length), what, values);
    if (done === length) return;
    const text = `${what}: ${this.#access.unmapCall} unmapped ${done} bytes`;
    throw new IsmioError('ERR_ISMIO_VFIO', text, { ...values, bytesDone: done });
  }
}

function exact(iova: bigint): number {
  const number = Number(iova);
  if (Number.isSafeInteger(number)) return number;
  throw rangeError('ERR_ISMIO_VALUE', `bus address ${hex(iova)} is not exact as a number; use iova, or its halves`, {
    iova,
  });
}

/** The IOMMU maps pages, so the buffer begins at one and gets all of its last one, which is nobody else's. */
function pagesOf(buffer: Uint8Array): { length: number; memory: number } {
  if (!types.isUint8Array(buffer)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `buffer must be a Uint8Array of allocBuffer, not ${shown(buffer)}`);
  }
  const { byteOffset, byteLength } = buffer;
  const memory = memoryOf(buffer.buffer);
  const rest = (memory?.size ?? buffer.buffer.byteLength) - byteOffset - byteLength;
  if (byteLength === 0 || byteOffset % pageSize !== 0 || (byteLength % pageSize !== 0 && rest !== 0)) {
    throw rangeError(
      'ERR_ISMIO_OPTION',
      `a buffer for DMA is whole pages of ${pageSize} bytes; this view has ${byteLength} bytes at ${byteOffset}`,
      { offset: byteOffset, length: byteLength },
    );
  }
  if (memory === undefined) {
    const text =
      'only memory of allocBuffer, of this copy of the package, stays where it is as DMA needs; copy the bytes there';
    throw rangeError('ERR_ISMIO_OPTION', text);
  }
  return { length: Math.ceil(byteLength / pageSize) * pageSize, memory: memory.id };
}

/**
 * Gives every page its memory. Before Linux 6.2, what is pinned for a device that only reads is the shared page of zeros where
 * nothing was stored yet (mm/gup.c, "reliable R/O long-term pinning in COW mappings"): it would never see what is stored later.
 */
function populate(buffer: Uint8Array): void {
  for (let at = 0; at < buffer.length; at += pageSize) Atomics.or(buffer, at, 0);
}

function checkBoundary(value: bigint, length: number): bigint {
  const boundary = checkAddress(value, 'boundary');
  const power = boundary >= BigInt(pageSize) && (boundary & (boundary - 1n)) === 0n;
  if (power && BigInt(length) <= boundary) return boundary;
  const text = `boundary must be a power of two, ${pageSize} at least and as long as the buffer of ${length} bytes, not ${shown(value)}`;
  throw rangeError('ERR_ISMIO_OPTION', text, { boundary, length });
}

function checkAddress(value: bigint, what: string): bigint {
  if (typeof value === 'bigint' && value >= 0n && value <= noLimit) return value;
  if (typeof value !== 'bigint') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a bigint, not ${shown(value)}`, { [what]: value });
  }
  throw rangeError('ERR_ISMIO_OPTION', `${what} must be from 0n to 2n ** 64n - 1n, not ${shown(value)}`, {
    [what]: value,
  });
}
