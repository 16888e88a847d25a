// What bind and unbind write, in which order, and what they make of what came of it.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { carryOut, checkDriver, checkUses, planBind, planUnbind } from '../src/pci/bind.js';
import type { BindPlan, Write } from '../src/pci/plan.js';
import { thrownBy } from './support/errors.js';
import { PciTree, readyTree } from './support/pci-tree.js';

const bdf = '0000:00:04.0';
const devices = `bus/pci/devices/${bdf}`;

/** The error of a call that is refused with this code. */
function refusal(act: () => unknown, code: string) {
  const error = thrownBy(act);
  assert.equal(error.code, code, error.message);
  return error;
}

/** What a plan writes, by the path below sysfs. */
function writes(plan: BindPlan, tree: PciTree): string[] {
  return plan.writes.map(({ file, value }) => `${file.slice(tree.roots.sysfs.length + 1)} ${JSON.stringify(value)}`);
}

/** Plays the kernel: keeps what is written, and gives the function to the driver that it says when it is probed. */
function kernel(tree: PciTree, choose: (override: string) => string | null) {
  const log: string[] = [];
  let override = '';
  const write = ({ file, value }: Write) => {
    log.push(file.slice(file.lastIndexOf('/') + 1));
    if (file.endsWith('driver_override')) {
      override = value.trim();
      tree.sys(`${tree.folder(bdf)}/driver_override`, override === '' ? '(null)\n' : `${override}\n`);
    }
    if (file.endsWith('/unbind')) tree.unbind(bdf);
    if (!file.endsWith('drivers_probe')) return;
    const driver = choose(override);
    if (driver !== null) tree.bind(bdf, driver);
  };
  return { write, log };
}

function withFunction(t: TestContext, parts: Parameters<PciTree['add']>[1]): PciTree {
  const tree = readyTree(t);
  tree.add(bdf, parts);
  return tree;
}

