// How a test describes the kernel that stands in for Linux, and its functions.
import type { Device } from '../../src/device/device.js';
import {
  type IrqDescription,
  irqFlags,
  type RegionDescription,
  regionFlags,
  type ZpciDescription,
} from './kernel-structs.js';
import type { FunctionDescription, Trees } from './kernel-trees.js';

export interface StandInFunction extends Partial<FunctionDescription> {
  readonly bdf: string;
  /** Of vfio_device_info. Default: reset and pci. */
  readonly flags?: number;
  readonly regions?: readonly RegionDescription[];
  readonly irqs?: readonly IrqDescription[];
  readonly zpci?: ZpciDescription;
  /** Error reports that are pending: each is told once. Left out: the kernel has none to tell. */
  readonly errors?: Uint8Array[];
  /**
   * Answers what is asked of an open file of it, and moves its DMA, in place of all that is described here but `zpci`, `errors`
   * and the interrupts of `irqs`.
   */
  readonly answers?: Device;
  /** These bytes in place of vfio_device_info. */
  readonly struct?: Uint8Array;
  /** These bytes in place of vfio_region_info, by index. */
  readonly regionStructs?: Readonly<Record<number, Uint8Array>>;
}

export interface StandInOptions {
  readonly functions: readonly StandInFunction[];
  /** Of every group. Default true. */
  readonly viable?: boolean;
  readonly type1?: boolean;
  readonly iovaRanges?: readonly (readonly [first: bigint, last: bigint])[];
  /** Those of another thread's kernel, with the same functions: they stay when this one goes. Default: its own. */
  readonly trees?: Trees;
  /** These bytes in place of vfio_iommu_type1_info. */
  readonly iommuStruct?: Uint8Array;
  /** Most DMA mappings at once. Default: no limit. */
  readonly mappings?: number;
}

/** A function with a BAR that can be mapped, configuration space, and interrupts. */
export const interruptedFunction: StandInFunction = {
  bdf: '0000:00:04.0',
  cdev: 'vfio0',
  regions: [{ index: 0, size: 8192n, flags: regionFlags.read | regionFlags.write | regionFlags.mmap }],
  irqs: [{ index: 1, count: 4, flags: irqFlags.eventfd }],
};
