// The capabilities of a PCI function: the list that begins at 0x34 of its configuration space, and with PCI Express the one that
// begins at 0x100. Both are chains in memory of the device, which may lead anywhere: they are followed within bounds, and what
// is wrong with them is told.
//
// Source: Linux include/uapi/linux/pci_regs.h, PCI_CAP_ID_* and PCI_EXT_CAP_ID_*; the names are those of lspci, in short.
import { hex, IsmioError, rangeError, shown } from '../support/errors.js';

/** One entry of a list. */
export interface PciCapability {
  /** What it is, in its own list: 0x11 is MSI-X in the standard list. */
  readonly id: number;
  /** What it is called, such as 'msix'; null where the id has no name here. */
  readonly name: PciCapabilityName | null;
  /** Whether it is of the extended list (PCI Express). */
  readonly extended: boolean;
  /** Where it begins in configuration space, in bytes. */
  readonly offset: number;
  /** Of the extended list; null in the standard list, which has none. */
  readonly version: number | null;
  /** Where the next one begins; 0 at the end. */
  readonly next: number;
}

const standardIds = {
  pm: 0x01,
  agp: 0x02,
  vpd: 0x03,
  'slot-id': 0x04,
  msi: 0x05,
  'hot-swap': 0x06,
  'pci-x': 0x07,
  ht: 0x08,
  vendor: 0x09,
  'debug-port': 0x0a,
  'central-resource': 0x0b,
  'hot-plug': 0x0c,
  subsystem: 0x0d,
  agp3: 0x0e,
  secure: 0x0f,
  express: 0x10,
  msix: 0x11,
  sata: 0x12,
  af: 0x13,
  ea: 0x14,
} as const;

const extendedIds = {
  aer: 0x01,
  vc: 0x02,
  'serial-number': 0x03,
  'power-budget': 0x04,
  'root-link': 0x05,
  'root-link-control': 0x06,
  'root-event-collector': 0x07,
  mfvc: 0x08,
  vc9: 0x09,
  rcrb: 0x0a,
  'vendor-extended': 0x0b,
  cac: 0x0c,
  acs: 0x0d,
  ari: 0x0e,
  ats: 0x0f,
  sriov: 0x10,
  mriov: 0x11,
  multicast: 0x12,
  pri: 0x13,
  'resizable-bar': 0x15,
  dpa: 0x16,
  tph: 0x17,
  ltr: 0x18,
  'secondary-express': 0x19,
  pmux: 0x1a,
  pasid: 0x1b,
  dpc: 0x1d,
  l1ss: 0x1e,
  ptm: 0x1f,
  dvsec: 0x23,
  'data-link-feature': 0x25,
  '16gt': 0x26,
  npem: 0x29,
  '32gt': 0x2a,
  doe: 0x2e,
  '64gt': 0x31,
} as const;

/** The name of a capability that is known here, of either list. */
export type PciCapabilityName = keyof typeof standardIds | keyof typeof extendedIds;

/** What is looked for: a name, or an id of the standard list. */
export type PciCapabilityKey = PciCapabilityName | number;

const namesOf = (ids: object): ReadonlyMap<number, PciCapabilityName> =>
  new Map(Object.entries(ids).map(([name, id]) => [id as number, name as PciCapabilityName]));
const standardNames = namesOf(standardIds);
const extendedNames = namesOf(extendedIds);

/** Reads a word of configuration space, little-endian. */
export interface ConfigReader {
  readonly size: number;
  read8(offset: number): number;
  read16(offset: number): number;
  read32(offset: number): number;
}

/** PCI Local Bus Specification 3.0, 6.2: the status register, the pointer, and the header that no capability lies in. */
const standard = { status: 0x06, hasList: 1 << 4, pointer: 0x34, first: 0x40, end: 0x100 } as const;
/** PCI Express Base Specification, 7.6: the extended list begins behind the 256 bytes of PCI. */
const extended = { first: 0x100, headerBytes: 4 } as const;

