// The gates that need no statistics: exact counts, and instructions of the native core.
import type { ComparedCount, ComparedInstructions, Verdict } from '../results.js';
import type { Counters } from '../workload.js';

/** Less of these is worse; of everything else, more. */
const lessIsWorse = new Set(['merged']);

export interface Counted {
  readonly name: string;
  readonly base: Counters;
  readonly head: Counters;
}

/** Every counter that both sides have. */
export function gateCounters(counted: readonly Counted[], tolerance: number): ComparedCount[] {
  return counted.flatMap(({ name, base, head }) => {
    const names = Object.keys(head).filter((counter) => counter in base) as (keyof Counters)[];
    return names.map((counter) => {
      const [before, after] = [base[counter] as number, head[counter] as number];
      const verdict = changed(before, after, tolerance, lessIsWorse.has(counter));
      return { name, counter, base: before, head: after, tolerance, verdict };
    });
  });
}

export interface InstructionCount {
  readonly name: string;
  readonly operations: number;
  readonly instructions: number;
}

export function gateInstructions(
  base: readonly InstructionCount[],
  head: readonly InstructionCount[],
  tolerance: number,
): ComparedInstructions[] {
  const before = new Map(base.map((one) => [one.name, one.instructions / one.operations]));
  return head.flatMap(({ name, operations, instructions }) => {
    const known = before.get(name);
    if (known === undefined) return [];
    const now = instructions / operations;
    return [{ name, base: known, head: now, tolerance, verdict: changed(known, now, tolerance, false) }];
  });
}

function changed(base: number, head: number, tolerance: number, lessIsWorse: boolean): Verdict {
  if (Math.abs(head - base) <= tolerance * base) return 'pass';
  return head > base === lessIsWorse ? 'improved' : 'regressed';
}
