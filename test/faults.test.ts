// The fault script of an emulated region: which access fails, how, and that nothing but a busy one is repeated.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulate, type Fault, type Faults, IsmioError, type Region } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { thrownBy, throwsCode } from './support/errors.js';

const withFaults = (faults: Faults): Region => emulate({ size: 4096, faults });

/** Which of `count` one-byte loads fail. */
function struckLoads(region: Region, count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1).filter(() => {
    try {
      region.load8(0);
      return false;
    } catch {
      return true;
    }
  });
}

test('condition code 1 is an error with its status, and the access does nothing', () => {
  using region = withFaults([{ cc: 1, status: 0x5a, times: 1 }]);
  const values = {
    conditionCode: 1,
    deviceStatus: 0x5a,
    errno: 'EIO',
    offset: 8,
    length: 8,
    region: 'emulated region',
  };
  const error = throwsCode(() => region.store64(8, 1n), IsmioError, 'ERR_ISMIO_DEVICE', values);
  assert.match(error.message, /0x5a/);
  assert.equal(region.load64(8), 0n);
});

test('condition code 3 is an invalid handle', () => {
  using region = withFaults([{ cc: 3 }]);
  throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_INVALID_HANDLE', { conditionCode: 3, errno: 'EIO' });
});

test('a lost region is lost from that access on', () => {
  using region = withFaults([{ nth: 3, lost: true }]);
  region.store8(0, 1);
  assert.equal(region.load8(0), 1);
  for (let i = 0; i < 3; i++) throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
  throwsCode(() => region.store8(0, 1), IsmioError, 'ERR_ISMIO_REGION_LOST');
});

test('busy for some tries, then it goes through: retries are counted, errors are not', () => {
  for (const tries of [1, 2, 5, 63]) {
    using region = withFaults([{ cc: 2, tries }]);
    region.store64(0, 7n);
    const { stores, retries, errors } = region.stats();
    assert.deepEqual({ stores, retries, errors }, { stores: 1, retries: tries, errors: 0 });
    assert.equal(region.load64(0), 7n);
  }
});

test('busy for ever gives up after a bounded number of tries', () => {
  using region = withFaults([{ cc: 2 }]);
  const error = throwsCode(() => region.store64(0, 7n), IsmioError, 'ERR_ISMIO_BUSY', {
    conditionCode: 2,
    errno: 'EIO',
  });
  const { stores, retries, errors } = region.stats();
  assert.deepEqual({ stores, errors }, { stores: 0, errors: 1 });
  assert.equal(error.tries, retries + 1);
  assert.ok(retries > 10);
});

test('each access has its tries to itself', () => {
  using region = withFaults([
    { cc: 2, range: [0, 8], tries: 60 },
    { cc: 2, range: [8, 16], tries: 60 },
  ]);
  const queue = region.queue();
  queue.storeWords(0, 1, 1);
  queue.storeWords(8, 2, 2);
  assert.equal(queue.submit().retries, 120);
  assert.equal(region.load32(8), 2);
  using reading = withFaults([
    { cc: 2, range: [0, 8], tries: 60 },
    { cc: 2, range: [8, 16], tries: 60 },
  ]);
  reading.read(0, new Uint8Array(16));
  assert.equal(reading.stats().retries, 120);
});

test('only a busy access is repeated: each other fault strikes one access once', () => {
  const lines: readonly Fault[] = [
    { cc: 1, times: 1 },
    { cc: 3, times: 1 },
  ];
  const acts: readonly ((region: Region) => unknown)[] = [
    (r) => r.load8(0),
    (r) => r.store64(0, 1n),
    (r) => r.storeBlock(0, new Uint8Array(64)),
    (r) => r.write(1, new Uint8Array(5000 - 1000)),
    (r) => r.read(1, new Uint8Array(100)),
  ];
  for (const line of lines) {
    for (const act of acts) {
      using region = withFaults([line]);
      thrownBy(() => act(region));
      const { loads, stores, storeBlocks, retries, errors } = region.stats();
      assert.deepEqual(
        { loads, stores, storeBlocks, retries, errors },
        { loads: 0, stores: 0, storeBlocks: 0, retries: 0, errors: 1 },
      );
      act(region);
    }
  }
});

