// The kernel's VFIO as the addon has it.
import type { DescriptorHandle, RegionHandle } from './handles.js';
import type { RuleArguments } from './regions.js';

/** native/vfio/kernel.h: one function for each ioctl. A negative answer is -errno. */
export interface NativeVfio {
  readonly pageSize: number;
  /** `device`: of a device, which is closed before what it depends on. */
  open(path: string, device: boolean): DescriptorHandle;
  close(descriptor: DescriptorHandle): number;
  pread(descriptor: DescriptorHandle, offset: bigint, target: Uint8Array): number;
  pwrite(descriptor: DescriptorHandle, offset: bigint, source: Uint8Array): number;
  apiVersion(container: DescriptorHandle): number;
  checkExtension(container: DescriptorHandle, extension: number): number;
  setIommu(container: DescriptorHandle, type: number): number;
  groupStatus(group: DescriptorHandle): number;
  groupSetContainer(group: DescriptorHandle, container: DescriptorHandle): number;
  groupDevice(group: DescriptorHandle, name: string): DescriptorHandle;
  iommuInfo(container: DescriptorHandle, into: Uint8Array): number;
  mapDma(
    container: DescriptorHandle,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    flags: number,
  ): number;
  unmapDma(container: DescriptorHandle, iova: bigint, length: number): number;
  deviceInfo(device: DescriptorHandle, into: Uint8Array): number;
  regionInfo(device: DescriptorHandle, index: number, into: Uint8Array): number;
  irqInfo(device: DescriptorHandle, index: number, into: Uint8Array): number;
  setIrqs(
    device: DescriptorHandle,
    flags: number,
    index: number,
    start: number,
    count: number,
    eventfds: Int32Array | null,
  ): number;
  resetDevice(device: DescriptorHandle): number;
  probeZpciError(device: DescriptorHandle): number;
  /** `into` has to have room for as much as the kernel's capability says that it writes. */
  zpciError(device: DescriptorHandle, into: Uint8Array): number;
  bindIommufd(device: DescriptorHandle, iommufd: DescriptorHandle): number;
  attachIoas(device: DescriptorHandle, ioas: number): number;
  allocateIoas(iommufd: DescriptorHandle): number;
  iovaRanges(iommufd: DescriptorHandle, ioas: number, pairs: BigUint64Array): number;
  mapIoas(
    iommufd: DescriptorHandle,
    ioas: number,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    flags: number,
  ): number;
  unmapIoas(iommufd: DescriptorHandle, ioas: number, iova: bigint, length: number): number;
  /** `areas`: pairs of offset and length, what of the region is to be mapped. */
  region(
    device: DescriptorHandle,
    base: bigint,
    size: number,
    writable: boolean,
    burst: boolean,
    areas: Float64Array,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | { call: string; errno: number };
}
