// What crosses between the pool and its workers. Regions cross by their id, memory by its id or as a shared buffer, so
// nothing that matters is copied.
import type { Observed } from '../channels.js';

interface Controlled {
  /** Word 0, once set, stops the work between two accesses. */
  readonly control: Int32Array;
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

export interface RunTask {
  readonly kind: 'run';
  /** A function's text, or the URL of a module whose default export is the function. */
  readonly code: { readonly text: string } | { readonly url: string };
  readonly regions: readonly number[];
  readonly args: readonly unknown[];
  readonly control: Int32Array;
}

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

/** Null when the shard is done and nobody observes. */
export type ShardResult = { readonly failure: ShardFailure | null; readonly seen: ShardSeen | null } | null;

export type RunResult = { readonly value: unknown } | { readonly threw: unknown };

/** What `pool.run` calls its function with, besides the regions. */
export interface RunContext {
  readonly args: readonly unknown[];
  /** True once the run was aborted or the pool closed: return soon. */
  stopped(): boolean;
}
