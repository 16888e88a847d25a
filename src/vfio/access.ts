// How a device is opened: what its group with a container, and its character device with an iommufd, have in common.
import type { DescriptorHandle } from '../binding.js';
import type { IovaSpace } from './iova.js';

/** Where a buffer lies: the number of its memory, the position in it, the length. In whole pages. */
export type Pinned = readonly [memory: number, position: number, length: number];

export interface DeviceAccess {
  readonly api: 'group' | 'cdev';
  /** The device's open file. */
  readonly device: DescriptorHandle;
  /** The bus addresses that its IOMMU translates, and which are taken: shared by the devices of one group. */
  readonly space: IovaSpace;
  /** Answers 0 or -errno; `mapCall` is what was asked. */
  readonly mapCall: string;
  map(iova: bigint, pinned: Pinned, readable: boolean, writable: boolean): number;
  /** Answers the bytes that were unmapped, or -errno. */
  readonly unmapCall: string;
  unmap(iova: bigint, length: number): number;
  /** Once: the descriptors are somebody else's afterwards. */
  close(): void;
}
