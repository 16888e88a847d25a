// Loads and stores of every width: which bytes they touch, in which order, on a host of either byte order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulate, mapFile, type Region } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';
import { madeInPlace } from './support/in-place.js';
import { loadsOf } from './support/oracle.js';

/** The same test on every backend that this machine has. */
function onEachBackend(name: string, size: number, body: (region: Region) => void): void {
  test(`${name}: emulated`, () => {
    using region = emulate({ size });
    body(region);
  });
  for (const kind of ['memory', 'device'] as const) {
    test(`${name}: mapped file of kind '${kind}'`, (t) => {
      using region = mapFile(temporaryFile(t, size), { kind });
      assert.equal(region.kind, kind);
      body(region);
    });
  }
}

onEachBackend('stores put their least significant byte first', 64, (region) => {
  region.store8(0, 0x01);
  region.store16(2, 0x0203);
  region.store32(4, 0x04050607);
  region.store64(8, 0x08090a0b0c0d0e0fn);
  const expected = [0x01, 0, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08];
  assert.deepEqual([...contents(region, 0, 16)], expected);
});

onEachBackend("stores with order 'be' put their most significant byte first", 64, (region) => {
  region.store16(2, 0x0203, 'be');
  region.store32(4, 0x04050607, 'be');
  region.store64(8, 0x08090a0b0c0d0e0fn, 'be');
  const expected = [0, 0, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f];
  assert.deepEqual([...contents(region, 0, 16)], expected);
});

onEachBackend('loads read known bytes in both orders', 64, (region) => {
  region.write(0, Uint8Array.of(0x80, 0x91, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7));
  assert.equal(region.load8(0), 0x80);
  assert.equal(region.load8(7n), 0xf7);
  assert.equal(region.load16(2), 0xb3a2);
  assert.equal(region.load16(2, 'le'), 0xb3a2);
  assert.equal(region.load16(2, 'be'), 0xa2b3);
  assert.equal(region.load32(4), 0xf7e6d5c4);
  assert.equal(region.load32(4, 'be'), 0xc4d5e6f7);
  assert.equal(region.load64(0), 0xf7e6d5c4b3a29180n);
  assert.equal(region.load64(0n, 'be'), 0x8091a2b3c4d5e6f7n);
});

onEachBackend('the largest value of each width comes back', 64, (region) => {
  region.store8(0, 0xff);
  assert.equal(region.load8(0), 0xff);
  region.store16(0, 0xffff, 'be');
  assert.equal(region.load16(0, 'be'), 0xffff);
  region.store32(0, 0xffff_ffff);
  assert.equal(region.load32(0), 0xffff_ffff);
  region.store64(0, 2n ** 64n - 1n);
  assert.equal(region.load64(0), 2n ** 64n - 1n);
  region.store64(56, 2n ** 63n, 'be');
  assert.equal(region.load64(56, 'be'), 2n ** 63n);
});

onEachBackend('a store touches its own bytes and no others', 64, (region) => {
  const before = new Uint8Array(64).fill(0xee);
  for (let place = 0; place < 64; place += 8) {
    region.write(0, before);
    region.store64(place, 0n);
    assert.deepEqual(contents(region), before.slice().fill(0, place, place + 8));
  }
  region.write(0, before);
  region.store32(12, 0);
  region.store16(22, 0);
  region.store8(33, 0);
  const expected = before.slice().fill(0, 12, 16).fill(0, 22, 24).fill(0, 33, 34);
  assert.deepEqual(contents(region), expected);
});

onEachBackend('a read of any length at any alignment has the right bytes and leaves its neighbours', 128, (region) => {
  const model = pattern(128);
  region.write(0, model);
  for (let offset = 0; offset <= 24; offset++) {
    for (let length = 0; length <= 72; length++) {
      const target = new Uint8Array(length + 2).fill(0xaa);
      region.read(offset, target.subarray(1, length + 1));
      const expected = new Uint8Array(length + 2).fill(0xaa);
      expected.set(model.subarray(offset, offset + length), 1);
      assert.deepEqual(target, expected, `${length} bytes at ${offset}`);
    }
  }
});

