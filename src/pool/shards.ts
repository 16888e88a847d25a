// Cuts a transfer into shards, and keeps the account of what is done.

/** The bytes [offset, offset + length) of a region. */
export interface Range {
  /** Where it begins, in bytes from the start of the region. */
  readonly offset: number;
  /** How many bytes it has. */
  readonly length: number;
}

/** The largest multiple of `boundary` up to `size`; at least one. */
export function shardStep(size: number, boundary: number): number {
  return Math.max(1, Math.floor(size / boundary)) * boundary;
}

/**
 * Shards that end at multiples of `step` (but for the last), itself a multiple of the boundary: no store block is cut that
 * would have been whole.
 */
export function* shardsOf({ offset, length }: Range, step: number): Generator<Range> {
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const next = Math.min(end, (Math.floor(at / step) + 1) * step);
    yield { offset: at, length: next - at };
    at = next;
  }
}

/** How many shards `shardsOf` makes. */
export function shardCount({ offset, length }: Range, step: number): number {
  return length === 0 ? 0 : Math.ceil((offset + length) / step) - Math.floor(offset / step);
}

/** Ascending ranges, touching ones joined. */
export function joined(ranges: readonly Range[]): Range[] {
  const sorted = ranges.filter((range) => range.length > 0).sort((a, b) => a.offset - b.offset);
  const result: { offset: number; length: number }[] = [];
  for (const { offset, length } of sorted) {
    const last = result.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else result.push({ offset, length });
  }
  return result;
}

/** What of `whole` is not in `done`, which is ascending and joined. */
export function missing(whole: Range, done: readonly Range[]): Range[] {
  const gaps: Range[] = [];
  let at = whole.offset;
  for (const range of done) {
    gaps.push({ offset: at, length: range.offset - at });
    at = range.offset + range.length;
  }
  gaps.push({ offset: at, length: whole.offset + whole.length - at });
  return gaps.filter((gap) => gap.length > 0);
}
