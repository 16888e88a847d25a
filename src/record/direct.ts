// Operations that were not queued: calls of a region, and a pool's transfers, each as one call.
import { storeOne } from './claims.js';
import type { ReplayContext } from './context.js';
import { loads, stores } from './format.js';
import type { Interval } from './intervals.js';
import type { Pace } from './pace.js';
import type { ReplayRegion } from './replay-region.js';
import { behind, type CopySource, lengthAt, placeOf, type RecordedRegion, type Run } from './run.js';

/** What an access takes, in bytes that are moved in the same time; to look for it in a batch in flight takes about that. */
const accessWork = 256;

export class DirectAccesses {
  readonly #context: ReplayContext;
  readonly #pace: Pace;
  readonly #regionOf: (recorded: RecordedRegion) => ReplayRegion;
  readonly #word = new DataView(new ArrayBuffer(8));

  constructor(context: ReplayContext, pace: Pace, regionOf: (recorded: RecordedRegion) => ReplayRegion) {
    this.#context = context;
    this.#pace = pace;
    this.#regionOf = regionOf;
  }

  /** Does the operations of a run. */
  repeat(run: Run, offsets: Float64Array): Promise<void> | void {
    const waits = this.#operations(run, offsets);
    const { value: first } = waits.next();
    if (first !== undefined) return waitForAll(first, waits);
  }

  /** Gives what has to be waited for before it goes on. */
  *#operations(run: Run, offsets: Float64Array): Generator<Promise<void>, undefined> {
    const region = this.#regionOf(run.region);
    if (run.regular) run.offsets(offsets);
    const times = this.#pace.kept ? run.times() : null;
    const { turns, inFlight } = this.#context;
    let at = run.bytesAt;
    for (let index = 0; index < run.count; index++) {
      const wait = times === null ? undefined : this.#pace.until(times[index] as number);
      if (wait !== undefined) yield wait;
      const length = lengthAt(run.lengths, index);
      at = placeOf(run, at, length);
      this.#one(region, run, offsets[index] as number, length, at);
      at = behind(run, at, length);
      const turn = turns.after(accessWork * (1 + inFlight.size) + length);
      if (turn !== undefined) yield turn;
    }
  }

  /** One operation; of one that failed when it was recorded, as much as went through then. */
  #one(region: ReplayRegion, run: Run, offset: number, length: number, at: number): void {
    const { bytesDone, kind } = run;
    const { verifier } = this.#context;
    const wanted = bytesDone === null ? length : Math.min(bytesDone, length);
    if (bytesDone !== null && wanted === 0) return;
    const certain = this.#contest(region, run, offset, wanted);
    let done = wanted;
    try {
      this.#access(region, run, offset, wanted, at);
    } catch (error) {
      this.#context.failed(error as Error);
      done = (error as { bytesDone?: number }).bytesDone ?? 0;
    }
    if (loads(kind)) this.#recall(region, run, offset, wanted, certain ? done : 0, at);
    if (verifier === null) return;
    if (stores(kind)) verifier.stored(region, run, offset, wanted, done, at);
    else if (kind === 'copy') this.#copied(region, run, offset, wanted, done);
    else if (kind === 'load' && done > 0) verifier.loaded(region, offset, this.#loaded, 0, done);
    else if (kind === 'read') verifier.loaded(region, offset, this.#context.unseen, 0, done);
  }

  /** Holds what was loaded against what was loaded when it was recorded: its first `done` bytes. */
  #recall(region: ReplayRegion, run: Run, offset: number, length: number, done: number, at: number): void {
    const { recall, unseen } = this.#context;
    if (recall === null) return;
    const loaded = run.kind === 'load' ? this.#loaded : unseen;
    recall.direct(region, offset, length, loaded.subarray(0, done), run.bytes.subarray(at, at + done));
  }

  get #loaded(): Uint8Array {
    return new Uint8Array(this.#word.buffer);
  }

  #access(region: ReplayRegion, run: Run, offset: number, length: number, at: number): void {
    const { kind } = run;
    const bytes = (): Uint8Array => run.bytes.subarray(at, at + length);
    if (kind === 'load') this.#load(region, offset, length);
    else if (kind === 'store') storeOne(region, offset, length, run.bytes, at);
    else if (kind === 'storeBlock') region.storeBlock(offset, bytes());
    else if (kind === 'write') region.write(offset, bytes());
    else if (kind === 'read') region.read(offset, this.#context.unseen.subarray(0, length));
    else if (kind === 'copy') this.#copy(region, run, offset, length);
    else region.fence(run.purpose);
  }

  #load(region: ReplayRegion, offset: number, width: number): void {
    if (width === 1) this.#word.setUint8(0, region.load8(offset));
    else if (width === 2) this.#word.setUint16(0, region.load16(offset), true);
    else if (width === 4) this.#word.setUint32(0, region.load32(offset), true);
    else this.#word.setBigUint64(0, region.load64(offset), true);
  }

  #copy(region: ReplayRegion, run: Run, offset: number, length: number): void {
    const from = sourceOf(run, offset);
    if (from === null) return;
    const bytes = this.#context.unseen.subarray(0, length);
    this.#regionOf(from.region).read(from.offset, bytes);
    region.write(offset, bytes);
  }

  #copied(region: ReplayRegion, run: Run, offset: number, length: number, done: number): void {
    const { verifier } = this.#context;
    const from = sourceOf(run, offset);
    if (from === null) verifier?.forget(region, offset, length);
    else verifier?.copied(region, offset, this.#regionOf(from.region), from.offset, done);
    if (done < length) verifier?.forget(region, offset + done, length - done);
  }

  /** Notes what it has in common with batches in flight; whether that is nothing. */
  #contest(region: ReplayRegion, run: Run, offset: number, length: number): boolean {
    const { contests, verifier, inFlight } = this.#context;
    if (contests === null || inFlight.size === 0 || length === 0) return true;
    let certain = true;
    const add = (where: ReplayRegion, from: number, stored: boolean): void =>
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

async function waitForAll(first: Promise<void>, waits: Iterable<Promise<void>>): Promise<void> {
  await first;
  for (const wait of waits) await wait;
}

/** Null for a copy from a region that was not recorded: such a copy is from itself to itself. */
function sourceOf(run: Run, offset: number): CopySource | null {
  const { source, region } = run;
  return source !== null && source.region.number === region.number && source.offset === offset ? null : source;
}
