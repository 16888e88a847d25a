// Buffers that the engine reads without a copy.
import { constants } from 'node:buffer';
import { native } from './binding.js';
import { checkWhole } from './check.js';
import { IsmioError, rangeError } from './errors.js';

/**
 * Bytes in an ArrayBuffer of their own: Uint8Array<ArrayBuffer>, and plain Uint8Array before TypeScript 5.7, which does not
 * know it as generic.
 */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['of']>;

const ids = new WeakMap<ArrayBufferLike, number>();

/**
 * Page-aligned memory, zeroed: `queue.write` and the pool take it without a copy, and it can be mapped for DMA. It is given
 * back when it has been garbage-collected and no operation in flight uses it.
 * @param bytes 1 to what an ArrayBuffer of this Node.js can have (buffer.constants.MAX_LENGTH)
 * @throws IsmioError ERR_ISMIO_NO_MEMORY
 */
export function allocBuffer(bytes: number): OwnBytes {
  const size = checkWhole(bytes, 'bytes');
  if (size < 1 || size > constants.MAX_LENGTH) {
    const text = `bytes must be from 1 to ${constants.MAX_LENGTH}, the most that this Node.js takes, not ${size}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { bytes });
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
