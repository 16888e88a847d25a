// The example driver for NVMe against the kernel's own: what one of them writes, the other reads.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, test } from 'node:test';
import { diagnose } from 'ismio';
import { NvmeController, type NvmeOptions } from '../../../../examples/nvme/controller.js';
import { NvmeError } from '../../../../examples/nvme/queue.js';
import { checkUses, planBind } from '../../../../src/pci/bind.js';
import { pattern } from '../../../support/bytes.js';
import { packageRoot } from '../../../support/child.js';
import { run } from '../../support/run.js';
import { nvmeBytes, places } from '../machine.js';
import { api, bind, diskOf } from './setting.js';

const blockBytes = 512;

/** Transfers of one block, of the pages that fit an entry, of a list of pages, and of several commands (512 KiB each). */
const pieces = [
  { block: 0, blocks: 1 },
  { block: 3, blocks: 16 },
  { block: 100, blocks: 200 },
  { block: 1000, blocks: 5000 },
] as const;

before(() => bind(places.nvme, 'vfio-pci'));

const open = (options: NvmeOptions) => NvmeController.open(places.nvme, { api, timeout: 60_000, ...options });

for (const [round, wait] of (['interrupt', 'poll'] as const).entries()) {
  test(`${api}, ${wait}: the example reads what the kernel's driver wrote`, { timeout: 200_000 }, async () => {
    await withKernelDriver((file) => {
      for (const [i, { block, blocks }] of pieces.entries()) {
        writeSync(file, pattern(blocks * blockBytes, 10 * round + i), 0, blocks * blockBytes, block * blockBytes);
      }
      fsyncSync(file);
    });
    const disk = await open({ wait });
    for (const [i, { block, blocks }] of pieces.entries()) {
      const target = disk.allocate(blocks * blockBytes);
      await disk.read(block, target, blocks * blockBytes);
      const bytes = target.buffer.subarray(0, blocks * blockBytes);
      assert.equal(sha256(bytes), sha256(pattern(bytes.length, 10 * round + i)), `${blocks} blocks at ${block}`);
    }
    await disk.close();
  });

  test(`${api}, ${wait}: the kernel's driver reads what the example wrote`, { timeout: 200_000 }, async () => {
    const disk = await open({ wait });
    // At once: the queue takes as many as it can.
    const writes = pieces.map(({ block, blocks }, i) => {
      const source = disk.allocate(blocks * blockBytes);
      source.buffer.set(pattern(blocks * blockBytes, 50 + 10 * round + i));
      return disk.write(block, source, blocks * blockBytes);
    });
    await Promise.all(writes);
    await disk.flush();
    await disk.close();
    await withKernelDriver((file) => {
      for (const [i, { block, blocks }] of pieces.entries()) {
        const bytes = new Uint8Array(blocks * blockBytes);
        readSync(file, bytes, 0, bytes.length, block * blockBytes);
        assert.equal(sha256(bytes), sha256(pattern(bytes.length, 50 + 10 * round + i)), `${blocks} blocks at ${block}`);
      }
    });
  });
}

test(`${api}: the example says what the controller and its namespace are`, async () => {
  const disk = await open({});
  assert.equal(disk.controller.serial, 'ismio-guest');
  assert.deepEqual(disk.namespace, { blocks: nvmeBytes / blockBytes, blockBytes });
  await disk.close();
});

test(`${api}: vectors that are added while reads are in flight cost none of their interrupts`, {
  timeout: 200_000,
}, async () => {
  const disk = await open({});
  const msix = disk.device.irq('msix');
  assert.equal(msix.info.resizable, true);
  const target = disk.allocate(64 * blockBytes);
  for (let round = 0; round < 20; round++) {
    const began = performance.now();
    const reads = Array.from({ length: 32 }, (_, block) => disk.read(block, target, blockBytes));
    await Promise.resolve(); // they are submitted
    msix.enable(3 + round);
    await Promise.all(reads);
    // An interrupt that was lost would be noticed at the end of the time limit.
    assert.ok(performance.now() - began < 30_000, `round ${round}`);
  }
  await disk.close();
});

test(`${api}: what the controller refuses has its status, and leaves a controller that can be opened`, async () => {
  await assert.rejects(open({ namespace: 9 }), /no namespace 9/);
  // QEMU's has room for 256.
  await assert.rejects(open({ namespace: 5000 }), (error: NvmeError) => {
    assert.ok(error instanceof NvmeError);
    // Invalid namespace or format (NVM Express 1.4, 4.6.1.2.1).
    assert.deepEqual(error.status, { type: 0, code: 0x0b });
    return true;
  });
  const disk = await open({});
  await assert.rejects(disk.read(nvmeBytes / blockBytes, disk.allocate(blockBytes), blockBytes), RangeError);
  await disk.close();
});

test(`${api}: a controller that is no bus master any more is told by the time limit, not waited for`, async () => {
  const disk = await open({ timeout: 1000 });
  disk.device.enableBusMaster(false);
  await assert.rejects(disk.read(0, disk.allocate(blockBytes), blockBytes), /no answer within 1000 ms/);
  await assert.rejects(disk.close(), NvmeError);
  assert.equal(disk.device.closed, true);
});

test(`${api}: the example as a program verifies what it wrote`, { timeout: 200_000 }, async () => {
  const told = await run(process.execPath, [
    join(packageRoot, 'dist/examples/nvme.js'),
    places.nvme,
    'verify',
    '0',
    '512',
  ]);
  assert.match(told, /^512 blocks hold what was written; .* MiB\/s there and back\n$/);
});

test('a disk that is swapped to is told as in use, not advised to be bound, and not bound', async () => {
  const told = () => diagnose().functions.find(({ bdf }) => bdf === places.nvme);
  await withKernelDriver(async () => {
    const free = told();
    assert.deepEqual([free?.verdict, free?.problems[0]?.commands], ['driver', [`npx ismio bind ${places.nvme}`]]);
    const node = await diskOf(places.nvme);
    await run('mkswap', [node]);
    await run('swapon', [node]);
    try {
      const used = told();
      assert.deepEqual([used?.verdict, used?.problems.flatMap(({ commands }) => commands)], ['in-use', []]);
      assert.match(used?.problems[0]?.message ?? '', new RegExp(`${basename(node)} is swapped to`));
      const plan = planBind(places.nvme, { sysfs: '/sys', dev: '/dev', proc: '/proc' });
      assert.throws(() => checkUses(plan), { code: 'ERR_ISMIO_IN_USE' });
    } finally {
      await run('swapoff', [node]);
    }
  });
});

/** Gives the disk to the kernel's driver for as long as `use` takes. */
async function withKernelDriver(use: (file: number) => void | Promise<void>): Promise<void> {
  bind(places.nvme, 'nvme');
  const file = openSync(await diskOf(places.nvme), 'r+');
  try {
    await use(file);
  } finally {
    closeSync(file);
    bind(places.nvme, 'vfio-pci');
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
