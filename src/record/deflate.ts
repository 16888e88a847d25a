// Deflates what becomes shorter by it: now, or on a thread of the pool that Node.js has for such work.
import { zlib } from '../support/builtins.js';

/** So many bytes tell whether the rest is worth deflating. */
const sampleBytes = 1 << 16;
/** Less than this is not worth the time. */
const leastBytes = 256;
/** It is, when this share of them is left at most. */
const worthwhile = 0.8;
const level = 4;

/** Null where it would not be much shorter. */
export function deflateNow(content: Uint8Array): Uint8Array | null {
  if (!promising(content)) return null;
  return shorter(content, zlib().deflateRawSync(content, { level }));
}

/** The same, while this thread does something else. The content has to stay as it is until `done` is called, in a later turn. */
export function deflateLater(
  content: Uint8Array,
  done: (error: Error | null, deflated: Uint8Array | null) => void,
): void {
  if (!promising(content)) {
    setImmediate(done, null, null);
    return;
  }
  // In one piece where it is worth it: otherwise each chunk of 16 KiB is a turn of the event loop.
  const chunkSize = Math.max(1024, Math.ceil(content.length * worthwhile));
  zlib().deflateRaw(content, { level, chunkSize }, (error, deflated) => {
    done(error, error === null ? shorter(content, deflated) : null);
  });
}

function promising(content: Uint8Array): boolean {
  if (content.length < leastBytes) return false;
  const sample = content.subarray(0, sampleBytes);
  return zlib().deflateRawSync(sample, { level: 1 }).length <= sample.length * worthwhile;
}

function shorter(content: Uint8Array, deflated: Uint8Array): Uint8Array | null {
  return deflated.length > content.length * worthwhile ? null : deflated;
}
