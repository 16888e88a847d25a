// Regions of a device: which of its bytes are mapped, which rules its function has.
import {
  checkLimits,
  checkRules,
  type RuleLimits,
  type Rules,
  resourceLimits,
  resourceRules,
  ruleArguments,
} from '../access/rules.js';
import { keepGuard } from '../region/guard.js';
import { burstOffered } from '../region/open.js';
import { adopt, type Region } from '../region/region.js';
import { checkFlag, checkOptions, checkText, checkWord } from '../support/check.js';
import { rangeError } from '../support/errors.js';
import type { DeviceCalls } from './access.js';
import { refused } from './failure.js';
import type { MappableArea, VfioRegionInfo, ZpciInfo } from './info.js';

/** How `device.region` opens a region. */
export interface VfioRegionOptions {
  /**
   * 'mmap': accesses go to a mapping; what of the region cannot be mapped is still accessed by pread and pwrite.
   * 'pread': every access is one pread or pwrite. Default 'auto': 'mmap' where anything can be mapped.
   */
  access?: 'auto' | 'mmap' | 'pread';
  /**
   * Default: on ism-vfio-pci what the function says of itself; elsewhere those of every region, but with `merge: 'registers'`,
   * and on s390x with MIO those of its instructions where the region is mapped. More than the function takes is refused.
   */
  rules?: Partial<Rules>;
  /** Default: whether the region is. */
  writable?: boolean;
  /** Whether what is mapped is stored to in bursts of 64 bytes, where the CPU has them. Default false. */
  burst?: boolean;
  /**
   * Over vfio-user, whether stores of this region are posted. Default: as `openVfioUser` was told. Whoever has a region of each kind
   * has their stores in one order. Elsewhere it says nothing: the bus posts what it posts.
   */
  posted?: boolean;
  /** What messages call it. Default: the function and the region, such as '0000:00:04.0 bar0'. */
  name?: string;
}

/** What decides over the rules of a device's regions. */
export interface Served {
  readonly driver: string;
  readonly zpci: ZpciInfo | null;
  readonly regions: readonly VfioRegionInfo[];
}

/** PCI function type of ISM. Source: ZPCI_PFT_ISM in QEMU include/hw/s390x/s390-pci-bus.h. */
const ismType = 5;

/** ism-vfio-pci puts region N at N << 48 in the device's file, vfio-pci at N << 40 (Linux drivers/vfio/pci/ism/main.c). */
export function servedByIsm({ driver, regions }: Served): boolean {
  const shifted = regions.some(({ index, offset }) => index > 0 && offset === BigInt(index) << 48n);
  return shifted || driver === 'ism_vfio_pci';
}

/**
 * What a store may be. On ism-vfio-pci every store is a store block, of at most maxstbl bytes; ISM itself takes any alignment,
 * what emulates it (function type 0) does not, so it has no single stores. Its BAR 0 is a window of memory; what is written to
 * its command page in BAR 2, or to a BAR of any other function, are registers: each a transaction of its own. Found out from
 * what the function says: nothing is written to learn it.
 */
export function rulesOf(served: Served, index: number, mapped: boolean): Partial<Rules> {
  if (!servedByIsm(served)) return { merge: 'registers', ...(mapped ? resourceRules() : {}) };
  const relaxed = served.zpci?.functionType === ismType;
  return {
    maxStoreBlock: served.zpci?.maxStoreBlock ?? 4096,
    alignment: relaxed ? 'relaxed' : 'strict',
    merge: index === 0 ? 'window' : 'registers',
    singleStores: relaxed,
  };
}

/** What the function takes at most, where that is known. */
function limitsOf(served: Served, mapped: boolean): RuleLimits {
  const { zpci } = served;
  if (servedByIsm(served)) return zpci === null ? {} : { maxStoreBlock: zpci.maxStoreBlock };
  const limits = mapped ? resourceLimits() : {};
  return limits.maxStoreBlock === undefined || zpci === null
    ? limits
    : { ...limits, maxStoreBlock: zpci.maxStoreBlock };
}

export function openRegion(
  calls: DeviceCalls,
  bdf: string,
  served: Served,
  index: number,
  options: VfioRegionOptions,
): Region {
  checkOptions(options, ['access', 'rules', 'writable', 'burst', 'posted', 'name'], 'device.region');
  const info = served.regions.find((region) => region.index === index);
  if (info === undefined) throw noRegion(bdf, served, index);
  const areas = areasFor(info, checkWord(options.access ?? 'auto', 'access', ['auto', 'mmap', 'pread']), bdf);
  const mapped = areas.length > 0;
  const own = calls.rules?.(index);
  const rules = checkRules({ ...(own ?? rulesOf(served, index, mapped)), ...options.rules });
  checkLimits(rules, own ?? limitsOf(served, mapped), `${info.name} of ${bdf}`);
  if (mapped && rules.boundary > 4096 && !whole(areas, info)) {
    const text = `only parts of ${info.name} are mapped, so rules.boundary can be at most 4096, not ${rules.boundary}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { boundary: rules.boundary });
  }
  const burst = checkFlag(options.burst ?? false, 'burst');
  if (burst) burstOffered();
  const name = checkText(options.name ?? `${bdf} ${info.name}`, 'name');
  const writable = checkFlag(options.writable ?? info.writable, 'writable');
  const pairs = Float64Array.from(areas.flatMap(({ offset, size }) => [Number(offset), Number(size)]));
  const size = Number(info.size);
  const posted = options.posted === undefined ? null : checkFlag(options.posted, 'posted');
  const request = { index, offset: info.offset, size, writable, burst, posted, areas: pairs };
  const made = calls.region(request, ...ruleArguments(rules), name);
  if (typeof made === 'number') {
    if (areas.length > 0) keepGuard();
    return adopt(made, true, calls.singles?.(made, index));
  }
  throw refused(made.call, -made.errno, name, { region: name, bdf });
}

function areasFor(info: VfioRegionInfo, access: 'auto' | 'mmap' | 'pread', bdf: string): readonly MappableArea[] {
  if (access === 'pread') return [];
  if (access === 'mmap' && !info.mappable) {
    const text = `${info.name} of ${bdf} cannot be mapped; leave out { access: 'mmap' }`;
    throw rangeError('ERR_ISMIO_OPTION', text, { access });
  }
  return info.mappableAreas;
}

function whole(areas: readonly MappableArea[], info: VfioRegionInfo): boolean {
  return areas.length === 1 && areas[0]?.size === info.size;
}

function noRegion(bdf: string, served: Served, index: number): Error {
  const there = served.regions.map((region) => `${region.index} (${region.name})`).join(', ');
  return rangeError('ERR_ISMIO_OPTION', `${bdf} has no region ${String(index)}; it has ${there}`, { index });
}
