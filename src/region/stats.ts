// What has been asked of a region, as people are told.
import { native } from '../addon/binding.js';
import type { CountsHandle, RegionHandle } from '../addon/handles.js';
import { type Stage, stages } from '../addon/wire.js';

/**
 * Nanoseconds spent in each stage of the way of an access, by every thread together, since stages were last switched on.
 * `stamps` is what taking the times cost; it is in the others already.
 */
export type StageTimes = Readonly<Record<Stage | 'stamps', number>>;

/** What has been asked of a region since it was opened, by every thread. Counts of accesses that went through. */
export interface RegionStats {
  /** Load accesses of 1, 2, 4 or 8 bytes. */
  readonly loads: number;
  /** Store accesses of 1, 2, 4 or 8 bytes. */
  readonly stores: number;
  /** Store blocks, each one access however long. */
  readonly storeBlocks: number;
  /** Bytes moved by them, in either direction. */
  readonly bytes: number;
  /** Queued writes that were joined to the one before them and planned together with it. */
  readonly merged: number;
  /** Accesses tried again because the device was busy (condition code 2). */
  readonly retries: number;
  /** Accesses that failed, whatever the reason. */
  readonly errors: number;
  /** Calls into native code that reached the region or a queue on it: each access, submit, drain and shard of a pool. */
  readonly crossings: number;
  /** Times payload was copied between a caller's buffer and an access; docs/semantics.md has the list. */
  readonly copies: number;
  /** Null unless `timeStages` has switched them on. */
  readonly stages: StageTimes | null;
}

/** How many counts stand before the times of the stages. */
const counted = 9;

/** Undefined where the handle is that of nothing. */
export function statsOf(what: RegionHandle | CountsHandle): RegionStats | undefined {
  const words = new Float64Array(counted + stages.length + 1);
  const timed = native.stats(what, words);
  if (timed === undefined) return undefined;
  const [loads, stores, storeBlocks, bytes, merged, retries, errors, crossings, copies] = words as unknown as number[];
  const times = timed ? stageTimes(words.subarray(counted)) : null;
  const counts = { loads, stores, storeBlocks, bytes, merged, retries, errors, crossings, copies };
  return { ...counts, stages: times } as RegionStats;
}

function stageTimes(words: Float64Array): StageTimes {
  return Object.fromEntries([...stages, 'stamps'].map((name, i) => [name, words[i]])) as StageTimes;
}
