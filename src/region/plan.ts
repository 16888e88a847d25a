// The accesses that a write would make, as a list.
import { type Rules, ruleArguments } from '../access/rules.js';
import { native } from '../addon/binding.js';
import { rangeError } from '../support/errors.js';

/** One access that a write would make. */
export interface PlannedStore {
  /** 'storeBlock': one store block. 'store': one of 1, 2, 4 or 8 bytes. */
  readonly kind: 'storeBlock' | 'store';
  /** Where in the region it begins, in bytes. */
  readonly offset: number;
  /** How many bytes it stores. */
  readonly length: number;
}

/** The longest plan that `region.plan` lists. */
const longestPlan = 1 << 22;

/** Of a write that legal stores can carry. */
export function planned(rules: Rules, offset: number, length: number): PlannedStore[] {
  const plan: PlannedStore[] = [];
  const words = new Float64Array(3 * Math.min(1024, length));
  for (let place = offset, left = length; left > 0; ) {
    const pieces = native.plan(...ruleArguments(rules), place, left, words);
    for (let i = 0; i < pieces * 3; i += 3) {
      const [at, bytes, block] = words.subarray(i, i + 3) as unknown as [number, number, number];
      plan.push({ kind: block === 1 ? 'storeBlock' : 'store', offset: at, length: bytes });
      place += bytes;
      left -= bytes;
    }
    if (plan.length > longestPlan) {
      throw rangeError(
        'ERR_ISMIO_TOO_LONG',
        `a plan of ${length} bytes has more than ${longestPlan} accesses; plan a part of it`,
        { length, longest: longestPlan },
      );
    }
  }
  return plan;
}
