// Buffers that a device reads and writes by itself.
import { checkFlag, checkOptions } from '../check.js';
import { IsmioError, rangeError, shown, typeError } from '../errors.js';
import { memoryOf } from '../memory.js';
import type { DeviceAccess } from './access.js';
import { checked } from './failure.js';
import { kernel } from './kernel.js';

export interface DmaOptions {
  /** Bus address, a multiple of the page size. Default: the lowest that is free. */
  iova?: bigint;
  /** Last bus address that the device can reach; for devices with fewer than 64 address bits. Default: no limit. */
  limit?: bigint;
  /** Whether the device may read the buffer. Default true. */
  readable?: boolean;
  /** Whether the device may write it. Default true. */
  writable?: boolean;
}

/** A buffer at a bus address, until it is unmapped. */
export interface DmaMapping {
  /** Bus address of the buffer's first byte. */
  readonly iova: bigint;
  /** In bytes. */
  readonly length: number;
  readonly buffer: Uint8Array;
  /** The device can no longer reach the buffer when it returns. Again: does nothing. */
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

  constructor(access: DeviceAccess, bdf: string) {
    this.#access = access;
    this.#bdf = bdf;
  }

  map(buffer: Uint8Array, options: DmaOptions): DmaMapping {
    checkOptions(options, ['iova', 'limit', 'readable', 'writable'], 'device.dmaMap');
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
    const { space } = this.#access;
    const iova =
      options.iova === undefined
        ? space.take(BigInt(length), limit)
        : space.claim(checkAddress(options.iova, 'iova'), BigInt(length), limit);
    if (!writable) populate(buffer);
    const answer = this.#access.map(iova, [memory, buffer.byteOffset, length], readable, writable);
    if (answer < 0) space.release(iova);
    checked(this.#access.mapCall, answer, `${length} bytes at bus address 0x${iova.toString(16)} of ${this.#bdf}`, {
      iova,
      length,
    });
    return this.#keep(iova, length, buffer);
  }

  /** Those there are. */
  get mappings(): readonly DmaMapping[] {
    return [...this.#mapped];
  }

  #keep(iova: bigint, length: number, buffer: Uint8Array): DmaMapping {
    const unmap = () => {
      if (!this.#mapped.delete(mapping)) return;
      const what = `${length} bytes at bus address 0x${iova.toString(16)} of ${this.#bdf}`;
      const done = checked(this.#access.unmapCall, this.#access.unmap(iova, length), what, { iova, length });
      if (done === length) return this.#access.space.release(iova);
      const text = `${what}: ${this.#access.unmapCall} unmapped ${done} bytes`;
      throw new IsmioError('ERR_ISMIO_VFIO', text, { iova, length, bytesDone: done });
    };
    const mapping: DmaMapping = Object.freeze({
      iova,
      length: buffer.byteLength,
      buffer,
      unmap,
      [Symbol.dispose]: unmap,
    });
    this.#mapped.add(mapping);
    return mapping;
  }
}

/** The IOMMU maps pages, so the buffer begins at one and gets all of its last one, which is nobody else's. */
function pagesOf(buffer: Uint8Array): { length: number; memory: number } {
  if (!(buffer instanceof Uint8Array)) {
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
    const text = 'only memory of allocBuffer stays where it is, as DMA needs; copy the bytes there';
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

function checkAddress(value: bigint, what: string): bigint {
  if (typeof value === 'bigint' && value >= 0n && value <= noLimit) return value;
  if (typeof value !== 'bigint') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a bigint, not ${shown(value)}`, { [what]: value });
  }
  throw rangeError('ERR_ISMIO_OPTION', `${what} must be from 0n to 2n ** 64n - 1n, not ${shown(value)}`, {
    [what]: value,
  });
}
