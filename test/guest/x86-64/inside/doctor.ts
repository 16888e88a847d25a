// The doctor against a real kernel: what it says of a function is what openVfio does, and bind and unbind are what they say.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { type DiagnosedFunction, diagnose, openVfio } from 'ismio';
import { carryOut, checkUses, planBind, planUnbind } from '../../../../src/pci/bind.js';
import { thrownBy } from '../../../support/errors.js';
import { places } from '../machine.js';
import { api, driverOf } from './setting.js';

const roots = { sysfs: '/sys', dev: '/dev', proc: '/proc' };

function diagnosed(bdf: string): DiagnosedFunction {
  const found = diagnose().functions.find((it) => it.bdf === bdf);
  assert.ok(found !== undefined);
  return found;
}

/** Why openVfio does not open a function; null where it does. */
function refusal(bdf: string): string | null {
  try {
    openVfio(bdf).close();
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** What `ismio bind` does, without a process of its own: under emulation each takes seconds. */
function give(bdf: string): string | null {
  const plan = planBind(bdf, roots);
  checkUses(plan);
  return carryOut(plan, roots).driver;
}

/** What `ismio unbind` does. */
function giveBack(bdf: string): string | null {
  const plan = planUnbind(bdf, roots);
  checkUses(plan);
  return carryOut(plan, roots).driver;
}

test('the doctor lists what the kernel lists, and calls ready exactly what openVfio opens', () => {
  const { machine, functions } = diagnose();
  assert.deepEqual(
    functions.map(({ bdf }) => bdf),
    readdirSync('/sys/bus/pci/devices').sort(),
  );
  assert.deepEqual([machine.pci, machine.iommus.length > 0, machine.vfioDrivers], [true, true, ['vfio-pci']]);
  for (const { bdf, openable, verdict } of functions)
    assert.equal(openable, refusal(bdf) === null, `${bdf}: ${verdict}`);
});

test('the doctor knows the way that openVfio takes', () => {
  const it = diagnosed(places.edu);
  assert.deepEqual(
    [it.verdict, it.ways.map((way) => way.api)],
    ['ready', api === 'cdev' ? ['cdev', 'group'] : ['group']],
  );
  using device = openVfio(places.edu);
  assert.equal(it.ways[0]?.api, device.api);
  assert.equal(device.memory, true, 'opening switches memory decode on');
});

test('a function that is open is told with its process, and unbind does not wait for it', () => {
  const device = openVfio(places.edu);
  const { verdict, users } = diagnosed(places.edu);
  assert.deepEqual([verdict, users.map(({ pid }) => pid)], ['in-use', [process.pid]]);
  const refused = thrownBy(() => giveBack(places.edu));
  assert.equal(refused.code, 'ERR_ISMIO_IN_USE');
  assert.match(refused.message, new RegExp(`process ${process.pid}\\b`));
  device.close();
  assert.equal(diagnosed(places.edu).verdict, 'ready');
});

test('unbind gives a function back, and bind takes it again', () => {
  assert.equal(giveBack(places.edu), null, 'the kernel has no driver for edu');
  assert.equal(driverOf(places.edu), null);
  const { verdict, driverOverride } = diagnosed(places.edu);
  assert.deepEqual([verdict, driverOverride, refusal(places.edu)], ['driver', null, 'ERR_ISMIO_NOT_BOUND']);

  assert.equal(give(places.edu), 'vfio-pci');
  assert.deepEqual([driverOf(places.edu), refusal(places.edu)], ['vfio-pci', null]);
});

test('a function of a driver of the kernel goes to VFIO and comes back to it', () => {
  assert.deepEqual([giveBack(places.rng), driverOf(places.rng)], ['virtio-pci', 'virtio-pci']);
  assert.deepEqual([give(places.rng), driverOf(places.rng), refusal(places.rng)], ['vfio-pci', 'vfio-pci', null]);
});

test('a group is viable once the commands of the doctor were followed', () => {
  const both = [places.shared, places.neighbour];
  const before = both.map(driverOf);
  for (const bdf of both) if (driverOf(bdf) === 'vfio-pci') giveBack(bdf);
  give(places.shared);
  assert.equal(driverOf(places.neighbour), 'virtio-pci');
  const { verdict, problems } = diagnosed(places.shared);
  assert.equal(verdict, 'group');
  assert.deepEqual(
    problems.flatMap(({ commands }) => commands),
    [`npx ismio bind ${places.neighbour}`],
  );
  assert.notEqual(refusal(places.shared), null);
  give(places.neighbour);
  assert.deepEqual([diagnosed(places.shared).verdict, refusal(places.shared)], ['ready', null]);
  for (const [i, bdf] of both.entries()) if (before[i] !== 'vfio-pci') giveBack(bdf);
});

test('a bridge is not given away, and vfio-pci would not take it', () => {
  const bridge = diagnose().functions.find(({ verdict }) => verdict === 'bridge')?.bdf;
  assert.ok(bridge !== undefined);
  assert.equal(thrownBy(() => give(bridge)).code, 'ERR_ISMIO_IN_USE');
  const had = driverOf(bridge);
  const { message } = thrownBy(() => carryOut(planBind(bridge, roots), roots));
  assert.match(message, /vfio-pci did not take .*It has no driver and driver_override vfio-pci now/);
  assert.equal(giveBack(bridge), had);
});
