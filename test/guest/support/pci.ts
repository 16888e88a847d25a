// Functions as a guest's kernel shows them in sysfs, and drivers given to them as an administrator would.
import { readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

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

/** Takes the function from its driver. */
export function unbind(bdf: string): void {
  if (driverOf(bdf) !== null) writeFileSync(sysfs(bdf, 'driver', 'unbind'), bdf);
}

/** Gives the function to a driver. */
export function bind(bdf: string, driver: string): void {
  unbind(bdf);
  writeFileSync(sysfs(bdf, 'driver_override'), driver);
  writeFileSync('/sys/bus/pci/drivers_probe', bdf);
}
