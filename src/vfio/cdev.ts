// A device as a character device: /dev/vfio/devices/vfioN, bound to an iommufd of its own (/dev/iommu). Linux 6.6 and later.
import { join } from 'node:path';
import type { DescriptorHandle } from '../addon/handles.js';
import type { PciFunction } from '../pci/functions.js';
import { type DeviceAccess, type DeviceCalls, KernelCalls, type Pinned } from './access.js';
import { checked, opened } from './failure.js';
import { type IovaRange, IovaSpace } from './iova.js';
import { ioasFlag, kernel, plausible } from './kernel.js';

/** Opens a function whose character device is called `name`. */
export function openCdev(dev: string, name: string, { bdf, driver }: PciFunction): DeviceAccess {
  const path = join(dev, 'vfio/devices', name);
  const iommuPath = join(dev, 'iommu');
  const descriptors: DescriptorHandle[] = [];
  try {
    const device = opened('device', path, { bdf, driver });
    descriptors.push(device);
    const iommufd = opened('iommufd', iommuPath, { bdf });
    descriptors.push(iommufd);
    checked('VFIO_DEVICE_BIND_IOMMUFD', kernel.bindIommufd(device, iommufd), path, { path, bdf });
    const ioas = checked('IOMMU_IOAS_ALLOC', kernel.allocateIoas(iommufd), iommuPath, { path: iommuPath, bdf });
    checked('VFIO_DEVICE_ATTACH_IOMMUFD_PT', kernel.attachIoas(device, ioas), path, { path, bdf });
    return new CdevAccess(device, iommufd, ioas);
  } catch (error) {
    for (const descriptor of descriptors) kernel.close(descriptor);
    throw error;
  }
}

function rangesOf(iommufd: DescriptorHandle, ioas: number): IovaRange[] {
  let pairs = new BigUint64Array(32);
  const ask = () => {
    const answer = checked('IOMMU_IOAS_IOVA_RANGES', kernel.iovaRanges(iommufd, ioas, pairs), 'the iommufd');
    return plausible(answer, 'ranges of bus addresses');
  };
  let count = ask();
  while (count * 2 > pairs.length) {
    pairs = new BigUint64Array(count * 2);
    count = ask();
  }
  return Array.from({ length: count }, (_, i) => ({ first: pairs[i * 2] as bigint, last: pairs[i * 2 + 1] as bigint }));
}

class CdevAccess implements DeviceAccess {
  readonly api = 'cdev';
  readonly mapCall = 'IOMMU_IOAS_MAP';
  readonly unmapCall = 'IOMMU_IOAS_UNMAP';
  readonly calls: DeviceCalls;
  readonly #device: DescriptorHandle;
  readonly #iommufd: DescriptorHandle;
  readonly #ioas: number;
  #space: IovaSpace | null = null;

  constructor(device: DescriptorHandle, iommufd: DescriptorHandle, ioas: number) {
    this.calls = new KernelCalls(device);
    this.#device = device;
    this.#iommufd = iommufd;
    this.#ioas = ioas;
  }

  get space(): IovaSpace {
    this.#space ??= new IovaSpace(rangesOf(this.#iommufd, this.#ioas), kernel.pageSize);
    return this.#space;
  }

  map(iova: bigint, pinned: Pinned, readable: boolean, writable: boolean): number {
    const flags = (readable ? ioasFlag.readable : 0) | (writable ? ioasFlag.writable : 0);
    return kernel.mapIoas(this.#iommufd, this.#ioas, iova, ...pinned, flags);
  }

  unmap(iova: bigint, length: number): number {
    return kernel.unmapIoas(this.#iommufd, this.#ioas, iova, length);
  }

  close(): void {
    kernel.close(this.#device);
    kernel.close(this.#iommufd);
  }
}
