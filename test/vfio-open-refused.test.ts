// What openVfio refuses, and why; whichever call of opening fails, nothing stays open.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ErrorCode, IsmioError } from '../src/support/errors.js';
import { openVfio } from '../src/vfio/open.js';
import { thrownBy, throwsCode } from './support/errors.js';
import { type StandInFunction, StandInKernel, type StandInOptions } from './support/kernel.js';

const bdf = '0000:00:04.0';
const regions = [{ index: 0, size: 8192n }];
const both: StandInFunction = { bdf, cdev: 'vfio0', regions, irqs: [{ index: 0, count: 1 }] };

const descriptors = (): number => readdirSync('/proc/self/fd').length;

interface Refusal {
  readonly what: string;
  readonly api: 'group' | 'cdev';
  readonly options?: Partial<StandInOptions>;
  readonly given?: Partial<StandInFunction>;
  readonly before?: (kernel: StandInKernel) => void;
  readonly code: ErrorCode;
  readonly errno?: string;
  readonly advice: RegExp;
}

const { EACCES, EBUSY, EINVAL, ENODEV, EPERM } = constants.errno;

const refusals: readonly Refusal[] = [
  {
    what: 'a function that sysfs does not have',
    api: 'group',
    before: ({ trees }) => rmSync(join(trees.sysfs, 'bus/pci/devices', bdf), { recursive: true }),
    code: 'ERR_ISMIO_NOT_A_DEVICE',
    advice: /ismio info/,
  },
  {
    what: 'a function without a driver',
    api: 'group',
    given: { driver: null },
    code: 'ERR_ISMIO_NOT_BOUND',
    advice: /ismio bind/,
  },
  {
    what: 'a function with a driver of its own, which has no group node',
    api: 'group',
    given: { driver: 'nvme' },
    before: ({ trees }) => unlinkSync(join(trees.dev, 'vfio/26')),
    code: 'ERR_ISMIO_NOT_BOUND',
    errno: 'ENOENT',
    advice: /ismio bind.*its driver is nvme$/,
  },
  {
    what: 'a function in no IOMMU group',
    api: 'group',
    given: { group: null },
    code: 'ERR_ISMIO_NOT_BOUND',
    advice: /IOMMU/,
  },
  {
    what: 'a function in a group without an IOMMU behind it',
    api: 'group',
    before: ({ trees }) => writeFileSync(join(trees.sysfs, 'kernel/iommu_groups/26/name'), 'vfio-noiommu\n'),
    code: 'ERR_ISMIO_NOT_BOUND',
    advice: /without an IOMMU/,
  },
  {
    what: 'a character device whose node is not there',
    api: 'cdev',
    before: ({ trees }) => unlinkSync(join(trees.dev, 'vfio/devices/vfio0')),
    code: 'ERR_ISMIO_NOT_BOUND',
    errno: 'ENOENT',
    advice: /ismio bind/,
  },
  {
    what: 'a function without a character device',
    api: 'cdev',
    given: { cdev: null },
    code: 'ERR_ISMIO_NOT_BOUND',
    advice: /api: 'group'/,
  },
  {
    what: 'a group with a function of another driver',
    api: 'group',
    options: { viable: false },
    before: ({ trees }) => symlinkSync('nowhere', join(trees.sysfs, 'kernel/iommu_groups/26/devices', '0000:00:00.0')),
    code: 'ERR_ISMIO_GROUP_NOT_VIABLE',
    advice: /0000:00:00\.0 \(no driver\), 0000:00:04\.0 \(vfio-pci\)/,
  },
  {
    what: 'a group that somebody has open',
    api: 'group',
    before: (kernel) => kernel.refuse('open', EBUSY),
    code: 'ERR_ISMIO_DEVICE_BUSY',
    errno: 'EBUSY',
    advice: /another process/,
  },
  {
    what: 'a group without permission',
    api: 'group',
    before: (kernel) => kernel.refuse('open', EACCES),
    code: 'ERR_ISMIO_OPEN',
    errno: 'EACCES',
    advice: /permission/,
  },
  {
    what: 'a character device without permission',
    api: 'cdev',
    before: (kernel) => kernel.refuse('open', EPERM),
    code: 'ERR_ISMIO_OPEN',
    errno: 'EPERM',
    advice: /permission/,
  },
  {
    what: 'a folder in the place of the group',
    api: 'group',
    before: ({ trees }) => {
      unlinkSync(join(trees.dev, 'vfio/26'));
      mkdirSync(join(trees.dev, 'vfio/26'));
    },
    code: 'ERR_ISMIO_OPEN',
    errno: 'EISDIR',
    advice: /EISDIR/,
  },
  {
    what: 'a kernel without VFIO containers',
    api: 'group',
    before: ({ trees }) => unlinkSync(join(trees.dev, 'vfio/vfio')),
    code: 'ERR_ISMIO_OPEN',
    errno: 'ENOENT',
    advice: /module vfio/,
  },
  {
    what: 'a container without type 1',
    api: 'group',
    options: { type1: false },
    code: 'ERR_ISMIO_VFIO',
    advice: /vfio_iommu_type1/,
  },
  {
    what: 'a group that has a container already',
    api: 'group',
    before: (kernel) => kernel.refuse('groupSetContainer', EBUSY),
    code: 'ERR_ISMIO_DEVICE_BUSY',
    errno: 'EBUSY',
    advice: /container/,
  },
  {
    what: 'a function that its group does not have for VFIO',
    api: 'group',
    given: { driver: 'e1000e' },
    before: (kernel) => kernel.refuse('groupDevice', ENODEV),
    code: 'ERR_ISMIO_NOT_BOUND',
    errno: 'ENODEV',
    advice: /group.*its driver is e1000e$/,
  },
  {
    what: 'a kernel without iommufd',
    api: 'cdev',
    before: ({ trees }) => unlinkSync(join(trees.dev, 'iommu')),
    code: 'ERR_ISMIO_OPEN',
    errno: 'ENOENT',
    advice: /api: 'group'/,
  },
  {
    what: 'a character device that is open through its group',
    api: 'cdev',
    before: (kernel) => kernel.refuse('bindIommufd', EBUSY),
    code: 'ERR_ISMIO_DEVICE_BUSY',
    errno: 'EBUSY',
    advice: /mapping/,
  },
  {
    what: 'a character device that is bound to another iommufd',
    api: 'cdev',
    before: (kernel) => kernel.refuse('bindIommufd', EINVAL),
    code: 'ERR_ISMIO_DEVICE_BUSY',
    errno: 'EINVAL',
    advice: /bound/,
  },
];

