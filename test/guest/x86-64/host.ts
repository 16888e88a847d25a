// The x86-64 guest as the host sees it: prepares the machine, runs it, and looks at what it left behind.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pattern } from '../../support/bytes.js';
import { packageRoot } from '../../support/child.js';
import { buildFloors } from '../figures/floors.js';
import { buildInitramfs } from '../support/initramfs.js';
import { command } from '../support/monitor.js';
import { newestQemu } from '../support/newest-qemu.js';
import { type GuestRun, runGuest } from '../support/qemu.js';
import { type Kernel, kernel, type Modules, plan9Modules } from './kernel.js';
import {
  fileSeed,
  ivshmem,
  ivshmemFile,
  machineWords,
  monitorSocket,
  nvmeBytes,
  nvmeFile,
  pluggableName,
  unplugLine,
} from './machine.js';
import { operator, type Served, serveAll } from './served.js';

const init = join(packageRoot, 'test', 'guest', 'x86-64', 'init.sh');
const program = join(packageRoot, 'dist', 'test', 'guest', 'x86-64', 'inside', 'main.js');

const work = mkdtempSync(join(tmpdir(), 'ismio-guest-x86-64-'));
const initramfs = join(work, 'initramfs.cpio');
let debian: Kernel;

before(async () => {
  debian = await kernel();
  const root = mkdtempSync(join(work, 'root-'));
  const files = { '/bin/busybox': debian.busybox, ...plan9Modules(debian) };
  await buildInitramfs({ root, init: readFileSync(init, 'utf8'), files, output: initramfs });
});

for (const [modules, described] of [
  ['debian', "Debian's own modules, by group"],
  ['iommufd', 'iommufd, by character device'],
] as const) {
  const shared = join(work, modules);

  test(`x86-64 guest with ${described}: its tests pass`, async () => {
    const run = await boot(modules, shared);
    console.log(`x86-64, ${modules}: ${run.seconds.toFixed(1)} s`);
    assert.equal(run.closing[1], '0', 'every test in the guest passed');
  });

  test(`x86-64 guest with ${described}: the host finds in ivshmem's file what was stored in BAR 2`, () => {
    const file = readFileSync(ivshmemFile(shared));
    for (let index = 0; index < ivshmem.filled; index++) {
      const piece = file.subarray(index * ivshmem.piece, (index + 1) * ivshmem.piece);
      assert.equal(sha256(piece), sha256(pattern(ivshmem.piece, index)), `piece ${index}`);
    }
  });
}

describe('x86-64 guest with devices of this package, served over vfio-user', () => {
  const shared = join(work, 'served');
  let devices: Served;

  before(async () => {
    devices = await serveAll(shared);
  });
  after(() => devices.close());

  test("its tests pass, and those of Linux's own drivers", async () => {
    const { version, program } = await newestQemu('x86-64');
    const run = await boot('debian', shared, program);
    console.log(`x86-64, served: QEMU ${version}, ${run.seconds.toFixed(1)} s`);
    for (const [name, server] of Object.entries(devices.servers))
      console.log(`${name}: ${JSON.stringify(server.stats())}`);
    assert.equal(run.closing[1], '0', 'every test in the guest passed');
  });

  test('a login on the serial line got a shell, which answered', () => {
    assert.match(devices.line.said(), new RegExp(`hello ${operator}\\s[^]*\\bsum 42\\s`));
  });

  test("the host finds in the disk's file what the guest wrote to its file system", () => {
    const disk = readFileSync(nvmeFile(shared));
    assert.ok(disk.includes(Buffer.from(pattern(4096, fileSeed))), 'a page of the file that the guest wrote');
  });
});

after(() => rmSync(work, { recursive: true, force: true }));

/** Runs the guest's tests; `shared` is the folder that host and guest both write. */
async function boot(modules: Modules, shared: string, served: readonly string[] | null = null): Promise<GuestRun> {
  mkdirSync(shared, { recursive: true });
  const file = new Uint8Array(ivshmem.size);
  file.set(pattern(ivshmem.piece, ivshmem.hostSeed), ivshmem.hostPiece * ivshmem.piece);
  writeFileSync(ivshmemFile(shared), file);
  if (served === null) writeFileSync(nvmeFile(shared), new Uint8Array(nvmeBytes));
  await buildFloors(shared);
  writeFileSync(join(shared, 'command.sh'), script(shared, modules, served !== null));
  let unplugged: Promise<void> = Promise.reject(new Error(`the guest never said '${unplugLine}'`));
  unplugged.catch(() => {});
  const run = await runGuest({
    name: `x86-64, ${modules}`,
    program: served ?? ['qemu-system-x86_64'],
    words: machineWords({ kernel: debian, modules, initramfs, work: shared, served: served !== null }),
    closing: /^guest: ended with status (\d+)$/,
    seconds: 600,
    onLine: (line) => {
      if (line !== unplugLine) return;
      unplugged = command(monitorSocket(shared), 'device_del', { id: pluggableName });
    },
  });
  if (served === null) await unplugged;
  return run;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What the guest runs, on the host's root and with the host's programs. */
function script(shared: string, modules: Modules, served: boolean): string {
  return [
    'export HOME=/run TMPDIR=/run PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `cd '${packageRoot}'`,
    `exec '${process.execPath}' --test-reporter=tap '${program}' '${shared}' ${modules}${served ? ' served' : ''}`,
    '',
  ].join('\n');
}
