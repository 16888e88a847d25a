// info, bind and unbind as their users meet them, on made-up machines.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { drawProblems, functionTable } from '../src/cli/functions.js';
import { diagnose } from '../src/pci/diagnose.js';
import { ismio, type Said } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { bar, PciTree, readyTree } from './support/pci-tree.js';

const bdf = '0000:00:04.0';

/** One of everything: ISM, a function that is ready, one in a shared group, a bridge. */
function machine(t: TestContext): PciTree {
  const tree = readyTree(t);
  tree.add('0000:00:00.0', { class: '0x060000', vendor: '0x8086', device: '0x29c0', resource: [], group: 3 });
  tree.add('0000:00:01.0', { class: '0x060400', driver: 'pcieport', group: 4 });
  tree.add('0000:00:03.0', { class: '0x020000', driver: 'e1000e', group: 5, vendor: '0x8086', device: '0x10d3' });
  tree.add(bdf, { driver: 'vfio-pci', vfio: 'vfio0', group: 1 });
  tree.add('0000:00:05.0', { class: '0x010802', driver: 'vfio-pci', vfio: 'vfio1', group: 5 });
  tree.add('0002:00:00.0', {
    ...{ vendor: '0x1014', device: '0x04ed', class: '0x000000', driver: 'ism', group: 6, command: 0 },
    ...{ resource: [bar.large, bar.none, bar.small], files: { function_id: '0x00000077', uid: '0x1234' } },
  });
  return tree;
}

function run(tree: PciTree, ...words: string[]): Promise<Said> {
  return ismio([...words, ...tree.words]);
}

/** Checks that it failed with one line on stderr, beginning with this code. */
function checkFailed({ code, stderr }: Said, exitCode: number, errorCode: string): void {
  assert.match(stderr, new RegExp(`^ismio: ${errorCode}: [^\\n]+\\n$`));
  assert.equal(code, exitCode);
}

describe('ismio info', { concurrency: 2 }, () => {
  test('has a line for each function, with its verdict, behind what it said before', async (t) => {
    const { code, stdout, stderr } = await run(machine(t), 'info');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^Node\.js +v[0-9.]+ on /);
    assert.match(stdout, /^ {2}0000:00:01\.0 {2}1234:11e8 {2}PCI bridge +pcieport +4 +bridge: not for VFIO$/m);
    assert.match(stdout, /^ {2}0000:00:03\.0 {2}8086:10d3 {2}Ethernet +e1000e +5 +needs vfio-pci$/m);
    assert.match(stdout, /^ {2}0000:00:04\.0 {2}1234:11e8 {2}unclassified +vfio-pci +1 +ready \(group\)$/m);
    assert.match(stdout, /^ {2}0000:00:05\.0 {2}1234:11e8 {2}NVMe +vfio-pci +5 +group not viable$/m);
    assert.match(stdout, /^ {2}0002:00:00\.0 {2}1014:04ed {2}ISM +ism +6 +needs ism_vfio_pci$/m);
  });

  test('tells of ISM first, with each command on a line of its own', async (t) => {
    const { stdout } = await run(machine(t), 'info');
    const details = stdout.slice(stdout.indexOf('\n\n', stdout.indexOf('verdict')));
    assert.deepEqual(details.match(/^\S+(?=, )/gm), ['0002:00:00.0', '0000:00:05.0', '0000:00:03.0']);
    assert.match(details, /^ {7}npx ismio bind 0002:00:00\.0$/m);
    assert.match(details, /^ {7}npx ismio bind 0000:00:03\.0$/m);
  });

  test('of a function that can be opened says how, and ends with 0', async (t) => {
    const tree = machine(t);
    const { code, stdout } = await run(tree, 'info', '00:04.0');
    assert.equal(code, 0);
    assert.match(stdout, /^0000:00:04\.0 {2}1234:11e8 {2}unclassified\n/);
    assert.match(stdout.replaceAll(/\s+/g, ' '), /openVfio\('0000:00:04.0'\) takes \S+\/vfio\/1 \(group\)/);
  });

  test('of one that cannot ends with 1, and has everything', async (t) => {
    const { code, stdout, stderr } = await run(machine(t), 'info', '0002:00:00.0');
    assert.deepEqual([code, stderr], [1, '']);
    assert.match(stdout, /^ {2}BAR 0 +128T, memory, 64 bit, prefetchable, at 0x800000000000$/m);
    assert.match(stdout, /^ {2}zPCI +function id 0x77, uid 0x1234$/m);
    assert.match(stdout, /^It cannot be opened\. In this order:\n {2}1\. it has the driver ism; /m);
  });

  test('of one that is not there, or is no address, says so', async (t) => {
    const tree = machine(t);
    checkFailed(await run(tree, 'info', '0000:00:1f.0'), 1, 'ERR_ISMIO_NOT_A_DEVICE');
    checkFailed(await run(tree, 'info', 'eth0'), 2, 'ERR_ISMIO_OPTION');
  });

  test('where there is no PCI says that, and is no failure; of a function it is one', async (t) => {
    const tree = new PciTree(t);
    rmSync(join(tree.roots.sysfs, 'bus'), { recursive: true });
    const { code, stdout } = await run(tree, 'info');
    assert.equal(code, 0);
    assert.match(stdout, /^PCI functions {3}none to see: \S+\/bus\/pci is not there \(a container/m);
    const one = await run(tree, 'info', bdf);
    checkFailed(one, 1, 'ERR_ISMIO_NOT_A_DEVICE');
    assert.match(one.stderr, /a container/);
  });

  test('--json has everything in the documented form', async (t) => {
    const tree = machine(t);
    const all = JSON.parse((await run(tree, 'info', '--json')).stdout);
    assert.equal(typeof all.kernels.cpu, 'string');
    assert.deepEqual(all.pci.machine.vfioDrivers, ['ism_vfio_pci', 'vfio-pci']);
    assert.equal(all.pci.functions.length, 6);
    const { code, stdout } = await run(tree, 'info', '0002:00:00.0', '--json');
    const { function: it, machine: told } = JSON.parse(stdout);
    assert.deepEqual([code, told], [1, all.pci.machine]);
    assert.deepEqual(it, all.pci.functions[5]);
    const { problems, ...facts } = it;
    assert.deepEqual(facts, {
      bdf: '0002:00:00.0',
      kind: 'ISM',
      vendor: '0x1014',
      device: '0x04ed',
      classCode: '0x000000',
      subsystemVendor: '0x1af4',
      subsystemDevice: '0x1100',
      driver: 'ism',
      driverOverride: null,
      iommuGroup: {
        id: '6',
        noiommu: false,
        members: [{ name: '0002:00:00.0', driver: 'ism', classCode: '0x000000' }],
      },
      bars: [
        { index: 0, kind: 'memory', address: '0x800000000000', size: '0x800000000000', prefetchable: true, wide: true },
        { index: 2, kind: 'memory', address: '0xfebf1000', size: '0x1000', prefetchable: false, wide: false },
      ],
      enabled: 0,
      memoryDecode: false,
      busMaster: false,
      vfio: null,
      zpci: {
        ...{ functionId: '0x77', functionHandle: null, pchid: null, functionGroup: null },
        ...{ functionType: null, vfn: null, uid: '0x1234', uidIsUnique: null },
      },
      verdict: 'driver',
      openable: false,
      ways: [],
      users: [],
    });
    assert.deepEqual(problems[0], {
      code: 'driver',
      scope: 'function',
      blocks: true,
      message: 'it has the driver ism; to be opened it needs ism_vfio_pci',
      commands: ['npx ismio bind 0002:00:00.0'],
    });
  });
});

