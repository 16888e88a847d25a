// Where the tests in the guest are: the folder shared with the host, and whose modules serve VFIO.
import type { Modules } from '../kernel.js';

export { bind, diskOf, driverOf, sysfs } from '../../support/pci.js';

export const work = process.argv[2];
export const modules = process.argv[3] as Modules;

/** Whether edu, nvme and a serial port are served by this package. */
export const served = process.argv[4] === 'served';

/** The way to open a device that this run is there for. */
export const api = modules === 'iommufd' ? 'cdev' : 'group';
