// Interrupts that a device raised, as they reach JavaScript.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { allocBuffer, openVfio } from 'ismio';
import { places } from '../machine.js';
import { addressLimit, dma, dmaInterrupt, edu, interruptWhenDone, ownMemory } from './edu.js';
import { api } from './setting.js';

test(`${api}: each MSI that edu raises is an item of the iteration`, async () => {
  using device = openVfio(places.edu, { api });
  using bar = device.region(0);
  device.enableBusMaster();
  const msi = device.irq('msi');
  msi.enable();
  let seen = 0;
  bar.store32(edu.raise, 1);
  for await (const { vector, count } of msi) {
    assert.deepEqual({ vector, count }, { vector: 0, count: 1 });
    bar.store32(edu.acknowledge, 1);
    if (++seen === 5) break;
    bar.store32(edu.raise, 1);
  }
  assert.equal(msi.signalled, 5);
  msi.disable();
});

test(`${api}: INTx masks itself until it is unmasked`, { timeout: 20_000 }, async () => {
  using device = openVfio(places.edu, { api });
  using bar = device.region(0);
  const intx = device.irq('intx');
  assert.equal(intx.info.autoMasked, true);
  intx.enable();
  for (let i = 0; i < 3; i++) {
    const interrupt = once(intx, 'interrupt');
    bar.store32(edu.raise, 1);
    await interrupt;
    bar.store32(edu.acknowledge, 1);
    intx.unmask();
  }
  assert.equal(intx.signalled, 3);
  intx.disable();
});

test(`${api}: an interrupt that comes while INTx is masked is told at unmask`, { timeout: 20_000 }, async () => {
  using device = openVfio(places.edu, { api });
  using bar = device.region(0);
  const intx = device.irq('intx');
  intx.enable();
  intx.mask();
  bar.store32(edu.raise, 1);
  for (let i = 0; i < 10; i++) await new Promise(setImmediate);
  assert.equal(intx.signalled, 0);
  const interrupt = once(intx, 'interrupt');
  intx.unmask();
  await interrupt;
  bar.store32(edu.acknowledge, 1);
  intx.disable();
});

test(`${api}: DMA and the factorial end with an interrupt`, { timeout: 20_000 }, async () => {
  using device = openVfio(places.edu, { api });
  using bar = device.region(0);
  device.enableBusMaster();
  const msi = device.irq('msi');
  msi.enable();
  using mapping = device.dmaMap(allocBuffer(4096), { limit: addressLimit });
  let interrupt = once(msi, 'interrupt');
  bar.store64(edu.dmaSource, mapping.iova);
  bar.store64(edu.dmaTarget, ownMemory);
  bar.store64(edu.dmaCount, 8n);
  bar.store64(edu.dmaCommand, dma.start | dma.interrupt);
  await interrupt;
  bar.store32(edu.acknowledge, dmaInterrupt);
  interrupt = once(msi, 'interrupt');
  bar.store32(edu.status, interruptWhenDone);
  bar.store32(edu.factorial, 5);
  await interrupt;
  bar.store32(edu.acknowledge, 1);
  assert.equal(bar.load32(edu.factorial), 120);
});

test(`${api}: every vector of MSI-X has an eventfd of its own`, { timeout: 20_000 }, async () => {
  using device = openVfio(places.rng, { api });
  const msix = device.irq('msix');
  assert.ok(msix.count > 1);
  msix.enable();
  for (let vector = msix.count - 1; vector >= 0; vector--) {
    const interrupt = once(msix, 'interrupt');
    msix.trigger(vector);
    assert.deepEqual(await interrupt, [{ vector, count: 1 }]);
  }
  assert.equal(msix.signalled, msix.count);
});

test(`${api}: vectors are added without losing what the others were signalled`, { timeout: 20_000 }, async () => {
  using device = openVfio(places.rng, { api });
  const msix = device.irq('msix');
  msix.enable(1);
  for (let i = 0; i < 5; i++) msix.trigger(0);
  msix.enable(2);
  msix.trigger(0);
  msix.trigger(1);
  while (msix.signalled < 7) await new Promise(setImmediate);
  assert.deepEqual([msix.vector(0).signalled, msix.vector(1).signalled, msix.enabled], [6, 1, 2]);
  const second = msix.vector(1).wait();
  msix.enable(1);
  await assert.rejects(second, { code: 'ERR_ISMIO_CLOSED' });
  msix.trigger(0);
  assert.deepEqual(await msix.vector(0).wait(), { vector: 0, count: 1 });
});
