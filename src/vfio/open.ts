// openVfio: finds the function in sysfs, chooses how to open it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { notThere } from '../pci/failure.js';
import { findFunction, type PciFunction } from '../pci/functions.js';
import { checkBdf, checkOptions, checkText, checkWord } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import type { DeviceAccess } from './access.js';
import { openCdev } from './cdev.js';
import { VfioDevice } from './device.js';
import { openGroup } from './group.js';
import type { FunctionIds } from './info.js';

/** How `openVfio` opens a function. */
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
  const sysfs = checkText(options.sysfs ?? '/sys', 'sysfs');
  const found = findFunction(sysfs, name);
  if (found === null) throw notThere(name, sysfs);
  if (found.driver === null) {
    const text = `${name} has no driver; bind it to VFIO's with "ismio bind ${name}"`;
    throw new IsmioError('ERR_ISMIO_NOT_BOUND', text, { bdf: name });
  }
  const ids = idsOf(found, found.driver);
  const access = openAccess(api, dev, found);
  try {
    return new VfioDevice(access, name, ids);
  } catch (error) {
    access.close();
    throw error;
  }
}

function openAccess(api: 'auto' | 'group' | 'cdev', dev: string, found: PciFunction): DeviceAccess {
  const { bdf, driver, vfio, iommuGroup } = found;
  const offered = vfio?.cdev === true && existsSync(join(dev, 'iommu'));
  const values = { bdf, driver };
  if (api === 'cdev' || (api === 'auto' && offered)) {
    if (vfio?.cdev === true) return openCdev(dev, vfio.name, found);
    const text = `${bdf} has no VFIO character device: its driver is ${driver}, or the kernel has no VFIO_DEVICE_CDEV; use { api: 'group' }`;
    throw new IsmioError('ERR_ISMIO_NOT_BOUND', text, values);
  }
  if (iommuGroup === null) {
    const text = `${bdf} is in no IOMMU group: the machine has no IOMMU, or it is switched off ("ismio info ${bdf}" tells more)`;
    throw new IsmioError('ERR_ISMIO_NOT_BOUND', text, values);
  }
  if (iommuGroup.noiommu) {
    const text = `${bdf} is bound without an IOMMU: nothing would check where the device reads and writes. Give the machine one`;
    throw new IsmioError('ERR_ISMIO_NOT_BOUND', text, values);
  }
  return openGroup(dev, iommuGroup.id, found, iommuGroup.members);
}

function idsOf(found: PciFunction, driver: string): FunctionIds {
  const { vendor, device, subsystemVendor, subsystemDevice, classCode, iommuGroup } = found;
  const group = iommuGroup === null ? null : Number(iommuGroup.id);
  return { driver, vendor, device, subsystemVendor, subsystemDevice, classCode, iommuGroup: group };
}
