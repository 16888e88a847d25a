// What the kernel says of a device: its flags, zPCI capabilities, regions and interrupts.
import { constants } from 'node:os';
import type { DeviceCalls } from './access.js';
import { checked } from './failure.js';
import {
  askGrowing,
  broken,
  type Capability,
  capabilities,
  capability,
  configIndex,
  deviceFlag,
  irqFlag,
  irqNames,
  kernel,
  plausible,
  regionFlag,
  regionNames,
  type Struct,
} from './kernel.js';

/** What IBM Z says of a function. Source: Linux include/uapi/linux/vfio_zdev.h. */
export interface ZpciInfo {
  /** Most bytes of one store block: maxstbl of the function's group. */
  readonly maxStoreBlock: number;
  /** Null before version 2 of the capability (Linux 5.18). */
  readonly functionHandle: number | null;
  /** PCI function type (pft); 5 is ISM. */
  readonly functionType: number;
  /** The physical channel id (pchid) of the adapter that it is on. */
  readonly physicalChannel: number;
  /** The number of the virtual function (vfn). */
  readonly virtualFunction: number;
  /** The function group (pfgid): functions of one have the same limits. */
  readonly groupId: number;
  /** First and last valid bus address. */
  readonly startDma: bigint;
  /** The last of the valid bus addresses. */
  readonly endDma: bigint;
  /** Supported PCI version of the group. */
  readonly version: number;
  /** Most interrupts that the group supports (noi). */
  readonly maxInterrupts: number;
  /** The utility string in hexadecimal digits, as its code page is not told; null where there is none. */
  readonly utility: string | null;
  /** How long an error report is, in bytes; null before version 3 of the capability (Linux 7.3). */
  readonly errorBytes: number | null;
}

/** Part of a region, in bytes from its start. */
export interface MappableArea {
  /** Where it begins, in bytes from the start of the region. */
  readonly offset: bigint;
  /** How long it is, in bytes. */
  readonly size: bigint;
}

/** What the kernel says of one region of a device; offsets and sizes are in bytes. */
export interface VfioRegionInfo {
  /** Its number for `device.region`: 0 to 5 are the BARs, 7 is configuration space. */
  readonly index: number;
  /** What it is called: 'bar0' to 'bar5', 'rom', 'config', 'vga', or its number behind 'region'. */
  readonly name: string;
  /** Where it begins in the device's file: past 2^53 on ism-vfio-pci. */
  readonly offset: bigint;
  /** How long the region is, in bytes. */
  readonly size: bigint;
  /** Whether the kernel lets it be read. */
  readonly readable: boolean;
  /** Whether the kernel lets it be written. */
  readonly writable: boolean;
  /** Whether any of it can be mapped. */
  readonly mappable: boolean;
  /** What of it can be mapped; empty where nothing can. */
  readonly mappableAreas: readonly MappableArea[];
  /** The MSI-X table in it may be mapped with the rest. */
  readonly msixMappable: boolean;
}

/** What the kernel says of one kind of interrupts. */
export interface VfioIrqInfo {
  /** Its number in the kernel (VFIO_PCI_INTX_IRQ_INDEX and on). */
  readonly index: number;
  /** What it is called: 'intx', 'msi', 'msix', 'err', 'req', or its number behind 'irq'. */
  readonly name: string;
  /** How many vectors there are. */
  readonly count: number;
  /** Whether a vector can be masked and unmasked by itself. */
  readonly maskable: boolean;
  /** Each interrupt masks itself, until `unmask`. */
  readonly autoMasked: boolean;
  /** More vectors can be enabled later without disabling those there are. */
  readonly resizable: boolean;
}

/** What the kernel says that the device can do. */
export interface DeviceFlags {
  /** Whether the device can be reset. */
  readonly reset: boolean;
  /** Whether the device is a PCI function. */
  readonly pci: boolean;
}

/** What sysfs says of a function; null where it says nothing. */
export interface FunctionIds {
  /** The VFIO driver that has the function, as sysfs calls it. */
  readonly driver: string;
  /** The vendor id of the function, 16 bits. */
  readonly vendor: number | null;
  /** The device id of the function, 16 bits. */
  readonly device: number | null;
  /** The vendor id of the board, 16 bits. */
  readonly subsystemVendor: number | null;
  /** The device id of the board, 16 bits. */
  readonly subsystemDevice: number | null;
  /** Base class, subclass and programming interface: 24 bits. */
  readonly classCode: number | null;
  /** The number of the IOMMU group that it is in. */
  readonly iommuGroup: number | null;
}

