// Buffers that the engine reads without a copy.
import { constants } from 'node:buffer';
import { native, noView } from './binding.js';
import { checkWhole } from './check.js';
import { type ErrorValues, IsmioError, rangeError } from './errors.js';

const ids = new WeakMap<ArrayBufferLike, number>();

/**
 * Page-aligned memory, zeroed: `queue.write` and the pool take it without a copy, and it can be mapped for DMA. It is given
 * back when it has been garbage-collected and no operation in flight uses it.
 * @param bytes 1 to what an ArrayBuffer of this Node.js can have (buffer.constants.MAX_LENGTH)
 * @throws IsmioError ERR_ISMIO_NO_MEMORY where the system has none left, ERR_ISMIO_NO_EXTERNAL_BUFFERS in a runtime that
 * lets no addon make buffers of its own, such as Electron
 */
export function allocBuffer(bytes: number): Uint8Array<ArrayBuffer> {
  const size = checkWhole(bytes, 'bytes');
  if (size < 1 || size > constants.MAX_LENGTH) {
    const text = `bytes must be from 1 to ${constants.MAX_LENGTH}, the most that this Node.js takes, not ${size}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { bytes });
  }
  const made = native.allocate(size);
  if (typeof made === 'number') throw noSharedMemory(made, `${size} bytes of memory`, { bytes });
  ids.set(made.buffer, made.id);
  return new Uint8Array(made.buffer);
}

/** Why the addon could not give memory that JavaScript sees as well: one of noView. */
export function noSharedMemory(why: number, what: string, values: ErrorValues): IsmioError {
  if (why !== noView.noExternalBuffers) {
    return new IsmioError('ERR_ISMIO_NO_MEMORY', `the system has no memory left for ${what}`, values);
  }
  const text =
    `no ${what}: this runtime allows no external buffers, as Electron does since its version 21. Queues, pools and ` +
    'allocBuffer are made of such; what a region does by itself works. Run ismio in a process of Node.js instead';
  return new IsmioError('ERR_ISMIO_NO_EXTERNAL_BUFFERS', text, values);
}

/** The number under which any thread's addon finds this buffer's memory; undefined for memory that is not ours. */
export function memoryId(buffer: ArrayBufferLike): number | undefined {
  return ids.get(buffer);
}
