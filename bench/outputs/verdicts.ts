// Verdicts: which is worse, and the mark that tells them apart without colour.
import type { Verdict } from '../results.js';

/** The worst first, as lists are read. */
export const verdicts: readonly Verdict[] = ['regressed', 'contaminated', 'inconclusive', 'improved', 'pass'];

/** A mark of its own for each: colours alone do not tell everybody apart. */
export const marks: Readonly<Record<Verdict, string>> = {
  regressed: '▲',
  contaminated: '✖',
  inconclusive: '◇',
  improved: '▼',
  pass: '●',
};

/** Findings before what is as it was; the sharpest change first. */
export function worstFirst<T extends { readonly verdict: Verdict }>(
  items: readonly T[],
  size: (item: T) => number,
): T[] {
  const rank = (item: T) => verdicts.indexOf(item.verdict);
  return [...items].sort((a, b) => rank(a) - rank(b) || size(b) - size(a));
}

/** How far a ratio is from 1, the same for halves and doubles; one that has no logarithm is farthest. */
export function distance(ratio: number): number {
  return ratio > 0 ? Math.abs(Math.log(ratio)) : Number.POSITIVE_INFINITY;
}

/** '2 regressed, 1 inconclusive, 11 pass'. */
export function tally(items: readonly { readonly verdict: Verdict }[]): string {
  return verdicts
    .map((verdict) => ({ verdict, count: items.filter((item) => item.verdict === verdict).length }))
    .filter(({ count }) => count > 0)
    .map(({ verdict, count }) => `${count.toLocaleString('en')} ${verdict}`)
    .join(', ');
}
