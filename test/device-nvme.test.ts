// The NVMe controller of examples/devices, driven by the driver of examples/nvme.ts in the same process.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type NvmeDeviceOptions, nvmeController } from '../examples/devices/nvme.js';
import { NvmeController, type NvmeOptions } from '../examples/nvme/controller.js';
import { NvmeError } from '../examples/nvme/queue.js';
import { pattern } from './support/bytes.js';
import { temporaryFile } from './support/files.js';

const blockBytes = 512;
const diskBytes = 4 << 20;

/** Transfers of one block, of the pages that fit an entry, of a list of pages, and of several commands (512 KiB each). */
const pieces = [
  { block: 0, blocks: 1 },
  { block: 3, blocks: 16 },
  { block: 100, blocks: 200 },
  { block: 1000, blocks: 5000 },
] as const;

function defined(test: TestContext, options: NvmeDeviceOptions) {
  const device = nvmeController(options);
  test.after(() => device.close());
  return device;
}

async function opened(test: TestContext, options: NvmeDeviceOptions, driver: NvmeOptions = {}) {
  const device = defined(test, options);
  const disk = await NvmeController.open(device.open(), driver);
  test.after(() => {
    if (!disk.device.closed) disk.device.close();
  });
  return { device, disk };
}

for (const medium of ['file', 'memory'] as const) {
  for (const wait of ['interrupt', 'poll'] as const) {
    test(`${medium}, ${wait}: the driver reads what it wrote, and it is where the disk has its blocks`, async (test) => {
      const bytes = new Uint8Array(diskBytes);
      const file = temporaryFile(test, diskBytes);
      const { disk } = await opened(test, medium === 'file' ? { file } : { bytes }, { wait });
      const writes = pieces.map(({ block, blocks }, i) => {
        const source = disk.allocate(blocks * blockBytes);
        source.buffer.set(pattern(blocks * blockBytes, i));
        return disk.write(block, source, blocks * blockBytes);
      });
      await Promise.all(writes);
      await disk.flush();
      const there = medium === 'file' ? readFileSync(file) : Buffer.from(bytes);
      for (const [i, { block, blocks }] of pieces.entries()) {
        const wanted = Buffer.from(pattern(blocks * blockBytes, i));
        const target = disk.allocate(blocks * blockBytes);
        await disk.read(block, target, blocks * blockBytes);
        assert.ok(wanted.equals(target.buffer.subarray(0, wanted.length)), `${blocks} blocks at ${block}`);
        assert.ok(wanted.equals(there.subarray(block * blockBytes, (block + blocks) * blockBytes)));
      }
      await disk.close();
    });
  }
}

test('the driver says what the controller and its namespace are', async (test) => {
  const { disk } = await opened(test, { bytes: new Uint8Array(diskBytes), serial: 'ismio-1', blockBytes: 4096 });
  assert.equal(disk.controller.serial, 'ismio-1');
  assert.equal(disk.controller.maxTransfer, 512 << 10);
  assert.deepEqual(disk.namespace, { blocks: diskBytes / 4096, blockBytes: 4096 });
  const source = disk.allocate(4096);
  source.buffer.set(pattern(4096, 3));
  await disk.write(7, source);
  const target = disk.allocate(4096);
  await disk.read(7, target);
  assert.deepEqual(target.buffer, source.buffer);
  await disk.close();
});

test('what the controller refuses has its status, and leaves a controller that can be opened', async (test) => {
  const device = defined(test, { bytes: new Uint8Array(diskBytes) });
  await assert.rejects(NvmeController.open(device.open(), { namespace: 9 }), /no namespace 9/);
  await assert.rejects(NvmeController.open(device.open(), { namespace: 5000 }), (error: NvmeError) => {
    assert.ok(error instanceof NvmeError);
    // Invalid namespace or format (NVM Express 1.4, 4.6.1.2.1).
    assert.deepEqual(error.status, { type: 0, code: 0x0b });
    return true;
  });
  for (let life = 0; life < 50; life++) await (await NvmeController.open(device.open())).close();
});