/** What the kernel and sysfs say of an open function. */
export interface VfioDeviceInfo extends FunctionIds {
  /** What the kernel says that the device can do. */
  readonly flags: DeviceFlags;
  /** What IBM Z adds; null elsewhere. */
  readonly zpci: ZpciInfo | null;
  /** The regions that the device has, BARs 0 to 5 first; those that it lacks are left out. */
  readonly regions: readonly VfioRegionInfo[];
  /** The kinds of interrupts that the device has. */
  readonly irqs: readonly VfioIrqInfo[];
}

/** Where a device's MSI-X table lies. */
interface MsixTable {
  readonly region: number;
  readonly offset: bigint;
  readonly size: bigint;
}

const pageSize = BigInt(kernel.pageSize);

export function readDevice(
  calls: DeviceCalls,
  bdf: string,
): { flags: DeviceFlags; regions: number; irqs: number; zpci: ZpciInfo | null } {
  const { answer, struct } = askGrowing(24, (into) => calls.deviceInfo(into));
  checked('VFIO_DEVICE_GET_INFO', answer, bdf, { bdf });
  const flags = struct.u32(4);
  const chain = (flags & deviceFlag.capabilities) === 0 ? [] : capabilities(struct, struct.u32(16));
  return {
    flags: Object.freeze({ reset: (flags & deviceFlag.reset) !== 0, pci: (flags & deviceFlag.pci) !== 0 }),
    regions: plausible(struct.u32(8), 'regions'),
    irqs: plausible(struct.u32(12), 'kinds of interrupts'),
    zpci: readZpci(struct, chain),
  };
}

function readZpci(struct: Struct, chain: readonly Capability[]): ZpciInfo | null {
  const base = chain.find(({ id }) => id === capability.zpciBase);
  const group = chain.find(({ id }) => id === capability.zpciGroup);
  if (base === undefined || group === undefined) return null;
  const utility = chain.find(({ id }) => id === capability.zpciUtility);
  return Object.freeze({
    maxStoreBlock: struct.u16(group.at + 36),
    functionHandle: base.version >= 2 ? struct.u32(base.at + 32) : null,
    functionType: struct.u8(base.at + 30),
    physicalChannel: struct.u16(base.at + 24),
    virtualFunction: struct.u16(base.at + 26),
    groupId: struct.u8(base.at + 31),
    startDma: struct.u64(base.at + 8),
    endDma: struct.u64(base.at + 16),
    version: struct.u8(group.at + 38),
    maxInterrupts: struct.u16(group.at + 34),
    utility: utility === undefined ? null : hexOf(struct, utility.at + 12, struct.u32(utility.at + 8)),
    errorBytes: base.version >= 3 ? struct.u32(base.at + 36) : null,
  });
}

/** A string in EBCDIC, whose code page is not told: as hex digits. */
function hexOf(struct: Struct, at: number, length: number): string {
  return Buffer.from(struct.bytes.subarray(at, at + length)).toString('hex');
}

/** What a driver answers to an index that it knows nothing of. */
function unknown(answer: number): boolean {
  return answer === -constants.errno.EINVAL;
}

/**
 * The regions that there are: those of size 0, and those the driver knows nothing of, are left out. ism-vfio-pci, for one,
 * answers EINVAL for the ROM (Linux drivers/vfio/pci/ism/main.c).
 */
export function readRegions(calls: DeviceCalls, bdf: string, count: number): VfioRegionInfo[] {
  const structs: Struct[] = [];
  for (let index = 0; index < count; index++) {
    const { answer, struct } = askGrowing(32, (into) => calls.regionInfo(index, into));
    if (!unknown(answer)) {
      checked('VFIO_DEVICE_GET_REGION_INFO', answer, `region ${index} of ${bdf}`, { bdf, index });
    }
    if (answer >= 0 && struct.u64(16) > 0n) structs.push(struct);
  }
  const config = structs.find((struct) => struct.u32(8) === configIndex);
  const table = config === undefined ? null : readMsixTable(calls, config.u64(24), bdf);
  return structs.map((struct) => regionOf(struct, table));
}

