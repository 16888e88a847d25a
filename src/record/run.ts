// A run of operations as it stands in its block: columns are looked at where they are.
import { endianness } from 'node:os';
import type { Rules } from '../access/rules.js';
import type { Fence } from '../addon/wire.js';
import type { Block } from './buffers.js';
import { loads, type OperationKind, type Origin, offsetModes } from './format.js';

/** A region of a recording. */
export interface RecordedRegion {
  /** Its number in the recording, from 0 on. */
  readonly number: number;
  /** The name that the region had. */
  readonly name: string;
  /** How long the region was, in bytes. */
  readonly size: number;
  /** Whether it was touched with exactly the accesses asked for ('device'), or copied. */
  readonly kind: 'device' | 'memory';
  /** Whether the region could be stored to. */
  readonly writable: boolean;
  /** What one store to it could be. */
  readonly rules: Rules;
}

/** A queue of a recording. */
export interface RecordedQueue {
  readonly number: number;
  readonly region: RecordedRegion;
  readonly depth: number;
  readonly merge: 'none' | 'adjacent' | 'any';
  readonly order: 'strict' | 'relaxed';
}

/** What the operations of a run come to together. */
export interface Extent {
  /** The lowest offset and the highest end; NaN where an offset is no whole number. */
  readonly lowest: number;
  readonly end: number;
  /** The low bits of all offsets, put together: 0 below a power of two where all are multiples of it. */
  readonly bits: number;
  /** The length of the longest, and of all. */
  readonly longest: number;
  readonly sum: number;
}

/** Where a copy comes from. */
export interface CopySource {
  readonly region: RecordedRegion;
  readonly offset: number;
}

const little = endianness() === 'LE';
const nowhere: Extent = { lowest: 0, end: 0, bits: 0, longest: 0, sum: 0 };

export class Run {
  readonly block: Block;
  readonly origin: Origin;
  readonly kind: OperationKind;
  readonly region: RecordedRegion;
  /** Of queued operations. */
  readonly queue: RecordedQueue | null;
  readonly count: number;
  /** Of the first, in nanoseconds since the recording began. */
  time = 0;
  offsetMode: number = offsetModes.stride;
  firstOffset = 0;
  stride = 0;
  lengths: Lengths = 0;
  /** Of the lengths of all operations. */
  sum = 0;
  extent: Extent = nowhere;
  // Where the columns are in the block; there may be none of the times, which is 0.
  offsetsAt = 0;
  timesAt = 0;
  /** Of an operation that failed; null for one that did not. */
  bytesDone: number | null = null;
  /** A further piece of the operation before it. */
  continued = false;
  source: CopySource | null = null;
  /** Of a fence. */
  purpose: Fence = 'full';
  /** Whether the recording has the bytes of its operations. */
  carries = false;
  // These bytes, one operation's after the other's, in memory that the engine reads in place. Where they end they go on at 0:
  // made-up bytes go round. Of queued loads, which have their bytes when their batch has ended, `bytesAt` is where in those
  // of the batch they begin.
  bytes: Uint8Array;
  bytesAt = 0;
  bytesEnd = 0;

  constructor(
    block: Block,
    origin: Origin,
    kind: OperationKind,
    region: RecordedRegion,
    queue: RecordedQueue | null,
    count: number,
  ) {
    this.block = block;
    this.origin = origin;
    this.kind = kind;
    this.region = region;
    this.queue = queue;
    this.count = count;
    this.bytes = block.bytes;
  }

  /** How many of the bytes are those of an operation of this length. */
  carried(length: number): number {
    if (!this.carries) return 0;
    return this.bytesDone === null || !loads(this.kind) ? length : Math.min(this.bytesDone, length);
  }

  /** Whether the offsets are those of every `stride` bytes, and the lengths all the same. */
  get regular(): boolean {
    return this.offsetMode === offsetModes.stride && typeof this.lengths === 'number';
  }

