// What goes wrong on a real machine while a device is in use: each has its code, and the process lives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, type BatchError, IsmioError, openVfio, type Queue } from 'ismio';
import { throwsCode } from '../../../support/errors.js';
import { ivshmem, places } from '../machine.js';
import { edu, identity } from './edu.js';
import { apis } from './setting.js';

/** Where ivshmem's memory is nobody else's. */
const place = 4 * ivshmem.piece;
const mostQueued = 1 << 15;

/** A batch that would take seconds: 16 million stores through a mapping, 2 million by pwrite. */
function fill(queue: Queue, access: 'mmap' | 'pread'): number {
  const page = allocBuffer(4096).fill(0x55);
  for (let i = access === 'mmap' ? mostQueued : mostQueued / 8; i > 0; i--) assert.ok(queue.write(place, page));
  return queue.queued * page.length;
}

for (const api of apis) {
  test(`${api}: with memory decode off a live mapping is lost, a pread answers EIO, and both work after a new start`, () => {
    using device = openVfio(places.edu, { api });
    const mapped = device.region(0, { access: 'mmap' });
    const unmapped = device.region(0, { access: 'pread' });
    assert.equal(mapped.load32(edu.identification), identity);
    device.enableMemory(false);
    assert.equal(device.memory, false);
    throwsCode(() => mapped.load32(edu.identification), IsmioError, 'ERR_ISMIO_REGION_LOST');
    throwsCode(() => unmapped.load32(edu.identification), IsmioError, 'ERR_ISMIO_DEVICE', { errno: 'EIO' });
    device.enableMemory();
    // What was lost stays lost: nothing says what became of the stores that went there.
    throwsCode(() => mapped.load32(edu.identification), IsmioError, 'ERR_ISMIO_REGION_LOST');
    assert.equal(unmapped.load32(edu.identification), identity);
    using again = device.region(0, { access: 'mmap' });
    assert.equal(again.load32(edu.identification), identity);
  });

  for (const [access, code] of [
    ['mmap', 'ERR_ISMIO_REGION_LOST'],
    ['pread', 'ERR_ISMIO_DEVICE'],
  ] as const) {
    test(`${api}, ${access}: memory decode switched off in mid-batch rejects the batch, and says how far it came`, async () => {
      using device = openVfio(places.ivshmem, { api });
      using bar = device.region(2, { access });
      using witness = device.region(2, { access: 'mmap' });
      witness.store64(place, 0n);
      const queue = bar.queue({ depth: mostQueued });
      const wanted = fill(queue, access);
      const batch = queue.drain();
      // The batch runs on the queue's own thread; it has begun when its first word has arrived.
      while (witness.load64(place) === 0n) await new Promise(setImmediate);
      device.enableMemory(false);
      const error = await batch.then(
        (completion) => assert.fail(`all ${completion.operations} operations were done before memory decode was off`),
        (reason: BatchError) => reason,
      );
      assert.equal(error.code, code);
      assert.ok(error.completion.bytes < wanted);
      assert.equal(error.operations[0]?.index, error.index);
      device.enableMemory();
    });
  }

  test(`${api}: a reset in mid-queue leaves a device that answers`, async () => {
    using device = openVfio(places.pluggable, { api });
    assert.equal(device.info.flags.reset, true);
    using bar = device.region(4);
    const queue = bar.queue({ depth: 1 << 16 });
    // queue_select of virtio's common configuration; a reset makes it 0.
    while (queue.store16(22, 1));
    const batch = queue.drain().then(
      (completion) => completion.stores,
      (error: BatchError) => error.code,
    );
    await new Promise(setImmediate);
    device.reset();
    assert.ok([1 << 16, 'ERR_ISMIO_REGION_LOST'].includes(await batch), String(await batch));
    assert.equal(device.region(4).load16(18), 1);
    device.reset();
    assert.equal(device.region(4).load16(22), 0);
  });

  test(`${api}: a device without a reset says so`, () => {
    using device = openVfio(places.edu, { api });
    assert.equal(device.info.flags.reset, false);
    throwsCode(() => device.reset(), IsmioError, 'ERR_ISMIO_VFIO');
  });
}
