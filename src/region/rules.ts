// The rules of a region, as the caller gives them. What they mean is known to native/plan alone.
import type { NativeTraits, RuleArguments } from '../binding.js';
import { checkOptions, checkWhole, checkWord, withDefaults } from '../check.js';
import { rangeError } from '../errors.js';
import { layout } from '../wire.js';

/** What one store block may be. */
export interface Rules {
  /** Most bytes in one store block: maxstbl of the function. 8 to 2^20; 4096 on ISM, 128 on QEMU's emulated functions. */
  readonly maxStoreBlock: number;
  /** A store block does not cross a multiple of this many bytes. A power of two from 8 to 2^20; PCISTB: 4096. */
  readonly boundary: number;
  /** 'relaxed': any offset and length (ISM). 'strict': multiples of 8 and more than 8 bytes (QEMU hw/s390x/s390-pci-inst.c). */
  readonly alignment: 'relaxed' | 'strict';
  /** 'window': neighbouring queued writes may be joined into one store block. 'registers': each is its own transaction. */
  readonly merge: 'window' | 'registers';
}

export const defaultRules: Rules = { maxStoreBlock: 4096, boundary: 4096, alignment: 'relaxed', merge: 'window' };

export function checkRules(given: Partial<Rules> = {}): Rules {
  checkOptions(given, Object.keys(defaultRules), 'rules');
  const rules = withDefaults(defaultRules, given);
  const largest = layout.largestStoreBlock;
  const block = checkWhole(rules.maxStoreBlock, 'rules.maxStoreBlock');
  if (block < 8 || block > largest) {
    throw rangeError('ERR_ISMIO_OPTION', `rules.maxStoreBlock must be from 8 to ${largest}, not ${block}`, {
      maxStoreBlock: block,
    });
  }
  const boundary = checkWhole(rules.boundary, 'rules.boundary');
  if (boundary < 8 || boundary > layout.largestBoundary || (boundary & (boundary - 1)) !== 0) {
    throw rangeError(
      'ERR_ISMIO_OPTION',
      `rules.boundary must be a power of two from 8 to ${layout.largestBoundary}, not ${boundary}`,
      { boundary },
    );
  }
  checkWord(rules.alignment, 'rules.alignment', ['relaxed', 'strict']);
  checkWord(rules.merge, 'rules.merge', ['window', 'registers']);
  return Object.freeze({ ...rules, maxStoreBlock: block, boundary });
}

export function ruleArguments(rules: Rules): RuleArguments {
  return [rules.maxStoreBlock, rules.boundary, rules.alignment === 'strict', rules.merge === 'window'];
}

export function rulesFrom(traits: NativeTraits): Rules {
  return Object.freeze({
    maxStoreBlock: traits.maxStoreBlock,
    boundary: traits.boundary,
    alignment: traits.strict ? 'strict' : 'relaxed',
    merge: traits.mergeable ? 'window' : 'registers',
  });
}