describe('bind', () => {
  test('names the driver, takes the function from the one it has, and lets the kernel look', (t) => {
    const tree = withFunction(t, { driver: 'e1000e' });
    const plan = planBind(bdf, tree.roots);
    assert.deepEqual(writes(plan, tree), [
      `${devices}/driver_override "vfio-pci"`,
      `bus/pci/drivers/e1000e/unbind "${bdf}"`,
      `bus/pci/drivers_probe "${bdf}"`,
    ]);
    const { write, log } = kernel(tree, (override) => override);
    assert.equal(carryOut(plan, tree.roots, write).driver, 'vfio-pci');
    assert.deepEqual(log, ['driver_override', 'unbind', 'drivers_probe']);
  });

  test('of a function without a driver unbinds nothing', (t) => {
    const tree = withFunction(t, {});
    assert.deepEqual(writes(planBind(bdf, tree.roots), tree), [
      `${devices}/driver_override "vfio-pci"`,
      `bus/pci/drivers_probe "${bdf}"`,
    ]);
  });

  test('of ISM takes ism_vfio_pci, with the underscores of sysfs', (t) => {
    const tree = withFunction(t, { vendor: '0x1014', device: '0x04ed', driver: 'ism' });
    const plan = planBind(bdf, tree.roots);
    assert.deepEqual([plan.from, plan.to, plan.writes[0]?.value], ['ism', 'ism_vfio_pci', 'ism_vfio_pci']);
  });

  test('of a function that the driver has already writes nothing, whatever the function carries', (t) => {
    const tree = withFunction(t, { driver: 'vfio-pci', vfio: 'vfio0', group: 1 });
    tree.opener(99, 'node', 'vfio/1');
    const plan = planBind(bdf, tree.roots);
    assert.deepEqual([plan.writes, plan.uses], [[], []]);
    assert.equal(carryOut(plan, tree.roots).driver, 'vfio-pci');
  });

  test('to a driver that is not loaded changes nothing, and says what to load', (t) => {
    const tree = new PciTree(t);
    tree.add(bdf, { driver: 'e1000e' });
    assert.match(refusal(() => planBind(bdf, tree.roots), 'ERR_ISMIO_BIND').message, /modprobe vfio-pci/);
  });

  test("by the module's name says what sysfs calls the driver", (t) => {
    const tree = withFunction(t, {});
    const { message } = refusal(() => planBind(bdf, tree.roots, 'ism-vfio-pci'), 'ERR_ISMIO_BIND');
    assert.match(message, /sysfs calls it ism_vfio_pci/);
  });

  test('of a function that is not there is refused', (t) => {
    const { message } = refusal(() => planBind(bdf, readyTree(t).roots), 'ERR_ISMIO_NOT_A_DEVICE');
    assert.match(message, /ismio info/);
  });

  test('of a function that is in use is refused with each use', (t) => {
    const tree = withFunction(t, { driver: 'e1000e', class: '0x020000' });
    tree.net('eth0', 'up', bdf);
    const { message } = refusal(() => checkUses(planBind(bdf, tree.roots)), 'ERR_ISMIO_IN_USE');
    assert.match(message, /eth0 is the only network link.*--force/);
  });

  test('that the driver did not take says who has the function, and how to give it back', (t) => {
    const tree = withFunction(t, { driver: 'e1000e' });
    const { write } = kernel(tree, () => null);
    const { message } = refusal(() => carryOut(planBind(bdf, tree.roots), tree.roots, write), 'ERR_ISMIO_BIND');
    assert.match(message, /vfio-pci did not take 0000:00:04.0/);
    assert.match(message, /It has no driver and driver_override vfio-pci now; ismio unbind 0000:00:04.0 gives it back/);
  });

  test('into ordinary files writes each value whole, and is not taken in by them', (t) => {
    const tree = withFunction(t, { driver: 'e1000e', override: 'a name that is longer than the new one' });
    const { message } = refusal(() => carryOut(planBind(bdf, tree.roots), tree.roots), 'ERR_ISMIO_BIND');
    assert.match(message, /It has the driver e1000e and driver_override vfio-pci now/);
    const text = (path: string) => readFileSync(join(tree.roots.sysfs, path), 'utf8');
    assert.equal(text(`${devices}/driver_override`), 'vfio-pci');
    assert.equal(text('bus/pci/drivers/e1000e/unbind'), bdf);
    assert.equal(text('bus/pci/drivers_probe'), bdf);
  });
});

describe('a write that the kernel refuses', () => {
  const refuse = (errno: string, at: number) => {
    let writes = 0;
    return () => {
      if (writes++ === at) throw Object.assign(new Error(errno), { code: errno });
    };
  };

  test('at first has changed nothing', (t) => {
    const tree = withFunction(t, { driver: 'e1000e' });
    const plan = planBind(bdf, tree.roots);
    const error = refusal(() => carryOut(plan, tree.roots, refuse('EACCES', 0)), 'ERR_ISMIO_SYSFS');
    assert.equal(error.errno, 'EACCES');
    assert.match(error.message, /driver_override: EACCES \(it takes root\)\. Nothing was changed/);
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'EACCES');
  });

  test('later says what state that leaves', (t) => {
    const tree = withFunction(t, { driver: 'e1000e', override: 'vfio-pci' });
    const plan = planBind(bdf, tree.roots);
    const { message } = refusal(() => carryOut(plan, tree.roots, refuse('ENODEV', 1)), 'ERR_ISMIO_SYSFS');
    assert.match(message, /unbind: ENODEV \(.*It has the driver e1000e and driver_override vfio-pci now; ismio unbind/);
  });

  test('in a read-only sysfs points to the host', (t) => {
    const tree = withFunction(t, {});
    const plan = planBind(bdf, tree.roots);
    const { message } = refusal(() => carryOut(plan, tree.roots, refuse('EROFS', 0)), 'ERR_ISMIO_SYSFS');
    assert.match(message, /read-only, as in a container/);
  });

  test('because the file is not there makes none', (t) => {
    const tree = withFunction(t, {});
    const file = join(tree.roots.sysfs, 'bus/pci/drivers_probe');
    rmSync(file);
    const error = refusal(() => carryOut(planBind(bdf, tree.roots), tree.roots), 'ERR_ISMIO_SYSFS');
    assert.equal(error.errno, 'ENOENT');
    assert.throws(() => readFileSync(file));
  });

  test('because the function went says that it has gone', (t) => {
    const tree = withFunction(t, { driver: 'e1000e' });
    const plan = planBind(bdf, tree.roots);
    const write = ({ file }: Write) => {
      if (!file.endsWith('unbind')) return;
      rmSync(join(tree.roots.sysfs, devices));
      throw Object.assign(new Error('ENODEV'), { code: 'ENODEV' });
    };
    const { message } = refusal(() => carryOut(plan, tree.roots, write), 'ERR_ISMIO_SYSFS');
    assert.match(message, /0000:00:04.0 has gone$/);
  });
});

