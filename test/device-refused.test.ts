// Writes that a device refuses: who is told, and what its status register shows.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { IsmioError, openVfioUser } from 'ismio';
import { defineDevice, type RefusedWrite, serve } from 'ismio/device';
import { throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

const plain = { vendor: 0x1af4, device: 0x4242, classCode: 0x08_80_00 } as const;
const status = 6;
const targetAbort = 0x0800;
const systemError = 0x4000;
const errors = 0xf900;

test('a posted write that a device refuses is an event of the device, is counted, and shows in its status register', async (t) => {
  const device = defineDevice({
    ...plain,
    regions: {
      0: {
        size: 4096,
        load: () => 1,
        store(offset) {
          if (offset === 0x20) throw new Error('no such register');
        },
      },
      1: { size: 4096 },
    },
  });
  device.on('error', () => undefined);
  const path = join(temporaryFolder(t), 'socket');
  const server = await serve(device, { path });
  const driver = openVfioUser(path, { posted: true });
  driver.enableMemory();
  const refused: RefusedWrite[] = [];
  device.on('refused', (write) => refused.push(write));
  driver.region(0).store32(0x10, 1);
  driver.region(0).store32(0x20, 1);
  driver.region(1).store64(0x40, 1n); // where there is no handler
  assert.equal(driver.region(0).load32(0), 1); // behind them
  assert.equal(driver.config.read16(status) & errors, targetAbort);
  assert.deepEqual(refused, [
    { region: 0, offset: 0x20, length: 4, errno: 'EIO' },
    { region: 1, offset: 0x40, length: 8, errno: 'EIO' },
  ]);
  assert.equal(device.refusedWrites, 2);
  driver.config.write16(status, targetAbort);
  assert.equal(driver.config.read16(status) & errors, 0);
  driver.close();
  await server.close();
  device.close();
});

test('an access that a device refuses shows in the status register of a driver in this process as well', () => {
  const device = defineDevice({ ...plain, regions: { 0: { size: 4096 } }, express: true });
  const driver = device.open();
  const region = driver.region(0);
  throwsCode(() => region.store32(0, 1), IsmioError, 'ERR_ISMIO_DEVICE');
  assert.equal(driver.config.read16(status) & errors, 0); // memory is not decoded: it never came to the device
  driver.enableMemory();
  throwsCode(() => region.store32(0, 1), IsmioError, 'ERR_ISMIO_DEVICE');
  assert.equal(driver.config.read16(status) & errors, targetAbort);
  const express = driver.config.read8(0x34);
  assert.equal(driver.config.read8(express + 10), 2); // a detected error that is not fatal
  driver.config.write16(status, errors);
  driver.config.write16(4, driver.config.read16(4) | 0x0100); // SERR#
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_DEVICE');
  assert.equal(driver.config.read16(status) & errors, targetAbort | systemError);
  assert.equal(device.refusedWrites, 0); // of each its driver was told
  device.close();
});

test('what one driver was refused the next one does not see', async () => {
  const device = defineDevice({ ...plain, regions: { 0: { size: 4096 } } });
  const first = device.open();
  first.enableMemory();
  throwsCode(() => first.region(0).store32(0, 1), IsmioError, 'ERR_ISMIO_DEVICE');
  const closed = once(device, 'close');
  first.close();
  await closed;
  const second = device.open();
  assert.equal(second.config.read16(status) & errors, 0);
  device.close();
});
