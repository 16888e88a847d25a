// The doctor on made-up machines: each verdict, in the order in which to mend, with the command that would.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type DiagnosedFunction, diagnose, type PciProblem } from 'ismio';
import { checkUses, planBind } from '../src/pci/bind.js';
import { diagnoseOne } from '../src/pci/diagnose.js';
import { temporaryFolder } from './support/files.js';
import { bar, type FunctionParts, PciTree, readyTree } from './support/pci-tree.js';

const bdf = '0000:00:04.0';
const ism = { vendor: '0x1014', device: '0x04ed', class: '0x000000' } as const;

function diagnosed(tree: PciTree, which = bdf): DiagnosedFunction {
  const found = diagnose(tree.roots).functions.find((it) => it.bdf === which);
  assert.ok(found !== undefined);
  return found;
}

function codes(it: DiagnosedFunction): string[] {
  return it.problems.map(({ code }) => code);
}

function problem(it: DiagnosedFunction, code: PciProblem['code']): PciProblem {
  const found = it.problems.find((one) => one.code === code);
  assert.ok(found !== undefined, `${code} is among ${codes(it)}`);
  return found;
}

/** A function on a machine where everything is there; `parts` say what is different. */
function on(test: TestContext, parts: FunctionParts, mend: (tree: PciTree) => void = () => undefined) {
  const tree = readyTree(test);
  tree.add(bdf, { driver: 'vfio-pci', vfio: 'vfio0', ...parts });
  mend(tree);
  return diagnosed(tree);
}

describe('a function that can be opened', () => {
  test('by its group', (t) => {
    const it = on(t, {});
    assert.deepEqual([it.verdict, it.openable, it.problems, it.users], ['ready', true, [], []]);
    assert.deepEqual(
      it.ways.map(({ api, files }) => [api, ...files.map(({ state }) => state)]),
      [['group', 'usable', 'usable']],
    );
  });

  test('by its cdev, where the kernel has one and /dev/iommu is there', (t) => {
    const it = on(t, { cdev: true }, (tree) => tree.devices('iommu', 'vfio/devices/vfio0'));
    assert.deepEqual([it.verdict, it.ways.map(({ api }) => api)], ['ready', ['cdev', 'group']]);
  });

  test('by its group, where the cdev is there without /dev/iommu', (t) => {
    const it = on(t, { cdev: true }, (tree) => tree.devices('vfio/devices/vfio0'));
    assert.deepEqual([it.verdict, it.ways[0]?.api], ['ready', 'group']);
  });

  test('beside a bridge, a stub and what no driver has', (t) => {
    const it = on(t, {}, (tree) => {
      tree.add('0000:00:01.0', { class: '0x060400', driver: 'pcieport' });
      tree.add('0000:00:02.0', { class: '0x060400', driver: 'shpchp' });
      tree.add('0000:00:03.0', { driver: 'pci-stub' });
      tree.add('0000:00:05.0', {});
      tree.add('0000:00:06.0', { driver: 'mlx5_vfio_pci' });
    });
    assert.deepEqual([it.verdict, it.problems], ['ready', []]);
  });

  test('ISM under ism_vfio_pci, with its memory decode off as long as nobody has it open', (t) => {
    const it = on(t, { ...ism, driver: 'ism_vfio_pci', command: 0 });
    assert.deepEqual([it.kind, it.verdict, it.problems], ['ISM', 'ready', []]);
  });
});

