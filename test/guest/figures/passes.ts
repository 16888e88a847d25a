// The engine's side of the comparisons with loops in C: a pass carries the same bytes to the same place.
import type { Queue, Region } from 'ismio';

/** Bytes of a pass. */
export const passBytes = 256 << 10;

/** Words queued by one call, one operation each. */
export function words(region: Region, offset: number, source: Uint8Array, merge: 'none' | 'adjacent'): () => void {
  const values = new BigUint64Array(source.buffer, source.byteOffset, passBytes / 8);
  const queue = region.queue({ depth: values.length, merge });
  return () => {
    if (queue.storeMany({ first: offset, stride: 8 }, values) !== values.length) throw full(queue);
    queue.submit();
  };
}

/** Writes of `length` bytes each, which the planner cuts into what the region takes. */
export function writes(
  region: Region,
  offset: number,
  source: Uint8Array,
  length: number,
  merge: 'none' | 'adjacent' = 'none',
): () => void {
  const queue = region.queue({ depth: passBytes / length, merge });
  return () => {
    for (let at = 0; at < passBytes; at += length) {
      if (!queue.write(offset + at, source, at, length)) throw full(queue);
    }
    queue.submit();
  };
}

function full(queue: Queue): Error {
  return new Error(`the queue is full with ${queue.queued} operations: a pass would be shorter than it says`);
}