  /** Puts the offsets into `target`. */
  offsets(target: Float64Array): void {
    const { count, offsetMode, firstOffset, stride } = this;
    if (offsetMode === offsetModes.stride) {
      for (let index = 0; index < count; index++) target[index] = firstOffset + index * stride;
    } else if (offsetMode === offsetModes.deltas) {
      const deltas = columnAt(this.block, this.offsetsAt, count, Int32Array);
      let offset = firstOffset;
      for (let index = 0; index < count; index++) {
        offset += deltas[index] as number;
        target[index] = offset;
      }
    } else target.set(columnAt(this.block, this.offsetsAt, count, Float64Array));
  }

  /** Works out its extent; puts the offsets into `target` where it is not regular. */
  measure(target: Float64Array): void {
    const { count, firstOffset, stride, lengths } = this;
    if (this.offsetMode === offsetModes.stride && typeof lengths === 'number') {
      const last = firstOffset + (count - 1) * stride;
      const [lowest, highest] = last < firstOffset ? [last, firstOffset] : [firstOffset, last];
      const bits = firstOffset | stride;
      this.extent = { lowest, end: highest + lengths, bits, longest: lengths, sum: lengths * count };
    } else {
      this.offsets(target);
      this.extent = extentOf(target, lengths, count);
    }
    this.sum = this.extent.sum;
  }

  /** Nanoseconds since the recording began, of each. */
  times(): Float64Array {
    const { time, timesAt, count } = this;
    const times = new Float64Array(count).fill(time);
    if (timesAt === 0) return times;
    const gaps = columnAt(this.block, timesAt, count, Uint32Array);
    for (let index = 1; index < count; index++) times[index] = (times[index - 1] as number) + (gaps[index] as number);
    return times;
  }

  /** `count` pairs of words, least significant first, at `at` of the payload's bytes. */
  words(at: number, count: number): Uint32Array {
    const { bytes } = this;
    if (little) return new Uint32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + at, 2 * count);
    return swapped(bytes, at, 2 * count, Uint32Array) as Uint32Array;
  }
}

export function lengthAt(lengths: Lengths, index: number): number {
  return typeof lengths === 'number' ? lengths : (lengths[index] as number);
}

/** Where the payload of an operation is when that of the one before it ended at `at`: made-up bytes go round. */
export function placeOf(run: Run, at: number, length: number): number {
  return at + run.carried(length) > run.bytesEnd ? 0 : at;
}

export function behind(run: Run, at: number, length: number): number {
  return at + run.carried(length);
}

function extentOf(offsets: Float64Array, lengths: Lengths, count: number): Extent {
  let lowest = Number.POSITIVE_INFINITY;
  let [end, bits, longest, sum] = [0, 0, 0, 0];
  for (let index = 0; index < count; index++) {
    const offset = offsets[index] as number;
    const length = typeof lengths === 'number' ? lengths : (lengths[index] as number);
    if (Math.floor(offset) !== offset) lowest = Number.NaN;
    bits |= offset;
    if (offset < lowest) lowest = offset;
    if (offset + length > end) end = offset + length;
    if (length > longest) longest = length;
    sum += length;
  }
  return { lowest, end, bits, longest, sum };
}

export type Lengths = number | Uint16Array | Uint32Array;

type Column = typeof Uint16Array | typeof Uint32Array | typeof Int32Array | typeof Float64Array;

export function columnAt<C extends Column>(block: Block, at: number, count: number, column: C): InstanceType<C> {
  const { bytes } = block;
  const made = little
    ? new column(bytes.buffer as ArrayBuffer, bytes.byteOffset + at, count)
    : swapped(bytes, at, count, column);
  return made as InstanceType<C>;
}

/** What little-endian bytes mean to a machine of the other order. */
function swapped(bytes: Uint8Array, at: number, count: number, column: Column): InstanceType<Column> {
  const copy = Buffer.from(Uint8Array.from(bytes.subarray(at, at + count * column.BYTES_PER_ELEMENT)).buffer);
  if (column.BYTES_PER_ELEMENT === 2) copy.swap16();
  else if (column.BYTES_PER_ELEMENT === 4) copy.swap32();
  else copy.swap64();
  return new column(copy.buffer, copy.byteOffset, count);
}