describe('no IOMMU', () => {
  function without(t: TestContext, mend: (tree: PciTree) => void): PciProblem {
    const tree = new PciTree(t);
    tree.driver('vfio-pci');
    tree.add(bdf, { group: null, driver: 'vfio-pci' });
    mend(tree);
    const it = diagnosed(tree);
    assert.deepEqual([it.verdict, it.openable], ['no-iommu', false]);
    return problem(it, 'no-iommu');
  }

  test('Intel, and the firmware has one: boot with intel_iommu=on', (t) => {
    const { message, scope } = without(t, (tree) => tree.sys('firmware/acpi/tables/DMAR', ''));
    assert.match(message, /boot with intel_iommu=on/);
    assert.equal(scope, 'machine');
  });

  test('Intel, and the firmware has none: there first', (t) => {
    const { message, commands } = without(t, () => undefined);
    assert.match(message, /VT-d on in the firmware.* then boot with intel_iommu=on/);
    assert.deepEqual(commands, []);
  });

  test('AMD: no word is needed, only not the one that switches it off', (t) => {
    const there = without(t, (tree) => tree.sys('firmware/acpi/tables/IVRS', ''));
    assert.match(there.message, /boot without amd_iommu=off/);
    const { message } = without(t, (tree) => tree.proc('cpuinfo', 'vendor_id : AuthenticAMD\n'));
    assert.match(message, /AMD-Vi on in the firmware/);
    assert.doesNotMatch(message, /intel/);
  });

  test('s390x needs no word at all', (t) => {
    const { message, commands } = without(t, (tree) => tree.proc('cpuinfo', 'vendor_id       : IBM/S390\n'));
    assert.match(message, /CONFIG_S390_IOMMU/);
    assert.deepEqual(commands, []);
  });

  test('an IOMMU that does not cover this function is another matter', (t) => {
    const { message, scope } = without(t, (tree) => tree.iommu());
    assert.match(message, /although the kernel drives an IOMMU \(dmar0\)/);
    assert.equal(scope, 'function');
  });

  test('the mode without an IOMMU is called unsafe, and is no way to open', (t) => {
    const unsafe = (tree: PciTree) => tree.sys('module/vfio/parameters/enable_unsafe_noiommu_mode', 'Y\n');
    assert.match(without(t, unsafe).message, /unsafe/);
    const it = on(t, { groupName: 'vfio-noiommu' }, unsafe);
    assert.deepEqual([it.verdict, it.openable], ['noiommu-mode', false]);
    assert.match(problem(it, 'noiommu-mode').message, /unsafe/);
    assert.deepEqual(codes(it), ['noiommu-mode'], 'what would be missing without it is of no use');
  });

  test('the mode without an IOMMU has files of its own, and who has one open is named', (t) => {
    const it = on(t, { groupName: 'vfio-noiommu' }, (tree) => {
      tree.devices('vfio/noiommu-1');
      tree.opener(7, 'dpdk', 'vfio/noiommu-1');
    });
    assert.deepEqual(
      it.ways.map(({ files }) => files.map(({ path, state }) => [path.split('/').at(-1), state])),
      [
        [
          ['vfio', 'usable'],
          ['noiommu-1', 'usable'],
        ],
      ],
    );
    assert.deepEqual(it.users, [{ pid: 7, command: 'dpdk' }]);
  });
});

describe('the driver', () => {
  test('another one has the function: bind gives it to vfio-pci', (t) => {
    const it = on(t, { driver: 'e1000e', vfio: null });
    assert.deepEqual([it.verdict, codes(it)], ['driver', ['driver']]);
    const { message, commands } = problem(it, 'driver');
    assert.equal(message, 'it has the driver e1000e; to be opened it needs vfio-pci');
    assert.deepEqual(commands, [`npx ismio bind ${bdf}`]);
  });

  test('who is not root is told to be', (t) => {
    const tree = readyTree(t);
    tree.process({ uid: 1000, capabilities: '0' });
    tree.add(bdf, {});
    assert.deepEqual(problem(diagnosed(tree), 'driver').commands, [`sudo npx ismio bind ${bdf}`]);
  });

  test('ISM needs ism_vfio_pci: vfio-pci reaches none of its BARs', (t) => {
    const it = on(t, ism);
    assert.deepEqual([it.verdict, it.ways], ['driver', []]);
    assert.match(problem(it, 'driver').message, /vfio-pci, which gives no access to the BARs of ISM.*ism_vfio_pci$/);
  });

  test("the module's name as driver_override is recognized", (t) => {
    const it = on(t, { ...ism, driver: null, vfio: null, override: 'ism-vfio-pci' });
    assert.match(problem(it, 'driver').message, /driver_override says ism-vfio-pci/);
  });

  test('is loaded before it is bound', (t) => {
    const tree = new PciTree(t);
    tree.iommu();
    tree.add(bdf, { driver: 'e1000e' });
    const it = diagnosed(tree);
    assert.deepEqual([it.verdict, codes(it)], ['module', ['module', 'driver']]);
    assert.deepEqual(problem(it, 'module').commands, ['modprobe vfio-pci']);
  });

  test('of ISM is a module of Linux 7.1 and later', (t) => {
    for (const [kernel, commands] of [
      ['6.12.0-1-s390x', []],
      ['7.0.9', []],
      ['7.1.0-rc1', ['modprobe ism-vfio-pci']],
      ['10.0', ['modprobe ism-vfio-pci']],
    ] as const) {
      const tree = new PciTree(t);
      tree.iommu();
      tree.proc('sys/kernel/osrelease', `${kernel}\n`);
      tree.add(bdf, ism);
      assert.deepEqual(problem(diagnosed(tree), 'module').commands, commands, kernel);
    }
  });
});

