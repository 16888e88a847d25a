// What a comparison is asked for, and who looks on.
import type { Effort } from './processes.js';

export interface CompareOptions {
  readonly base: string;
  readonly head: string;
  readonly filter?: RegExp;
  /** URLs of modules with workloads to compare instead of the package's own; start-up and memory are left out then. */
  readonly suites?: readonly string[];
  readonly quick: boolean;
  readonly seed: number;
  /** A change of less than this share is no regression. */
  readonly delta: number;
  /** Confidence over the whole suite. */
  readonly level: number;
  /** Null: the gate is off. */
  readonly counterTolerance: number | null;
  /** Null: the gate is off. */
  readonly instructionTolerance: number | null;
  /** False: no wall time is taken, of start-up and memory neither. */
  readonly times: boolean;
  readonly effort: Effort;
}

/** Whoever looks on. */
export interface Watcher {
  /** What is being done now. */
  say(what: string): void;
  /** So much of the present work is done. */
  progress(label: string, done: number, total: number): void;
}
