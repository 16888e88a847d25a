// A function of the kernel that stands in for Linux with a device of ismio/device behind it: it answers, where others store bytes.
import { constants } from 'node:os';
import { native } from '../../src/addon/binding.js';
import type { DescriptorHandle } from '../../src/addon/handles.js';
import type { NativeVfio } from '../../src/addon/vfio.js';
import { type Device, functionOf } from '../../src/device/device.js';
import type { DeviceFunction } from '../../src/device/function.js';
import type { SysfsIds } from './kernel-trees.js';

/** As vfio-pci has it: which region, and where in it. */
const regionShift = 40n;
const dma = { read: 1, write: 2 } as const;
const ioas = { writable: 2, readable: 4 } as const;

export class DeviceBehind {
  readonly #function: DeviceFunction;

  constructor(device: Device) {
    this.#function = functionOf(device);
  }

  /** The ids that sysfs shows of it. */
  get ids(): SysfsIds {
    const { vendor, device, subsystemVendor, subsystemDevice, classCode } = this.#function.description;
    const subsystem = { subsystem_vendor: subsystemVendor, subsystem_device: subsystemDevice };
    return { vendor, device, ...subsystem, class: classCode };
  }

  /** The kernel lets a function be opened as often as its group allows; the device has one driver, whoever that is. */
  opened(): void {
    this.#function.taken();
  }

  closed(): void {
    this.#function.letGo();
  }

  /** Answers as VFIO_IOMMU_MAP_DMA, or IOMMU_IOAS_MAP, does once the addresses are found to be free. */
  map(iova: bigint, pinned: readonly [memory: number, position: number, length: number], flags: number): number {
    return native.devices.mapDma(
      this.#function.handle,
      iova,
      ...pinned,
      (flags & (dma.read | ioas.readable)) !== 0,
      (flags & (dma.write | ioas.writable)) !== 0,
    );
  }

  unmap(iova: bigint, length: number): number {
    return native.devices.unmapDma(this.#function.handle, iova, length);
  }

  /** What is asked by an open file of it. */
  readonly calls: Partial<NativeVfio> = {
    deviceInfo: (_, into) => native.devices.deviceInfo(this.#handle, into),
    regionInfo: (_, index, into) => native.devices.regionInfo(this.#handle, index, into),
    irqInfo: (_, index, into) => native.devices.irqInfo(this.#handle, index, into),
    setIrqs: (_, ...given) => native.devices.setIrqs(this.#handle, ...given),
    resetDevice: () => {
      this.#function.reset();
      return 0;
    },
    pread: (_, position, target) => {
      this.#function.configuration.read(within(position), target);
      return target.length;
    },
    pwrite: (_, position, source) => {
      this.#function.configuration.write(within(position), source);
      return source.length;
    },
    region: (_device: DescriptorHandle, offset, _size, writable, _burst, _areas, ...rest) =>
      native.devices.region(
        this.#handle,
        Number(offset >> regionShift),
        writable,
        ...rest,
        new Float64Array(4),
        new Float64Array(0),
        0,
      ) ?? { call: 'mmap', errno: constants.errno.ENOMEM },
  };

  get #handle() {
    return this.#function.handle;
  }
}

function within(position: bigint): number {
  return Number(BigInt.asUintN(Number(regionShift), position));
}
