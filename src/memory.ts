// Buffers that the engine reads without a copy.
import { native } from './binding.js';
import { checkWhole } from './check.js';
import { IsmioError, rangeError } from './errors.js';

const ids = new WeakMap<ArrayBufferLike, number>();

/**
 * Page-aligned memory, zeroed: `queue.write` and the pool take it without a copy, and it can be mapped for DMA. It is given
 * back when it has been garbage-collected and no operation in flight uses it.
 * @param bytes 1 to 2^40
 * @throws IsmioError ERR_ISMIO_NO_MEMORY
 */
export function allocBuffer(bytes: number): Uint8Array<ArrayBuffer> {
  const size = checkWhole(bytes, 'bytes');
  if (size < 1 || size > 2 ** 40) {
    throw rangeError('ERR_ISMIO_OPTION', `bytes must be from 1 to 2^40, not ${size}`, { bytes });
  }
  const made = native.allocate(size);
  if (made === undefined) {
    throw new IsmioError('ERR_ISMIO_NO_MEMORY', `the system has no ${size} bytes of memory left`, { bytes });
  }
  ids.set(made.buffer, made.id);
  return new Uint8Array(made.buffer);
}

/** The number under which any thread's addon finds this buffer's memory; undefined for memory that is not ours. */
export function memoryId(buffer: ArrayBufferLike): number | undefined {
  return ids.get(buffer);
}
