// What a replay is asked for, what it reports, and how a difference is told.
import { hex, IsmioError } from '../support/errors.js';
import type { Recalled } from './recall.js';
import type { ReplayRegion } from './replay-region.js';
import type { RecordedRegion } from './run.js';
import type { Verified, Wrong } from './verifier.js';

/** What became of one region. Counts are of the replay alone. */
export interface ReplayedRegion {
  /** The name of the recorded region. */
  readonly name: string;
  /** How long the region is, in bytes. */
  readonly size: number;
  /** Loads of 1, 2, 4 or 8 bytes that went through. */
  readonly loads: number;
  /** Stores of 1, 2, 4 or 8 bytes that went through. */
  readonly stores: number;
  /** Store blocks that went through. */
  readonly storeBlocks: number;
  /** Bytes moved by them, in either direction. */
  readonly bytes: number;
  /** Queued writes that were joined to the one before them. */
  readonly merged: number;
  /** Accesses tried again because the device was busy. */
  readonly retries: number;
  /** What reading back found out; null where that was not asked for. */
  readonly verified: Verified | null;
  /** What loads gave, held against what they gave when they were recorded; null without `verifyLoads`. */
  readonly recalled: Recalled | null;
}

/** What `replay` did, and whether it found what was recorded. */
export interface ReplayReport {
  /** False for a recording without an end, of which the part that is whole was replayed. */
  readonly whole: boolean;
  /** Operations that were run again. */
  readonly operations: number;
  /** Moved by them, in either direction. */
  readonly bytes: number;
  /** Batches that were handed over again. */
  readonly batches: number;
  /** From the first operation to the last, with the reading of the file and, where it was asked for, the check. */
  readonly seconds: number;
  /** Operations and batches that a device refused. */
  readonly failed: number;
  /** The first of the errors of those; null where there was none. */
  readonly firstFailure: Error | null;
  /** Batches that went in several parts, because their payload is more than a replay holds. */
  readonly split: number;
  /** What became of each region, in the order of their numbers in the recording. */
  readonly regions: readonly ReplayedRegion[];
}

export interface ReplaySettings {
  readonly open: (recorded: RecordedRegion) => { region: ReplayRegion; own: boolean };
  readonly paced: boolean;
  readonly merge: 'none' | 'adjacent' | 'any' | undefined;
  readonly order: 'strict' | 'relaxed' | undefined;
  readonly handOver: 'recorded' | 'submit' | 'drain';
  readonly verify: boolean;
  readonly verifyLoads: boolean;
  readonly memory: number;
}

/** The error of a replay whose bytes are not what they should be. */
export function mismatch(wrong: Wrong, report: ReplayReport): IsmioError {
  const { region, what, offset, expected, found } = wrong;
  const who = what === 'region' ? `${region.name} has` : `a load from ${region.name} gave`;
  const other = what === 'recorded' ? 'when it was recorded it gave' : 'after the operations before it has to be';
  return new IsmioError(
    'ERR_ISMIO_MISMATCH',
    `${who} ${hex(found)} at offset ${hex(offset)}; ${other} ${hex(expected)}`,
    { region: region.name, offset, expected, found, report },
  );
}
