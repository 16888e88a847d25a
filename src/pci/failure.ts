// Failures of looking up a function, and of changing who has it: their words, values and advice.
import { join } from 'node:path';
import { IsmioError } from '../support/errors.js';
import type { PciFunction } from './functions.js';
import type { BindPlan } from './plan.js';
import { isThere } from './tree.js';

export function notThere(bdf: string, sysfs: string): IsmioError {
  const folder = join(sysfs, 'bus/pci/devices');
  const why = isThere(folder)
    ? `${folder} has none of this address; ismio info lists what it has`
    : `${folder} is not there (a container, or a machine without PCI)`;
  return new IsmioError('ERR_ISMIO_NOT_A_DEVICE', `no PCI function ${bdf}: ${why}`, { bdf, path: join(folder, bdf) });
}

export function notLoaded(driver: string, sysfs: string): IsmioError {
  const module = driver.replaceAll('_', '-');
  // A module's name may have dashes where its driver's has underscores.
  const other = [module, driver.replaceAll('-', '_')].find(
    (name) => name !== driver && isThere(join(sysfs, 'bus/pci/drivers', name)),
  );
  const advice = other === undefined ? `modprobe ${module}` : `sysfs calls it ${other}`;
  const text = `no driver ${driver} is loaded: ${advice}. Nothing was changed`;
  return new IsmioError('ERR_ISMIO_BIND', text, { driver, path: join(sysfs, 'bus/pci/drivers', driver) });
}

const advice: Readonly<Record<string, string>> = {
  EACCES: 'it takes root',
  EPERM: 'it takes root, on the host',
  EROFS: 'sysfs is mounted read-only, as in a container: do it on the host',
  ENOENT: 'the function, its driver or the file has gone',
  ENODEV: 'the function has another driver by now, or has gone',
  EINVAL: 'the kernel log says more (dmesg)',
};

/** @param index of the write that was refused */
export function refused(
  plan: BindPlan,
  index: number,
  cause: NodeJS.ErrnoException,
  now: PciFunction | null,
): IsmioError {
  const { file, value } = plan.writes[index] as BindPlan['writes'][number];
  const { code = 'unknown error' } = cause;
  const hint = advice[code] === undefined ? '' : ` (${advice[code]})`;
  const state = index === 0 ? 'Nothing was changed' : stateOf(plan, now);
  const text = `cannot write ${JSON.stringify(value)} to ${file}: ${code}${hint}. ${state}`;
  return new IsmioError('ERR_ISMIO_SYSFS', text, { bdf: plan.bdf, path: file, value, errno: code }, cause);
}

export function notBound(plan: BindPlan, now: PciFunction): IsmioError {
  const wanted = plan.action === 'bind' ? `${plan.to} did not take ${plan.bdf}` : `${plan.bdf} was not given back`;
  const text = `${wanted}; the kernel log says why (dmesg). ${stateOf(plan, now)}`;
  const { driver, driverOverride } = now;
  return new IsmioError('ERR_ISMIO_BIND', text, { bdf: plan.bdf, wanted: plan.to, driver, driverOverride });
}

function stateOf({ bdf, action }: BindPlan, now: PciFunction | null): string {
  if (now === null) return `${bdf} has gone`;
  const has = now.driver === null ? 'no driver' : `the driver ${now.driver}`;
  const override = now.driverOverride === null ? 'no driver_override' : `driver_override ${now.driverOverride}`;
  const back = action === 'bind' ? `; ismio unbind ${bdf} gives it back` : '';
  return `It has ${has} and ${override} now${back}`;
}
