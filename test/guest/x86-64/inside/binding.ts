// Every device that is alone in its group goes to vfio-pci, for the tests that follow.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { alone, places } from '../machine.js';
import { bind, driverOf, modules, sysfs } from './setting.js';

test('vfio-pci takes every device, and the nodes of its APIs are there', () => {
  for (const bdf of alone.map((name) => places[name])) {
    bind(bdf, 'vfio-pci');
    assert.equal(driverOf(bdf), 'vfio-pci');
    assert.ok(existsSync(`/dev/vfio/${basename(readlinkSync(sysfs(bdf, 'iommu_group')))}`));
    // The folder vfio-dev is there without cdev as well; the node is not.
    const [name] = readdirSync(sysfs(bdf, 'vfio-dev'));
    assert.equal(existsSync(`/dev/vfio/devices/${name}`), modules === 'iommufd');
  }
  assert.equal(existsSync('/dev/iommu'), modules === 'iommufd');
});
