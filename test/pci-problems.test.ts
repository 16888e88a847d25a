// What is said of machines and users that a test cannot be: another user than root, other tools for booting.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PciFunction } from '../src/pci/functions.js';
import type { PciMachine } from '../src/pci/machine.js';
import { type Findings, problemsOf, type VfioWay } from '../src/pci/problems.js';

const machine: PciMachine = {
  pci: true,
  kernel: '6.12.0',
  cpu: 'intel',
  iommus: ['dmar0'],
  firmwareTable: 'DMAR',
  noiommu: false,
  vfioDrivers: ['vfio-pci'],
  lockLimit: null,
  root: false,
  bootTool: null,
};

const taken: PciFunction = {
  bdf: '0000:00:04.0',
  kind: 'unclassified',
  vendor: 0x1234,
  device: 0x11e8,
  subsystemVendor: null,
  subsystemDevice: null,
  classCode: 0xff00,
  driver: 'vfio-pci',
  driverOverride: null,
  iommuGroup: { id: '5', noiommu: false, members: [] },
  bars: [],
  enabled: 0,
  memoryDecode: false,
  busMaster: false,
  vfio: { name: 'vfio0', cdev: true },
  zpci: null,
};

function found(way: VfioWay, ...others: VfioWay[]): Findings {
  return { ways: [way, ...others], users: [], usesOf: () => [] };
}

const cdev: VfioWay = {
  api: 'cdev',
  files: [
    { path: '/dev/iommu', state: 'denied' },
    { path: '/dev/vfio/devices/vfio0', state: 'denied' },
  ],
};
const group: VfioWay = {
  api: 'group',
  files: [
    { path: '/dev/vfio/vfio', state: 'usable' },
    { path: '/dev/vfio/5', state: 'usable' },
  ],
};

test('every file that may not be opened goes into one command', () => {
  const [problem, ...more] = problemsOf(taken, machine, found(cdev));
  assert.deepEqual(more, []);
  assert.deepEqual([problem?.code, problem?.blocks], ['permission', true]);
  assert.match(problem?.message ?? '', /may not open \/dev\/iommu, \/dev\/vfio\/devices\/vfio0$/);
  assert.deepEqual(problem?.commands, ['sudo chown "$(id -u)" /dev/iommu /dev/vfio/devices/vfio0']);
});

test('the other way is told where it is open', () => {
  const [problem] = problemsOf(taken, machine, found(cdev, group));
  assert.match(problem?.message ?? '', /openVfio\(bdf, \{ api: 'group' \}\)/);
});

test('the word for the kernel goes where the machine keeps it', () => {
  const none = { ...machine, iommus: [] };
  const without = { ...taken, iommuGroup: null };
  const commands = (bootTool: PciMachine['bootTool']) =>
    problemsOf(without, { ...none, bootTool }, found(group))[0]?.commands;
  assert.deepEqual(commands('grubby'), ['sudo grubby --update-kernel=ALL --args=intel_iommu=on', 'sudo reboot']);
  assert.deepEqual(commands('update-grub'), [
    `echo 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX intel_iommu=on"' | sudo tee /etc/default/grub.d/iommu.cfg`,
    'sudo update-grub',
    'sudo reboot',
  ]);
  assert.deepEqual(commands(null), [], 'none is known: the message has the word');
});
