// What a profile says: `ismio profile --json` writes it.
import type { Environment, Side } from '../results.js';

export const profileSchema = 'ismio-profile/1';

export const stageNames = ['enqueue', 'merge', 'plan', 'copy', 'device', 'completion'] as const;
export type StageName = (typeof stageNames)[number];

/** Of the batches while nothing else was measured, in nanoseconds for one batch. */
export interface Latency {
  readonly batches: number;
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  /** By their name: p50, p90, p99, p99.9, p99.99. */
  readonly percentiles: Readonly<Record<string, number>>;
}

export interface Profile {
  /** Nanoseconds of wall time for one operation, without and with times of stages, over the quieter half of the turns. */
  readonly plain: number;
  readonly timed: number;
  /** Share by which timing the stages made it slower: the median over turns side by side. */
  readonly cost: number;
  /** Nanoseconds for one operation, by every thread together, over the same turns as `timed`. */
  readonly stages: Readonly<Record<StageName, number>>;
  /** Of all the stages together: what taking the stamps cost. */
  readonly stamps: number;
  /** Wall time in no stage: the caller's own, and waiting for another thread. 0 where threads overlap. */
  readonly elsewhere: number;
  readonly latency: Latency;
}

export interface ProfileReport extends Profile {
  readonly schema: typeof profileSchema;
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly seconds: number;
  readonly workload: {
    readonly name: string;
    readonly title: string;
    readonly operations: number;
    readonly bytes: number;
  };
  /** The build that was measured, where it is not the one that measures. */
  readonly of: Side | null;
  readonly environment: Environment;
}
