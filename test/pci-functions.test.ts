// PCI functions as they are read from sysfs, also from one that is broken.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { IsmioError, listFunctions, type PciFunction } from 'ismio';
import { throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { bar, PciTree } from './support/pci-tree.js';
import { patience, scaled } from './support/scale.js';

function only(tree: PciTree): PciFunction {
  const [it, ...more] = listFunctions({ sysfs: tree.roots.sysfs });
  assert.ok(it !== undefined && more.length === 0);
  return it;
}

describe('listFunctions', () => {
  test('reads what a function is, who has it, and what is in its group', (t) => {
    const tree = new PciTree(t);
    const resource = [bar.small, bar.none, bar.ports];
    const files = { enable: '1', driver_override: 'vfio-pci' };
    tree.add('0000:00:04.0', { driver: 'vfio-pci', group: 7, command: 6, vfio: 'vfio3', cdev: true, resource, files });
    tree.add('0000:00:03.0', { driver: 'e1000e', group: 7, class: '0x020000' });
    const [neighbour, it] = listFunctions({ sysfs: tree.roots.sysfs });
    assert.equal(neighbour?.bdf, '0000:00:03.0');
    assert.equal(neighbour?.kind, 'Ethernet');
    assert.deepEqual(it, {
      bdf: '0000:00:04.0',
      kind: 'unclassified',
      vendor: 0x1234,
      device: 0x11e8,
      classCode: 0xff00,
      subsystemVendor: 0x1af4,
      subsystemDevice: 0x1100,
      driver: 'vfio-pci',
      driverOverride: 'vfio-pci',
      iommuGroup: {
        id: '7',
        noiommu: false,
        members: [
          { name: '0000:00:03.0', driver: 'e1000e', classCode: 0x020000 },
          { name: '0000:00:04.0', driver: 'vfio-pci', classCode: 0xff00 },
        ],
      },
      bars: [
        { index: 0, kind: 'memory', address: 0xfebf1000n, size: 4096n, prefetchable: false, wide: false },
        { index: 2, kind: 'io', address: 0xc000n, size: 64n, prefetchable: false, wide: false },
      ],
      enabled: 1,
      memoryDecode: true,
      busMaster: true,
      vfio: { name: 'vfio3', cdev: true },
      zpci: null,
    });
  });

  test('lists in the order of addresses, domains of more than four digits behind those of four', (t) => {
    const tree = new PciTree(t);
    const ordered = ['0000:04:00.0', '0000:0a:00.0', '0000:0a:00.1', 'c05b:00:02.0', '10000:01:00.0', '10001:00:00.0'];
    for (const bdf of [...ordered].reverse()) tree.add(bdf, { group: 3 });
    const functions = listFunctions({ sysfs: tree.roots.sysfs });
    assert.deepEqual(
      functions.map(({ bdf }) => bdf),
      ordered,
    );
    tree.link('kernel/iommu_groups/3/devices/soc:device', 'devices');
    const members = listFunctions({ sysfs: tree.roots.sysfs })[0]?.iommuGroup?.members.map(({ name }) => name);
    assert.deepEqual(members, [...ordered, 'soc:device'], 'what is no address is behind those');
  });

  test('reads the BAR of 256 TiB and the zPCI attributes of ISM', (t) => {
    const tree = new PciTree(t);
    const zpci = { function_id: '0x00000077', function_handle: '0x81000001', pchid: '0x0100', pfgid: '0x04' };
    const files = { ...zpci, pft: '0x05', vfn: '0x0001', uid: '0x1234', uid_is_unique: '1' };
    const resource = [bar.large.replace('0x0000800000000000', '0x0000000000000000'), bar.none, bar.small];
    tree.add('0000:00:00.0', { vendor: '0x1014', device: '0x04ed', resource, files });
    const { kind, bars, zpci: told } = only(tree);
    assert.equal(kind, 'ISM');
    assert.deepEqual(
      bars.map(({ index, size, prefetchable, wide }) => ({ index, size, prefetchable, wide })),
      [
        { index: 0, size: 2n ** 48n, prefetchable: true, wide: true },
        { index: 2, size: 4096n, prefetchable: false, wide: false },
      ],
    );
    assert.deepEqual(told, {
      functionId: 0x77,
      functionHandle: 0x81000001,
      pchid: 0x100,
      functionGroup: 4,
      functionType: 5,
      vfn: 1,
      uid: 0x1234,
      uidIsUnique: true,
    });
  });

  test('a machine without PCI has no functions', (t) => {
    assert.deepEqual(listFunctions({ sysfs: temporaryFolder(t) }), []);
  });

  test('a sysfs that has PCI and cannot be read is an error, not an empty list', (t) => {
    const tree = new PciTree(t);
    const folder = join(tree.roots.sysfs, 'bus/pci/devices');
    rmSync(folder, { recursive: true });
    tree.link('bus/pci/devices', 'bus/pci/devices'); // a link to itself: ELOOP
    const values = { path: folder, errno: 'ELOOP' };
    throwsCode(() => listFunctions({ sysfs: tree.roots.sysfs }), IsmioError, 'ERR_ISMIO_OPEN', values);
  });

  test('an option that is none is refused', () => {
    throwsCode(() => listFunctions({ sys: '/sys' } as never), RangeError, 'ERR_ISMIO_OPTION');
  });
});

describe('listFunctions on a broken sysfs', () => {
  test('a function without any files is told with everything unknown', (t) => {
    const tree = new PciTree(t);
    mkdirSync(join(tree.roots.sysfs, 'bus/pci/devices/0000:00:04.0'));
    const { bdf, kind, bars, zpci, ...rest } = only(tree);
    assert.deepEqual({ bdf, kind, bars, zpci }, { bdf: '0000:00:04.0', kind: 'unknown', bars: [], zpci: null });
    assert.deepEqual(new Set(Object.values(rest)), new Set([null]));
  });

  test('a link that leads nowhere is a function that has gone, and names that are no address are none', (t) => {
    const tree = new PciTree(t);
    tree.link('bus/pci/devices/0000:00:04.0', 'devices/gone');
    for (const name of ['power', '0000:00:04', '0000:00:04.8', '../../etc', 'fn']) {
      tree.sys(`bus/pci/devices/${name}/vendor`, '0x1234');
    }
    assert.equal(only(tree).vendor, null);
  });

  test('ids that are no numbers are unknown, whatever they are', (t) => {
    for (const garbage of ['', 'xyz', '0x', '-1', '0x1234 0x5678', '1e3', '0x123456789', '\0\0', '4096garbage']) {
      const tree = new PciTree(t);
      tree.add('0000:00:04.0', { vendor: garbage, class: garbage, files: { enable: garbage } });
      const { vendor, classCode, enabled, kind } = only(tree);
      assert.deepEqual([vendor, classCode, enabled, kind], [null, null, null, 'unknown'], JSON.stringify(garbage));
    }
  });

  test('lines of resource that are none, that end before they begin, or that have no kind, are no BARs', (t) => {
    const tree = new PciTree(t);
    const backwards = '0x00000000febf1fff 0x00000000febf1000 0x0000000000040200';
    const kindless = '0x00000000febf1000 0x00000000febf1fff 0x0000000000000000';
    const resource = ['garbage', backwards, kindless, '', `${bar.small} 0x1`, bar.small, bar.small];
    tree.add('0000:00:04.0', { resource });
    assert.deepEqual(
      only(tree).bars.map(({ index }) => index),
      [5],
      'the seventh line is the ROM',
    );
  });

  test('a driver and a group that lead nowhere still have their names', (t) => {
    const tree = new PciTree(t);
    tree.add('0000:00:04.0', { group: null });
    tree.link(`${tree.folder('0000:00:04.0')}/driver`, 'bus/pci/drivers/gone');
    tree.link(`${tree.folder('0000:00:04.0')}/iommu_group`, 'kernel/iommu_groups/9');
    const { driver, iommuGroup } = only(tree);
    assert.equal(driver, 'gone');
    assert.deepEqual(iommuGroup, { id: '9', noiommu: false, members: [] });
  });

  test('a config space that ends before the command register says nothing about it', (t) => {
    const tree = new PciTree(t);
    tree.add('0000:00:04.0');
    writeFileSync(join(tree.roots.sysfs, tree.folder('0000:00:04.0'), 'config'), new Uint8Array(4));
    const { memoryDecode, busMaster } = only(tree);
    assert.deepEqual([memoryDecode, busMaster], [null, null]);
  });

  test('thousands of functions in one group are read one by one, and the group once', (t) => {
    const tree = new PciTree(t);
    const functions = scaled(2000);
    for (let i = 0; i < functions; i++) {
      const bdf = `${(i >> 8).toString(16).padStart(4, '0')}:${(i & 0xff).toString(16).padStart(2, '0')}:00.0`;
      tree.sys(`bus/pci/devices/${bdf}/vendor`, '0x1234\n');
      tree.link(`bus/pci/devices/${bdf}/iommu_group`, 'kernel/iommu_groups/1');
      tree.link(`kernel/iommu_groups/1/devices/${bdf}`, `bus/pci/devices/${bdf}`);
    }
    const began = performance.now();
    const all = listFunctions({ sysfs: tree.roots.sysfs });
    const milliseconds = performance.now() - began;
    assert.equal(all.length, functions);
    assert.equal(new Set(all.map(({ iommuGroup }) => iommuGroup?.members)).size, 1, 'one list for all of them');
    assert.ok(milliseconds < patience(10_000), `${functions} functions took ${milliseconds.toFixed(0)} ms`);
  });
});
