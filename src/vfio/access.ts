// How a device is reached: what is asked of it is the same on every road, by whom it is answered is not.

import type { Rules } from '../access/rules.js';
import type { BellHandle, DescriptorHandle, RegionHandle } from '../addon/handles.js';
import type { RuleArguments } from '../addon/regions.js';
import type { Singles } from '../region/singles.js';
import type { IsmioError } from '../support/errors.js';
import type { IovaSpace } from './iova.js';
import { kernel } from './kernel.js';

/** Where a buffer lies: the number of its memory, the position in it, the length. In whole pages. */
export type Pinned = readonly [memory: number, position: number, length: number];

/** Which region is opened, and how. */
export interface RegionRequest {
  readonly index: number;
  /** Where it begins in the device's file. */
  readonly offset: bigint;
  readonly size: number;
  readonly writable: boolean;
  readonly burst: boolean;
  /** Whether stores wait for no reply, where there are replies; null: as the device was opened. */
  readonly posted: boolean | null;
  /** Pairs of offset and length: what of it is to be mapped. */
  readonly areas: Float64Array;
}

/** Memory of somebody else's that a server lends, and the bell that tells them of what was stored there. */
export interface Lent {
  readonly region: RegionHandle;
  readonly bell: BellHandle;
}

/** What is asked of an open device, in VFIO's words. A negative answer is -errno. */
export interface DeviceCalls {
  /** Fills `into` with a struct of <linux/vfio.h>, and answers how long it would have to be for all. */
  deviceInfo(into: Uint8Array): number;
  regionInfo(index: number, into: Uint8Array): number;
  irqInfo(index: number, into: Uint8Array): number;
  setIrqs(flags: number, index: number, start: number, count: number, eventfds: Int32Array | null): number;
  reset(): number;
  /** Whether `zpciError` can be asked: 0. Both are left out where no kernel is asked. */
  probeZpciError?(): number;
  /** The oldest error report that is pending, which then is no longer; -ENOMSG where none is. */
  zpciError?(into: Uint8Array): number;
  /** Of configuration space, which begins at `position` 0 of its region's offset in the device's file. */
  pread(position: bigint, target: Uint8Array): number;
  pwrite(position: bigint, source: Uint8Array): number;
  /** The memory of a token, where the device is of a fabric in another process. */
  lane?(token: bigint, ...rest: [...RuleArguments, name: string]): Lent | { call: string; errno: number };
  region(
    request: RegionRequest,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | { call: string; errno: number };
  /** What the function itself says a store to a region may be; left out where nobody knows. */
  rules?(index: number): Rules | undefined;
  /** Another way of making single accesses; left out where there is none. */
  singles?(region: RegionHandle, index: number): Singles | undefined;
}

/** By which road a device is reached. */
export type DeviceApi = 'group' | 'cdev' | 'vfio-user' | 'device';

export interface DeviceAccess {
  readonly api: DeviceApi;
  readonly calls: DeviceCalls;
  /** The bus addresses that its IOMMU translates, and which are taken: shared by the devices of one group. */
  readonly space: IovaSpace;
  /** Answers 0 or -errno; `mapCall` is what was asked. */
  readonly mapCall: string;
  map(iova: bigint, pinned: Pinned, readable: boolean, writable: boolean): number;
  /** Answers the bytes that were unmapped, or -errno. */
  readonly unmapCall: string;
  unmap(iova: bigint, length: number): number;
  /** `told` is called once when the device is lost; left out where nobody would notice. */
  whenLost?(told: (error: IsmioError) => void): void;
  /** Once: what it was reached by is somebody else's afterwards. */
  close(): void;
}

/** The kernel's answers, by an open file of the device. */
export class KernelCalls implements DeviceCalls {
  readonly #device: DescriptorHandle;

  constructor(device: DescriptorHandle) {
    this.#device = device;
  }

  deviceInfo(into: Uint8Array): number {
    return kernel.deviceInfo(this.#device, into);
  }

  regionInfo(index: number, into: Uint8Array): number {
    return kernel.regionInfo(this.#device, index, into);
  }

  irqInfo(index: number, into: Uint8Array): number {
    return kernel.irqInfo(this.#device, index, into);
  }

  setIrqs(flags: number, index: number, start: number, count: number, eventfds: Int32Array | null): number {
    return kernel.setIrqs(this.#device, flags, index, start, count, eventfds);
  }

  reset(): number {
    return kernel.resetDevice(this.#device);
  }

  probeZpciError(): number {
    return kernel.probeZpciError(this.#device);
  }

  zpciError(into: Uint8Array): number {
    return kernel.zpciError(this.#device, into);
  }

  pread(position: bigint, target: Uint8Array): number {
    return kernel.pread(this.#device, position, target);
  }

  pwrite(position: bigint, source: Uint8Array): number {
    return kernel.pwrite(this.#device, position, source);
  }

  region(
    { offset, size, writable, burst, areas }: RegionRequest,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | { call: string; errno: number } {
    return kernel.region(this.#device, offset, size, writable, burst, areas, ...rest);
  }
}
