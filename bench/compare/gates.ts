// The gates that need no statistics: exact counts, and instructions of the native core.
import type { ComparedCount, ComparedInstructions, Verdict } from '../results.js';
import type { Counters } from '../workload.js';

/** Less of these is worse; of everything else, more. */
export const lessIsWorse = new Set(['merged']);

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

/** What a gate cannot compare, because one side alone has it. */
export interface OneSided {
  readonly name: string;
  readonly reason: string;
}

/** Counters that one side alone has: an older build does not know them, or a newer one has lost them. */
export function countedByOne(counted: readonly Counted[]): OneSided[] {
  const found = new Map<string, string[]>();
  for (const { name, base, head } of counted) {
    for (const counter of Object.keys({ ...base, ...head })) {
      if (counter in base && counter in head) continue;
      const what = `${counter in head ? 'head' : 'base'} alone counts ${counter}`;
      found.set(what, [...(found.get(what) ?? []), name]);
    }
  }
  return [...found].map(([what, names]) => ({ name: 'counters', reason: `${what}, of ${named(names)}` }));
}

function named(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.length} benchmarks`;
}

/** Scenarios that one side alone has. */
export function scenariosOfOne(base: readonly InstructionCount[], head: readonly InstructionCount[]): OneSided[] {
  const missingIn = (side: readonly InstructionCount[], name: string): boolean =>
    side.every((one) => one.name !== name);
  const gone = base.filter(({ name }) => missingIn(head, name));
  const added = head.filter(({ name }) => missingIn(base, name));
  return [
    ...gone.map(({ name }) => ({ name: 'instructions', reason: `base alone has the scenario ${name}` })),
    ...added.map(({ name }) => ({ name: 'instructions', reason: `head alone has the scenario ${name}` })),
  ];
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
