// The device is taken from its slot while a batch runs on it. The host does that when it reads `unplugLine`.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type BatchError, IsmioError, openVfio } from 'ismio';
import { throwsCode } from '../../../support/errors.js';
import { places, unplugLine } from '../machine.js';
import { api, sysfs } from './setting.js';

test(`${api}: unplugged in mid-batch: the kernel asks for the device, close gives it back, and it is gone`, async () => {
  const device = openVfio(places.pluggable, { api });
  const asked = device.irq('req');
  asked.enable();
  const request = asked[Symbol.asyncIterator]().next();
  const queue = device.region(4).queue({ depth: 1 << 12 });
  const batches = keepBusy();
  console.log(unplugLine);
  assert.equal((await request).done, false);
  device.close();
  assert.equal(await batches, 'ERR_ISMIO_CLOSED');
  while (existsSync(sysfs(places.pluggable))) await pause(20);
  throwsCode(() => openVfio(places.pluggable, { api }), IsmioError, 'ERR_ISMIO_NOT_A_DEVICE');

  /** Batch after batch, until one fails; its code. */
  async function keepBusy(): Promise<string> {
    try {
      for (;;) {
        while (queue.store16(22, 1));
        await queue.drain();
      }
    } catch (error) {
      return (error as BatchError).code;
    }
  }
});
