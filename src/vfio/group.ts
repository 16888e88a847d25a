// A device through its IOMMU group: /dev/vfio/vfio and /dev/vfio/N. A group can be opened once, so the devices of one group
// that this thread opens share it.
import { join } from 'node:path';
import type { DescriptorHandle } from '../addon/handles.js';
import type { GroupMember, PciFunction } from '../pci/functions.js';
import { type ErrorValues, IsmioError } from '../support/errors.js';
import { type DeviceAccess, type DeviceCalls, KernelCalls, type Pinned } from './access.js';
import { checked, opened } from './failure.js';
import { type IovaRange, IovaSpace } from './iova.js';
import { apiVersion, askGrowing, capabilities, capability, dmaFlag, extension, groupFlag, kernel } from './kernel.js';

interface Group {
  readonly path: string;
  readonly group: DescriptorHandle;
  readonly container: DescriptorHandle;
  users: number;
  /** The bus addresses of the container; asked of the kernel when they are first wanted. */
  space: IovaSpace | null;
}

const groups = new Map<string, Group>();

/** Opens a function through its group, which is `group` and has these members. */
export function openGroup(
  dev: string,
  group: string,
  found: PciFunction,
  members: readonly GroupMember[],
): DeviceAccess {
  const path = join(dev, 'vfio', group);
  const { bdf, driver } = found;
  const shared = groups.get(path) ?? openContainer(path, join(dev, 'vfio/vfio'), { bdf, driver }, members);
  shared.users++;
  try {
    const values = { bdf, driver, path };
    const device = checked('VFIO_GROUP_GET_DEVICE_FD', kernel.groupDevice(shared.group, bdf), bdf, values);
    return new GroupAccess(device, shared);
  } catch (error) {
    letGo(shared);
    throw error;
  }
}

function openContainer(
  path: string,
  containerPath: string,
  values: ErrorValues,
  members: readonly GroupMember[],
): Group {
  const group = opened('group', path, values);
  let container: DescriptorHandle | null = null;
  try {
    const flags = checked('VFIO_GROUP_GET_STATUS', kernel.groupStatus(group), path, { path });
    if ((flags & groupFlag.viable) === 0) throw notViable(path, members);
    container = opened('container', containerPath);
    checkContainer(container, containerPath);
    checked('VFIO_GROUP_SET_CONTAINER', kernel.groupSetContainer(group, container), path, { path });
    checked('VFIO_SET_IOMMU', kernel.setIommu(container, extension.type1v2), path, { path });
  } catch (error) {
    if (container !== null) kernel.close(container);
    kernel.close(group);
    throw error;
  }
  const shared = { path, group, container, users: 0, space: null };
  groups.set(path, shared);
  return shared;
}

function checkContainer(container: DescriptorHandle, path: string): void {
  const version = checked('VFIO_GET_API_VERSION', kernel.apiVersion(container), path, { path });
  if (version !== apiVersion) {
    const text = `${path}: the kernel's VFIO has version ${version}; this package knows ${apiVersion}`;
    throw new IsmioError('ERR_ISMIO_VFIO', text, { path, version });
  }
  const offered = kernel.checkExtension(container, extension.type1v2);
  if (checked('VFIO_CHECK_EXTENSION', offered, path, { path }) > 0) return;
  const text = `${path}: the kernel offers no type 1 IOMMU; load the module vfio_iommu_type1`;
  throw new IsmioError('ERR_ISMIO_VFIO', text, { path, extension: extension.type1v2 });
}

function notViable(path: string, members: readonly GroupMember[]): IsmioError {
  const told = members.map(({ name, driver }) => `${name} (${driver ?? 'no driver'})`).join(', ');
  return new IsmioError(
    'ERR_ISMIO_GROUP_NOT_VIABLE',
    `${path}: the group is not viable: another function of it has a driver that is not VFIO's. It has ${told || 'members that sysfs does not tell'}; ` +
      'bind each to a VFIO driver, or unbind it ("ismio info" tells which)',
    { path, members: members.map(({ name }) => name) },
  );
}

function letGo(group: Group): void {
  if (--group.users > 0) return;
  groups.delete(group.path);
  kernel.close(group.group);
  kernel.close(group.container);
}

function rangesOf({ container, path }: Group): IovaRange[] {
  const { answer, struct } = askGrowing(24, (into) => kernel.iommuInfo(container, into));
  checked('VFIO_IOMMU_GET_INFO', answer, path, { path });
  const ranges: IovaRange[] = [];
  for (const { id, at } of capabilities(struct, struct.u32(16))) {
    if (id !== capability.iovaRange) continue;
    for (let i = 0; i < struct.u32(at + 8); i++) {
      ranges.push({ first: struct.u64(at + 16 + i * 16), last: struct.u64(at + 24 + i * 16) });
    }
  }
  // Kernels before 5.4 do not say; what every IOMMU of theirs has is 39 bits.
  return ranges.length > 0 ? ranges : [{ first: 0n, last: (1n << 39n) - 1n }];
}

class GroupAccess implements DeviceAccess {
  readonly api = 'group';
  readonly mapCall = 'VFIO_IOMMU_MAP_DMA';
  readonly unmapCall = 'VFIO_IOMMU_UNMAP_DMA';
  readonly calls: DeviceCalls;
  readonly #device: DescriptorHandle;
  readonly #group: Group;

  constructor(device: DescriptorHandle, group: Group) {
    this.calls = new KernelCalls(device);
    this.#device = device;
    this.#group = group;
  }

  get space(): IovaSpace {
    this.#group.space ??= new IovaSpace(rangesOf(this.#group), kernel.pageSize);
    return this.#group.space;
  }

  map(iova: bigint, pinned: Pinned, readable: boolean, writable: boolean): number {
    const flags = (readable ? dmaFlag.read : 0) | (writable ? dmaFlag.write : 0);
    return kernel.mapDma(this.#group.container, iova, ...pinned, flags);
  }

  unmap(iova: bigint, length: number): number {
    return kernel.unmapDma(this.#group.container, iova, length);
  }

  close(): void {
    kernel.close(this.#device);
    letGo(this.#group);
  }
}
