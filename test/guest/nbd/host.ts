// Linux's own client of NBD on disks of this package: the host serves them, runs the guest, and looks at what it left in the files.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pattern } from '../../support/bytes.js';
import { packageRoot } from '../../support/child.js';
import { buildInitramfs } from '../support/initramfs.js';
import { runGuest } from '../support/qemu.js';
import { run } from '../support/run.js';
import { bareKernel, driversOf, plan9Modules } from '../x86-64/kernel.js';
import { nbdClient } from './client.js';
import { Exports, fileOf } from './exports.js';
import { address, drivers, largeBytes, machineWords, partitionStart, seedOf } from './machine.js';

const init = join(packageRoot, 'test', 'guest', 'x86-64', 'init.sh');
const program = join(packageRoot, 'dist', 'test', 'guest', 'nbd', 'inside', 'main.js');

describe("x86-64 guest whose kernel's nbd has disks of this package", () => {
  const work = mkdtempSync(join(tmpdir(), 'ismio-guest-nbd-'));
  let exports: Exports;

  before(async () => {
    exports = await Exports.serve(work);
  });
  after(async () => {
    await exports?.close();
    rmSync(work, { recursive: true, force: true });
  });

  test('its tests pass', async () => {
    const [kernel, client] = [await bareKernel(), await nbdClient()];
    const [initramfs, root] = [join(work, 'initramfs.cpio'), join(work, 'root')];
    mkdirSync(root);
    const files = { '/bin/busybox': kernel.busybox, ...plan9Modules(kernel) };
    await buildInitramfs({ root, init: readFileSync(init, 'utf8'), files, output: initramfs });
    const { busybox, release } = kernel;
    writeFileSync(join(work, 'setting.json'), JSON.stringify({ ports: exports.ports, client, busybox }));
    writeFileSync(join(work, 'command.sh'), script(work, busybox));
    const modules = [await driversOf(release, drivers)];
    const ran = await runGuest({
      name: 'nbd',
      program: ['qemu-system-x86_64'],
      words: machineWords({ kernel, initramfs, work, modules }),
      closing: /^guest: ended with status (\d+)$/,
      seconds: 300,
      onLine: (line) => exports.heard(line),
    });
    console.log(`nbd: Linux ${release}, ${ran.seconds.toFixed(1)} s`);
    assert.equal(ran.closing[1], '0', 'every test in the guest passed');
  });

  test('the disk over ISM lost its target, and has it again; nothing else went wrong', async () => {
    const events = exports.overIsm.map(({ event }) => event);
    assert.ok(events.includes('lost'));
    assert.ok(exports.overIsm.some(({ sessions }) => sessions === 2));
    assert.deepEqual(
      events.filter((event) => ['failed', 'refused', 'error'].includes(event)),
      [],
    );
  });

  test('the host finds in the file of the disk over ISM what the guest wrote, a whole ext4, and holes where it gave back', async () => {
    await exports.close();
    const path = fileOf(work, 'ism');
    assert.ok(readFileSync(path).includes(Buffer.from(pattern(4096, seedOf('ism', 10)))));
    await run('e2fsck', ['-f', '-n', `${path}?offset=${partitionStart}`]);
    const stored = 512 * statSync(path).blocks;
    assert.ok(stored < largeBytes, `${stored} bytes`);
  });
});

/** What the guest runs, on the host's root and with the host's programs. */
function script(work: string, busybox: string): string {
  return [
    'export HOME=/run TMPDIR=/run PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `for words in 'link set lo up' 'link set eth0 up' 'addr add ${address} dev eth0'; do '${busybox}' ip $words; done`,
    `cd '${packageRoot}'`,
    `exec '${process.execPath}' --test-reporter=tap '${program}' '${work}'`,
    '',
  ].join('\n');
}
