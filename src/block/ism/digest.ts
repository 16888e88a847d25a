// The digest of data on their way from one end to the other: CRC32C, over the bytes of a write or a read alone.
import { memoryId } from '../../access/memory.js';
import { native } from '../../addon/binding.js';
import { IsmioError } from '../../support/errors.js';

export function digestOf(bytes: Uint8Array): number {
  return native.crc32c(bytes, 0);
}

export function digestOfAll(pieces: readonly Uint8Array[]): number {
  let digest = 0;
  for (const piece of pieces) digest = native.crc32c(piece, digest);
  return digest;
}

/** Whether what is moved of it is copied at once: what is sent later from where it lies may have changed until then. */
export function isCopied({ buffer }: Uint8Array): boolean {
  return memoryId(buffer) === undefined;
}

/** Data that are not what their digest was made of. `computed` is null where the far end has it. */
export function digestError(
  what: 'read' | 'write',
  values: { offset: number; length: number },
  digests: { expected: number; computed: number } | null,
): IsmioError {
  const { offset, length } = values;
  const which = digests === null ? '' : ` (${hex(digests.computed)}, and not ${hex(digests.expected)})`;
  const so =
    what === 'write' ? 'nothing was written; write it again' : 'nothing of them is to be used; read them again';
  const text = `the ${length} bytes of a ${what} at ${offset} came with another digest than they were sent with${which}: ${so}`;
  return new IsmioError('ERR_ISMIO_BLOCK_DIGEST', text, { ...values, ...digests, errno: 'EIO' });
}

function hex(digest: number): string {
  return `0x${digest.toString(16).padStart(8, '0')}`;
}
