// Regions of other kinds: memory that the host sees, a BAR that cannot be mapped, a BAR with an MSI-X table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openVfio, type Region } from 'ismio';
import { contents, pattern } from '../../../support/bytes.js';
import { throwsCode } from '../../../support/errors.js';
import { ivshmem, places } from '../machine.js';
import { api } from './setting.js';

const { piece, hostPiece, hostSeed } = ivshmem;

for (const [index, access] of (['mmap', 'pread'] as const).entries()) {
  test(`${api}, ${access}: piece ${index} of ivshmem's file is filled, and the host's piece read`, () => {
    using device = openVfio(places.ivshmem, { api });
    using bar = device.region(2, { access });
    bar.write(index * piece, pattern(piece, index));
    assert.deepEqual(contents(bar, index * piece, piece), pattern(piece, index));
    assert.deepEqual(contents(bar, hostPiece * piece, piece), pattern(piece, hostSeed));
  });

  test(`${api}, ${access}: loads and stores of 1, 2, 4 and 8 bytes at every place of a word`, () => {
    using device = openVfio(places.ivshmem, { api });
    using bar = device.region(2, { access });
    everyWidth(bar, 5 * piece);
  });
}

test(`${api}: a queue fills a piece in one batch, with pread as with mmap`, async () => {
  using device = openVfio(places.ivshmem, { api });
  for (const access of ['mmap', 'pread'] as const) {
    using bar = device.region(2, { access, rules: { merge: 'window' } });
    const queue = bar.queue({ depth: 1024, merge: 'adjacent' });
    const values = pattern(8192, 9);
    const words = new BigUint64Array(values.buffer);
    assert.equal(queue.storeMany({ first: 6 * piece, stride: 8 }, words), words.length);
    const completion = await queue.drain();
    assert.equal(completion.bytes, 8192);
    assert.equal(bar.stats().storeBlocks, 2, 'two pages, two store blocks');
    assert.deepEqual(contents(bar, 6 * piece, 8192), values);
    queue.close();
  }
});

test(`${api}: bursts bring every byte, at any place and of any length`, () => {
  using device = openVfio(places.ivshmem, { api });
  using bar = device.region(2, { burst: true });
  assert.match(bar.access, /burst/);
  for (const [at, length] of [
    [0, 4096],
    [64, 64],
    [24, 200],
    [7, 121],
  ] as const) {
    bar.write(4 * piece + at, pattern(length, at));
    assert.deepEqual(contents(bar, 4 * piece + at, length), pattern(length, at));
  }
});

test(`${api}: a BAR that cannot be mapped is read and written all the same`, () => {
  using device = openVfio(places.testdev, { api });
  const info = device.info.regions.find(({ name }) => name === 'bar1');
  assert.deepEqual([info?.mappable, info?.mappableAreas], [false, []]);
  throwsCode(() => device.region(1, { access: 'mmap' }), RangeError, 'ERR_ISMIO_OPTION');
  countsStores(device.region(1));
});

test(`${api}, mmap: the device counts exactly the stores that were made`, () => {
  using device = openVfio(places.testdev, { api });
  countsStores(device.region(0, { access: 'mmap' }));
});

test(`${api}: a BAR with an MSI-X table is mapped whole where the kernel says so`, () => {
  using device = openVfio(places.rng, { api });
  const info = device.info.regions.find(({ name }) => name === 'bar1');
  assert.equal(info?.msixMappable, true);
  assert.deepEqual(info?.mappableAreas, [{ offset: 0n, size: info?.size }]);
  // The common configuration of virtio 1.0, 4.1.4.3, at the start of BAR 4: one queue.
  for (const access of ['mmap', 'pread'] as const) {
    using bar = device.region(4, { access });
    assert.equal(bar.load16(18), 1);
  }
});

function everyWidth(bar: Region, base: number): void {
  const bytes = pattern(16, 5);
  const view = new DataView(bytes.buffer);
  bar.write(base, bytes);
  for (let at = 0; at < 16; at++) {
    assert.equal(bar.load8(base + at), view.getUint8(at));
    if (at % 2 === 0) assert.equal(bar.load16(base + at), view.getUint16(at, true));
    if (at % 4 === 0) assert.equal(bar.load32(base + at), view.getUint32(at, true));
    if (at % 8 === 0) assert.equal(bar.load64(base + at), view.getBigUint64(at, true));
    // What a mediator asks for: any length at any place, never short.
    for (let length = 1; at + length <= 16; length++) {
      assert.deepEqual(contents(bar, base + at, length), bytes.slice(at, at + length));
    }
  }
  bar.store8(base + 1, 0x11);
  bar.store16(base + 2, 0x2222);
  bar.store32(base + 4, 0x4444_4444);
  bar.store64(base + 8, 0x8888_8888_8888_8888n);
  const stored = [bytes[0] as number, 0x11, 0x22, 0x22, ...Array(4).fill(0x44), ...Array(8).fill(0x88)];
  assert.deepEqual([...contents(bar, base, 16)], stored);
}

/**
 * Has pci-testdev count. A store of a test's number to byte 0 chooses the test; its header then says where to store (at 4),
 * and how many stores came there (at 12). Source: QEMU docs/specs/pci-testdev.rst.
 */
function countsStores(bar: Region): void {
  bar.store8(0, 0);
  const offset = bar.load32(4);
  const value = bar.load8(8);
  for (let i = 0; i < 50; i++) bar.store8(offset, value);
  assert.equal(bar.load32(12), 50);
}
