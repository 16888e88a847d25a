// The doctor, bind and unbind on a kernel with zPCI and ism-vfio-pci.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DiagnosedFunction, diagnose, openVfio } from 'ismio';
import { carryOut, planBind, planUnbind } from '../../../../src/pci/bind.js';
import { thrownBy } from '../../../support/errors.js';
import { driverOf } from '../../support/pci.js';
import { address, functions } from '../machine.js';

const roots = { sysfs: '/sys', dev: '/dev', proc: '/proc' };
const bdf = address('ism');

function diagnosed(which: string): DiagnosedFunction {
  const found = diagnose().functions.find((it) => it.bdf === which);
  assert.ok(found !== undefined);
  return found;
}

function give(driver?: string): string | null {
  return carryOut(planBind(bdf, roots, driver), roots).driver;
}

test('functions are listed with their zPCI attributes and the window of 2^48 bytes', () => {
  const { machine } = diagnose();
  assert.deepEqual([machine.cpu, machine.vfioDrivers], ['s390x', ['ism_vfio_pci', 'vfio-pci']]);
  const { kind, bars, zpci, iommuGroup } = diagnosed(bdf);
  assert.equal(kind, 'ISM');
  assert.equal(bars[0]?.size, 2n ** 48n);
  assert.deepEqual([zpci?.functionId, zpci?.uid], [functions.ism.fid, functions.ism.uid]);
  assert.deepEqual(
    iommuGroup?.members.map(({ name }) => name),
    [bdf],
    'a group of its own',
  );
});

test('ISM is ready under ism_vfio_pci alone, and bind knows that driver', () => {
  assert.equal(diagnosed(bdf).verdict, 'ready');
  assert.equal(carryOut(planUnbind(bdf, roots), roots).driver, null);
  const free = diagnosed(bdf);
  assert.deepEqual([free.verdict, free.driverOverride], ['driver', null]);
  assert.equal(free.problems[0]?.message, 'no driver has it; to be opened it needs ism_vfio_pci');

  assert.equal(give('vfio-pci'), 'vfio-pci');
  assert.equal(diagnosed(bdf).verdict, 'driver');
  assert.equal(give(), 'ism_vfio_pci');
  const { verdict, ways } = diagnosed(bdf);
  assert.deepEqual([verdict, ways[0]?.api], ['ready', 'group']);
  openVfio(bdf).close();
});

test('the name of the module is refused before the kernel would fail on it', () => {
  const { code, message } = thrownBy(() => give('ism-vfio-pci'));
  assert.equal(code, 'ERR_ISMIO_BIND');
  assert.match(message, /sysfs calls it ism_vfio_pci/);
  assert.equal(driverOf(bdf), 'ism_vfio_pci', 'it keeps the one it had');
});