test('vectors that are added while reads are in flight cost none of their interrupts', async (test) => {
  const file = temporaryFile(test, diskBytes);
  const { disk } = await opened(test, { file, queues: 32 });
  const target = disk.allocate(64 * blockBytes);
  for (let round = 0; round < 20; round++) {
    const began = performance.now();
    const reads = Array.from({ length: 32 }, (_, block) => disk.read(block, target, blockBytes));
    await Promise.resolve(); // they are submitted
    disk.device.irq('msix').enable(3 + round);
    await Promise.all(reads);
    // An interrupt that was lost would be noticed at the end of the time limit.
    assert.ok(performance.now() - began < 4000, `round ${round}`);
  }
  await disk.close();
});

test('a controller that is no bus master any more is told by the time limit, not waited for', async (test) => {
  const { device, disk } = await opened(test, { bytes: new Uint8Array(diskBytes) }, { timeout: 300 });
  disk.device.enableBusMaster(false);
  await assert.rejects(
    disk.read(0, disk.allocate(blockBytes), blockBytes),
    /no answer within 300 ms; it reports a fatal/,
  );
  await assert.rejects(disk.close(), NvmeError);
  assert.equal(disk.device.closed, true);
  await (await NvmeController.open(device.open())).close();
});

test('a driver that vanishes in the middle of transfers leaves a disk for the next one', async (test) => {
  const file = temporaryFile(test, pattern(diskBytes, 5));
  const device = defined(test, { file });
  for (let life = 0; life < 20; life++) {
    const disk = await NvmeController.open(device.open());
    const target = disk.allocate(1 << 20);
    const ended = Promise.allSettled(Array.from({ length: 20 }, (_, i) => disk.read(i * 64, target, 1 << 20)));
    await Promise.resolve();
    disk.device.close();
    for (const one of await ended) assert.equal(one.status, 'rejected');
  }
  const disk = await NvmeController.open(device.open());
  const target = disk.allocate(1 << 20);
  await disk.read(0, target);
  assert.ok(
    Buffer.from(pattern(diskBytes, 5))
      .subarray(0, 1 << 20)
      .equals(target.buffer),
  );
  await disk.close();
});

test('a device that is closed while it reads and writes closes its file when that has ended', async (test) => {
  const file = temporaryFile(test, diskBytes);
  const device = defined(test, { file });
  const disk = await NvmeController.open(device.open(), { timeout: 300 });
  const source = disk.allocate(1 << 20);
  const writes = Promise.allSettled(Array.from({ length: 8 }, () => disk.write(0, source, 1 << 20)));
  await Promise.resolve();
  device.close();
  device.close();
  assert.deepEqual(new Set((await writes).map(({ status }) => status)), new Set(['rejected']));
  await assert.rejects(disk.close());
});

test('options that cannot be are refused, with what is wrong', (test) => {
  const file = temporaryFile(test, 4096);
  const bytes = new Uint8Array(4096);
  for (const [options, said] of [
    [{}, /one of both/],
    [{ file, bytes }, /one of both/],
    [{ bytes, blockBytes: 1024 as 512 }, /not 1024/],
    [{ bytes, queues: 0 }, /not 0/],
    [{ bytes, queues: 129 }, /not 129/],
    [{ bytes, serial: '' }, /1 to 20 characters/],
    [{ bytes, serial: 'more than twenty characters' }, /1 to 20 characters/],
    [{ bytes: new Uint8Array(100) }, /no block/],
  ] as const) {
    assert.throws(() => nvmeController(options), said);
  }
  assert.throws(() => nvmeController({ file: join(file, 'nowhere') }), { code: 'ENOTDIR' });
  writeFileSync(file, '');
  assert.throws(() => nvmeController({ file }), /no block/);
});