describe('many functions', () => {
  /** A machine without an IOMMU, of functions of which every second has no BAR. */
  function large(t: TestContext, functions: number): PciTree {
    const tree = new PciTree(t);
    for (let i = 0; i < functions; i++) {
      const resource = i % 2 === 0 ? [bar.small] : [];
      tree.add(`0000:${i.toString(16).padStart(2, '0')}:00.0`, { driver: 'virtio-pci', group: null, resource });
    }
    return tree;
  }

  test('have a line each; what holds for all is said once, and of the others only the first are told', (t) => {
    const { functions } = diagnose(large(t, 60).roots);
    assert.equal(functionTable(functions, 80).split('\n').length, 61);
    const text = drawProblems(functions, 80, false);
    assert.equal(text.match(/no IOMMU/g)?.length, 1);
    assert.equal(text.match(/ismio bind/g)?.length, 8);
    assert.match(text, /\.\. and 22 more functions: ismio info BDF tells of one, --all of each$/);
    assert.equal(drawProblems(functions, 80, true).match(/ismio bind/g)?.length, 60);
  });

  for (const columns of [80, 120]) {
    test(`fit ${columns} columns, but for what is to be copied`, (t) => {
      const { functions } = diagnose(machine(t).roots);
      const text = `${functionTable(functions, columns)}\n${drawProblems(functions, columns, true)}`;
      const tooLong = text.split('\n').filter((line) => line.length > columns && !/^ {7}\S/.test(line));
      assert.deepEqual(tooLong, []);
      assert.equal(/^ {2}function .*BARs/.test(text), columns >= 100, 'BARs where there is room');
    });
  }
});

