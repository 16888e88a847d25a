// The ISM function through Linux's own ism-vfio-pci: what it says of itself, and what of it arrives.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { openVfio, type Queue } from 'ismio';
import { pattern } from '../../../support/bytes.js';
import { throwsCode } from '../../../support/errors.js';
import { bind, driverOf, sysfs } from '../../support/pci.js';
import { address, functions } from '../machine.js';
import { asBlocksArrive, ismTransfers } from '../transfers.js';

const bdf = address('ism');

before(() => {
  bind(bdf, 'ism_vfio_pci');
  assert.equal(driverOf(bdf), 'ism_vfio_pci');
});

test('the function says what it is: ids, function handle, the longest store block of its group', () => {
  using device = openVfio(bdf);
  const { vendor, device: id, driver, zpci, flags } = device.info;
  assert.deepEqual([vendor, id, driver], [functions.ism.vendor, functions.ism.device, 'ism_vfio_pci']);
  assert.deepEqual([flags.pci, flags.reset, device.api], [true, true, 'group']);
  assert.equal(zpci?.maxStoreBlock, 128);
  assert.equal(zpci?.functionHandle, Number(readFileSync(sysfs(bdf, 'function_handle'), 'utf8')));
  // QEMU gives its functions type 0, ISM's own is 5.
  assert.equal(zpci?.functionType, Number(readFileSync(sysfs(bdf, 'pft'), 'utf8')));
  assert.equal(zpci?.functionType, 0);
});

test('the rules of a region are the ones of its function', () => {
  using device = openVfio(bdf);
  using window = device.region(0);
  using commands = device.region(2);
  assert.deepEqual(window.rules, {
    maxStoreBlock: 128,
    boundary: 4096,
    alignment: 'strict',
    merge: 'window',
    singleStores: false,
  });
  assert.deepEqual(commands.rules, {
    maxStoreBlock: 128,
    boundary: 4096,
    alignment: 'strict',
    merge: 'registers',
    singleStores: false,
  });
  assert.deepEqual([window.size, commands.size], [2 ** 48, 4096]);
});

test('regions lie at index << 48: configuration space beyond what a number holds exactly', () => {
  using device = openVfio(bdf);
  for (const { index, offset } of device.info.regions) assert.equal(offset, BigInt(index) << 48n);
  assert.deepEqual(
    device.info.regions.map(({ name, mappable }) => [name, mappable]),
    ['bar0', 'bar2', 'bar4', 'config'].map((name) => [name, false]),
  );
});

test('configuration space is read and written at every width', () => {
  using device = openVfio(bdf);
  const { vendor, device: id } = functions.ism;
  assert.deepEqual([device.config.read16(0), device.config.read16(2)], [vendor, id]);
  assert.equal(device.config.read32(0), id * 2 ** 16 + vendor);
  assert.equal(device.config.read8(0), vendor & 0xff);
  device.enableBusMaster();
  assert.equal(device.busMaster, true);
  device.enableBusMaster(false);
  assert.equal(device.busMaster, false);
});

test('what cannot be mapped says so', () => {
  using device = openVfio(bdf);
  throwsCode(() => device.region(0, { access: 'mmap' }), RangeError, 'ERR_ISMIO_OPTION');
});

test('single stores are refused: a strict function behind ism-vfio-pci has store blocks only', () => {
  using device = openVfio(bdf);
  using region = device.region(0);
  const refuses = (act: () => void, rule: string) =>
    throwsCode(act, RangeError, 'ERR_ISMIO_RULE', { rule, errno: 'ENXIO', offset: 64, bytesDone: 0 });
  for (const rules of [{}, { singleStores: true }]) {
    using region = device.region(0, { rules }); // with the second the kernel is asked
    refuses(() => region.store8(64, 1), 'singleStores');
    refuses(() => region.store16(64, 1), 'singleStores');
    refuses(() => region.store32(64, 1), 'singleStores');
    refuses(() => region.store64(64, 1n), 'singleStores');
  }
  assert.equal(region.load64(64), 0n, 'nothing was stored');
});

test('a write that no blocks can carry is refused whole, and one of 136 bytes goes as 120 and 16', () => {
  using device = openVfio(bdf);
  using region = device.region(0);
  region.write(0x8000, pattern(136));
  for (const length of [8, 132]) {
    const values = { rule: 'singleStores', errno: 'ENXIO', offset: 0x8000, length, bytesDone: 0 };
    throwsCode(() => region.write(0x8000, pattern(length)), RangeError, 'ERR_ISMIO_RULE', values);
  }
  assert.equal(region.stats().storeBlocks, 2);
});

test('a write is planned into blocks that the function takes', () => {
  const { offset, length, seed } = ismTransfers.write;
  using device = openVfio(bdf);
  using region = device.region(0);
  const bytes = pattern(length, seed);
  const planned = region.plan(offset, length);
  region.write(offset, bytes);
  assert.ok(planned.every(({ kind }) => kind === 'storeBlock'));
  assert.equal(region.stats().storeBlocks, planned.length);
  const back = new Uint8Array(length);
  region.read(offset, back);
  assert.deepEqual(back, asBlocksArrive(bytes));
});

for (const [name, run] of Object.entries({
  merged: (queue: Queue) => queue.submit(),
  drained: (queue: Queue) => queue.drain(),
})) {
  test(`queued words are merged into blocks: ${name}`, async () => {
    const { offset, length, seed } = ismTransfers[name as 'merged' | 'drained'];
    using device = openVfio(bdf);
    using region = device.region(0);
    using queue = region.queue({ depth: length / 8, merge: 'adjacent' });
    const view = new DataView(pattern(length, seed).buffer);
    for (let at = 0; at < length; at += 8) {
      assert.ok(queue.storeWords(offset + at, view.getUint32(at, true), view.getUint32(at + 4, true)));
    }
    const { operations, storeBlocks, stores } = await run(queue);
    assert.deepEqual([operations, storeBlocks, stores], [length / 8, length / 128, 0]);
  });
}

test('a block near the end of the 256 TiB is stored', () => {
  const { offset, length, seed } = ismTransfers.end;
  using device = openVfio(bdf);
  using region = device.region(0);
  region.storeBlock(BigInt(offset), pattern(length, seed));
  assert.equal(region.stats().storeBlocks, 1);
});

test('loads of every width and reads of every alignment bring the bytes that are there', () => {
  const { offset, length, seed } = ismTransfers.end;
  using device = openVfio(bdf);
  using region = device.region(0);
  const there = asBlocksArrive(pattern(length, seed));
  const view = new DataView(there.buffer);
  for (let at = 0; at < 16; at++) {
    assert.equal(region.load8(offset + at), view.getUint8(at));
    if (at % 2 === 0) assert.equal(region.load16(offset + at, 'be'), view.getUint16(at));
    if (at % 4 === 0) assert.equal(region.load32(offset + at, 'be'), view.getUint32(at));
    if (at % 8 === 0) assert.equal(region.load64(offset + at, 'be'), view.getBigUint64(at));
    for (let count = 1; count <= 17; count++) {
      const target = new Uint8Array(count);
      region.read(offset + at, target);
      assert.deepEqual(target, there.slice(at, at + count), `${count} bytes at ${at}`);
    }
  }
});
