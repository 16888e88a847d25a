// Stretches of bytes, and what they have in common.
export interface Interval {
  readonly start: number;
  readonly end: number;
}

/** In ascending order, those that touch in one. Changes the list. */
export function joined(intervals: Interval[]): Interval[] {
  intervals.sort((a, b) => a.start - b.start);
  const result: { start: number; end: number }[] = [];
  for (const { start, end } of intervals) {
    const last = result.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}

/** Calls `use` with what two ascending lists have in common: walks the shorter one, and looks up in the longer one. */
export function eachCommon(one: readonly Interval[], other: readonly Interval[], use: (both: Interval) => void): void {
  const [few, many] = one.length < other.length ? [one, other] : [other, one];
  let from = 0;
  for (const { start, end } of few) {
    from = firstThat(many, (one) => one.end > start, from);
    for (let at = from; at < many.length && (many[at] as Interval).start < end; at++) {
      const next = many[at] as Interval;
      use({ start: Math.max(start, next.start), end: Math.min(end, next.end) });
    }
  }
}

/** Index of the first one, from `from` on, that is so: all behind it are so as well. */
export function firstThat<T>(list: readonly T[], is: (one: T) => boolean, from = 0): number {
  let [low, high] = [from, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (is(list[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
