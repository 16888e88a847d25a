// What the tests stand on: the kernel, its modules and the devices are what they are taken for.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { openResource } from 'ismio';
import { places } from '../machine.js';
import { bind, driverOf, modules, sysfs } from './setting.js';

const ids = {
  edu: '1234:11e8',
  ivshmem: '1af4:1110',
  testdev: '1b36:0005',
  rng: '1af4:1044',
  shared: '1234:11e8',
  neighbour: '1af4:1005',
  pluggable: '1af4:1044',
};
const own = ['edu', 'ivshmem', 'testdev', 'rng', 'pluggable'] as const;

test('every device is at its place', () => {
  for (const [name, bdf] of Object.entries(places)) {
    const [vendor, device] = ['vendor', 'device'].map((id) => readFileSync(sysfs(bdf, id), 'utf8').trim().slice(2));
    assert.equal(`${vendor}:${device}`, ids[name as keyof typeof ids], name);
  }
});

test('devices on the root bus have IOMMU groups of their own, those behind a bridge share one', () => {
  for (const name of own) assert.deepEqual(readdirSync(sysfs(places[name], 'iommu_group', 'devices')), [places[name]]);
  const together = readdirSync(sysfs(places.shared, 'iommu_group', 'devices'));
  assert.ok(together.includes(places.shared) && together.includes(places.neighbour), together.join(' '));
});

test('without VFIO, openResource maps a BAR of edu and reads its identity', () => {
  using region = openResource(places.edu, 0, {});
  assert.equal(region.load32(0), 0x010000ed);
});

test('vfio-pci takes every device, and the nodes of its APIs are there', () => {
  for (const bdf of own.map((name) => places[name])) {
    bind(bdf, 'vfio-pci');
    assert.equal(driverOf(bdf), 'vfio-pci');
    assert.ok(existsSync(`/dev/vfio/${basename(readlinkSync(sysfs(bdf, 'iommu_group')))}`));
    // The folder vfio-dev is there without cdev as well; the node is not.
    const [name] = readdirSync(sysfs(bdf, 'vfio-dev'));
    assert.equal(existsSync(`/dev/vfio/devices/${name}`), modules === 'iommufd');
  }
  assert.equal(existsSync('/dev/iommu'), modules === 'iommufd');
});
