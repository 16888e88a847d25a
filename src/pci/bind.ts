// Giving a function to a VFIO driver and back: driver_override, unbind, drivers_probe. A plan is made first; each write of
// it can be shown before any is made, and what became of it is read back.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { IsmioError, rangeError, shown } from '../support/errors.js';
import { notBound, notLoaded, notThere, refused } from './failure.js';
import { findFunction, functionFolder, type PciFunction } from './functions.js';
import type { PciRoots } from './machine.js';
import { isVfioDriver, vfioDriverFor } from './names.js';
import type { BindPlan, Write } from './plan.js';
import { isThere } from './tree.js';
import { openedOn, usesOn } from './uses.js';

export type WriteFile = (write: Write) => void;

/**
 * What it takes to give a function to a driver: the one that VFIO has for it, unless told.
 * @throws IsmioError ERR_ISMIO_NOT_A_DEVICE; ERR_ISMIO_BIND: no such driver is loaded
 */
export function planBind(bdf: string, roots: Required<PciRoots>, driver?: string): BindPlan {
  const it = existing(bdf, roots);
  const to = driver ?? vfioDriverFor(it);
  const plan = { bdf, action: 'bind', from: it.driver, to } as const;
  if (it.driver === to) return { ...plan, writes: [], uses: [] };
  if (!isThere(join(roots.sysfs, 'bus/pci/drivers', to))) throw notLoaded(to, roots.sysfs);
  return { ...plan, writes: [override(it, to, roots), ...probe(it, roots)], uses: usesOn(roots)(it) };
}

/**
 * What it takes to give a function back. One that a driver of the kernel's own has keeps it: at most driver_override is
 * cleared.
 * @throws IsmioError ERR_ISMIO_NOT_A_DEVICE
 */
export function planUnbind(bdf: string, roots: Required<PciRoots>): BindPlan {
  const it = existing(bdf, roots);
  const isTaken = it.driver === null || it.vfio !== null || isVfioDriver(it.driver);
  const cleared = it.driverOverride === null ? [] : [override(it, '\n', roots)];
  const writes = isTaken ? [...cleared, ...probe(it, roots)] : cleared;
  return { bdf, action: 'unbind', from: it.driver, to: null, writes, uses: openedOn(roots)(it) };
}

/**
 * Makes the writes of a plan, and reads back who has the function.
 * @returns the function as it is then
 * @throws IsmioError ERR_ISMIO_SYSFS: a write was refused; ERR_ISMIO_BIND: the function did not go where it should
 */
export function carryOut(plan: BindPlan, roots: Required<PciRoots>, write: WriteFile = writeFile): PciFunction {
  for (const [index, one] of plan.writes.entries()) {
    try {
      write(one);
    } catch (cause) {
      throw refused(plan, index, cause as NodeJS.ErrnoException, findFunction(roots.sysfs, plan.bdf));
    }
  }
  const now = findFunction(roots.sysfs, plan.bdf);
  if (now === null) throw notThere(plan.bdf, roots.sysfs);
  const isThereNow = plan.action === 'bind' ? now.driver === plan.to : !isStillTaken(plan, now);
  if (!isThereNow) throw notBound(plan, now);
  return now;
}

/** A function that had no driver may well have none again: nobody in the kernel wants it. */
function isStillTaken({ from }: BindPlan, now: PciFunction): boolean {
  return now.driverOverride !== null || (isVfioDriver(now.driver) && now.driver === from);
}

/**
 * A driver's name becomes part of a path.
 * @throws RangeError ERR_ISMIO_OPTION
 */
export function checkDriver(name: string): string {
  if (/^[\w-][\w.-]*$/.test(name)) return name;
  throw rangeError('ERR_ISMIO_OPTION', `driver must be the name of a PCI driver, not ${shown(name)}`, { driver: name });
}

/** @throws IsmioError ERR_ISMIO_IN_USE */
export function checkUses({ bdf, uses, action }: BindPlan): void {
  if (uses.length === 0) return;
  const text = `${bdf} is in use: ${uses.join('; ')}. --force does it all the same`;
  throw new IsmioError('ERR_ISMIO_IN_USE', text, { bdf, action, uses });
}

function existing(bdf: string, { sysfs }: Required<PciRoots>): PciFunction {
  const it = findFunction(sysfs, bdf);
  if (it === null) throw notThere(bdf, sysfs);
  return it;
}

function override(it: PciFunction, value: string, { sysfs }: Required<PciRoots>): Write {
  return { file: join(functionFolder(sysfs, it.bdf), 'driver_override'), value };
}

function probe(it: PciFunction, { sysfs }: Required<PciRoots>): Write[] {
  const drivers = join(sysfs, 'bus/pci/drivers');
  const unbind = it.driver === null ? [] : [{ file: join(drivers, it.driver, 'unbind'), value: it.bdf }];
  return [...unbind, { file: join(sysfs, 'bus/pci/drivers_probe'), value: it.bdf }];
}

/** One write of the whole value, as sysfs wants it, and into a file that is there already. */
function writeFile({ file, value }: Write): void {
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_TRUNC);
  try {
    writeSync(descriptor, value);
  } finally {
    closeSync(descriptor);
  }
}
