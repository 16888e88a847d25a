// What a scenario is, and what it says.
import type { Comparison } from './compare.js';

export interface Effort {
  /** Turns that subject and floor take. */
  readonly rounds: number;
  /** Milliseconds of each turn. */
  readonly time: number;
  /** Of the long runs (10^8 operations, 1 GiB), this part. */
  readonly share: number;
}

export const fullEffort: Effort = { rounds: 15, time: 40, share: 1 };
export const quickEffort: Effort = { rounds: 5, time: 15, share: 0.05 };

export interface Outcome {
  /** The figure that the target is about. */
  readonly value: number;
  readonly unit: 'x' | 'ms' | 'MiB' | 'of ideal' | 'operations';
  /** Device operations issued, and bytes, by one batch of the subject, where they are counted. */
  readonly issued?: number;
  readonly bytes?: number;
  readonly comparison?: Comparison;
  /** What else was seen, in a few words. */
  readonly note?: string;
}

export interface Scenario {
  readonly name: string;
  readonly subject: string;
  readonly floor: string;
  readonly target: { readonly atLeast: number } | { readonly atMost: number } | { readonly exactly: number };
  run(effort: Effort): Promise<Outcome>;
}

export function reached({ target }: Scenario, value: number): boolean {
  if ('atLeast' in target) return value >= target.atLeast;
  return 'atMost' in target ? value <= target.atMost : value === target.exactly;
}