describe('ismio bind', { concurrency: 2 }, () => {
  test('--dry-run shows each write and makes none', async (t) => {
    const tree = machine(t);
    const { code, stdout, stderr } = await run(tree, 'bind', '0000:00:03.0', '--dry-run');
    assert.deepEqual([code, stderr], [0, '']);
    const { sysfs } = tree.roots;
    assert.equal(
      stdout,
      [
        '0000:00:03.0 has the driver e1000e; it is given to vfio-pci:',
        `  write vfio-pci     to ${sysfs}/bus/pci/devices/0000:00:03.0/driver_override`,
        `  write 0000:00:03.0 to ${sysfs}/bus/pci/drivers/e1000e/unbind`,
        `  write 0000:00:03.0 to ${sysfs}/bus/pci/drivers_probe`,
        'A dry run: nothing was written.',
        '',
      ].join('\n'),
    );
    assert.equal(readFileSync(`${sysfs}/bus/pci/drivers_probe`, 'utf8'), '');
  });

  test('shows what it does before it fails, and says the state that it leaves', async (t) => {
    const tree = machine(t);
    const ended = await run(tree, 'bind', '0000:00:03.0');
    checkFailed(ended, 1, 'ERR_ISMIO_BIND');
    assert.match(ended.stdout, /write vfio-pci/);
    assert.match(ended.stderr, /It has the driver e1000e and driver_override vfio-pci now/);
    const { sysfs } = tree.roots;
    assert.equal(readFileSync(`${sysfs}/bus/pci/drivers/e1000e/unbind`, 'utf8'), '0000:00:03.0');
  });

  test('of a function in use is refused, even as a dry run, unless it is forced', async (t) => {
    const tree = machine(t);
    tree.net('eth0', 'up', '0000:00:03.0');
    const refused = await run(tree, 'bind', '0000:00:03.0', '--dry-run');
    checkFailed(refused, 1, 'ERR_ISMIO_IN_USE');
    assert.match(refused.stderr, /eth0 is the only network link that is up/);
    const forced = await run(tree, 'bind', '0000:00:03.0', '--dry-run', '--force');
    assert.deepEqual([forced.code, forced.stderr], [0, '']);
    assert.match(forced.stdout, /in use, and done all the same: eth0/);
  });

  test('of one that is bound has nothing to do, and says whether it can be opened', async (t) => {
    const tree = machine(t);
    const { code, stdout } = await run(tree, 'bind', bdf);
    assert.equal(code, 0);
    assert.match(stdout, /^0000:00:04\.0 has the driver vfio-pci: nothing to do\nIt can be opened: /);
    const shared = await run(tree, 'bind', '0000:00:05.0');
    assert.equal(shared.code, 0);
    assert.match(shared.stdout, /^It cannot be opened.*\n {2}1\. its IOMMU group 5 is not viable/m);
  });

  test('--json has the plan, and what came of it', async (t) => {
    const tree = machine(t);
    const { stdout } = await run(tree, 'bind', '0000:00:03.0', '--dry-run', '--json', '--driver', 'ism_vfio_pci');
    const { sysfs } = tree.roots;
    assert.deepEqual(JSON.parse(stdout), {
      bdf: '0000:00:03.0',
      action: 'bind',
      from: 'e1000e',
      to: 'ism_vfio_pci',
      writes: [
        { file: `${sysfs}/bus/pci/devices/0000:00:03.0/driver_override`, value: 'ism_vfio_pci' },
        { file: `${sysfs}/bus/pci/drivers/e1000e/unbind`, value: '0000:00:03.0' },
        { file: `${sysfs}/bus/pci/drivers_probe`, value: '0000:00:03.0' },
      ],
      uses: [],
      written: false,
      driver: 'e1000e',
      verdict: 'driver',
      openable: false,
    });
  });

  test('to a driver that is not there, or is no name, is refused before anything', async (t) => {
    const tree = machine(t);
    const missing = await run(tree, 'bind', '0000:00:03.0', '--driver', 'uio_pci_generic');
    checkFailed(missing, 1, 'ERR_ISMIO_BIND');
    assert.equal(missing.stdout, '');
    checkFailed(await run(tree, 'bind', '0000:00:03.0', '--driver', '../e1000e'), 2, 'ERR_ISMIO_OPTION');
  });
});

describe('ismio unbind', { concurrency: 2 }, () => {
  test('shows how it gives the function back, and says when the driver keeps it', async (t) => {
    const tree = machine(t);
    const ended = await run(tree, 'unbind', bdf);
    checkFailed(ended, 1, 'ERR_ISMIO_BIND');
    assert.match(ended.stdout, /has the driver vfio-pci; it is given back:\n {2}write 0000:00:04.0 to \S+unbind\n/);
    assert.match(ended.stderr, /was not given back.*It has the driver vfio-pci/);
  });

  test("of a function that the kernel's own driver has does nothing", async (t) => {
    const tree = machine(t);
    const { code, stdout } = await run(tree, 'unbind', '0000:00:03.0');
    assert.deepEqual([code, stdout], [0, '0000:00:03.0 has the driver e1000e: nothing to do\n']);
  });

  test('where there is no PCI, makes none', async (t) => {
    const folder = temporaryFolder(t);
    checkFailed(await ismio(['unbind', bdf, '--sysfs', folder]), 1, 'ERR_ISMIO_NOT_A_DEVICE');
    assert.ok(!existsSync(join(folder, 'bus')));
  });
});
