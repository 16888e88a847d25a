// Whether a figure is as good as it was meant to be.
import type { Target } from './workload.js';

/** null where nothing was aimed at, or nothing measured. */
export function reached(target: Target | undefined, figure: number | null): boolean | null {
  if (target === undefined || figure === null) return null;
  return 'atLeast' in target ? figure >= target.atLeast : figure <= target.atMost;
}
