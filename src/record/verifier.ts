// The independent opinion on a replay: one model for each region, brought up to date as batches end, and compared with
// what was loaded and, in the end, with what the region holds.
import type { OperationOutcome } from '../queue/outcomes.js';
import type { Allowance } from './allowance.js';
import type { Batch } from './batch.js';
import { stores } from './format.js';
import { type Difference, Model } from './model.js';
import type { ReplayRegion } from './replay-region.js';
import type { Run } from './run.js';
import type { Turns } from './turns.js';

/** What was found out about one region. */
export interface Verified {
  /** Bytes read back and compared. */
  readonly bytes: number;
  /** Of these bytes, in ascending order of their offsets. */
  readonly sha256: string;
  /** Loads whose bytes were compared. */
  readonly loads: number;
  /** Bytes that were left out because operations failed, or two queues stored to them at the same time. */
  readonly uncertain: number;
}

export interface Wrong extends Difference {
  readonly region: ReplayRegion;
  /** 'load' and 'region': what the operations before have stored is not there. 'recorded': a load gave something else then. */
  readonly what: 'load' | 'region' | 'recorded';
}

/** What a replay has found out. */
export interface Findings {
  /** The first difference. */
  wrong: Wrong | null;
}

interface Known {
  readonly model: Model;
  loads: number;
  uncertain: number;
}

export class Verifier {
  readonly #allowance: Allowance;
  readonly #known = new Map<ReplayRegion, Known>();
  readonly #findings: Findings;

  constructor(allowance: Allowance, findings: Findings) {
    this.#allowance = allowance;
    this.#findings = findings;
  }

  /** The batch has ended; `outcomes` are of what is not done. */
  ended(batch: Batch, outcomes: readonly OperationOutcome[]): void {
    const known = this.#of(batch.region);
    this.#forget(known, batch);
    batch.eachEnded(outcomes, (run, offset, length, at, done, loaded) => {
      if (loaded !== null) this.loaded(batch.region, offset, loaded.bytes, loaded.at, done);
      else if (stores(run.kind)) this.#stored(known, run, offset, length, done, at);
    });
    this.#forget(known, batch);
  }

  /** An operation that was not queued has stored the first `done` bytes of what it should. */
  stored(region: ReplayRegion, run: Run, offset: number, length: number, done: number, at: number): void {
    this.#stored(this.#of(region), run, offset, length, done, at);
  }

  loaded(region: ReplayRegion, offset: number, bytes: Uint8Array, at: number, length: number): void {
    const known = this.#of(region);
    known.loads++;
    const difference = known.model.difference(offset, bytes, at, length);
    if (difference !== null) this.#findings.wrong ??= { ...difference, region, what: 'load' };
  }

  copied(region: ReplayRegion, offset: number, source: ReplayRegion, from: number, length: number): void {
    this.#of(region).model.copy(offset, this.#of(source).model, from, length);
  }

  forget(region: ReplayRegion, offset: number, length: number): void {
    const known = this.#of(region);
    known.uncertain += known.model.forget(offset, length);
  }

  /** Reads the region back and compares. */
  async compare(region: ReplayRegion, turns: Turns): Promise<Verified> {
    const { model, loads, uncertain } = this.#of(region);
    const { bytes, sha256, difference } = await model.compare(region, turns);
    if (difference !== null) this.#findings.wrong ??= { ...difference, region, what: 'region' };
    this.#known.delete(region);
    model.release();
    return { bytes, sha256, loads, uncertain };
  }

  #stored(known: Known, run: Run, offset: number, length: number, done: number, at: number): void {
    known.model.write(offset, run.bytes, at, done);
    if (done < length) known.uncertain += known.model.forget(offset + done, length - done);
  }

  #forget(known: Known, batch: Batch): void {
    for (const { start, end } of batch.contested) known.uncertain += known.model.forget(start, end - start);
  }

  #of(region: ReplayRegion): Known {
    let known = this.#known.get(region);
    if (known === undefined) {
      known = { model: new Model(this.#allowance), loads: 0, uncertain: 0 };
      this.#known.set(region, known);
    }
    return known;
  }
}