/** Whether `one` is what `key` looks for. */
export function isCapability(one: PciCapability, key: PciCapabilityKey): boolean {
  return typeof key === 'number' ? !one.extended && one.id === key : one.name === key;
}

/** @throws RangeError ERR_ISMIO_OPTION when it is neither a name that is known nor an id of 8 bits */
export function checkCapabilityKey(key: PciCapabilityKey): PciCapabilityKey {
  if (typeof key === 'number' && Number.isInteger(key) && key >= 0 && key <= 0xff) return key;
  if (typeof key === 'string' && (Object.hasOwn(standardIds, key) || Object.hasOwn(extendedIds, key))) return key;
  const known = [...Object.keys(standardIds), ...Object.keys(extendedIds)].join(', ');
  const text = `a capability is named by an id from 0 to 0xff of the standard list, or by one of ${known}; not by ${shown(key)}`;
  throw rangeError('ERR_ISMIO_OPTION', text, { capability: key });
}

/** The capabilities of a function, those of the standard list first, as they are found. */
export function* walkCapabilities(config: ConfigReader, bdf: string): Generator<PciCapability> {
  yield* walk(standardChain(config), bdf);
  if (config.size > extended.first) yield* walk(extendedChain(config), bdf);
}

/** A list, as it differs from the other: where it may lie, and how an entry is read. */
interface Chain {
  readonly title: string;
  readonly start: number;
  readonly least: number;
  /** No entry begins behind it. */
  readonly most: number;
  /** The entry at an offset; null where nothing answers. */
  read(offset: number): PciCapability | null;
}

function standardChain(config: ConfigReader): Chain {
  const hasList = (config.read16(standard.status) & standard.hasList) !== 0;
  return {
    title: 'the list of capabilities',
    start: hasList ? config.read8(standard.pointer) : 0,
    least: standard.first,
    most: Math.min(config.size, standard.end) - 2,
    read(offset) {
      const header = config.read16(offset);
      if (header === 0xffff) return null;
      const id = header & 0xff;
      const name = standardNames.get(id) ?? null;
      return { id, name, extended: false, offset, version: null, next: header >> 8 };
    },
  };
}

function extendedChain(config: ConfigReader): Chain {
  return {
    title: 'the extended list of capabilities',
    // A function without any has an empty header there.
    start: config.read32(extended.first) === 0 ? 0 : extended.first,
    least: extended.first,
    most: config.size - extended.headerBytes,
    read(offset) {
      const header = config.read32(offset);
      if (header === 0xffff_ffff) return null;
      const id = header & 0xffff;
      const name = extendedNames.get(id) ?? null;
      return { id, name, extended: true, offset, version: (header >>> 16) & 0xf, next: header >>> 20 };
    },
  };
}

/** Follows a chain to its end. Capabilities of id 0 are empty places, as the kernel leaves where it hides one. */
function* walk(chain: Chain, bdf: string): Generator<PciCapability> {
  const seen = new Set<number>();
  let from = 'its head';
  // The two lowest bits of a pointer are reserved, and to be masked.
  for (let offset = chain.start & ~3; offset !== 0; ) {
    const leads = `${chain.title} of ${bdf} leads from ${from} to ${hex(offset)}`;
    const values = { bdf, offset };
    if (offset < chain.least || offset > chain.most) {
      throw new IsmioError('ERR_ISMIO_VFIO', `${leads}, where no capability can be`, values);
    }
    if (seen.has(offset)) throw new IsmioError('ERR_ISMIO_VFIO', `${leads}, where it has been: it goes round`, values);
    seen.add(offset);
    const found = chain.read(offset);
    if (found === null) {
      throw new IsmioError('ERR_ISMIO_VFIO', `${leads}, which reads all ones: the function does not answer`, values);
    }
    if (found.id !== 0) yield Object.freeze(found);
    from = hex(offset);
    offset = found.next & ~3;
  }
}
