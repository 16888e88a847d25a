// A batch as it is replayed: which operations of which runs, and where their loads went.
import type { OperationOutcome } from '../queue/outcomes.js';
import { limits, stores } from './format.js';
import { type Interval, joined } from './intervals.js';
import type { ReplayRegion } from './replay-region.js';
import { behind, lengthAt, placeOf, type Run } from './run.js';

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

/** An operation of a batch, as it was handed to the engine: its payload is at `at`. */
type UseOperation = (run: Run, offset: number, length: number, at: number) => void;

/** The same when it has ended: how many of its bytes went through, and, of a load, where they are. */
export type UseEnded = (run: Run, offset: number, length: number, at: number, done: number, loaded: Loaded) => void;

/** The offsets of the run that is looked at. */
const scratch = new Float64Array(limits.run);

export class Batch {
  readonly region: ReplayRegion;
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

  constructor(region: ReplayRegion) {
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

  /** Calls `use` for every operation in order, when the batch has ended; `outcomes` are of those that are not done. */
  eachEnded(outcomes: readonly OperationOutcome[], use: UseEnded): void {
    const notDone = new Map(outcomes.map((outcome) => [outcome.index, outcome]));
    let index = 0;
    let load = 0;
    this.#each((run, offset, length, at) => {
      const outcome = notDone.get(index++);
      const done = outcome === undefined || outcome.state === 'done' ? length : outcome.bytesDone;
      use(run, offset, length, at, done, run.kind === 'load' ? (this.loads[load++] ?? null) : null);
    });
  }

  /** The bytes it touches, ascending and joined: worked out when first asked for, after the last operation was added. */
  get touched(): readonly Interval[] {
    this.#touched ??= this.#intervals(() => true);
    return this.#touched;
  }

  /** The same of those that it stores to. */
  get stored(): readonly Interval[] {
    if (this.#stored === null) {
      const all = this.pieces.every(({ run }) => run.kind !== 'load');
      this.#stored = all ? this.touched : this.#intervals(({ kind }) => stores(kind));
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

  #intervals(wanted: (run: Run) => boolean): Interval[] {
    const all: Interval[] = [];
    this.#each((run, offset, length) => {
      if (run.kind !== 'fence' && length > 0 && wanted(run)) all.push({ start: offset, end: offset + length });
    });
    return joined(all);
  }

  #each(use: UseOperation): void {
    for (const { run, first, count, at: from, cut } of this.pieces) {
      run.offsets(scratch);
      let at = from;
      for (let index = first; index < first + count; index++) {
        const length = lengthAt(run.lengths, index);
        at = placeOf(run, at, length);
        use(run, scratch[index] as number, cut ?? length, at);
        at = behind(run, at, length);
      }
    }
  }
}