describe('what `ismio bind` refuses is told, and not advised', () => {
  const other = '0000:00:05.0';
  const disk = { driver: 'nvme', class: '0x010802', vfio: null } as const;

  function mounted(tree: PciTree, under: string): void {
    tree.block('nvme0n1', '259:0', under);
    tree.proc('self/mountinfo', '22 1 259:0 / / rw - ext4 /dev/nvme0n1 rw\n');
  }

  /** Every command that is advised for any function. */
  const advised = (tree: PciTree): string[] =>
    diagnose(tree.roots).functions.flatMap(({ problems }) => problems.flatMap(({ commands }) => commands));

  const uses: Readonly<Record<string, { parts: FunctionParts; use: (tree: PciTree) => void; told: RegExp }>> = {
    'a mounted disk': {
      parts: disk,
      use: (tree) => mounted(tree, bdf),
      told: /through nvme: nvme0n1 is mounted at \//,
    },
    'a disk that is swapped to': {
      parts: disk,
      use: (tree) => {
        tree.block('nvme0n1p3', '259:3', bdf);
        tree.proc('swaps', 'Filename\tType\tSize\tUsed\tPriority\n/dev/nvme0n1p3 partition\t1024\t0\t-2\n');
      },
      told: /nvme0n1p3 is swapped to/,
    },
    'a disk under LVM': {
      parts: disk,
      use: (tree) => {
        tree.block('dm-0', '254:0', null);
        tree.sys('devices/virtual/block/dm-0/dm/name', 'vg-root\n');
        tree.block('nvme0n1', '259:0', bdf, ['dm-0']);
        tree.proc('self/mountinfo', '22 1 254:0 / / rw - xfs /dev/mapper/vg-root rw\n');
      },
      told: /dm-0 \(vg-root\) is mounted at \//,
    },
    'the only network link': {
      parts: { driver: 'e1000e', class: '0x020000', vfio: null },
      use: (tree) => tree.net('eth0', 'up', bdf),
      told: /through e1000e: eth0 is the only network link that is up/,
    },
  };

  for (const [what, { parts, use, told }] of Object.entries(uses)) {
    test(`${what}: by the same rule`, (t) => {
      const tree = readyTree(t);
      tree.add(bdf, parts);
      assert.deepEqual(advised(tree), [`npx ismio bind ${bdf}`], 'nothing speaks against it yet');
      use(tree);
      const it = diagnosed(tree);
      assert.deepEqual([it.verdict, it.openable, codes(it)], ['in-use', false, ['in-use']]);
      assert.match(problem(it, 'in-use').message, told);
      assert.deepEqual(advised(tree), []);
      assert.throws(() => checkUses(planBind(bdf, tree.roots)), { code: 'ERR_ISMIO_IN_USE' });
    });
  }

  test('a disk of the machine that has no IOMMU either: both are told', (t) => {
    const tree = new PciTree(t);
    tree.add(bdf, { ...disk, group: null });
    mounted(tree, bdf);
    assert.deepEqual(codes(diagnosed(tree)), ['in-use', 'no-iommu']);
  });

  test('in the group of another function: the group stays as it is, and the reason is told', (t) => {
    const it = on(t, {}, (tree) => {
      tree.add(other, disk);
      tree.add('0000:00:06.0', { driver: 'e1000e' });
      mounted(tree, other);
      assert.deepEqual(advised(tree), [`npx ismio bind 0000:00:06.0`], 'of the neighbour itself, which nobody uses');
    });
    assert.deepEqual([it.verdict, problem(it, 'group').commands], ['group', []]);
    assert.match(problem(it, 'group').message, /0000:00:05\.0 has to stay: nvme0n1 is mounted at \//);
  });

  test('of a function that is looked at by itself, with a neighbour', (t) => {
    const tree = readyTree(t);
    tree.add(bdf, { driver: 'vfio-pci', vfio: 'vfio0' });
    tree.add(other, disk);
    mounted(tree, other);
    const [it] = diagnoseOne(tree.roots, bdf).functions;
    assert.deepEqual(
      it?.problems.flatMap(({ commands }) => commands),
      [],
    );
  });
});

test('a group in which the kernel drives something is not viable, and is told with all of it', (t) => {
  const it = on(t, {}, (tree) => {
    tree.add('0000:00:05.0', { driver: 'e1000e' });
    tree.add('0000:00:06.0', { driver: 'nvme' });
  });
  assert.deepEqual([it.verdict, codes(it)], ['group', ['group']]);
  const { message, commands } = problem(it, 'group');
  assert.match(message, /group 1 is not viable.*0000:00:05.0 \(e1000e\), 0000:00:06.0 \(nvme\)/);
  assert.deepEqual(commands, ['npx ismio bind 0000:00:05.0', 'npx ismio bind 0000:00:06.0']);
});

test('a device file that is missing is named, with what a container needs', (t) => {
  const it = on(t, { group: 9 });
  assert.deepEqual([it.verdict, codes(it)], ['no-file', ['no-file']]);
  assert.match(problem(it, 'no-file').message, /--device=\S+\/vfio\/9/);
});

test('a container that has /dev/iommu and not the cdev is told of the other way', (t) => {
  const it = on(t, { cdev: true }, (tree) => tree.devices('iommu'));
  assert.deepEqual([it.verdict, it.ways.map(({ api }) => api)], ['no-file', ['cdev', 'group']]);
  assert.match(problem(it, 'no-file').message, /vfio\/devices\/vfio0.*openVfio\(bdf, \{ api: 'group' \}\)/);
});

const root = process.getuid?.() === 0 && 'root may open every file: the other user is played in pci-problems.test.ts';
test('a device file that this user may not open is named, with the command', { skip: root }, (t) => {
  const tree = readyTree(t);
  tree.process({ uid: 1000 });
  tree.add(bdf, { driver: 'vfio-pci', vfio: 'vfio0' });
  const file = join(tree.roots.dev, 'vfio/1');
  chmodSync(file, 0o400);
  const it = diagnosed(tree);
  assert.equal(it.verdict, 'permission');
  assert.deepEqual(problem(it, 'permission').commands, [`sudo chown "$(id -u)" ${file}`]);
});

describe('a process that has the function open', () => {
  test('is named', (t) => {
    const it = on(t, {}, (tree) => tree.opener(4711, 'qemu-system', 'null', 'vfio/vfio', 'vfio/1', 'vfio/1'));
    assert.deepEqual([it.verdict, it.users], ['in-use', [{ pid: 4711, command: 'qemu-system' }]]);
    assert.match(problem(it, 'in-use').message, /qemu-system \(process 4711\)/);
  });

  test('is not one that has another function open, or the file that all have', (t) => {
    const it = on(t, {}, (tree) => tree.opener(4711, 'qemu-system', 'vfio/vfio', 'vfio/2', 'vfio/devices/vfio1'));
    assert.deepEqual([it.verdict, it.users], ['ready', []]);
  });
});

describe('what does not keep a function from being opened is told all the same', () => {
  test('memory decode that is off, as long as VFIO has not switched it on', (t) => {
    const it = on(t, { driver: null, vfio: null, command: 0 });
    assert.deepEqual(codes(it), ['driver', 'memory-decode']);
    const { blocks, commands } = problem(it, 'memory-decode');
    assert.deepEqual([blocks, commands], [false, [`echo 1 | tee /sys/bus/pci/devices/${bdf}/enable`]]);
    const ports = on(t, { driver: null, vfio: null, command: 0, resource: [bar.ports] });
    assert.deepEqual(codes(ports), ['driver'], 'ports are not decoded by it');
    assert.deepEqual(codes(on(t, { ...ism, driver: 'ism', vfio: null, command: 0 })), ['driver'], 'ISM: VFIO alone');
  });

  test('a low limit of locked memory, unless the process is above it', (t) => {
    const low = on(t, {}, (tree) => tree.process({ uid: 1000, capabilities: '0', lock: '65536' }));
    assert.deepEqual([low.verdict, codes(low)], ['ready', ['lock-limit']]);
    assert.match(problem(low, 'lock-limit').message, /64 KiB/);
    for (const enough of [{ capabilities: '4000' }, { lock: 'unlimited' }, { lock: `${1 << 30}` }]) {
      const it = on(t, {}, (tree) => tree.process({ uid: 1000, capabilities: '0', lock: '65536', ...enough }));
      assert.deepEqual(codes(it), [], JSON.stringify(enough));
    }
  });
});

test('a bridge is none to open, and has no problems', (t) => {
  const it = on(t, { class: '0x060400', driver: 'pcieport', vfio: null });
  assert.deepEqual([it.verdict, it.openable, it.problems], ['bridge', false, []]);
});

test('a machine without PCI, or without anything, has nothing to diagnose, and says so', (t) => {
  const folder = temporaryFolder(t);
  const nowhere = { sysfs: join(folder, 'sys'), dev: join(folder, 'dev'), proc: join(folder, 'proc') };
  const { machine, functions } = diagnose(nowhere);
  assert.deepEqual(functions, []);
  const { bootTool: _, ...rest } = machine;
  assert.deepEqual(rest, {
    pci: false,
    kernel: null,
    cpu: 'other',
    iommus: [],
    firmwareTable: null,
    noiommu: false,
    vfioDrivers: [],
    lockLimit: null,
    root: false,
  });
});
