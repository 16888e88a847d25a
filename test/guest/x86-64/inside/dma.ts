// DMA: edu copies from a mapped buffer into its own memory, and back into another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { allocBuffer, openVfio, type Region } from 'ismio';
import { pattern } from '../../../support/bytes.js';
import { places } from '../machine.js';
import { addressLimit, dma, edu, most, ownMemory } from './edu.js';
import { api } from './setting.js';

/** One transfer, to its end: edu takes 100 ms for each. */
async function transfer(bar: Region, source: bigint, target: bigint, count: number, command: bigint): Promise<void> {
  bar.store64(edu.dmaSource, source);
  bar.store64(edu.dmaTarget, target);
  bar.store64(edu.dmaCount, BigInt(count));
  bar.store64(edu.dmaCommand, dma.start | command);
  while ((bar.load64(edu.dmaCommand) & dma.start) !== 0n) await pause(5);
}

test(`${api}: what edu reads by DMA it writes back by DMA`, async () => {
  using device = openVfio(places.edu, { api });
  using bar = device.region(0);
  device.enableBusMaster();
  const source = allocBuffer(4096);
  const target = allocBuffer(4096);
  using from = device.dmaMap(source, { limit: addressLimit, writable: false });
  using to = device.dmaMap(target, { limit: addressLimit });
  assert.ok(from.iova + 4095n <= addressLimit && to.iova + 4095n <= addressLimit && from.iova !== to.iova);
  source.set(pattern(most, 3));
  await transfer(bar, from.iova, ownMemory, most, 0n);
  await transfer(bar, ownMemory, to.iova, most, dma.toMemory);
  assert.deepEqual(target, source);
});

test(`${api}: an unmapped buffer is out of the device's reach`, async () => {
  using device = openVfio(places.edu, { api });
  using bar = device.region(0);
  device.enableBusMaster();
  const target = allocBuffer(4096);
  const mapping = device.dmaMap(target, { iova: 0x10_0000n });
  assert.equal(mapping.iova, 0x10_0000n);
  await transfer(bar, ownMemory, mapping.iova, 8, dma.toMemory);
  mapping.unmap();
  const before = Uint8Array.from(target.fill(0xaa));
  await transfer(bar, ownMemory, 0x10_0000n, most, dma.toMemory);
  assert.deepEqual(target, before);
});
