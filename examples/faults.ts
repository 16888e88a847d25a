// A driver's error path in a unit test: the device answers as the script says, and the driver is held to what it then does.
//
//     node --test dist/examples/faults.js
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulate, IsmioError, type Region } from 'ismio';

const doorbell = 0x100;

/** The code under test: rings a doorbell, and tries once more where the device says that it is in error. */
export function ring(region: Region, value: number): 'rung' | 'rung at the second try' {
  try {
    region.store32(doorbell, value);
    return 'rung';
  } catch (error) {
    if (!(error instanceof IsmioError) || error.code !== 'ERR_ISMIO_DEVICE') throw error;
    region.store32(doorbell, value);
    return 'rung at the second try';
  }
}

test('a doorbell that fails once is rung again', () => {
  using region = emulate({ size: 4096, faults: [{ access: 'store', nth: 1, cc: 1, status: 4 }] });
  assert.equal(ring(region, 7), 'rung at the second try');
  assert.equal(region.load32(doorbell), 7);
});

test('one that fails for good is told, with what the device answered', () => {
  const faults = [1, 2].map((nth) => ({ access: 'store', nth, cc: 1, status: 4 }) as const);
  using region = emulate({ size: 4096, faults });
  assert.throws(() => ring(region, 7), { code: 'ERR_ISMIO_DEVICE', deviceStatus: 4 });
  assert.equal(region.load32(doorbell), 0);
});
