// What the tests stand on: the kernel, its modules and the devices are what they are taken for.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openResource } from 'ismio';
import { alone, places } from '../machine.js';
import { sysfs } from './setting.js';

const ids = {
  edu: '1234:11e8',
  ivshmem: '1af4:1110',
  testdev: '1b36:0005',
  rng: '1af4:1044',
  nvme: '1b36:0010',
  shared: '1234:11e8',
  neighbour: '1af4:1005',
  pluggable: '1af4:1044',
};

test('every device is at its place', () => {
  for (const [name, bdf] of Object.entries(places)) {
    const [vendor, device] = ['vendor', 'device'].map((id) => readFileSync(sysfs(bdf, id), 'utf8').trim().slice(2));
    assert.equal(`${vendor}:${device}`, ids[name as keyof typeof ids], name);
  }
});

test('devices on the root bus have IOMMU groups of their own, those behind a bridge share one', () => {
  for (const name of alone)
    assert.deepEqual(readdirSync(sysfs(places[name], 'iommu_group', 'devices')), [places[name]]);
  const together = readdirSync(sysfs(places.shared, 'iommu_group', 'devices'));
  assert.ok(together.includes(places.shared) && together.includes(places.neighbour), together.join(' '));
});

test('without VFIO, openResource maps a BAR of edu and reads its identity', () => {
  using region = openResource(places.edu, 0, {});
  assert.equal(region.load32(0), 0x010000ed);
});