function regionOf(struct: Struct, table: MsixTable | null): VfioRegionInfo {
  const flags = struct.u32(4);
  const index = struct.u32(8);
  const size = struct.u64(16);
  const chain = (flags & regionFlag.capabilities) === 0 ? [] : capabilities(struct, struct.u32(12));
  const msixMappable = chain.some(({ id }) => id === capability.msixMappable);
  const sparse = chain.find(({ id }) => id === capability.sparseMmap);
  const mappable = (flags & regionFlag.mmap) !== 0;
  let areas: MappableArea[] = mappable ? [{ offset: 0n, size }] : [];
  if (mappable && sparse !== undefined) areas = readAreas(struct, sparse.at, size);
  else if (mappable && !msixMappable && table?.region === index) areas = around(table, size);
  return Object.freeze({
    index,
    name: regionNames[index] ?? `region${index}`,
    offset: struct.u64(24),
    size,
    readable: (flags & regionFlag.read) !== 0,
    writable: (flags & regionFlag.write) !== 0,
    mappable: areas.length > 0,
    mappableAreas: Object.freeze(areas),
    msixMappable,
  });
}

/** The areas of a sparse region, ascending. Accesses are told apart by them, so they have to be whole pages of it. */
function readAreas(struct: Struct, at: number, regionSize: bigint): MappableArea[] {
  const areas: MappableArea[] = [];
  for (let i = 0; i < struct.u32(at + 8); i++) {
    areas.push({ offset: struct.u64(at + 16 + i * 16), size: struct.u64(at + 24 + i * 16) });
  }
  const there = areas.filter(({ size }) => size > 0n).sort((one, other) => (one.offset < other.offset ? -1 : 1));
  let end = 0n;
  for (const { offset, size } of there) {
    const last = offset + size;
    const whole = offset % pageSize === 0n && (size % pageSize === 0n || last === regionSize);
    if (!whole || offset < end || last > regionSize) {
      throw broken(`${size} bytes at ${offset} of a region of ${regionSize} are no area to map`, {
        offset,
        length: size,
      });
    }
    end = last;
  }
  return there;
}

/** All pages but those of the MSI-X table. */
function around(table: MsixTable, size: bigint): MappableArea[] {
  const before = (table.offset / pageSize) * pageSize;
  const first = before < size ? before : size;
  const end = ((table.offset + table.size + pageSize - 1n) / pageSize) * pageSize;
  return [
    { offset: 0n, size: first },
    { offset: end, size: size - end },
  ].filter((area) => area.size > 0n);
}

/** Walks the capabilities in configuration space for MSI-X (PCI Local Bus Specification 3.0, 6.8.2). */
function readMsixTable(calls: DeviceCalls, config: bigint, bdf: string): MsixTable | null {
  const space = new Uint8Array(256);
  const read = checked('pread', calls.pread(config, space), `configuration space of ${bdf}`, { bdf });
  if (read < space.length)
    throw broken(`configuration space of ${bdf} ends after ${read} bytes`, { bdf, length: read });
  const view = new DataView(space.buffer); // little-endian, as all of configuration space
  const hasCapabilities = (view.getUint16(6, true) & 0x10) !== 0;
  const seen = new Set<number>();
  for (let at = hasCapabilities ? (space[0x34] as number & 0xfc) : 0; at >= 0x40 && !seen.has(at); ) {
    seen.add(at);
    if (space[at] === 0x11) {
      const where = view.getUint32(at + 4, true);
      const entries = (view.getUint16(at + 2, true) & 0x7ff) + 1;
      return { region: where & 7, offset: BigInt(where & ~7), size: BigInt(entries * 16) };
    }
    at = (space[at + 1] as number) & 0xfc;
  }
  return null;
}

/** The kinds of interrupts that there are: those without a vector, and those the driver knows nothing of, are left out. */
export function readIrqs(calls: DeviceCalls, bdf: string, count: number): VfioIrqInfo[] {
  const irqs: VfioIrqInfo[] = [];
  for (let index = 0; index < count; index++) {
    const { answer, struct } = askGrowing(16, (into) => calls.irqInfo(index, into));
    if (!unknown(answer)) checked('VFIO_DEVICE_GET_IRQ_INFO', answer, `interrupts ${index} of ${bdf}`, { bdf, index });
    const vectors = answer < 0 ? 0 : struct.u32(12);
    if (vectors === 0) continue;
    const flags = struct.u32(4);
    irqs.push(
      Object.freeze({
        index,
        name: irqNames[index] ?? `irq${index}`,
        count: vectors,
        maskable: (flags & irqFlag.maskable) !== 0,
        autoMasked: (flags & irqFlag.autoMasked) !== 0,
        resizable: (flags & irqFlag.noResize) === 0,
      }),
    );
  }
  return irqs;
}
