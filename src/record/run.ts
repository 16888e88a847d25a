// A run of operations as it stands in its block: columns are looked at where they are.
import { endianness } from 'node:os';
import type { Rules } from '../region/rules.js';
import type { Fence } from '../wire.js';
import type { Block } from './buffers.js';
import { lengthModes, loads, type OperationKind, type Origin, offsetModes } from './format.js';

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

/** The lowest offset of a run and its highest end; NaN where an offset is no whole number. */
export interface Extent {
  readonly lowest: number;
  readonly end: number;
  /** The low bits of all offsets, put together: 0 below a power of two where all are multiples of it. */
  readonly bits: number;
}

/** Where a copy comes from. */
export interface CopySource {
  readonly region: RecordedRegion;
  readonly offset: number;
}

const little = endianness() === 'LE';

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
  lengthMode: number = lengthModes.same;
  sameLength = 0;
  /** Of the lengths of all operations. */
  sum = 0;
  // Where the columns are in the block; there may be none of the times, which is 0.
  offsetsAt = 0;
  lengthsAt = 0;
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
    return this.offsetMode === offsetModes.stride && this.lengthMode === lengthModes.same;
  }

  /** Of a regular run. */
  extent(): Extent {
    const last = this.firstOffset + (this.count - 1) * this.stride;
    const [lowest, highest] = last < this.firstOffset ? [last, this.firstOffset] : [this.firstOffset, last];
    return { lowest, end: highest + this.sameLength, bits: this.firstOffset | this.stride };
  }

  /** Puts the offsets into `target`. */
  offsets(target: Float64Array, lengths: Lengths): Extent {
    const { count, offsetMode, firstOffset, stride } = this;
    if (offsetMode === offsetModes.stride) {
      for (let index = 0; index < count; index++) target[index] = firstOffset + index * stride;
    } else if (offsetMode === offsetModes.deltas) {
      return this.#nearOffsets(target, lengths);
    } else target.set(columnAt(this.block, this.offsetsAt, count, Float64Array));
    return extentOf(target, lengths, count);
  }

  /** The same of offsets that stand as distances: whole numbers, as the first is. */
  #nearOffsets(target: Float64Array, lengths: Lengths): Extent {
    const { count } = this;
    const deltas = columnAt(this.block, this.offsetsAt, count, Int32Array);
    let offset = this.firstOffset;
    let lowest = offset;
    let end = 0;
    let bits = offset | 0;
    for (let index = 0; index < count; index++) {
      const delta = deltas[index] as number;
      bits |= delta;
      offset += delta;
      target[index] = offset;
      if (offset < lowest) lowest = offset;
      const last = offset + (typeof lengths === 'number' ? lengths : (lengths[index] as number));
      if (last > end) end = last;
    }
    return { lowest, end, bits };
  }

  /** One for all, or one for each. */
  lengths(): Lengths {
    const { lengthMode, sameLength, lengthsAt, count } = this;
    if (lengthMode === lengthModes.same) return sameLength;
    return columnAt(this.block, lengthsAt, count, lengthMode === lengthModes.u16 ? Uint16Array : Uint32Array);
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

function extentOf(offsets: Float64Array, lengths: Lengths, count: number): Extent {
  let lowest = Number.POSITIVE_INFINITY;
  let end = 0;
  let bits = 0;
  for (let index = 0; index < count; index++) {
    const offset = offsets[index] as number;
    if (Math.floor(offset) !== offset) return { lowest: Number.NaN, end: Number.NaN, bits };
    bits |= offset;
    if (offset < lowest) lowest = offset;
    const last = offset + (typeof lengths === 'number' ? lengths : (lengths[index] as number));
    if (last > end) end = last;
  }
  return { lowest, end, bits };
}

export type Lengths = number | Uint16Array | Uint32Array;

type Column = typeof Uint16Array | typeof Uint32Array | typeof Int32Array | typeof Float64Array;

function columnAt<C extends Column>(block: Block, at: number, count: number, column: C): InstanceType<C> {
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

/** The longest operation of a run, and the bytes of all of them. */
export function measure(lengths: Lengths, count: number): { longest: number; sum: number } {
  if (typeof lengths === 'number') return { longest: lengths, sum: lengths * count };
  let longest = 0;
  let sum = 0;
  for (let index = 0; index < count; index++) {
    const length = lengths[index] as number;
    sum += length;
    if (length > longest) longest = length;
  }
  return { longest, sum };
}
