// A region as a disk: reads by loads, writes by legal store blocks, and the region's own errors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulate, IsmioError } from 'ismio';
import { memoryDisk, regionDisk } from 'ismio/block';
import { rejectsCode, throwsCode } from './support/errors.js';
import { errnoName, NbdClient, served } from './support/nbd.js';
import { sequence } from './support/random.js';

const size = 300_000;

test('reads what was written, beside an oracle, by store blocks that the rules allow', async () => {
  using region = emulate({ size });
  const disk = regionDisk(region);
  const oracle = Buffer.alloc(size);
  const draw = sequence(3);
  for (let i = 0; i < 100; i++) {
    const offset = draw(size);
    const length = Math.min(1 + draw([100, 5000, 200_000][draw(3)] as number), size - offset);
    if (draw(4) === 0) {
      await disk.zero(offset, length, { fua: true });
      oracle.fill(0, offset, offset + length);
    } else {
      await disk.write(offset, Buffer.alloc(length, i), { fua: i % 2 === 0 });
      oracle.fill(i, offset, offset + length);
    }
    const bytes = Buffer.alloc(length);
    await disk.read(offset, bytes);
    assert.ok(bytes.equals(oracle.subarray(offset, offset + length)), `step ${i}`);
  }
  const all = new Uint8Array(size);
  region.read(0, all);
  assert.ok(oracle.equals(all));
  const before = region.stats().storeBlocks;
  await disk.write(4000, Buffer.alloc(5000));
  assert.equal(region.stats().storeBlocks - before, region.plan(4000, 5000).length);
});

test('long ranges let others have their turn, and closing waits for them; the region stays open', async () => {
  using region = emulate({ size });
  const disk = regionDisk(region, { name: 'window' });
  let turns = 0;
  setImmediate(() => turns++);
  const written = disk.write(0, Buffer.alloc(size, 8));
  const closing = disk.close();
  await Promise.all([written, closing]);
  assert.equal(turns, 1);
  assert.equal(region.load8(size - 1), 8);
  const error = throwsCode(() => disk.read(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_CLOSED');
  assert.match(error.message, /window/);
});

test('what a device refuses is told, and what comes later is served', async () => {
  using region = emulate({ size, faults: [{ access: 'storeBlock', nth: 1, cc: 1, status: 7 }] });
  const disk = regionDisk(region);
  throwsCode(() => disk.write(0, Buffer.alloc(64, 1)), IsmioError, 'ERR_ISMIO_DEVICE', { deviceStatus: 7 });
  await disk.write(0, Buffer.alloc(64, 1));
  throwsCode(() => disk.write(size - 1, Buffer.alloc(2)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => disk.zero(0, 512, { fast: true }), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOTSUP' });
  region.close();
  throwsCode(() => disk.read(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('a strict device says which blocks it takes, and refuses others', async () => {
  using region = emulate({ size: 65_536, rules: { alignment: 'strict', singleStores: false } });
  const disk = regionDisk(region);
  assert.equal(disk.blockSize.minimum, 16);
  await disk.write(4096, Buffer.alloc(8192, 3));
  throwsCode(() => disk.write(4097, Buffer.alloc(16)), RangeError, 'ERR_ISMIO_RULE');
});

test('a disk for reads alone stores nothing, and one of a region that cannot be stored to is so', async () => {
  using region = emulate({ size: 4096 });
  const disk = regionDisk(region, { readOnly: true });
  throwsCode(() => disk.write(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_READ_ONLY');
  throwsCode(() => disk.zero(0, 1), IsmioError, 'ERR_ISMIO_READ_ONLY');
  throwsCode(() => regionDisk(region, { size: 1 } as object), RangeError, 'ERR_ISMIO_OPTION');
  assert.equal(region.stats().stores, 0);
});

test('clients of NBD read and write a region, and hear of its errors', async (t) => {
  using region = emulate({ size: 65_536, faults: [{ access: 'load', range: [4096, 8192], cc: 1, status: 1 }] });
  const { path } = await served(t, regionDisk(region));
  const client = await NbdClient.open(path, { allocation: false });
  assert.equal(await client.write(512, Buffer.alloc(1024, 6)), 0);
  assert.ok((await client.read(512, 1024)).equals(Buffer.alloc(1024, 6)));
  const { errno } = await client.call({ type: 0, offset: 4096, length: 512 });
  assert.equal(errnoName(errno), 'EIO');
  assert.ok((await client.read(0, 512)).equals(Buffer.alloc(512)));
});

test('a disk of a region is one like any other: it can be copied', async () => {
  using region = emulate({ size: 8192 });
  const { copyDisk } = await import('ismio/block');
  const source = memoryDisk({ size: 8192 });
  source.write(7, Buffer.from('bytes'));
  await copyDisk(source, regionDisk(region));
  assert.equal(region.load8(8), 'y'.charCodeAt(0));
  await rejectsCode(copyDisk(memoryDisk({ size: 9000 }), regionDisk(region)), RangeError, 'ERR_ISMIO_OPTION');
});
