// The structs in which the kernel describes a device, made from a description. Layouts: Linux include/uapi/linux/vfio.h and
// vfio_zdev.h, written anew here; words are in the byte order of this machine.
import { endianness } from 'node:os';

const little = endianness() === 'LE';

export const regionFlags = { read: 1, write: 2, mmap: 4, capabilities: 8 } as const;
export const irqFlags = { eventfd: 1, maskable: 2, autoMasked: 4, noResize: 8 } as const;

export interface RegionDescription {
  readonly index: number;
  readonly size: bigint;
  /** Where it begins in the device's file. Default: index << 40, as vfio-pci has it. */
  readonly offset?: bigint;
  /** Default: read and write. */
  readonly flags?: number;
  readonly sparse?: readonly (readonly [offset: bigint, size: bigint])[];
  readonly msixMappable?: boolean;
}

export interface IrqDescription {
  readonly index: number;
  readonly count: number;
  readonly flags?: number;
  /** How many vectors are really to be had. Default: all. */
  readonly available?: number;
}

export interface ZpciDescription {
  readonly capabilityVersion: 1 | 2 | 3;
  readonly maxStoreBlock: number;
  readonly functionType: number;
  readonly functionHandle?: number;
  readonly utility?: readonly number[];
  /** Of version 3. Default: 32. */
  readonly errorBytes?: number;
}

/** Words of `widths` bytes each, at their offsets. */
export function struct(length: number, words: readonly (readonly [offset: number, width: number, value: bigint])[]) {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  for (const [offset, width, value] of words) {
    if (width === 1) view.setUint8(offset, Number(value));
    else if (width === 2) view.setUint16(offset, Number(value), little);
    else if (width === 4) view.setUint32(offset, Number(value), little);
    else view.setBigUint64(offset, value, little);
  }
  return bytes;
}

/** `head` with a chain of capabilities behind it; its word at `pointer` says where the first begins. */
export function chained(head: Uint8Array, pointer: number, capabilities: readonly Uint8Array[]): Uint8Array {
  const starts: number[] = [];
  let length = head.length;
  for (const capability of capabilities) {
    length = Math.ceil(length / 8) * 8;
    starts.push(length);
    length += capability.length;
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(head);
  for (const [i, capability] of capabilities.entries()) {
    const start = starts[i] as number;
    bytes.set(capability, start);
    view.setUint32(start + 4, starts[i + 1] ?? 0, little);
  }
  view.setUint32(pointer, starts[0] ?? 0, little);
  view.setUint32(0, length, little);
  return bytes;
}

/** struct vfio_region_info_cap_sparse_mmap and vfio_iommu_type1_info_cap_iova_range: a count, then pairs. */
export function pairsCapability(id: number, pairs: readonly (readonly [bigint, bigint])[], count = pairs.length) {
  return struct(16 + pairs.length * 16, [
    [0, 2, BigInt(id)],
    [2, 2, 1n],
    [8, 4, BigInt(count)],
    ...pairs.flatMap(([one, other], i): [number, number, bigint][] => [
      [16 + i * 16, 8, one],
      [24 + i * 16, 8, other],
    ]),
  ]);
}

export function zpciCapabilities(zpci: ZpciDescription): Uint8Array[] {
  const version = BigInt(zpci.capabilityVersion);
  const base = struct(zpci.capabilityVersion === 1 ? 32 : 40, [
    [0, 2, 1n],
    [2, 2, version],
    [8, 8, 0x1_0000_0000n],
    [16, 8, 0x1_ffff_ffffn],
    [24, 2, 0x01c0n],
    [26, 2, 7n],
    [30, 1, BigInt(zpci.functionType)],
    [31, 1, 9n],
    ...(zpci.capabilityVersion === 1 ? [] : [[32, 4, BigInt(zpci.functionHandle ?? 0)] as const]),
    ...(zpci.capabilityVersion < 3 ? [] : [[36, 4, BigInt(zpci.errorBytes ?? 32)] as const]),
  ]);
  const group = struct(zpci.capabilityVersion === 1 ? 40 : 48, [
    [0, 2, 2n],
    [2, 2, version < 2n ? version : 2n],
    [34, 2, 16n],
    [36, 2, BigInt(zpci.maxStoreBlock)],
    [38, 1, 1n],
  ]);
  if (zpci.utility === undefined) return [base, group];
  const words: [number, number, bigint][] = zpci.utility.map((byte, i) => [12 + i, 1, BigInt(byte)]);
  const utility = struct(12 + zpci.utility.length, [[0, 2, 3n], [2, 2, 1n], [8, 4, BigInt(words.length)], ...words]);
  return [base, group, utility];
}

/** struct vfio_device_info */
export function deviceStruct(flags: number, regions: number, irqs: number, capabilities: readonly Uint8Array[]) {
  const all = capabilities.length > 0 ? flags | 128 : flags;
  const head = struct(24, [
    [4, 4, BigInt(all)],
    [8, 4, BigInt(regions)],
    [12, 4, BigInt(irqs)],
  ]);
  return chained(head, 16, capabilities);
}

/** struct vfio_region_info */
export function regionStruct(region: RegionDescription): Uint8Array {
  const capabilities: Uint8Array[] = [];
  if (region.sparse !== undefined) capabilities.push(pairsCapability(1, region.sparse));
  if (region.msixMappable === true)
    capabilities.push(
      struct(8, [
        [0, 2, 3n],
        [2, 2, 1n],
      ]),
    );
  const flags = region.flags ?? regionFlags.read | regionFlags.write;
  const head = struct(32, [
    [4, 4, BigInt(capabilities.length > 0 ? flags | regionFlags.capabilities : flags)],
    [8, 4, BigInt(region.index)],
    [16, 8, region.size],
    [24, 8, region.offset ?? BigInt(region.index) << 40n],
  ]);
  return chained(head, 12, capabilities);
}

/** struct vfio_irq_info */
export function irqStruct({ index, count, flags }: IrqDescription): Uint8Array {
  return struct(16, [
    [0, 4, 16n],
    [4, 4, BigInt(flags ?? irqFlags.eventfd)],
    [8, 4, BigInt(index)],
    [12, 4, BigInt(count)],
  ]);
}

/** struct vfio_iommu_type1_info */
export function iommuStruct(ranges: readonly (readonly [bigint, bigint])[]): Uint8Array {
  const head = struct(24, [
    [4, 4, 2n],
    [8, 8, 0xffff_ffff_ffff_f000n],
  ]);
  return chained(head, 16, ranges.length > 0 ? [pairsCapability(1, ranges)] : []);
}

/** As the kernel does: all of a struct where there is room; else its head, without a chain, and how much room it takes. */
export function tell(into: Uint8Array, whole: Uint8Array): number {
  if (into.length >= whole.length) into.set(whole);
  else {
    const least = into.length;
    into.set(whole.subarray(0, least));
    into.fill(0, least === 32 ? 12 : 16, least === 32 ? 16 : 20);
  }
  return whole.length;
}
