// Which of a function's interrupts its driver has set up, as the function sees it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineDevice } from 'ismio/device';
import { throwsCode } from './support/errors.js';

test('a device sees which interrupts its driver has enabled, vector by vector, until it disables them or has gone', () => {
  const device = defineDevice({ vendor: 1, device: 2, classCode: 0, interrupts: { intx: true, msix: 3 } });
  const seen = () => [device.enabled('intx'), ...[0, 1, 2].map((vector) => device.enabled('msix', vector))];
  const none = [false, false, false, false];
  assert.deepEqual(seen(), none);
  const driver = device.open();
  const msix = driver.irq('msix');
  msix.enable(2);
  assert.deepEqual(seen(), [false, true, true, false]);
  msix.enable(1);
  assert.deepEqual(seen(), [false, true, false, false]);
  msix.disable();
  assert.deepEqual(seen(), none);
  driver.irq('intx').enable();
  assert.deepEqual(seen(), [true, false, false, false]);
  driver.close();
  assert.deepEqual(seen(), none);
});

test('interrupts that a device does not have are no question', () => {
  const device = defineDevice({ vendor: 1, device: 2, classCode: 0, interrupts: { msi: 2 } });
  throwsCode(() => device.enabled('intx'), RangeError, 'ERR_ISMIO_OPTION', { kind: 'intx' });
  throwsCode(() => device.enabled('msix'), RangeError, 'ERR_ISMIO_OPTION', { kind: 'msix' });
  throwsCode(() => device.enabled('msi', 2), RangeError, 'ERR_ISMIO_OPTION', { vector: 2 });
  throwsCode(() => device.enabled('err' as 'msi'), RangeError, 'ERR_ISMIO_OPTION', { kind: 'err' });
  assert.equal(device.enabled('msi', 1), false);
});
