// How verdicts look: a colour, and a shape that tells them apart without it.
import * as Plot from '@observablehq/plot';
import type { Verdict } from '../../results.js';

interface Look {
  readonly symbol: Plot.SymbolType;
  readonly filled: boolean;
  /** Degrees. */
  readonly rotate?: number;
}

/** As in `marks` of ../verdicts.ts. */
export const looks: Readonly<Record<Verdict, Look>> = {
  regressed: { symbol: 'triangle', filled: true },
  contaminated: { symbol: 'times', filled: false },
  inconclusive: { symbol: 'diamond', filled: false },
  improved: { symbol: 'triangle', filled: true, rotate: 180 },
  pass: { symbol: 'circle', filled: true },
};

export function colorOf(verdict: Verdict): string {
  return `var(--${verdict})`;
}

/** One mark for each item, in the shape of its verdict. */
export function verdictDots<T extends { readonly verdict: Verdict }>(
  items: readonly T[],
  options: Plot.DotOptions,
): Plot.Markish[] {
  return (Object.keys(looks) as Verdict[]).map((verdict) => {
    const { symbol, filled, rotate = 0 } = looks[verdict];
    return Plot.dot(
      items.filter((item) => item.verdict === verdict),
      {
        ...options,
        symbol,
        rotate,
        r: 5.5,
        stroke: colorOf(verdict),
        strokeWidth: symbol === 'times' ? 2.5 : 1.5,
        fill: filled ? colorOf(verdict) : 'var(--background)',
        className: `verdict-${verdict}`,
      },
    );
  });
}