test('the n-th access is the n-th of its kind', () => {
  using any = withFaults([{ nth: 3, cc: 1 }]);
  any.store8(0, 1);
  any.load8(0);
  throwsCode(() => any.storeBlock(0, pattern(16)), IsmioError, 'ERR_ISMIO_DEVICE');
  any.storeBlock(0, pattern(16));

  using loads = withFaults([{ access: 'load', nth: 2, cc: 1 }]);
  loads.load8(0);
  loads.store8(0, 1);
  loads.storeBlock(0, pattern(16));
  throwsCode(() => loads.load8(0), IsmioError, 'ERR_ISMIO_DEVICE');
  loads.load8(0);
});

test('a busy access that is tried again is still the same one', () => {
  using region = withFaults([
    { nth: 1, cc: 2, tries: 5 },
    { nth: 2, cc: 1 },
  ]);
  region.store8(0, 1);
  throwsCode(() => region.store8(0, 2), IsmioError, 'ERR_ISMIO_DEVICE');
  assert.equal(region.load8(0), 1);
});

test('a range is struck by every access that touches a byte of it', () => {
  using region = withFaults([{ range: [64, 72], cc: 1 }]);
  region.write(0, pattern(64));
  region.write(72, pattern(64));
  throwsCode(() => region.write(60, pattern(5)), IsmioError, 'ERR_ISMIO_DEVICE');
  throwsCode(() => region.write(71, pattern(5)), IsmioError, 'ERR_ISMIO_DEVICE');
  throwsCode(() => region.load8(64), IsmioError, 'ERR_ISMIO_DEVICE');
  throwsCode(() => region.load64(64), IsmioError, 'ERR_ISMIO_DEVICE');
  region.load8(63);
  region.load8(72);
  const error = throwsCode(() => region.read(0, new Uint8Array(128)), IsmioError, 'ERR_ISMIO_DEVICE', {
    bytesDone: 64,
  });
  assert.match(error.message, /64 bytes/);
});

test('what was read before a fault is in the target, and nothing after it is touched', () => {
  using region = withFaults([{ range: [32, 40], access: 'load', cc: 1 }]);
  region.write(0, pattern(64));
  const target = new Uint8Array(64).fill(0xee);
  throwsCode(() => region.read(3, target.subarray(3)), IsmioError, 'ERR_ISMIO_DEVICE', { bytesDone: 29 });
  assert.deepEqual(target.slice(3, 32), pattern(64).slice(3, 32));
  assert.deepEqual(target.slice(40), new Uint8Array(24).fill(0xee));
});

test('a write says how many of its bytes went through before the fault', () => {
  using region = emulate({ size: 4096, rules: { maxStoreBlock: 64 }, faults: [{ nth: 3, cc: 1 }] });
  throwsCode(() => region.write(10, pattern(300)), IsmioError, 'ERR_ISMIO_DEVICE', {
    offset: 10,
    length: 300,
    bytesDone: 128,
  });
  const expected = new Uint8Array(4096);
  expected.set(pattern(300).subarray(0, 128), 10);
  assert.deepEqual(contents(region), expected);
});

test('chance is drawn from the seed: the same seed strikes the same accesses', () => {
  const script: readonly Fault[] = [{ chance: 0.2, cc: 1 }];
  const runs = [1, 1, 2].map((seed) => struckLoads(withFaults({ seed, script }), 500));
  assert.deepEqual(runs[0], runs[1]);
  assert.notDeepEqual(runs[0], runs[2]);
  for (const struck of runs)
    assert.ok(struck.length > 50 && struck.length < 150, `${struck.length} of 500 at a chance of 0.2`);
  assert.deepEqual(
    struckLoads(withFaults({ script }), 500),
    struckLoads(withFaults(script), 500),
    'there is a default seed',
  );
  assert.equal(struckLoads(withFaults([{ chance: 1, cc: 1 }]), 100).length, 100);
});

test('a line strikes as often as it says', () => {
  assert.deepEqual(struckLoads(withFaults([{ cc: 1, times: 3 }]), 6), [1, 2, 3]);
  assert.deepEqual(
    struckLoads(
      withFaults([
        { nth: 2, cc: 1 },
        { nth: 5, cc: 3 },
      ]),
      6,
    ),
    [2, 5],
  );
});

test('without faults nothing fails', () => {
  using region = withFaults([]);
  region.write(0, pattern(4096));
  assert.deepEqual(contents(region), pattern(4096));
  assert.equal(region.stats().errors, 0);
});
