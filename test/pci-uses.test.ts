// Functions that had better stay where they are: with a mounted disk, the only link, or somebody who has them open.
import assert from 'node:assert/strict';
import { realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { planBind, planUnbind } from '../src/pci/bind.js';
import { disksInUse, readDisks } from '../src/pci/disks.js';
import { type PciTree, readyTree } from './support/pci-tree.js';

const disk = '0000:00:02.0';
const other = '0000:00:03.0';

function uses(tree: PciTree, bdf = disk): readonly string[] {
  return planBind(bdf, tree.roots).uses;
}

/** A controller with a disk of two partitions, and a controller of another disk. */
function withDisks(t: TestContext): PciTree {
  const tree = readyTree(t);
  tree.add(disk, { driver: 'ahci', class: '0x010601', group: 2 });
  tree.add(other, { driver: 'ahci', class: '0x010601', group: 3 });
  tree.block('sda', '8:0', disk);
  tree.block('sda1', '8:1', disk);
  tree.block('sda2', '8:2', disk);
  tree.block('sdb', '8:16', other);
  mounts(tree, '21 1 0:5 / /proc rw - proc proc rw');
  return tree;
}

function mounts(tree: PciTree, ...lines: string[]): void {
  tree.proc('self/mountinfo', `${lines.join('\n')}\n`);
}

describe('a disk', () => {
  test('that nothing is mounted from is free, and so is one whose neighbour is mounted', (t) => {
    const tree = withDisks(t);
    mounts(tree, '30 21 8:16 / /home rw,relatime shared:1 - ext4 /dev/sdb rw');
    assert.deepEqual(uses(tree), []);
    assert.deepEqual(uses(tree, other), ['sdb is mounted at /home']);
  });

  test('with a mounted partition', (t) => {
    const tree = withDisks(t);
    mounts(tree, '22 1 8:2 / / rw shared:1 master:3 - ext4 /dev/root rw', '31 22 8:2 /srv /srv rw - ext4 /dev/root rw');
    assert.deepEqual(uses(tree), ['sda2 is mounted at /'], 'told by its number, once');
  });

  test('that is mounted at a place with a blank in its name', (t) => {
    const tree = withDisks(t);
    mounts(tree, '22 1 8:0 / /mnt/my\\040disk rw - ext4 /dev/sda rw');
    assert.deepEqual(uses(tree), ['sda is mounted at /mnt/my disk']);
  });

  test('with swap space', (t) => {
    const tree = withDisks(t);
    tree.proc('swaps', 'Filename\tType\tSize\tUsed\tPriority\n/dev/sda1  partition\t1024\t0\t-2\n');
    assert.deepEqual(uses(tree), ['sda1 is swapped to']);
  });

  test('under LVM on md, however deep', (t) => {
    const tree = withDisks(t);
    tree.block('dm-0', '254:0', null);
    tree.sys('devices/virtual/block/dm-0/dm/name', 'vg-root\n');
    tree.block('md127', '9:127', null, ['dm-0']);
    tree.block('sda2', '8:2', disk, ['md127']);
    mounts(tree, '22 1 254:0 / / rw - xfs /dev/mapper/vg-root rw');
    assert.deepEqual(uses(tree), ['dm-0 (vg-root) is mounted at /']);
    assert.deepEqual(uses(tree, other), []);
  });

  test('under holders that hold each other ends the search all the same', (t) => {
    const tree = withDisks(t);
    tree.block('dm-0', '254:0', null, ['dm-1']);
    tree.block('dm-1', '254:1', null, ['dm-0']);
    tree.block('sda', '8:0', disk, ['dm-0']);
    assert.deepEqual(uses(tree), []);
  });

  test('of a btrfs, which has a number of its own, and was mounted by a link', (t) => {
    const tree = withDisks(t);
    mounts(tree, '22 1 0:30 /@ / rw - btrfs /dev/disk/by-label/root rw');
    tree.devices('disk/by-label/other');
    symlinkSync('../../sda1', join(tree.roots.dev, 'disk/by-label/root'));
    assert.deepEqual(uses(tree), ['sda1 is mounted at /']);
  });

  test('of a btrfs that is mounted by another of its disks', (t) => {
    const tree = withDisks(t);
    mounts(tree, '22 1 0:30 /@ / rw - btrfs /dev/sdb rw');
    for (const name of ['sda1', 'sdb']) tree.sys(`fs/btrfs/00000000-0000/devices/${name}/size`, '0');
    assert.deepEqual(uses(tree), ['sda1 belongs to a mounted btrfs']);
    assert.deepEqual(uses(tree, other), ['sdb is mounted at /']);
  });

  test('of an NVMe subsystem, which is beside its controllers', (t) => {
    const tree = readyTree(t);
    tree.add(disk, { driver: 'nvme', class: '0x010802' });
    tree.sys(`${tree.folder(disk)}/nvme/nvme0/cntlid`, '1');
    const subsystem = 'devices/virtual/nvme-subsystem/nvme-subsys0';
    tree.sys(`${subsystem}/nvme0n1/dev`, '259:0\n');
    tree.link(`${subsystem}/nvme0`, `${tree.folder(disk)}/nvme/nvme0`);
    tree.link('class/nvme-subsystem/nvme-subsys0', subsystem);
    tree.link('class/block/nvme0n1', `${subsystem}/nvme0n1`);
    mounts(tree, '22 1 259:0 / / rw - ext4 /dev/nvme0n1 rw');
    assert.deepEqual(uses(tree), ['nvme0n1 is mounted at /']);
  });

  test('is found behind a mountinfo full of nonsense', (t) => {
    const tree = withDisks(t);
    mounts(tree, '', 'nonsense', ' - ', '1 2 3', '22 1 8:1 / /boot rw - ext4 /dev/sda1 rw', '22 1 8:0');
    assert.deepEqual(uses(tree), ['sda1 is mounted at /boot']);
  });
});

describe('a disk that the kernel holds for something that is not mounted here', () => {
  function held(tree: PciTree, ...names: string[]): string[] {
    const paths = names.map((name) => join(tree.roots.dev, name));
    const folder = realpathSync(join(tree.roots.sysfs, 'bus/pci/devices', disk));
    return disksInUse(folder, tree.roots, readDisks(tree.roots), (path) => paths.includes(path)).map(
      (use) => use.split(' ')[0] ?? '',
    );
  }

  test('is in use', (t) => {
    const tree = withDisks(t);
    assert.deepEqual(held(tree, 'sda1'), ['sda1']);
    assert.deepEqual(held(tree, 'sdb'), [], 'a disk of another function');
  });

  test('is told by its partition alone, as the kernel holds the disk for that', (t) => {
    const tree = withDisks(t);
    tree.sys(`${tree.folder(disk)}/ata1/block/sda/sda3/dev`, '8:3');
    tree.link('class/block/sda3', `${tree.folder(disk)}/ata1/block/sda/sda3`);
    assert.deepEqual(held(tree, 'sda', 'sda3'), ['sda3']);
  });

  test('is free where what holds it is a volume that nobody uses', (t) => {
    const tree = withDisks(t);
    tree.block('dm-0', '254:0', null);
    tree.block('sda2', '8:2', disk, ['dm-0']);
    assert.deepEqual(held(tree, 'sda2'), []);
  });

  test('is found by the name of its file, which may be in a folder', (t) => {
    const tree = withDisks(t);
    tree.block('cciss!c0d0', '104:0', disk);
    assert.deepEqual(held(tree, 'cciss/c0d0'), ['cciss!c0d0']);
  });
});

describe('a network link', () => {
  const link = '0000:00:05.0';

  function withLink(t: TestContext, state: string): PciTree {
    const tree = readyTree(t);
    tree.add(link, { driver: 'e1000e', class: '0x020000' });
    tree.add(other, { driver: 'e1000e', class: '0x020000', group: 2 });
    tree.net('eth0', state, link);
    tree.net('lo', 'unknown', null);
    tree.net('docker0', 'up', null);
    return tree;
  }

  test('that is the only one up is not given away; a bridge or a loopback is no other', (t) => {
    assert.deepEqual(uses(withLink(t, 'up'), link), ['eth0 is the only network link that is up']);
  });

  test('is free beside another that is up, and when it is down', (t) => {
    const tree = withLink(t, 'up');
    tree.net('eth1', 'up', other);
    assert.deepEqual(uses(tree, link), []);
    assert.deepEqual(uses(withLink(t, 'down'), link), []);
  });

  test('is not helped by one that is down', (t) => {
    const tree = withLink(t, 'up');
    tree.net('eth1', 'down', other);
    assert.equal(uses(tree, link).length, 1);
  });

  test('whose driver does not tell its state counts as up when it is switched on', (t) => {
    assert.equal(uses(withLink(t, 'unknown'), link).length, 1);
    const off = withLink(t, 'unknown');
    off.sys(`${off.folder(link)}/net/eth0/flags`, '0x1002\n');
    assert.deepEqual(uses(off, link), []);
  });

  test('of a function with two is still the only way out', (t) => {
    const tree = withLink(t, 'up');
    tree.net('eth1', 'up', link);
    assert.equal(uses(tree, link).length, 2);
  });
});

test('a bridge is not given away', (t) => {
  const tree = readyTree(t);
  tree.add(disk, { driver: 'pcieport', class: '0x060400' });
  assert.match(uses(tree)[0] ?? '', /is a bridge/);
});

test('a function that a process has open is neither bound elsewhere nor given back: the kernel would wait', (t) => {
  const tree = readyTree(t);
  tree.add(disk, { driver: 'vfio-pci', vfio: 'vfio0', group: 1, override: 'vfio-pci' });
  tree.opener(99, 'node', 'vfio/vfio', 'vfio/1');
  const expected = [`${tree.roots.dev}/vfio/1 is open in node (process 99)`];
  assert.deepEqual(planUnbind(disk, tree.roots).uses, expected);
  assert.deepEqual(planBind(disk, tree.roots, 'ism_vfio_pci').uses, expected);
});