describe('unbind', () => {
  test('clears driver_override first, so that the kernel may choose', (t) => {
    const tree = withFunction(t, { driver: 'vfio-pci', vfio: 'vfio0', override: 'vfio-pci' });
    const plan = planUnbind(bdf, tree.roots);
    assert.deepEqual(writes(plan, tree), [
      `${devices}/driver_override "\\n"`,
      `bus/pci/drivers/vfio-pci/unbind "${bdf}"`,
      `bus/pci/drivers_probe "${bdf}"`,
    ]);
    const { write } = kernel(tree, (override) => (override === '' ? 'e1000e' : override));
    assert.equal(carryOut(plan, tree.roots, write).driver, 'e1000e');
  });

  test('of a function that nobody else wants leaves it without a driver', (t) => {
    const tree = withFunction(t, { driver: 'vfio-pci', vfio: 'vfio0', override: 'vfio-pci' });
    const { write } = kernel(tree, () => null);
    assert.equal(carryOut(planUnbind(bdf, tree.roots), tree.roots, write).driver, null);
  });

  test('of a function that a bind left without a driver lets the kernel look', (t) => {
    const tree = withFunction(t, { override: 'vfio-pci' });
    assert.deepEqual(writes(planUnbind(bdf, tree.roots), tree), [
      `${devices}/driver_override "\\n"`,
      `bus/pci/drivers_probe "${bdf}"`,
    ]);
  });

  test('of a bridge that was forced into VFIO is refused by nobody', (t) => {
    const tree = withFunction(t, { class: '0x060400', override: 'vfio-pci' });
    const plan = planUnbind(bdf, tree.roots);
    assert.deepEqual(plan.uses, []);
    const { write } = kernel(tree, () => 'pcieport');
    assert.equal(carryOut(plan, tree.roots, write).driver, 'pcieport');
  });

  test("never takes a function from the kernel's own driver", (t) => {
    const tree = withFunction(t, { driver: 'nvme' });
    assert.deepEqual(planUnbind(bdf, tree.roots).writes, []);
    const overridden = withFunction(t, { driver: 'nvme', override: 'vfio-pci' });
    assert.deepEqual(writes(planUnbind(bdf, overridden.roots), overridden), [`${devices}/driver_override "\\n"`]);
  });

  test('that the driver outlived is a failure', (t) => {
    const tree = withFunction(t, { driver: 'vfio-pci', vfio: 'vfio0', override: 'vfio-pci' });
    const { write } = kernel(tree, () => 'vfio-pci'); // by an id that was added to the driver
    const { message } = refusal(() => carryOut(planUnbind(bdf, tree.roots), tree.roots, write), 'ERR_ISMIO_BIND');
    assert.match(message, /was not given back.*It has the driver vfio-pci and no driver_override now$/);
  });
});

test('the name of a driver is no path', () => {
  for (const name of ['../nvme', 'a/b', '', '.', '..', 'vfio pci', 'vfio\n', '.hidden']) {
    refusal(() => checkDriver(name), 'ERR_ISMIO_OPTION');
  }
  for (const name of ['vfio-pci', 'ism_vfio_pci', '8250_mid', 'snd.hda']) assert.equal(checkDriver(name), name);
});
