// Bytes to store where a recording has none: the same in every replay, and no two words alike for long.
import { allocBuffer } from '../access/memory.js';
import { pieceBytes } from './format.js';

let made: Uint8Array | null = null;

export function madeUpBytes(): Uint8Array {
  made ??= make();
  return made;
}

function make(): Uint8Array {
  const bytes = allocBuffer(2 * pieceBytes);
  let state = 0x2545_f491;
  for (let at = 0; at < bytes.length; at++) {
    // xorshift32 (Marsaglia, "Xorshift RNGs", 2003)
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state >>> 11;
  }
  return bytes;
}
