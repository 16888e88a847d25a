// The driver's side of a device of this thread: what VFIO asks is answered by the addon's half of the device.
import { constants } from 'node:os';
import type { Rules } from '../access/rules.js';
import { native } from '../addon/binding.js';
import type { FunctionHandle, RegionHandle } from '../addon/handles.js';
import type { RuleArguments } from '../addon/regions.js';
import { costArgument } from '../region/faults.js';
import type { Singles } from '../region/singles.js';
import { IsmioError } from '../support/errors.js';
import type { DeviceAccess, DeviceCalls, Pinned, RegionRequest } from '../vfio/access.js';
import { VfioDevice } from '../vfio/device.js';
import { IovaSpace } from '../vfio/iova.js';
import { kernel } from '../vfio/kernel.js';
import type { DeviceFunction } from './function.js';
import { AnsweredSingles } from './singles.js';

/** Where configuration space begins in the device's file, as vfio-pci has it. */
const configOffset = 7n << 40n;
/** All addresses there are. */
const addresses = { first: 0n, last: 2n ** 64n - 1n } as const;

/** @throws IsmioError ERR_ISMIO_CLOSED, ERR_ISMIO_DEVICE_BUSY where somebody has it open */
export function openFunction(device: DeviceFunction): VfioDevice {
  const { name, vendor, device: id, subsystemVendor, subsystemDevice, classCode } = device.description;
  if (!device.taken()) throw device.busy();
  const ids = { vendor, device: id, subsystemVendor, subsystemDevice, classCode, iommuGroup: null, driver: 'ismio' };
  return new VfioDevice(new LocalAccess(device), name, ids);
}

class LocalAccess implements DeviceAccess, DeviceCalls {
  readonly api = 'device';
  readonly calls: DeviceCalls = this;
  readonly mapCall = 'VFIO_IOMMU_MAP_DMA';
  readonly unmapCall = 'VFIO_IOMMU_UNMAP_DMA';
  readonly space = new IovaSpace([addresses], kernel.pageSize);
  readonly #device: DeviceFunction;

  constructor(device: DeviceFunction) {
    this.#device = device;
  }

  get #handle(): FunctionHandle {
    return this.#device.handle;
  }

  deviceInfo(into: Uint8Array): number {
    return native.devices.deviceInfo(this.#handle, into);
  }

  regionInfo(index: number, into: Uint8Array): number {
    return native.devices.regionInfo(this.#handle, index, into);
  }

  irqInfo(index: number, into: Uint8Array): number {
    return native.devices.irqInfo(this.#handle, index, into);
  }

  setIrqs(flags: number, index: number, start: number, count: number, eventfds: Int32Array | null): number {
    if (this.#device.closed) return 0; // its eventfds went with it
    return native.devices.setIrqs(this.#handle, flags, index, start, count, eventfds);
  }

  reset(): number {
    try {
      this.#device.reset();
      return 0;
    } catch (error) {
      this.#device.threw(error);
      return -constants.errno.EIO;
    }
  }

  pread(position: bigint, target: Uint8Array): number {
    const [offset, length] = this.#within(position, target);
    this.#device.configuration.read(offset, target.subarray(0, length));
    return length;
  }

  pwrite(position: bigint, source: Uint8Array): number {
    const [offset, length] = this.#within(position, source);
    this.#device.configuration.write(offset, source.subarray(0, length));
    return length;
  }

  region({ index, writable }: RegionRequest, ...rest: [...RuleArguments, name: string]): RegionHandle {
    const bar = this.#device.description.bars.find((one) => one.index === index);
    if (bar === undefined) throw new IsmioError('ERR_ISMIO_INTERNAL', `there is no BAR ${index}`);
    const { rows, seed } = bar.faults;
    return native.devices.region(
      this.#handle,
      index,
      writable,
      ...rest,
      costArgument(bar.cost),
      rows,
      seed,
    ) as RegionHandle;
  }

  rules(index: number): Rules | undefined {
    return this.#device.description.bars.find((bar) => bar.index === index)?.rules;
  }

  /** Where accesses take no time and none goes wrong, handlers are called from here. */
  singles(region: RegionHandle, index: number): Singles | undefined {
    const checked = this.#device.description.bars.find((bar) => bar.index === index);
    const bar = this.#device.bars.get(index);
    if (checked === undefined || bar === undefined || checked.faults.rows.length > 0) return undefined;
    if (costArgument(checked.cost).some((nanoseconds) => nanoseconds > 0)) return undefined;
    return new AnsweredSingles(region, bar, this.#device);
  }

  map(iova: bigint, pinned: Pinned, readable: boolean, writable: boolean): number {
    return native.devices.mapDma(this.#handle, iova, ...pinned, readable, writable);
  }

  unmap(iova: bigint, length: number): number {
    if (this.#device.closed) return length;
    return native.devices.unmapDma(this.#handle, iova, length);
  }

  close(): void {
    this.#device.letGo();
  }

  /** What there is of it in configuration space. */
  #within(position: bigint, bytes: Uint8Array): [offset: number, length: number] {
    const offset = Number(position - configOffset);
    return [offset, Math.max(0, Math.min(bytes.length, this.#device.configuration.bytes.length - offset))];
  }
}
