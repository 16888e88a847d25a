// An ordinary function: through Linux's vfio-pci, by pread and pwrite and by a mapping, and through sysfs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { IsmioError, openResource, openVfio, type Region } from 'ismio';
import { contents, pattern } from '../../../support/bytes.js';
import { throwsCode } from '../../../support/errors.js';
import { bind, driverOf, sysfs, unbind } from '../../support/pci.js';
import { address, functions } from '../machine.js';
import { asBlocksArrive, plainTransfers, type Transfer } from '../transfers.js';
import { Counters } from './counters.js';

const bdf = address('plain');

describe('an ordinary function under vfio-pci', () => {
  test('is bound, says what it is, and has regions at index << 40', () => {
    bind(bdf, 'vfio-pci');
    assert.equal(driverOf(bdf), 'vfio-pci');
    using device = openVfio(bdf);
    assert.deepEqual([device.info.vendor, device.info.device], [functions.plain.vendor, functions.plain.device]);
    assert.equal(device.info.zpci?.maxStoreBlock, 128);
    for (const { index, offset } of device.info.regions) assert.equal(offset, BigInt(index) << 40n);
  });

  test('takes stores and writes of any length and alignment by pwrite', () => {
    using device = openVfio(bdf);
    device.enableMemory();
    using region = device.region(0, { access: 'pread' });
    assert.equal(region.access, 'pread and pwrite');
    for (const { offset, length, seed } of [plainTransfers.pwrite, plainTransfers.odd]) {
      region.write(offset, pattern(length, seed));
      assert.deepEqual(contents(region, offset, length), pattern(length, seed));
    }
    readsAtEveryWidth(region, plainTransfers.odd);
    storesAtEveryWidth(region, 0x1c00);
  });

  test('takes the same through a mapping, with the system calls for it', () => {
    const { offset, length, seed } = plainTransfers.mapped;
    using device = openVfio(bdf);
    device.enableMemory();
    using region = device.region(0);
    assert.equal(region.access, 's390x system calls');
    const bytes = pattern(length, seed);
    region.write(offset, bytes);
    assert.deepEqual(contents(region, offset, length), asBlocksArrive(bytes));
    readsAtEveryWidth(region, plainTransfers.pwrite);
    storesAtEveryWidth(region, 0x1d00);
  });
});

describe('the same function through sysfs', () => {
  test('takes writes with the system calls, in pieces that end where pages do', () => {
    unbind(bdf);
    const { offset, length, seed } = plainTransfers.resource;
    using region = openResource(bdf, 0);
    assert.equal(region.access, 's390x system calls');
    assert.equal(region.size, Number(functions.plain.bars[0]));
    const bytes = pattern(length, seed);
    region.write(offset, bytes);
    assert.deepEqual(contents(region, offset, length), asBlocksArrive(bytes));
    readsAtEveryWidth(region, plainTransfers.pwrite);
    storesAtEveryWidth(region, 0x1e00);
  });

  test('the kernel makes stores, and store blocks of up to 128 bytes, of what a call brings', async () => {
    writeFileSync(sysfs(bdf, 'enable'), '1');
    const counters = new Counters(bdf);
    using region = openResource(bdf, 0);
    region.store8(0, 1);
    region.store16(0, 1);
    region.store32(0, 1);
    region.store64(0, 1n);
    const blocks = { 16: 1, 64: 1, 128: 1, 136: 1, 256: 2, 4096: 32 };
    for (const length of Object.keys(blocks)) region.storeBlock(0, new Uint8Array(Number(length)));
    const storeBlocks = Object.values(blocks).reduce((sum, count) => sum + count);
    // Of 136 bytes the last 8 are a store.
    assert.deepEqual(await counters.settled(), { loads: 0, stores: 4 + 1, storeBlocks });
    assert.deepEqual(
      [region.stats().stores, region.stats().storeBlocks],
      [4, 6],
      'calls, which is what the engine makes',
    );
    writeFileSync(sysfs(bdf, 'enable'), '0');
  });

  test('a system call across a page is refused by the kernel', () => {
    using region = openResource(bdf, 0, { rules: { boundary: 8192 } });
    const error = throwsCode(() => region.storeBlock(4096 - 64, new Uint8Array(128)), IsmioError, 'ERR_ISMIO_SYSTEM');
    assert.equal(error.errno, 'EINVAL');
  });
});

/** Bytes that single stores brought, so that they lie as they were written. */
function readsAtEveryWidth(region: Region, { offset, length, seed }: Transfer): void {
  const there = new DataView(pattern(length, seed).buffer);
  for (let at = -offset & 7; at < 24; at++) {
    const place = offset + at;
    assert.equal(region.load8(place), there.getUint8(at));
    if (place % 2 === 0) assert.equal(region.load16(place), there.getUint16(at, true));
    if (place % 4 === 0) assert.equal(region.load32(place, 'be'), there.getUint32(at));
    if (place % 8 === 0) assert.equal(region.load64(place), there.getBigUint64(at, true));
  }
}

function storesAtEveryWidth(region: Region, offset: number): void {
  region.store64(offset, 0x0102030405060708n, 'be');
  assert.deepEqual([...contents(region, offset, 8)], [1, 2, 3, 4, 5, 6, 7, 8]);
  region.store32(offset + 4, 0x0a0b0c0d, 'be');
  region.store16(offset + 2, 0x0e0f);
  region.store8(offset + 1, 0x10);
  assert.deepEqual([...contents(region, offset, 8)], [1, 0x10, 0x0f, 0x0e, 0x0a, 0x0b, 0x0c, 0x0d]);
}
