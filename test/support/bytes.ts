// Bytes that give away where they came from.
import type { Region } from 'ismio';

/** `length` bytes in which neighbours, and places 256 apart, differ; never 0. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 1 + ((i * 7 + (i >>> 8) * 31 + seed * 53) % 255));
}

/** What is in the region. */
export function contents(region: Region, offset = 0, length = region.size - offset): Uint8Array {
  const bytes = new Uint8Array(length);
  region.read(offset, bytes);
  return bytes;
}
