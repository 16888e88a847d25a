// Where the tests in the guest are: the folder shared with the host, and whose modules serve VFIO.
import { readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Modules } from '../kernel.js';

export const work = process.argv[2];
export const modules = process.argv[3] as Modules;

/** The way to open a device that this run is there for. */
export const api = modules === 'iommufd' ? 'cdev' : 'group';

/** A function's folder in sysfs. */
export function sysfs(bdf: string, ...more: readonly string[]): string {
  return join('/sys/bus/pci/devices', bdf, ...more);
}

/** The driver that has the function now. */
export function driverOf(bdf: string): string | null {
  try {
    return basename(readlinkSync(sysfs(bdf, 'driver')));
  } catch {
    return null;
  }
}

/** Gives the function to a driver, as an administrator would. */
export function bind(bdf: string, driver: string): void {
  if (driverOf(bdf) !== null) writeFileSync(sysfs(bdf, 'driver', 'unbind'), bdf);
  writeFileSync(sysfs(bdf, 'driver_override'), driver);
  writeFileSync('/sys/bus/pci/drivers_probe', bdf);
}
