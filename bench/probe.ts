// What an engine does to the process around it: start-up, memory, the event loop. It cannot be loaded twice side by side to
// compare that, so that each figure comes from a fresh process of its own.
import type { Target } from './workload.js';

export interface Effort {
  /** Figures that a fresh process is asked for, where it can give more than one. */
  readonly rounds: number;
  /** Of the long runs (10^8 operations, 1 GiB), this part. */
  readonly share: number;
}

export interface Probe {
  /** Unique, as a workload's. */
  readonly name: string;
  readonly title: string;
  /** 'operations' are exact counts: nothing to compare by time. */
  readonly unit: 'ms' | 'MiB' | 'operations';
  /** What the figure is relative to, if anything. */
  readonly against?: string;
  readonly target?: Target;
  readonly note?: string;
  /** Starts fresh processes with the package at `packageRoot`, and answers with the figures that they gave. */
  run(packageRoot: string, effort: Effort): Promise<number[]>;
}
