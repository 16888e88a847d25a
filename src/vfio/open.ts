// openVfio: finds the function in sysfs, chooses how to open it.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkBdf, checkOptions, checkText, checkWord } from '../check.js';
import { IsmioError } from '../errors.js';
import type { DeviceAccess } from './access.js';
import { openCdev } from './cdev.js';
import { type FunctionIds, VfioDevice } from './device.js';
import { openGroup } from './group.js';

export interface VfioOptions {
  /**
   * 'group': /dev/vfio/N with a type 1 container. 'cdev': /dev/vfio/devices/vfioN with an iommufd. Default 'auto': 'cdev'
   * where the machine has both that and /dev/iommu.
   */
  api?: 'auto' | 'group' | 'cdev';
  /** Where sysfs is mounted. Default '/sys'. */
  sysfs?: string;
  /** Where device nodes are. Default '/dev'. */
  dev?: string;
}

/**
 * Opens a PCI function that is bound to a VFIO driver (`ismio bind BDF` does that).
 * @param bdf domain:bus:device.function, such as '0000:00:04.0'
 * @throws IsmioError ERR_ISMIO_NOT_A_DEVICE, ERR_ISMIO_NOT_BOUND, ERR_ISMIO_GROUP_NOT_VIABLE, ERR_ISMIO_DEVICE_BUSY,
 * ERR_ISMIO_OPEN (no permission), ERR_ISMIO_VFIO
 */
export function openVfio(bdf: string, options: VfioOptions = {}): VfioDevice {
  checkOptions(options, ['api', 'sysfs', 'dev'], 'openVfio');
  const name = checkBdf(bdf);
  const api = checkWord(options.api ?? 'auto', 'api', ['auto', 'group', 'cdev']);
  const dev = checkText(options.dev ?? '/dev', 'dev');
  const folder = join(checkText(options.sysfs ?? '/sys', 'sysfs'), 'bus/pci/devices', name);
  if (!existsSync(folder)) {
    throw new IsmioError(
      'ERR_ISMIO_NOT_A_DEVICE',
      `there is no PCI function ${name}; "ismio info" lists those there are`,
      {
        bdf: name,
        path: folder,
      },
    );
  }
  const ids = readIds(folder);
  if (ids.driver === '') {
    throw new IsmioError('ERR_ISMIO_NOT_BOUND', `${name} has no driver; bind it to VFIO's with "ismio bind ${name}"`, {
      bdf: name,
    });
  }
  const access = openAccess(api, dev, folder, name, ids);
  try {
    return new VfioDevice(access, name, ids);
  } catch (error) {
    access.close();
    throw error;
  }
}

function openAccess(
  api: 'auto' | 'group' | 'cdev',
  dev: string,
  folder: string,
  bdf: string,
  ids: FunctionIds,
): DeviceAccess {
  const cdev = cdevOf(folder);
  const offered = cdev !== null && existsSync(join(dev, 'iommu')) && existsSync(join(dev, 'vfio/devices', cdev));
  if (api === 'cdev' || (api === 'auto' && offered)) {
    if (cdev !== null) return openCdev(dev, cdev, bdf);
    const text = `${bdf} has no VFIO character device: its driver is ${ids.driver}, or the kernel has no VFIO_DEVICE_CDEV; use { api: 'group' }`;
    throw new IsmioError('ERR_ISMIO_NOT_BOUND', text, { bdf, driver: ids.driver });
  }
  if (ids.iommuGroup !== null) return openGroup(dev, ids.iommuGroup, bdf, join(folder, 'iommu_group/devices'));
  const text = `${bdf} is in no IOMMU group: the machine has no IOMMU, or it is switched off ("ismio info ${bdf}" tells more)`;
  throw new IsmioError('ERR_ISMIO_NOT_BOUND', text, { bdf, driver: ids.driver });
}

/** The name of the function's character device; null where there is none. */
function cdevOf(folder: string): string | null {
  try {
    return readdirSync(join(folder, 'vfio-dev'))[0] ?? null;
  } catch {
    return null;
  }
}

function readIds(folder: string): FunctionIds {
  const number = (file: string) => Number.parseInt(readFileSync(join(folder, file), 'utf8'), 16);
  const group = linkName(join(folder, 'iommu_group'));
  return {
    driver: linkName(join(folder, 'driver')),
    vendor: number('vendor'),
    device: number('device'),
    subsystemVendor: number('subsystem_vendor'),
    subsystemDevice: number('subsystem_device'),
    classCode: number('class'),
    iommuGroup: group === '' ? null : Number(group),
  };
}

/** The last part of where a link leads; empty where there is none. */
function linkName(path: string): string {
  try {
    return basename(readlinkSync(path));
  } catch {
    return '';
  }
}