onEachBackend('a write of any length at any alignment has the right bytes and leaves its neighbours', 128, (region) => {
  const source = pattern(80, 2);
  for (let offset = 0; offset <= 16; offset++) {
    for (let length = 0; length <= 48; length++) {
      region.write(0, new Uint8Array(128).fill(0x55));
      region.write(offset, source.subarray(3, 3 + length));
      const expected = new Uint8Array(128).fill(0x55);
      expected.set(source.subarray(3, 3 + length), offset);
      assert.deepEqual(contents(region), expected, `${length} bytes at ${offset}`);
    }
  }
});

onEachBackend('a long read and write, up to the last byte of the region', 20_000, (region) => {
  const model = pattern(20_000);
  region.write(0, model);
  assert.deepEqual(contents(region), model);
  assert.deepEqual(contents(region, 7, 19_993), model.subarray(7));
  assert.equal(region.load8(19_999), model[19_999]);
});

onEachBackend('accesses are counted one by one', 4096 * 4, (region) => {
  const inPlace = [
    madeInPlace(region, 'store'),
    madeInPlace(region, 'store', 'le'),
    madeInPlace(region, 'load', 'le'),
  ].filter(Boolean).length;
  region.store8(1, 1);
  region.store64(8, 1n);
  region.storeBlock(16, new Uint8Array(100));
  region.load32(4);
  region.write(4000, new Uint8Array(200));
  assert.deepEqual(region.stats(), {
    loads: 1,
    stores: 2,
    storeBlocks: 3,
    bytes: 1 + 8 + 100 + 4 + 200,
    merged: 0,
    retries: 0,
    errors: 0,
    crossings: 5 - inPlace,
    copies: 0,
    stages: null,
  });
  for (const [offset, length] of [
    [0, 8],
    [1, 7],
    [3, 13],
    [8, 4096],
    [5, 1],
    [6, 5],
  ] as const) {
    const before = region.stats();
    region.read(offset, new Uint8Array(length));
    const after = region.stats();
    assert.equal(after.loads - before.loads, loadsOf(offset, length), `${length} bytes at ${offset}`);
    assert.equal(after.bytes - before.bytes, length);
  }
});

for (const [width, load, store] of [
  [2, 'load16', 'store16'],
  [4, 'load32', 'store32'],
] as const) {
  test(`${width}-byte accesses at anything but a multiple of ${width} are refused`, () => {
    using region = emulate({ size: 64 });
    for (let offset = 1; offset < width; offset++) {
      const values = { offset, length: width };
      throwsCode(() => region[load](offset), RangeError, 'ERR_ISMIO_MISALIGNED', values);
      throwsCode(() => region[store](offset, 1), RangeError, 'ERR_ISMIO_MISALIGNED', values);
    }
    assert.deepEqual(contents(region), new Uint8Array(64));
  });
}

test('8-byte accesses at anything but a multiple of 8 are refused', () => {
  using region = emulate({ size: 64 });
  for (let offset = 1; offset < 8; offset++) {
    throwsCode(() => region.load64(offset), RangeError, 'ERR_ISMIO_MISALIGNED', { offset, length: 8 });
    throwsCode(() => region.store64(BigInt(offset), 1n), RangeError, 'ERR_ISMIO_MISALIGNED', { offset, length: 8 });
  }
  assert.deepEqual(contents(region), new Uint8Array(64));
});

test('a region of one byte takes one-byte accesses', () => {
  using region = emulate({ size: 1n });
  region.store8(0, 7);
  assert.equal(region.load8(0), 7);
  assert.deepEqual(contents(region), Uint8Array.of(7));
  throwsCode(() => region.load16(0), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', { offset: 0, length: 2, size: 1 });
});
