// Interrupts of devices that are defined here: levels, what is held back, and what a driver is told at the end.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { IsmioError, openVfioUser } from 'ismio';
import { type DeviceDescription, defineDevice, serve } from 'ismio/device';
import { throwsCode } from './support/errors.js';

const plain = { vendor: 0x1af4, device: 0x4242, classCode: 0x08_80_00 } as const;

/** A device with one BAR of 4 KiB, open, with its memory decoded. */
function opened(bar: NonNullable<DeviceDescription['regions']>[number], more: Partial<DeviceDescription> = {}) {
  const device = defineDevice({ ...plain, regions: { 0: bar }, ...more });
  const driver = device.open();
  driver.enableMemory();
  return { device, driver, region: driver.region(0) };
}

test('INTx is a level: told again when it is unmasked while it is up, and shown in the status register', async () => {
  const { device, driver } = opened({ size: 4096 }, { interrupts: { intx: true } });
  const irq = driver.irq('intx');
  irq.enable();
  const first = irq.wait();
  device.level(true);
  assert.deepEqual(await first, { vector: 0, count: 1 });
  assert.equal(driver.config.read16(6) & 8, 8);
  const second = irq.wait();
  irq.unmask();
  assert.deepEqual(await second, { vector: 0, count: 1 });
  device.level(false);
  assert.equal(driver.config.read16(6) & 8, 0);
  irq.disable();
});

test('an interrupt that is held back shows in the pending bits, and comes when the device may send messages', async () => {
  const { device, driver } = opened({ size: 4096 }, { interrupts: { msix: 70 } });
  const table = driver.region(1);
  assert.equal(table.load32(12), 1, 'a vector is masked after a reset');
  const irq = driver.irq('msix');
  irq.enable();
  device.interrupt('msix', 69);
  assert.equal(device.pending('msix', 69), true);
  assert.equal(table.load64(4096 + 8), 1n << 5n);
  const came = irq.vector(69).wait();
  driver.enableBusMaster();
  assert.deepEqual(await came, { vector: 69, count: 1 });
  assert.equal(table.load64(4096 + 8), 0n);
  throwsCode(() => device.interrupt('msix', 70), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => device.interrupt('msi'), RangeError, 'ERR_ISMIO_OPTION');
  irq.disable();
});

test('a device that is taken away fails every access, and tells the driver by its req interrupt', async () => {
  const { device, driver, region } = opened({ size: 4096, load: () => 5 });
  const asked = driver.irq('req');
  asked.enable();
  const told = asked.wait();
  assert.equal(region.load32(0), 5);
  device.close();
  assert.deepEqual(await told, { vector: 0, count: 1 });
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'device' });
  throwsCode(() => driver.region(0), IsmioError, 'ERR_ISMIO_CLOSED');
  throwsCode(() => device.open(), IsmioError, 'ERR_ISMIO_CLOSED');
  driver.close(); // and its interrupts keep the process no longer
});

test('a device that is taken away over vfio-user is heard of by its req interrupt before it is lost, each time', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ismio-req-'));
  for (let turn = 0; turn < 20; turn++) {
    const device = defineDevice({ ...plain, regions: { 0: { size: 4096 } } });
    const path = join(folder, `${turn}.sock`);
    const server = await serve(device, { path });
    const driver = openVfioUser(path);
    const order: string[] = [];
    const lost = new Promise<void>((resolve) =>
      driver.on('lost', () => {
        order.push('lost');
        resolve();
      }),
    );
    const asked = driver.irq('req');
    asked.on('interrupt', () => order.push('req'));
    asked.enable();
    const told = asked.wait();
    device.close();
    assert.deepEqual(await told, { vector: 0, count: 1 });
    await lost;
    assert.deepEqual(order, ['req', 'lost']);
    driver.close();
    await server.close();
  }
  await rm(folder, { recursive: true });
});
