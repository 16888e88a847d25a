// The x86-64 guest as the host sees it: prepares the machine, runs it, and looks at what it left behind.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../../support/child.js';
import { buildInitramfs } from '../support/initramfs.js';
import { type GuestRun, runGuest } from '../support/qemu.js';
import { need } from '../support/tools.js';
import { type Kernel, kernel, type Modules, plan9Modules } from './kernel.js';
import { ivshmemFile, ivshmemSize, machineWords } from './machine.js';

const init = join(packageRoot, 'test', 'guest', 'x86-64', 'init.sh');
const program = join(packageRoot, 'dist', 'test', 'guest', 'x86-64', 'inside', 'main.js');

let debian: Kernel;
let work: string;

before(async () => {
  need({ 'qemu-system-x86_64': 'qemu-system-x86' });
  debian = await kernel();
  work = mkdtempSync(join(tmpdir(), 'ismio-guest-x86-64-'));
});

test("x86-64 guest with Debian's own modules, groups alone: its tests pass", async () => {
  await boot('debian');
});

test('x86-64 guest with iommufd, groups and cdev: its tests pass', async () => {
  await boot('iommufd');
});

after(() => rmSync(work, { recursive: true, force: true }));

/** Runs the guest's tests once; the folder that it shared with the host is left for looking at. */
async function boot(modules: Modules): Promise<GuestRun> {
  const shared = mkdtempSync(join(work, `${modules}-`));
  const initramfs = join(work, 'initramfs.cpio');
  const root = mkdtempSync(join(work, 'root-'));
  const files = { '/bin/busybox': debian.busybox, ...plan9Modules(debian) };
  await buildInitramfs({ root, init: readFileSync(init, 'utf8'), files, output: initramfs });
  writeFileSync(ivshmemFile(shared), new Uint8Array(ivshmemSize));
  writeFileSync(join(shared, 'command.sh'), command(shared, modules));
  const run = await runGuest({
    name: `x86-64, ${modules}`,
    program: ['qemu-system-x86_64'],
    words: machineWords({ kernel: debian, modules, initramfs, work: shared }),
    closing: /^guest: ended with status (\d+)$/,
    seconds: 180,
  });
  console.log(`x86-64, ${modules}: ${run.seconds.toFixed(1)} s`);
  assert.equal(run.closing[1], '0', 'every test in the guest passed');
  return run;
}

/** What the guest runs, on the host's root and with the host's programs. */
function command(shared: string, modules: Modules): string {
  return [
    'export HOME=/run TMPDIR=/run PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `cd '${packageRoot}'`,
    `exec '${process.execPath}' --test-reporter=tap '${program}' '${shared}' ${modules}`,
    '',
  ].join('\n');
}
