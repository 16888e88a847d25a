// Emulated regions: as large as the real ones, and no heavier than what is in them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulate, IsmioError } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';

const mebibyte = 2 ** 20;
const residentGrowth = (since: number): number => process.memoryUsage.rss() - since;

test('2^48 bytes can be had, and both ends can be used', () => {
  using region = emulate({ size: 2n ** 48n });
  assert.equal(region.size, 2 ** 48);
  region.store64(2 ** 48 - 8, 0x1122334455667788n);
  assert.equal(region.load64(2n ** 48n - 8n), 0x1122334455667788n);
  assert.equal(region.load8(2 ** 48 - 1), 0x11);
  region.write(2 ** 47 - 3, pattern(9));
  assert.deepEqual(contents(region, 2 ** 47 - 3, 9), pattern(9));
  throwsCode(() => region.load64(2 ** 48), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => region.load8(2n ** 48n), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
});

test('2^48 + 1 bytes, and none, are refused', () => {
  throwsCode(() => emulate({ size: 2 ** 48 + 1 }), RangeError, 'ERR_ISMIO_OPTION', { size: 2 ** 48 + 1 });
  throwsCode(() => emulate({ size: 0 }), RangeError, 'ERR_ISMIO_OPTION', { size: 0 });
});

test('what was never stored reads as zeros and takes no memory', () => {
  using region = emulate({ size: 2 ** 48 });
  const before = process.memoryUsage.rss();
  const target = new Uint8Array(4096).fill(0xff);
  for (let i = 0; i < 2000; i++) region.read(i * 2 ** 37 + 5, target);
  assert.ok(target.every((byte) => byte === 0));
  assert.ok(residentGrowth(before) < 32 * mebibyte, `${residentGrowth(before)} bytes more`);
});

test('memory grows with what is stored, not with where', () => {
  using region = emulate({ size: 2 ** 48 });
  region.store8(0, 1);
  const before = process.memoryUsage.rss();
  for (let bit = 12; bit < 48; bit++) region.store8(2 ** bit, bit);
  for (let bit = 12; bit < 48; bit++) assert.equal(region.load8(2 ** bit), bit);
  assert.ok(residentGrowth(before) < 32 * mebibyte, `${residentGrowth(before)} bytes more`);
});

test('neighbouring chunks of the sparse memory do not run into each other', () => {
  using region = emulate({ size: 2 ** 30, rules: { boundary: 2 ** 20, maxStoreBlock: 2 ** 20 } });
  const model = pattern(3 * 2 ** 21);
  region.write(2 ** 21 - 12_345, model);
  assert.deepEqual(contents(region, 2 ** 21 - 12_345, model.length), model);
  assert.equal(region.load8(2 ** 21 - 12_346), 0);
  assert.equal(region.load8(2 ** 21 - 12_345 + model.length), 0);
});

test('the memory of a closed region is given back', () => {
  const before = process.memoryUsage.rss();
  const bytes = new Uint8Array(16 * mebibyte).fill(1);
  for (let i = 0; i < 8; i++) {
    using region = emulate({ size: 2 ** 40 });
    region.write(i * 2 ** 35, bytes);
  }
  assert.ok(residentGrowth(before) < 64 * mebibyte, `${residentGrowth(before)} bytes more for 128 MiB that went`);
});

test('regions are apart from each other', () => {
  using one = emulate({ size: 64, name: 'one' });
  using other = emulate({ size: 64, name: 'other' });
  one.write(0, pattern(64));
  assert.deepEqual(contents(other), new Uint8Array(64));
  assert.equal(other.stats().storeBlocks, 0);
});

test('a region says what it is', () => {
  const limits = { maxStoreBlock: 128, boundary: 256, alignment: 'strict', merge: 'registers' } as const;
  const rules = { ...limits, singleStores: false };
  using region = emulate({ size: 64, kind: 'memory', name: 'BAR 2', rules });
  assert.equal(region.kind, 'memory');
  assert.equal(region.name, 'BAR 2');
  assert.equal(region.access, 'emulated');
  assert.equal(region.writable, true);
  assert.deepEqual(region.rules, rules);
  assert.ok(Object.isFrozen(region.rules));
  using plain = emulate({ size: 64 });
  assert.equal(plain.kind, 'device');
  assert.deepEqual(plain.rules, {
    maxStoreBlock: 4096,
    boundary: 4096,
    alignment: 'relaxed',
    merge: 'window',
    singleStores: true,
  });
});

// Only a lower bound: how much longer an access takes is the machine's affair.
test('synthetic cost is spent by every access: per load, store and store block, and per byte', () => {
  const millisecond = 1e6;
  const atLeast = (milliseconds: number, act: () => void): void => {
    const began = performance.now();
    act();
    const took = performance.now() - began;
    assert.ok(took >= milliseconds * 0.99, `${took} ms where ${milliseconds} were asked for`);
  };
  using region = emulate({
    size: 8192,
    cost: { load: millisecond, store: 2 * millisecond, storeBlock: 3 * millisecond },
  });
  atLeast(1, () => region.load8(0));
  atLeast(2, () => region.store8(0, 1));
  atLeast(3, () => region.storeBlock(0, new Uint8Array(9)));
  atLeast(6, () => region.write(4090, new Uint8Array(12)));
  atLeast(3, () => region.read(3, new Uint8Array(6)));
  using wide = emulate({ size: 8192, cost: { perByte: 1000 } });
  atLeast(4.096, () => wide.storeBlock(0, new Uint8Array(4096)));
  atLeast(0.1, () => wide.read(0, new Uint8Array(100)));
});

test('a refused block takes no time', () => {
  using region = emulate({ size: 8192, cost: { storeBlock: 1e9 } });
  const began = performance.now();
  throwsCode(() => region.storeBlock(4095, new Uint8Array(2)), RangeError, 'ERR_ISMIO_RULE');
  assert.ok(performance.now() - began < 900);
});

test('a region closes at the end of its block', () => {
  const region = emulate({ size: 64 });
  {
    using held = region;
    held.store8(0, 1);
  }
  assert.equal(region.closed, true);
  throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_CLOSED', { region: 'emulated region' });
});
