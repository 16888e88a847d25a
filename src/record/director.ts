// Operations that were not queued: calls of a region, and a pool's transfers, each as one call.
import type { Region } from '../region/region.js';
import { behind, type Interval, lengthAt, placeOf } from './batch.js';
import { loads, stores } from './format.js';
import type { Pace } from './pace.js';
import type { Shared } from './player.js';
import type { CopySource, Lengths, RecordedRegion, Run } from './run.js';

/** What an access takes, in bytes that are moved in the same time; to look for it in a batch in flight takes about that. */
const accessWork = 256;

export class Director {
  readonly #shared: Shared;
  readonly #pace: Pace;
  readonly #regionOf: (recorded: RecordedRegion) => Region;
  readonly #word = new DataView(new ArrayBuffer(8));

  constructor(shared: Shared, pace: Pace, regionOf: (recorded: RecordedRegion) => Region) {
    this.#shared = shared;
    this.#pace = pace;
    this.#regionOf = regionOf;
  }

  /** Does the operations of a run. */
  direct(run: Run, offsets: Float64Array, lengths: Lengths): Promise<void> | void {
    const region = this.#regionOf(run.region);
    if (run.regular) run.offsets(offsets, lengths);
    const times = this.#pace.kept ? run.times() : null;
    return this.#from(0, run.bytesAt, { run, region, offsets, lengths, times });
  }

  #from(first: number, from: number, work: Work): Promise<void> | void {
    const { run, region, offsets, lengths, times } = work;
    const { turns, inFlight } = this.#shared;
    let at = from;
    for (let index = first; index < run.count; index++) {
      const wait = times === null ? undefined : this.#pace.until(times[index] as number);
      if (wait !== undefined) return wait.then(() => this.#from(index, at, { ...work, times: due(times, index) }));
      const length = lengthAt(lengths, index);
      at = placeOf(run, at, length);
      this.#one(region, run, offsets[index] as number, length, at);
      at = behind(run, at, length);
      const turn = turns.after(accessWork * (1 + inFlight.size) + length);
      if (turn !== undefined) return turn.then(() => this.#from(index + 1, at, work));
    }
  }

  /** One operation; of one that failed when it was recorded, as much as went through then. */
  #one(region: Region, run: Run, offset: number, length: number, at: number): void {
    const { bytesDone, kind } = run;
    const { verifier } = this.#shared;
    const wanted = bytesDone === null ? length : Math.min(bytesDone, length);
    if (bytesDone !== null && wanted === 0) return;
    const certain = this.#contest(region, run, offset, wanted);
    let done = wanted;
    try {
      this.#access(region, run, offset, wanted, at);
    } catch (error) {
      this.#shared.failed(error as Error);
      done = (error as { bytesDone?: number }).bytesDone ?? 0;
    }
    if (loads(kind)) this.#recall(region, run, offset, wanted, certain ? done : 0, at);
    if (verifier === null) return;
    if (stores(kind)) verifier.stored(region, run, offset, wanted, done, at);
    else if (kind === 'copy') this.#copied(region, run, offset, wanted, done);
    else if (kind === 'load' && done > 0) verifier.loaded(region, offset, this.#loaded, 0, done);
    else if (kind === 'read') verifier.loaded(region, offset, this.#shared.unseen, 0, done);
  }

  /** Holds what was loaded against what was loaded when it was recorded: its first `done` bytes. */
  #recall(region: Region, run: Run, offset: number, length: number, done: number, at: number): void {
    const { recall, unseen } = this.#shared;
    if (recall === null) return;
    const loaded = run.kind === 'load' ? this.#loaded : unseen;
    recall.direct(region, offset, length, loaded.subarray(0, done), run.bytes.subarray(at, at + done));
  }

  get #loaded(): Uint8Array {
    return new Uint8Array(this.#word.buffer);
  }

  #access(region: Region, run: Run, offset: number, length: number, at: number): void {
    const { kind } = run;
    const bytes = (): Uint8Array => run.bytes.subarray(at, at + length);
    if (kind === 'load') this.#load(region, offset, length);
    else if (kind === 'store') store(region, offset, length, run.bytes, at);
    else if (kind === 'storeBlock') region.storeBlock(offset, bytes());
    else if (kind === 'write') region.write(offset, bytes());
    else if (kind === 'read') region.read(offset, this.#shared.unseen.subarray(0, length));
    else if (kind === 'copy') this.#copy(region, run, offset, length);
    else region.fence(run.purpose);
  }

  #load(region: Region, offset: number, width: number): void {
    if (width === 1) this.#word.setUint8(0, region.load8(offset));
    else if (width === 2) this.#word.setUint16(0, region.load16(offset), true);
    else if (width === 4) this.#word.setUint32(0, region.load32(offset), true);
    else this.#word.setBigUint64(0, region.load64(offset), true);
  }

  #copy(region: Region, run: Run, offset: number, length: number): void {
    const from = sourceOf(run, offset);
    if (from === null) return;
    const bytes = this.#shared.unseen.subarray(0, length);
    this.#regionOf(from.region).read(from.offset, bytes);
    region.write(offset, bytes);
  }

  #copied(region: Region, run: Run, offset: number, length: number, done: number): void {
    const { verifier } = this.#shared;
    const from = sourceOf(run, offset);
    if (from === null) verifier?.forget(region, offset, length);
    else verifier?.copied(region, offset, this.#regionOf(from.region), from.offset, done);
    if (done < length) verifier?.forget(region, offset + done, length - done);
  }

  /** Notes what it has in common with batches in flight; whether that is nothing. */
  #contest(region: Region, run: Run, offset: number, length: number): boolean {
    const { contests, verifier, inFlight } = this.#shared;
    if (contests === null || inFlight.size === 0 || length === 0) return true;
    let certain = true;
    const add = (where: Region, from: number, stored: boolean): void =>
      contests.addDirect(where, from, length, !stored, inFlight, ({ start, end }: Interval) => {
        certain = false;
        verifier?.forget(where, start, end - start);
      });
    add(region, offset, !loads(run.kind));
    const source = sourceOf(run, offset);
    if (source !== null) add(this.#regionOf(source.region), source.offset, false);
    return certain;
  }
}

interface Work {
  readonly run: Run;
  readonly region: Region;
  readonly offsets: Float64Array;
  readonly lengths: Lengths;
  readonly times: Float64Array | null;
}

/** The same times, with this one past. */
function due(times: Float64Array | null, index: number): Float64Array | null {
  if (times !== null) times[index] = 0;
  return times;
}

/** Null for a copy from a region that was not recorded: such a copy is from itself to itself. */
function sourceOf(run: Run, offset: number): CopySource | null {
  const { source, region } = run;
  return source !== null && source.region.number === region.number && source.offset === offset ? null : source;
}

function store(region: Region, offset: number, width: number, bytes: Uint8Array, at: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, width);
  if (width === 1) region.store8(offset, view.getUint8(0));
  else if (width === 2) region.store16(offset, view.getUint16(0, true));
  else if (width === 4) region.store32(offset, view.getUint32(0, true));
  else region.store64(offset, view.getBigUint64(0, true));
}
