// The rules of a region, as the caller gives them. What they mean is known to native/plan alone.
import { native } from '../addon/binding.js';
import type { NativeTraits, RuleArguments } from '../addon/regions.js';
import { layout } from '../addon/wire.js';
import { checkFlag, checkOptions, checkWhole, checkWord, withDefaults } from '../support/check.js';
import { rangeError } from '../support/errors.js';

/** What one store may be. */
export interface Rules {
  /** Most bytes in one store block: maxstbl of the function. 8 to 2^20; 4096 on ISM, 128 on QEMU's emulated functions. */
  readonly maxStoreBlock: number;
  /** A store block does not cross a multiple of this many bytes. A power of two from 8 to 2^20; PCISTB: 4096. */
  readonly boundary: number;
  /** 'relaxed': any offset and length (ISM). 'strict': multiples of 8 and more than 8 bytes (QEMU hw/s390x/s390-pci-inst.c). */
  readonly alignment: 'relaxed' | 'strict';
  /** 'window': neighbouring queued writes may be joined into one store block. 'registers': each is its own transaction. */
  readonly merge: 'window' | 'registers';
  /**
   * Whether there are stores of 1, 2, 4 and 8 bytes beside the store blocks. ism-vfio-pci makes a store block of every store
   * (Linux drivers/vfio/pci/ism/main.c). Without them a store goes out as a store block, and with strict alignment, which has
   * none of 8 bytes, a write is possible only where its part of each boundary window begins and ends at multiples of 8 and has
   * 16 bytes at least.
   */
  readonly singleStores: boolean;
}

export const defaultRules: Rules = {
  maxStoreBlock: 4096,
  boundary: 4096,
  alignment: 'relaxed',
  merge: 'window',
  singleStores: true,
};

/** What takes strict store blocks alone takes no shorter ones. */
const shortestStrictBlock = 16;

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
  checkFlag(rules.singleStores, 'rules.singleStores');
  if (blocksOnly(rules) && (block < shortestStrictBlock || boundary < shortestStrictBlock)) {
    const text = `with strict alignment and no single stores, rules.maxStoreBlock and rules.boundary must be at least ${shortestStrictBlock}, the shortest store block: ${block} and ${boundary} would let nothing be stored`;
    throw rangeError('ERR_ISMIO_OPTION', text, { maxStoreBlock: block, boundary });
  }
  return Object.freeze({ ...rules, maxStoreBlock: block, boundary });
}

/** The widest rules that something takes. */
export type RuleLimits = Partial<Pick<Rules, 'maxStoreBlock' | 'boundary' | 'alignment'>>;

/**
 * What the access kernel takes of mapped BARs. Only the MIO instructions of IBM Z have limits: a store block past them is a
 * specification exception, which ends the process.
 */
export function resourceLimits(): RuleLimits {
  const { maxStoreBlock, boundary, strict } = native.resourceRules();
  return strict ? { maxStoreBlock, boundary, alignment: 'strict' } : {};
}

/** The rules of a mapped BAR where the caller gives none. */
export function resourceRules(): Partial<Rules> {
  return { ...resourceLimits(), merge: 'registers' };
}

/** @throws RangeError ERR_ISMIO_OPTION where the rules allow more than `limits` */
export function checkLimits(rules: Rules, limits: RuleLimits, what: string): void {
  for (const name of ['maxStoreBlock', 'boundary'] as const) {
    const most = limits[name];
    if (most === undefined || rules[name] <= most) continue;
    const text = `rules.${name} can be at most ${most} for ${what}, which takes no more, not ${rules[name]}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { [name]: rules[name], most });
  }
  if (limits.alignment === 'strict' && rules.alignment !== 'strict') {
    const text = `rules.alignment must be 'strict' for ${what}: it is accessed with instructions that take nothing else`;
    throw rangeError('ERR_ISMIO_OPTION', text, { alignment: rules.alignment });
  }
}

export function ruleArguments(rules: Rules): RuleArguments {
  const { maxStoreBlock, boundary, alignment, merge, singleStores } = rules;
  return [maxStoreBlock, boundary, alignment === 'strict', merge === 'window', singleStores];
}

/** Where some writes are impossible: `native.possible` says which. */
export function blocksOnly({ alignment, singleStores }: Rules): boolean {
  return alignment === 'strict' && !singleStores;
}

/** Whether legal stores can carry a write of `length` bytes at `offset`. */
export function possible(rules: Rules, offset: number, length: number): boolean {
  return !blocksOnly(rules) || native.possible(...ruleArguments(rules), offset, length);
}

export function rulesFrom(traits: NativeTraits): Rules {
  return Object.freeze({
    maxStoreBlock: traits.maxStoreBlock,
    boundary: traits.boundary,
    alignment: traits.strict ? 'strict' : 'relaxed',
    merge: traits.mergeable ? 'window' : 'registers',
    singleStores: traits.singleStores,
  });
}
