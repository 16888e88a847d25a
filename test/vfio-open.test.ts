// Opening devices on a kernel that stands in for Linux: which calls, in which order, and what is left when one is refused.
import assert from 'node:assert/strict';
import { rmSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { IsmioError } from '../src/support/errors.js';
import { openVfio } from '../src/vfio/open.js';
import { throwsCode } from './support/errors.js';
import { type Call, type StandInFunction, StandInKernel } from './support/kernel.js';

const bdf = '0000:00:04.0';
const other = '0000:00:05.0';
const plain: StandInFunction = { bdf, regions: [{ index: 0, size: 8192n }], irqs: [{ index: 0, count: 1 }] };
const both: StandInFunction = { ...plain, cdev: 'vfio0' };

test('auto takes the character device where it and /dev/iommu are there', (t) => {
  const kernel = StandInKernel.install(t, { functions: [both] });
  using device = openVfio(bdf, kernel.paths);
  assert.equal(device.api, 'cdev');
});

const withoutCdev: Readonly<Record<string, (kernel: StandInKernel) => void>> = {
  'has no character device': ({ trees }) =>
    rmSync(join(trees.sysfs, 'bus/pci/devices', bdf, 'vfio-dev'), { recursive: true }),
  'has a kernel without VFIO_DEVICE_CDEV': ({ trees }) =>
    unlinkSync(join(trees.sysfs, 'bus/pci/devices', bdf, 'vfio-dev/vfio0/dev')),
  'has no /dev/iommu': ({ trees }) => unlinkSync(join(trees.dev, 'iommu')),
};

for (const [lacks, remove] of Object.entries(withoutCdev)) {
  test(`auto takes the group where the machine ${lacks}`, (t) => {
    const kernel = StandInKernel.install(t, { functions: [both] });
    remove(kernel);
    using device = openVfio(bdf, kernel.paths);
    assert.equal(device.api, 'group');
  });
}

test('the api that is asked for is the one that is taken', (t) => {
  const kernel = StandInKernel.install(t, { functions: [both] });
  for (const api of ['group', 'cdev'] as const) {
    using device = openVfio(bdf, { ...kernel.paths, api });
    assert.equal(device.api, api);
  }
});

test('a group is opened, found viable and given a container with an IOMMU before its device is asked for', (t) => {
  const kernel = StandInKernel.install(t, { functions: [plain] });
  using device = openVfio(bdf, kernel.paths);
  assert.equal(device.api, 'group');
  const order: Call[] = [
    'open',
    'groupStatus',
    'open',
    'apiVersion',
    'checkExtension',
    'groupSetContainer',
    'setIommu',
  ];
  assert.deepEqual(kernel.calls.slice(0, 9), [...order, 'groupDevice', 'deviceInfo']);
});

test('a character device is bound to an iommufd and attached before it is asked for anything', (t) => {
  const kernel = StandInKernel.install(t, { functions: [both] });
  using device = openVfio(bdf, kernel.paths);
  assert.equal(device.api, 'cdev');
  const order: Call[] = ['open', 'open', 'bindIommufd', 'allocateIoas', 'attachIoas', 'deviceInfo'];
  assert.deepEqual(kernel.calls.slice(0, 6), order);
});

test('a device says what sysfs and the kernel say of it', (t) => {
  const kernel = StandInKernel.install(t, { functions: [{ ...both, group: 7 }] });
  using device = openVfio('0000:00:04.0', kernel.paths);
  const { driver, vendor, device: id, subsystemVendor, subsystemDevice, classCode, iommuGroup, flags } = device.info;
  assert.equal(device.bdf, bdf);
  assert.equal(driver, 'vfio-pci');
  assert.deepEqual([vendor, id, subsystemVendor, subsystemDevice], [0x1014, 0x04ed, 0x1af4, 0x1100]);
  assert.equal(classCode, 0x028001);
  assert.equal(iommuGroup, 7);
  assert.deepEqual(flags, { reset: true, pci: true });
});

test('a malformed address and unknown options are refused before anything is opened', (t) => {
  const kernel = StandInKernel.install(t, { functions: [plain] });
  for (const wrong of ['', '00:04.0', '0000:00:04', '0000:00:04.8', '../../etc', '0000:00:24.0']) {
    throwsCode(() => openVfio(wrong, kernel.paths), RangeError, 'ERR_ISMIO_OPTION');
  }
  throwsCode(() => openVfio(bdf, { ...kernel.paths, api: 'iommu' as never }), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => openVfio(bdf, { ...kernel.paths, sysFs: '/sys' } as never), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => openVfio(4 as never, kernel.paths), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  assert.deepEqual(kernel.calls, []);
});

test('an address in capitals is the same function', (t) => {
  const kernel = StandInKernel.install(t, { functions: [{ ...plain, bdf: '0000:0a:04.0' }] });
  using device = openVfio('0000:0A:04.0', kernel.paths);
  assert.equal(device.bdf, '0000:0a:04.0');
});

test('two functions of one group share it, and it is closed with the last of them', (t) => {
  const kernel = StandInKernel.install(t, { functions: [plain, { ...plain, bdf: other }] });
  const first = openVfio(bdf, kernel.paths);
  const second = openVfio(other, kernel.paths);
  assert.equal(kernel.calls.filter((call) => call === 'groupSetContainer').length, 1);
  assert.equal(kernel.open, 4, 'group, container, two devices');
  first.close();
  assert.equal(kernel.open, 3);
  assert.equal(second.memory, false, 'the other goes on');
  const again = openVfio(bdf, kernel.paths);
  second.close();
  again.close();
  assert.equal(kernel.open, 0);
  openVfio(bdf, kernel.paths).close();
});

test('a group of which one function cannot be opened stays open for the other', (t) => {
  const kernel = StandInKernel.install(t, { functions: [plain, { ...plain, bdf: other }] });
  using first = openVfio(bdf, kernel.paths);
  kernel.refuse('groupDevice', constants.errno.EIO);
  throwsCode(() => openVfio(other, kernel.paths), IsmioError, 'ERR_ISMIO_VFIO', { call: 'VFIO_GROUP_GET_DEVICE_FD' });
  assert.equal(kernel.open, 3);
  assert.equal(first.memory, false);
});
