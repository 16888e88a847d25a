// Operations of a run onto a queue: many in one call where the queue takes many.
import type { ReplayQueue } from './replay-region.js';
import { behind, lengthAt, placeOf, type Run } from './run.js';

/** How far a run is claimed: the next operation, and where the payload of the one before it ended. */
export interface Cursor {
  readonly index: number;
  readonly at: number;
}

/** Queues a load, whose bytes may have to be kept; false where there is no room. */
export type Load = (offset: number, length: number) => boolean;

/** Claims the operations of the run from the cursor to `end`, as many as there is room for. How far it came. */
export function claim(
  queue: ReplayQueue,
  run: Run,
  offsets: Float64Array,
  from: Cursor,
  end: number,
  load: Load,
): Cursor {
  if (run.kind === 'store' && run.lengths === 8) return claimWords(queue, run, offsets, from, end);
  if (run.kind === 'write') return claimWrites(queue, run, offsets, from, end);
  let { index, at } = from;
  for (; index < end; index++) {
    const length = lengthAt(run.lengths, index);
    at = placeOf(run, at, length);
    if (!claimOne(queue, run, offsets[index] as number, length, at, load)) break;
    at = behind(run, at, length);
  }
  return { index, at };
}

/** Claims one operation of the run, or its first `length` bytes: of a store in part, nobody knows the accesses. */
export function claimOne(
  queue: ReplayQueue,
  run: Run,
  offset: number,
  length: number,
  at: number,
  load: Load,
): boolean {
  const { kind, bytes } = run;
  if (kind === 'load') return load(offset, length);
  if (kind === 'fence') return queue.fence(run.purpose);
  if (kind === 'write' || length !== run.lengths) return queue.write(offset, bytes, at, length);
  return storeOne(queue, offset, length, bytes, at);
}

/** What takes single stores: a queue, or a region. */
interface Stores<T> {
  store8(offset: number, value: number): T;
  store16(offset: number, value: number): T;
  store32(offset: number, value: number): T;
  store64(offset: number, value: bigint): T;
}

/** Makes one store of the bytes at `at`. */
export function storeOne<T>(to: Stores<T>, offset: number, width: number, bytes: Uint8Array, at: number): T {
  const low = bytes[at] as number;
  if (width === 1) return to.store8(offset, low);
  if (width === 2) return to.store16(offset, low | ((bytes[at + 1] as number) << 8));
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, width);
  if (width === 4) return to.store32(offset, view.getUint32(0, true));
  return to.store64(offset, view.getBigUint64(0, true));
}

/** Of the operations [first, end). */
export function bytesBetween(run: Run, first: number, end: number): number {
  const { lengths } = run;
  if (end - first === run.count) return run.sum;
  if (typeof lengths === 'number') return (end - first) * lengths;
  let bytes = 0;
  for (let index = first; index < end; index++) bytes += lengths[index] as number;
  return bytes;
}

function claimWords(queue: ReplayQueue, run: Run, offsets: Float64Array, from: Cursor, end: number): Cursor {
  let { index, at } = from;
  while (index < end) {
    at = placeOf(run, at, 8);
    const most = Math.min(end - index, Math.floor((run.bytesEnd - at) / 8));
    const places = run.regular
      ? { first: run.firstOffset + index * run.stride, stride: run.stride }
      : offsets.subarray(index, index + most);
    const stored = queue.storeMany(places, run.words(at, most), 0, most);
    index += stored;
    at += 8 * stored;
    if (stored < most) break;
  }
  return { index, at };
}

/** As many at once as there is payload up to its end; made-up bytes go on at 0 then. */
function claimWrites(queue: ReplayQueue, run: Run, offsets: Float64Array, from: Cursor, end: number): Cursor {
  const { lengths } = run;
  let { index, at } = from;
  while (index < end) {
    at = placeOf(run, at, lengthAt(lengths, index));
    const reach = reachOf(run, index, end, at);
    const some = typeof lengths === 'number' ? lengths : lengths.subarray(index);
    const queued = queue.writeMany(offsets.subarray(index, reach), some, run.bytes, at);
    at += bytesBetween(run, index, index + queued);
    index += queued;
    if (index < reach) break;
  }
  return { index, at };
}

/** Up to which operation the payload lies in one piece, from `at` on. */
function reachOf({ lengths, sum, bytesEnd }: Run, first: number, end: number, at: number): number {
  if (at + sum <= bytesEnd) return end;
  let next = first;
  for (let left = bytesEnd - at; next < end && lengthAt(lengths, next) <= left; next++) left -= lengthAt(lengths, next);
  return next;
}
