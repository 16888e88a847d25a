// A file that is not mapped: every access is a system call, as on a VFIO region without mmap.
import assert from 'node:assert/strict';
import { readFileSync, statSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { IsmioError, mapFile, type Region } from 'ismio';
import { pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile, temporaryFolder } from './support/files.js';

const access = 'pread';

test('loads and stores of each width move their bytes, and nothing beside them', (t) => {
  const model = pattern(4096);
  const path = temporaryFile(t, model);
  using region = mapFile(path, { access });
  assert.equal(region.kind, 'device');
  assert.equal(region.access, 'pread and pwrite');
  const view = new DataView(model.buffer);
  assert.equal(region.load8(1), model[1]);
  assert.equal(region.load16(2), view.getUint16(2, true));
  assert.equal(region.load32(4), view.getUint32(4, true));
  assert.equal(region.load64(8, 'be'), view.getBigUint64(8));
  region.store8(17, 0xa1);
  region.store16(18, 0xb1b2);
  region.store32(20, 0xc1c2c3c4);
  region.store64(24, 0xd1d2d3d4d5d6d7d8n, 'be');
  view.setUint8(17, 0xa1);
  view.setUint16(18, 0xb1b2, true);
  view.setUint32(20, 0xc1c2c3c4, true);
  view.setBigUint64(24, 0xd1d2d3d4d5d6d7d8n);
  assert.deepEqual(new Uint8Array(readFileSync(path)), model);
});

test('a part of a file keeps to its part, at any alignment', (t) => {
  const model = pattern(20_000);
  const path = temporaryFile(t, model);
  using part = mapFile(path, { access, offset: 4096, length: 9001 });
  const target = new Uint8Array(9001);
  part.read(0, target);
  assert.deepEqual(target, model.subarray(4096, 4096 + 9001));
  const source = pattern(8001, 3);
  part.write(1000, source);
  model.set(source, 4096 + 1000);
  assert.deepEqual(new Uint8Array(readFileSync(path)), model);
  throwsCode(() => part.write(1001, source), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', { size: 9001 });
  assert.equal(readFileSync(path).length, 20_000);
});

test('a store block that breaks a rule is refused before the system call', (t) => {
  const path = temporaryFile(t, 8192);
  using region = mapFile(path, { access, rules: { maxStoreBlock: 128, alignment: 'strict' } });
  const values = { rule: 'maxStoreBlock', errno: 'EINVAL' };
  throwsCode(() => region.storeBlock(0, new Uint8Array(136).fill(1)), RangeError, 'ERR_ISMIO_RULE', values);
  assert.ok(readFileSync(path).every((byte) => byte === 0));
});

test('what the file no longer has is lost, and says that it was truncated; the process lives', (t) => {
  const path = temporaryFile(t, 8192);
  using region = mapFile(path, { access });
  truncateSync(path, 4100);
  assert.equal(region.load32(4096), 0, 'what is still there can be used');
  throwsCode(() => region.read(4096, new Uint8Array(64)), IsmioError, 'ERR_ISMIO_REGION_LOST', {
    reason: 'truncated',
    bytesDone: 0,
  });
  throwsCode(() => region.load32(4096), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'truncated' });
});

const stores: Readonly<Record<string, (region: Region) => unknown>> = {
  store8: (r) => r.store8(8191, 1),
  store64: (r) => r.store64(4096, 1n),
  storeBlock: (r) => r.storeBlock(4096, new Uint8Array(4096)),
  write: (r) => r.write(1, new Uint8Array(8191)),
  'a queue': (r) => {
    const queue = r.queue();
    for (let word = 0; word < 1024; word++) queue.store64(word * 8, 1n);
    queue.submit();
  },
};

for (const [name, store] of Object.entries(stores)) {
  test(`a truncated file does not grow again by ${name}`, (t) => {
    const path = temporaryFile(t, 8192);
    using region = mapFile(path, { access });
    store(region);
    truncateSync(path, 100);
    throwsCode(() => store(region), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'truncated' });
    assert.equal(statSync(path).size, 100);
    truncateSync(path, 8192);
    throwsCode(() => store(region), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'truncated' });
  });
}

test('without write access loads go through and stores are refused', (t) => {
  using region = mapFile(temporaryFile(t, pattern(64)), { access, writable: false });
  assert.equal(region.load8(3), pattern(64)[3]);
  throwsCode(() => region.store8(0, 1), IsmioError, 'ERR_ISMIO_READ_ONLY');
});

test('a queue and a drain go through it like through any region', async (t) => {
  const path = temporaryFile(t, 65_536);
  using region = mapFile(path, { access });
  const queue = region.queue({ merge: 'any' });
  for (let word = 0; word < 512; word++) queue.store64(word * 8, BigInt(word));
  assert.equal(queue.submit().storeBlocks, 1);
  queue.write(8192, pattern(8192));
  await queue.drain();
  const bytes = readFileSync(path);
  assert.equal(bytes.readBigUInt64LE(511 * 8), 511n);
  assert.deepEqual(new Uint8Array(bytes.subarray(8192, 16_384)), pattern(8192));
});

test('what cannot be such a region is refused with the reason', (t) => {
  const folder = temporaryFolder(t);
  throwsCode(() => mapFile(folder, { access, writable: false }), IsmioError, 'ERR_ISMIO_OPEN');
  throwsCode(() => mapFile(`${folder}/none`, { access }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOENT' });
  throwsCode(() => mapFile(temporaryFile(t, 0), { access }), IsmioError, 'ERR_ISMIO_FILE_EMPTY');
  const path = temporaryFile(t, 4096);
  throwsCode(() => mapFile(path, { access, length: 4097 }), IsmioError, 'ERR_ISMIO_FILE_TOO_SHORT', { fileSize: 4096 });
  throwsCode(() => mapFile(path, { access, kind: 'memory' }), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => mapFile(path, { access, burst: true }), RangeError, 'ERR_ISMIO_OPTION');
});
