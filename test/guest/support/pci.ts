// Functions as a guest's kernel shows them in sysfs, and drivers given to them as an administrator would.
import { existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

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

/** The disk of an NVMe controller that the kernel's driver has, as soon as it is there: the driver looks for it in its own time. */
export async function diskOf(bdf: string): Promise<string> {
  const folder = sysfs(bdf, 'nvme');
  for (let waited = 0; waited < 30_000; waited += 20) {
    for (const controller of existsSync(folder) ? readdirSync(folder) : []) {
      const disk = `/dev/${controller}n1`;
      if (existsSync(disk)) return disk;
    }
    await pause(20);
  }
  throw new Error(`${bdf} has no disk after 30 s`);
}
