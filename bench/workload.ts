// What a workload is. One table of them serves `ismio bench`, `compare` and `profile`.
//
// A suite's module (bench/suites) imports no code that touches the engine's objects, and gets the engine as an argument: a
// comparison loads it once for each build, so that the compiled code of one build's loops has never seen the objects of
// another's.
import type * as ismio from 'ismio';
import type { Floors } from './floors.js';

/** The package under measurement, of whichever build. */
export type Engine = typeof ismio & {
  /** URLs of the modules that programs import of this build, such as './device': for what its processes load. */
  readonly entries?: Readonly<Record<string, string>>;
};

/** A file of `bytes` zeros, on tmpfs where there is one. Every arm of a comparison uses the same. */
export interface Window {
  readonly path: string;
  readonly bytes: number;
  /** Ordinary memory of 64 KiB, at a multiple of 64: the source or target for those who need no memory of the engine's. */
  readonly ordinary: Uint8Array;
}

/** Exact counts since a workload was opened. An engine that does not count one of them leaves it out. */
export interface Counters {
  readonly loads: number;
  readonly stores: number;
  readonly storeBlocks: number;
  readonly bytes: number;
  readonly merged: number;
  /** Calls into native code. */
  readonly crossings?: number;
  /** Copies of payload between the caller's buffer and the access. */
  readonly copies?: number;
}

/** A workload, opened. */
export interface Running {
  /** Does `operations` of them. Takes microseconds to milliseconds; never a single operation below a microsecond. */
  batch(): void | Promise<void>;
  /** Of the regions it opened, summed up. */
  counters?(): Counters;
  close(): unknown;
}

/** What the workload is held against, in the same run: the same work without the engine, or by another way. */
export interface Floor {
  readonly title: string;
  /** Operations of one batch of it. */
  readonly operations: number;
  /** Needs the floors' addon. Where there is none, the workload is skipped. */
  readonly native?: boolean;
  open(window: Window, floors: Floors, engine: Engine): Running | Promise<Running>;
}

export type Target = { readonly atLeast: number } | { readonly atMost: number };

export interface Workload {
  /** Unique; 'suite/what/how', words of [A-Za-z0-9.-]: such as 'queue/stores-8B/adjacent'. */
  readonly name: string;
  /** For people, without a full stop. */
  readonly title: string;
  /** Operations of one batch, and the payload bytes that they move. */
  readonly operations: number;
  readonly bytes: number;
  /** Bytes of the window it wants. */
  readonly windowBytes: number;
  /** What a reader of the figure has to know. */
  readonly note?: string;
  /** One of the handful that `--quick` measures. */
  readonly quick?: boolean;
  /** One point of a curve: the report draws those with the same `curve`, by `at`. */
  readonly scale?: { readonly curve: string; readonly at: number; readonly unit: string };
  readonly floor?: Floor;
  /** For the ratio: how many times faster than its floor. */
  readonly target?: Target;
  /** Why it cannot run here; null where it can. */
  missing?(engine: Engine): string | null;
  open(engine: Engine, window: Window): Running | Promise<Running>;
}
