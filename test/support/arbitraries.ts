// Random rules, for fast-check.
import fc from 'fast-check';
import type { Rules } from 'ismio';

const powers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => 2 ** (from + i));

/** Rules a device might have, weighted to the small ones, where cuts are frequent, and to odd block sizes. */
export function anyRules(largestBoundary = 20): fc.Arbitrary<Rules> {
  return fc.record({
    maxStoreBlock: fc.oneof(
      fc.constantFrom(8, 9, 12, 15, 16, 17, 20, 23, 24, 25, 31, 32, 40, 48, 63, 64, 65, 100, 128),
      fc.integer({ min: 8, max: 160 }),
      fc.constantFrom(256, 4096, 65536, 1 << 20),
    ),
    boundary: fc.constantFrom(...powers(3, largestBoundary)),
    alignment: fc.constantFrom('relaxed' as const, 'strict' as const),
    merge: fc.constant('window' as const),
    singleStores: fc.constant(true),
  });
}

/** The same for functions that take store blocks alone. */
export function anyBlockRules(largestBoundary = 20): fc.Arbitrary<Rules> {
  return anyRules(largestBoundary).map((rules) => {
    const least = rules.alignment === 'strict' ? 16 : 8;
    const { maxStoreBlock, boundary } = rules;
    return {
      ...rules,
      maxStoreBlock: Math.max(least, maxStoreBlock),
      boundary: Math.max(least, boundary),
      singleStores: false,
    };
  });
}