for (const { what, api, options, given, before, code, errno, advice } of refusals) {
  test(`${what} is refused with ${code}, and nothing stays open`, (t) => {
    const kernel = StandInKernel.install(t, { ...options, functions: [{ ...both, ...given }] });
    before?.(kernel);
    const open = descriptors();
    const error = throwsCode(() => openVfio(bdf, { ...kernel.paths, api }), IsmioError, code);
    assert.equal(error.errno, errno);
    if (errno !== undefined) assert.equal((error.cause as NodeJS.ErrnoException).code, errno);
    assert.match(error.message, advice);
    assert.match(error.message, /0000:00:04\.0|\/vfio\/|\/iommu/, 'the message says of what');
    assert.equal(kernel.open, 0);
    assert.equal(descriptors(), open);
  });
}

for (const api of ['group', 'cdev'] as const) {
  test(`a path that is no VFIO ${api} is refused as such`, (t) => {
    const kernel = StandInKernel.install(t, { functions: [{ ...both, group: 4, cdev: 'vfio9' }] });
    // The stand-in answers for its own nodes only; to what sysfs leads to now it says ENOTTY, as Linux does.
    const folder = join(kernel.trees.sysfs, 'bus/pci/devices', bdf);
    unlinkSync(join(folder, 'iommu_group'));
    symlinkSync('../5', join(folder, 'iommu_group'));
    rmSync(join(folder, 'vfio-dev/vfio9'), { recursive: true });
    mkdirSync(join(folder, 'vfio-dev/vfio8'));
    writeFileSync(join(folder, 'vfio-dev/vfio8/dev'), '511:8\n');
    writeFileSync(join(kernel.trees.dev, 'vfio/5'), '');
    writeFileSync(join(kernel.trees.dev, 'vfio/devices/vfio8'), '');
    const open = () => openVfio(bdf, { ...kernel.paths, api });
    throwsCode(open, IsmioError, 'ERR_ISMIO_NOT_A_DEVICE', { errno: 'ENOTTY' });
    assert.equal(kernel.open, 0);
  });

  test(`whichever call of opening a ${api} fails, its errno is told and nothing stays open`, (t) => {
    const kernel = StandInKernel.install(t, { functions: [both] });
    const open = descriptors();
    const device = openVfio(bdf, { ...kernel.paths, api });
    const calls = kernel.calls.length;
    device.close();
    assert.ok(calls > 15);
    for (let nth = 1; nth <= calls; nth++) {
      kernel.refuseNth(nth, constants.errno.EIO);
      const at = kernel.calls.length + nth - 1;
      const error = thrownBy(() => openVfio(bdf, { ...kernel.paths, api }));
      const what = `call ${nth}, ${kernel.calls[at]}: ${error.stack}`;
      assert.ok(error instanceof IsmioError, what);
      assert.equal(error.errno, 'EIO', what);
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'EIO', what);
      assert.match(error.code, /^ERR_ISMIO_(VFIO|OPEN)$/, what);
      assert.equal(kernel.open, 0, what);
      assert.equal(descriptors(), open, what);
    }
  });
}
