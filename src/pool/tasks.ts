// What crosses between the pool and its workers. Regions cross by their id, memory by its id or as a shared buffer, so
// nothing that matters is copied.
import type { MessagePort } from 'node:worker_threads';
import type { Observed } from '../access/channels.js';
import type { Crossing } from './crossing.js';

interface Claimed {
  /** Word 0, once set, stops the work between two accesses. */
  readonly control: Int32Array;
  /** Which of its words says who has this task: see `claims`. */
  readonly claim: number;
}

/** Who has a task, in its word of `control`. It leaves `free` once, by whoever is first. */
export const claims = { free: 0, begun: 1, calledOff: 2 } as const;

/** Whether the claim went through: nobody else can take the task any more. */
export function claimAs({ control, claim }: Claimed, who: 'begun' | 'calledOff'): boolean {
  return Atomics.compareExchange(control, claim, claims.free, claims[who]) === claims.free;
}

interface Controlled extends Claimed {
  /** Word `slot` says how many bytes of the shard are done. */
  readonly progress: BigUint64Array;
  readonly slot: number;
  /** Whether somebody wants to know when it began and ended. */
  readonly observed: boolean;
}

export interface WriteTask extends Controlled {
  readonly kind: 'write' | 'read';
  readonly region: number;
  readonly offset: number;
  readonly length: number;
  /** Shared bytes, or the id of memory from allocBuffer. */
  readonly bytes: Uint8Array | number;
  readonly position: number;
  /** Whether they are in memory of the pool's own, between the caller's buffer and the region. */
  readonly staged: boolean;
}

export interface CopyTask extends Controlled {
  readonly kind: 'copy';
  readonly source: number;
  readonly sourceOffset: number;
  readonly region: number;
  readonly offset: number;
  readonly length: number;
}

export interface RunTask extends Claimed {
  readonly kind: 'run';
  readonly code: Code;
  readonly regions: readonly number[];
  /** Its arguments lie in here; what became of it goes back through it. */
  readonly port: MessagePort;
}

/** A function's text, or the URL of a module whose default export is the function. */
export type Code = { readonly text: string } | { readonly url: string };

export type Task = WriteTask | CopyTask | RunTask;

/** A failed access in a worker: the words of its answer, and what was asked for. */
export interface ShardFailure {
  readonly answer: readonly number[];
  readonly what: string;
  /** The id of the region. */
  readonly region: number;
  readonly offset: number;
  readonly length: number;
}

/** When and where a shard was worked on. */
export type ShardSeen = Pick<Observed, 'began' | 'ended' | 'thread'>;

/** Null when the shard is done and nobody observes, or when it was called off. */
export type ShardResult = { readonly failure: ShardFailure | null; readonly seen: ShardSeen | null } | null;

/** What became of a run. Of a result that cannot be cloned, what cloning it threw. */
export interface RunOutcome {
  readonly how: 'returned' | 'threw' | 'uncloneable';
  readonly crossing: Crossing;
}

/** What `pool.run` calls its function with, besides the regions. */
export interface RunContext {
  /** The `args` of `run`, as structuredClone makes them. */
  readonly args: readonly unknown[];
  /** Whether the run was aborted or the pool closed, so that the function should return soon. */
  stopped(): boolean;
}
