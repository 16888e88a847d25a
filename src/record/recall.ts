// What a replay loads, held against what was loaded when it was recorded. A queued load is compared when both are known:
// its batch has ended here, and the recording has come to where it had ended then.
import type { OperationOutcome } from '../queue/outcomes.js';
import type { Allowance } from './allowance.js';
import type { Batch } from './batch.js';
import { ByteWriter } from './bytes.js';
import { eachCommon, joined } from './intervals.js';
import type { Answer } from './loading.js';
import type { ReplayRegion } from './replay-region.js';
import type { Findings } from './verifier.js';

/** Of one region: what it loaded, compared with what was recorded. */
export interface Recalled {
  /** Bytes that were compared. */
  readonly bytes: number;
  /**
   * Bytes that were not: nobody knows what was loaded when it was recorded, the region that was replayed on refused the load,
   * or another operation touched them at the same time.
   */
  readonly unknown: number;
}

type Account = { -readonly [Name in keyof Recalled]: Recalled[Name] };

/** What of a batch was loaded here. */
interface Part {
  readonly region: ReplayRegion;
  readonly account: Account;
  /** One load's bytes after the other's. */
  readonly bytes: Uint8Array;
  /** Of each load, four numbers: its offset, where its bytes are in those of the recorded batch, and where in these; its length. */
  readonly loads: readonly number[];
  /** The next load that is to be compared. */
  next: number;
}

const each = 4;

export class Recall {
  readonly #allowance: Allowance;
  readonly #findings: Findings;
  readonly #accounts = new Map<ReplayRegion, Account>();
  /** By the number of the recorded batch: what waits to be compared. */
  readonly #waiting = new Map<number, Part[]>();

  constructor(allowance: Allowance, findings: Findings) {
    this.#allowance = allowance;
    this.#findings = findings;
  }

  /**
   * An operation that was not queued has loaded these bytes, and had loaded those.
   * @param length of the operation: of the rest of it nobody is sure
   */
  direct(region: ReplayRegion, offset: number, length: number, found: Uint8Array, recorded: Uint8Array): void {
    const account = this.#of(region);
    account.bytes += recorded.length;
    account.unknown += length - recorded.length;
    this.#compare(region, offset, found, recorded);
  }

  /** The region is left: what there is of it. What is compared later is added to that. */
  leave(region: ReplayRegion): Recalled {
    const account = this.#of(region);
    this.#accounts.delete(region);
    return account;
  }

  /** The batch has ended; `outcomes` are of what is not done. */
  ended(batch: Batch, outcomes: readonly OperationOutcome[]): void {
    if (batch.loads.length === 0) return;
    const contested = joined([...batch.contested]);
    const account = this.#of(batch.region);
    const found = new ByteWriter(1024);
    const loads: number[] = [];
    batch.eachEnded(outcomes, (run, offset, length, at, done, loaded) => {
      if (run.kind !== 'load') return;
      let certain = true;
      eachCommon([{ start: offset, end: offset + done }], contested, () => {
        certain = false;
      });
      account.unknown += length;
      if (loaded === null || !certain || done === 0) return;
      loads.push(offset, at, found.length, done);
      found.append(loaded.bytes.subarray(loaded.at, loaded.at + done));
    });
    const bytes = found.written.slice();
    this.#allowance.take(
      taken(bytes, loads),
      'to check what batches load',
      ', or replay without { verifyLoads: true }',
    );
    const part = { region: batch.region, account, bytes, loads, next: 0 };
    const parts = this.#waiting.get(batch.number);
    if (parts === undefined) this.#waiting.set(batch.number, [part]);
    else parts.push(part);
  }

  /** What loads of a recorded batch gave, which has been replayed. */
  recorded({ batch, from, bytes, last }: Answer): void {
    const parts = this.#waiting.get(batch) ?? [];
    for (const part of parts) this.#compareFrom(part, from, bytes);
    if (!last) return;
    this.#waiting.delete(batch);
    for (const { bytes: held, loads } of parts) this.#allowance.give(taken(held, loads));
  }

  #compareFrom(part: Part, from: number, bytes: Uint8Array): void {
    const { region, account, loads } = part;
    const end = from + bytes.length;
    for (; part.next < loads.length; part.next += each) {
      const [offset, at, position, length] = loads.slice(part.next, part.next + each) as [
        number,
        number,
        number,
        number,
      ];
      const [first, last] = [Math.max(at, from), Math.min(at + length, end)];
      if (first < last) {
        account.bytes += last - first;
        account.unknown -= last - first;
        const found = part.bytes.subarray(position + first - at, position + last - at);
        this.#compare(region, offset + first - at, found, bytes.subarray(first - from, last - from));
      }
      if (at + length > end) return; // the rest of it comes later
    }
  }

  #of(region: ReplayRegion): Account {
    let account = this.#accounts.get(region);
    if (account === undefined) {
      account = { bytes: 0, unknown: 0 };
      this.#accounts.set(region, account);
    }
    return account;
  }

  #compare(region: ReplayRegion, offset: number, found: Uint8Array, recorded: Uint8Array): void {
    if (this.#findings.wrong !== null || Buffer.compare(found, recorded) === 0) return;
    const at = recorded.findIndex((byte, index) => byte !== found[index]);
    const [expected, other] = [recorded[at], found[at]] as [number, number];
    this.#findings.wrong = { region, what: 'recorded', offset: offset + at, expected, found: other };
  }
}

function taken(bytes: Uint8Array, loads: readonly number[]): number {
  return bytes.length + 8 * loads.length;
}
