// A batch as it is replayed: which operations of which runs, and where their loads went.
import type { Region } from '../region/region.js';
import { stores } from './format.js';
import type { Lengths, Run } from './run.js';

/** Operations [first, first + count) of a run, handed to the engine one after the other. */
export interface Piece {
  readonly run: Run;
  readonly first: number;
  readonly count: number;
  /** Where the payload of the first is. */
  readonly at: number;
  /** The length of the only one, where it is not that of the run. */
  readonly cut: number | null;
}

/** Where a load put its bytes; null where they are not looked at. */
export type Loaded = { readonly bytes: Uint8Array; readonly at: number } | null;

/** Contested pieces that a batch may have, however few it has of its own. */
const leastPieces = 1024;

export interface Interval {
  readonly start: number;
  readonly end: number;
}

/** An operation of a batch, as it was handed to the engine. */
export type UseOperation = (index: number, run: Run, offset: number, length: number, at: number) => void;

export class Batch {
  readonly region: Region;
  /** Of the recorded batch that it is, or a part of. */
  number = 0;
  readonly pieces: Piece[] = [];
  readonly loads: Loaded[] = [];
  /** Memory of the loads, to be given back. */
  readonly memory: Uint8Array[] = [];
  operations = 0;
  /** Of all operations. */
  bytes = 0;
  #touched: readonly Interval[] | null = null;
  #stored: readonly Interval[] | null = null;
  #contested: Interval[] = [];
  #contestedWhole = false;
  /** Of a drain: what it came to. */
  settled: Promise<Error | null> | null = null;

  constructor(region: Region) {
    this.region = region;
  }

  /** @param bytes of all operations of the piece */
  add(piece: Piece, bytes: number): void {
    piece.run.block.hold();
    this.pieces.push(piece);
    this.operations += piece.count;
    this.bytes += bytes;
  }

  release(): void {
    for (const { run } of this.pieces) run.block.release();
    this.pieces.length = 0;
  }

  /** Calls `use` for every operation in order. `scratch` has room for the offsets of a run. */
  each(scratch: Float64Array, use: UseOperation): void {
    let index = 0;
    for (const piece of this.pieces) {
      eachOf(piece, scratch, (run, offset, length, at) => use(index++, run, offset, length, at));
    }
  }

  /** The bytes it touches, ascending and joined: worked out when first asked for, after the last operation was added. */
  touched(scratch: Float64Array): readonly Interval[] {
    this.#touched ??= this.#intervals(scratch, () => true);
    return this.#touched;
  }

  /** The same of those that it stores to. */
  stored(scratch: Float64Array): readonly Interval[] {
    if (this.#stored === null) {
      const all = this.pieces.every(({ run }) => run.kind !== 'load');
      this.#stored = all ? this.touched(scratch) : this.#intervals(scratch, ({ kind }) => stores(kind));
    }
    return this.#stored;
  }

  /** Bytes that somebody else touched at the same time. */
  get contested(): readonly Interval[] {
    return this.#contestedWhole ? (this.#touched ?? []) : this.#contested;
  }

  /** Notes such bytes. A batch of which there are ever more pieces is contested as a whole: they would take all memory. */
  contest(bytes: Interval): void {
    if (this.#contestedWhole) return;
    const most = Math.max(leastPieces, this.#touched?.length ?? 0);
    if (this.#contested.push(bytes) < 2 * most) return;
    this.#contested = joined(this.#contested);
    this.#contestedWhole = this.#contested.length > most;
  }

  #intervals(scratch: Float64Array, wanted: (run: Run) => boolean): Interval[] {
    const all: Interval[] = [];
    this.each(scratch, (_, run, offset, length) => {
      if (run.kind !== 'fence' && length > 0 && wanted(run)) all.push({ start: offset, end: offset + length });
    });
    return joined(all);
  }
}

/** The same of the operations of one piece. */
export function eachOf(
  piece: Piece,
  scratch: Float64Array,
  use: (run: Run, offset: number, length: number, at: number) => void,
): void {
  const { run, first, count, cut } = piece;
  const lengths = run.lengths();
  run.offsets(scratch, lengths);
  let at = piece.at;
  for (let index = first; index < first + count; index++) {
    const length = lengthAt(lengths, index);
    at = placeOf(run, at, length);
    use(run, scratch[index] as number, cut ?? length, at);
    at = behind(run, at, length);
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

/** In ascending order, those that touch in one. Changes the list. */
export function joined(intervals: Interval[]): Interval[] {
  intervals.sort((a, b) => a.start - b.start);
  const result: { start: number; end: number }[] = [];
  for (const { start, end } of intervals) {
    const last = result.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}

/** Calls `use` with what two ascending lists have in common: walks the shorter one, and looks up in the longer one. */
export function eachCommon(one: readonly Interval[], other: readonly Interval[], use: (both: Interval) => void): void {
  const [few, many] = one.length < other.length ? [one, other] : [other, one];
  let from = 0;
  for (const { start, end } of few) {
    from = firstBehind(many, start, from);
    for (let at = from; at < many.length && (many[at] as Interval).start < end; at++) {
      const next = many[at] as Interval;
      use({ start: Math.max(start, next.start), end: Math.min(end, next.end) });
    }
  }
}

/** Index of the first interval, from this one on, that does not end before `start`. */
function firstBehind(intervals: readonly Interval[], start: number, from: number): number {
  let [low, high] = [from, intervals.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((intervals[middle] as Interval).end > start) high = middle;
    else low = middle + 1;
  }
  return low;
}
