// sysfs and /dev as they are where functions are bound to a VFIO driver: folders, links and files of a test's own. Device nodes
// are plain files; that of a device is sparse, so that offsets such as 7 << 48 can be read and written.
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

export interface FunctionDescription {
  readonly bdf: string;
  /** Name of its driver; null: it has none. */
  readonly driver: string | null;
  /** Its IOMMU group; null: it is in none. */
  readonly group: number | null;
  /** Name of its character device; null: it has none. */
  readonly cdev: string | null;
}

export interface Trees {
  readonly root: string;
  readonly sysfs: string;
  readonly dev: string;
}

/** On tmpfs, where files may be sparse up to 2^63 bytes. */
export function makeTrees(): Trees {
  const root = mkdtempSync('/dev/shm/ismio-test-');
  const trees = { root, sysfs: join(root, 'sys'), dev: join(root, 'dev') };
  for (const folder of [join(trees.sysfs, 'bus/pci/devices'), join(trees.dev, 'vfio/devices'), join(root, 'devices')]) {
    mkdirSync(folder, { recursive: true });
  }
  return trees;
}

export function removeTrees({ root }: Trees): void {
  rmSync(root, { recursive: true, force: true });
}

/** The file that stands for the device behind every node of it. */
export function deviceFile({ root }: Trees, bdf: string): string {
  return join(root, 'devices', bdf);
}

const anyIds = { vendor: 0x1014, device: 0x04ed, subsystem_vendor: 0x1af4, subsystem_device: 0x1100, class: 0x0280_01 };
/** By the names of sysfs. */
export type SysfsIds = Readonly<typeof anyIds>;

/** What the kernel shows of one function. */
export function plantFunction(trees: Trees, { bdf, driver, group, cdev }: FunctionDescription, ids = anyIds): void {
  const folder = join(trees.sysfs, 'bus/pci/devices', bdf);
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(ids)) writeFileSync(join(folder, name), `0x${value.toString(16)}\n`);
  if (driver !== null) symlinkSync(`../../../bus/pci/drivers/${driver}`, join(folder, 'driver'));
  makeSparse(deviceFile(trees, bdf));
  if (group !== null) {
    const members = join(trees.sysfs, 'kernel/iommu_groups', String(group), 'devices');
    mkdirSync(members, { recursive: true });
    symlinkSync(join('../../../../bus/pci/devices', bdf), join(members, bdf));
    symlinkSync(join('../../../../kernel/iommu_groups', String(group)), join(folder, 'iommu_group'));
    writeFileSync(join(trees.dev, 'vfio', String(group)), '');
    writeFileSync(join(trees.dev, 'vfio/vfio'), '');
  }
  if (cdev !== null) {
    mkdirSync(join(folder, 'vfio-dev', cdev), { recursive: true });
    writeFileSync(join(folder, 'vfio-dev', cdev, 'dev'), '511:0\n');
    symlinkSync(deviceFile(trees, bdf), join(trees.dev, 'vfio/devices', cdev));
    writeFileSync(join(trees.dev, 'iommu'), '');
  }
}

function makeSparse(path: string): void {
  const descriptor = openSync(path, 'w+');
  ftruncateSync(descriptor, 2 ** 51); // past region 7 at 7 << 48
  closeSync(descriptor);
}
