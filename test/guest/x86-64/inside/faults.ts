// What goes wrong on a real machine while a device is in use: each has its code, and the process lives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, type BatchError, IsmioError, openVfio, type VfioDevice } from 'ismio';
import { throwsCode } from '../../../support/errors.js';
import { ivshmem, places } from '../machine.js';
import { edu, identity } from './edu.js';
import { api } from './setting.js';

/** Where ivshmem's memory is nobody else's. */
const place = 4 * ivshmem.piece;
/** Of 4096 bytes each. */
const mostQueued = 1 << 13;

/** How often a batch and the switch may miss each other. */
const tries = 30;

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
    for (let i = 0; i < tries; i++) {
      const error = await switchedOff(device, access);
      device.enableMemory();
      if (error === null || error.completion.bytes === 0) continue;
      assert.equal(error.code, code);
      assert.equal(error.operations[0]?.index, error.index);
      assert.equal(error.operations[0]?.offset, place);
      return;
    }
    assert.fail(`memory decode was off before or after each of ${tries} batches`);
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

test(`${api}: a reset keeps configuration space, interrupts, DMA mappings and mapped regions; the function's own is lost`, async () => {
  using device = openVfio(places.pluggable, { api });
  const { config } = device;
  const bar = device.region(4, { access: 'mmap' });
  const msix = device.irq('msix');
  device.enableBusMaster();
  msix.enable(2);
  const mapping = device.dmaMap(allocBuffer(4096));
  bar.store16(22, 1); // queue_select
  const bars = () => [0, 1, 2, 3, 4, 5].map((index) => config.read32(0x10 + 4 * index));
  const before = [...bars(), config.read16(4)];
  device.reset();
  assert.deepEqual([...bars(), config.read16(4)], before);
  assert.deepEqual([device.memory, device.busMaster], [true, true]);
  assert.equal(bar.load16(22), 0, 'through the mapping that was there before');
  const told = msix.vector(1).wait();
  msix.trigger(1);
  assert.deepEqual(await told, { vector: 1, count: 1 });
  const again = () => device.dmaMap(allocBuffer(4096), { iova: mapping.iova });
  throwsCode(again, RangeError, 'ERR_ISMIO_OPTION', { iova: mapping.iova });
  mapping.unmap();
  again().unmap();
});

test(`${api}: a device without a reset says so`, () => {
  using device = openVfio(places.edu, { api });
  assert.equal(device.info.flags.reset, false);
  throwsCode(() => device.reset(), IsmioError, 'ERR_ISMIO_VFIO');
});

/** Switches memory decode off while a batch runs on the queue's own thread; null when the batch was done before. */
async function switchedOff(device: VfioDevice, access: 'mmap' | 'pread'): Promise<BatchError | null> {
  using bar = device.region(2, { access });
  using witness = device.region(2, { access: 'mmap' });
  witness.store64(place, 0n);
  const page = allocBuffer(4096).fill(0x55);
  const queue = bar.queue({ depth: mostQueued });
  while (queue.write(place, page));
  const batch = queue.drain().then(
    () => null,
    (error: BatchError) => error,
  );
  while (witness.load64(place) === 0n) await new Promise(setImmediate);
  device.enableMemory(false);
  // Awaited here: the region is closed behind it.
  return await batch;
}
