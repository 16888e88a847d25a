// Disks in memory and in files, by one contract and beside an oracle; what is sparse, and what happens where the medium ends.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { IsmioError } from 'ismio';
import { type BlockDevice, type Extent, memoryDisk, openFileDisk } from 'ismio/block';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const mebibyte = 2 ** 20;

const disks: Readonly<Record<string, (t: TestContext, size: number) => Promise<BlockDevice>>> = {
  memory: async (_, size) => memoryDisk({ size }),
  file: async (t, size) => {
    const path = join(temporaryFolder(t), 'disk');
    writeFileSync(path, '');
    truncateSync(path, size);
    return openFileDisk(path);
  },
};

async function read(disk: BlockDevice, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length, 0xee);
  await disk.read(offset, bytes);
  return bytes;
}

/** Extents of a whole disk, by as many questions as it takes. */
async function extentsOf(disk: BlockDevice, most: number): Promise<Extent[]> {
  const all: Extent[] = [];
  for (let at = 0; at < disk.size; ) {
    const some = await disk.extents(at, disk.size - at, most);
    assert.ok(some.length > 0 && some.length <= most);
    for (const extent of some) {
      assert.ok(extent.length > 0);
      all.push(extent);
      at += extent.length;
    }
    assert.ok(at <= disk.size);
  }
  return all;
}

for (const [kind, make] of Object.entries(disks)) {
  describe(`a disk in ${kind === 'file' ? 'a file' : 'memory'}`, () => {
    test('reads what was written, beside an oracle of plain bytes, and its extents are true', async (t) => {
      const size = 3 * mebibyte + 1234;
      const disk = await make(t, size);
      const oracle = Buffer.alloc(size);
      const below = sequence(20);
      for (let i = 0; i < scaled(400); i++) {
        const offset = below(size);
        const length = Math.min(1 + below(below(2) === 0 ? 5000 : 300_000), size - offset);
        const what = below(10);
        if (what < 5) {
          const bytes = Buffer.alloc(length, 1 + below(255));
          await disk.write(offset, bytes, { fua: what === 0 });
          bytes.copy(oracle, offset);
          const cut = below(length);
          const pieces = [bytes.subarray(0, cut), bytes.subarray(cut).fill(below(256))];
          if (what === 4) await disk.writePieces?.(offset, pieces);
          if (what === 4) bytes.copy(oracle, offset);
        } else if (what < 8) {
          await disk.zero(offset, length, { mayTrim: what === 5, fast: what === 6 });
          oracle.fill(0, offset, offset + length);
        } else if (what === 8) {
          await disk.trim(offset, length);
          const now = await read(disk, offset, length);
          for (const [j, byte] of now.entries()) assert.ok(byte === 0 || byte === oracle[offset + j], `${offset + j}`);
          now.copy(oracle, offset);
        } else await disk.flush();
        const from = below(size);
        const bytes = await read(disk, from, Math.min(100_000, size - from));
        assert.ok(bytes.equals(oracle.subarray(from, from + bytes.length)), `step ${i}`);
        const seen = disk.view?.(from, bytes.length);
        if (seen !== undefined) assert.ok(Buffer.concat(seen).equals(bytes), `step ${i}`);
      }
      assert.ok((await read(disk, 0, size)).equals(oracle));
      let at = 0;
      for (const { length, hole, zero } of await extentsOf(disk, 3)) {
        assert.equal(hole, zero);
        if (zero) assert.ok(oracle.subarray(at, at + length).every((byte) => byte === 0));
        at += length;
      }
      assert.equal(at, size);
      await disk.close();
    });

    test('many calls are in flight, each with its own bytes', async (t) => {
      const disk = await make(t, 8 * mebibyte);
      const pieces = Array.from({ length: 256 }, (_, i) => Buffer.alloc(32_768, i));
      await Promise.all(pieces.map((bytes, i) => disk.write(i * 32_768, bytes)));
      const found = await Promise.all(pieces.map((_, i) => read(disk, i * 32_768, 32_768)));
      assert.ok(found.every((bytes, i) => bytes.equals(pieces[i] as Buffer)));
      await disk.close();
    });

    test('trims are rounded inwards: a byte beside them is never touched', async (t) => {
      const disk = await make(t, 4 * mebibyte);
      await disk.write(0, Buffer.alloc(4 * mebibyte, 7));
      await disk.trim(65_536 - 1, 2 * 65_536 + 2);
      const bytes = await read(disk, 0, 4 * mebibyte);
      const zeros = bytes.reduce((all, byte) => all + (byte === 0 ? 1 : 0), 0);
      assert.equal(zeros, disk.features.trim ? 2 * 65_536 : 0);
      assert.deepEqual([bytes[65_535], bytes[3 * 65_536]], [7, 7]);
      await disk.trim(100, 50);
      assert.equal((await read(disk, 100, 1))[0], 7);
      await disk.close();
    });

    test('what lies past its end, or comes after its end, is refused', async (t) => {
      const disk = await make(t, 1000);
      const refused = async (act: () => unknown) => {
        const error = await Promise.resolve()
          .then(act)
          .then(
            () => null,
            (thrown: Error & { code: string }) => thrown,
          );
        return error?.code;
      };
      assert.equal(await refused(() => disk.read(999, new Uint8Array(2))), 'ERR_ISMIO_OUT_OF_RANGE');
      assert.equal(await refused(() => disk.write(1001, new Uint8Array(0))), 'ERR_ISMIO_OUT_OF_RANGE');
      assert.equal(await refused(() => disk.zero(0, 1001)), 'ERR_ISMIO_OUT_OF_RANGE');
      assert.equal(await refused(() => disk.trim(-1, 5)), 'ERR_ISMIO_OFFSET');
      assert.equal(await refused(() => disk.extents(0.5, 5, 1)), 'ERR_ISMIO_OFFSET');
      const last = disk.write(0, Buffer.alloc(1000, 5));
      await disk.close();
      await last;
      await disk.close();
      assert.equal(await refused(() => disk.read(0, new Uint8Array(1))), 'ERR_ISMIO_CLOSED');
      assert.equal(await refused(() => disk.flush()), 'ERR_ISMIO_CLOSED');
    });
  });
}

test('a TiB of holes in memory costs nothing, and is passed at once', () => {
  const disk = memoryDisk({ size: 2 ** 40 });
  disk.write(2 ** 39, Buffer.from('in the middle'));
  assert.equal(disk.allocated, 65_536);
  const began = performance.now();
  const extents = disk.extents(0, 2 ** 40, 100);
  assert.deepEqual(
    extents.map(({ length, hole }) => [length, hole]),
    [
      [2 ** 39, true],
      [65_536, false],
      [2 ** 39 - 65_536, true],
    ],
  );
  disk.zero(0, 2 ** 40, { mayTrim: true });
  assert.ok(performance.now() - began < 1000);
  assert.equal(disk.allocated, 0);
  throwsCode(() => memoryDisk({ size: -1 }), RangeError, 'ERR_ISMIO_OPTION');
});

test('zeros that may not be holes get memory, in turns that leave the event loop to others', async () => {
  const disk = memoryDisk({ size: 128 * mebibyte });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await disk.zero(0, 128 * mebibyte);
  clearInterval(timer);
  assert.equal(disk.allocated, 128 * mebibyte);
  assert.ok(turns > 1);
});

test('a sparse file stays sparse: zeros and trims make holes, and zeros without holes keep their blocks', async (t) => {
  const path = join(temporaryFolder(t), 'disk');
  writeFileSync(path, Buffer.alloc(8 * mebibyte, 1));
  const disk = await openFileDisk(path);
  if (!disk.features.trim) {
    t.skip('this filesystem has no holes');
    return;
  }
  const blocks = () => statSync(path).blocks * 512;
  const full = blocks();
  await disk.zero(mebibyte, mebibyte, { mayTrim: true });
  assert.ok(blocks() <= full - mebibyte);
  await disk.trim(3 * mebibyte, mebibyte);
  assert.ok(blocks() <= full - 2 * mebibyte);
  const before = blocks();
  await disk.zero(5 * mebibyte, mebibyte, { mayTrim: false });
  assert.ok(blocks() >= before);
  assert.equal(statSync(path).size, 8 * mebibyte);
  assert.equal(
    readFileSync(path)
      .subarray(5 * mebibyte, 6 * mebibyte)
      .every((byte) => byte === 0),
    true,
  );
  await disk.close();
});

test('a file that was opened for reads alone, is none, or was cut short', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'disk');
  writeFileSync(path, Buffer.alloc(8192));
  const disk = await openFileDisk(path, { readOnly: true });
  assert.equal(disk.features.trim, false);
  throwsCode(() => disk.write(0, new Uint8Array(1)), IsmioError, 'ERR_ISMIO_READ_ONLY');
  truncateSync(path, 4096);
  await rejectsCode(disk.read(4000, new Uint8Array(200)), IsmioError, 'ERR_ISMIO_DISK', { errno: 'EIO', offset: 4000 });
  await disk.read(0, new Uint8Array(100));
  await disk.close();
  await rejectsCode(openFileDisk(join(folder, 'none')), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOENT' });
  await rejectsCode(openFileDisk(folder), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EISDIR' });
  await rejectsCode(openFileDisk('/dev/null'), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOTBLK' });
  await rejectsCode(openFileDisk(path, { unknown: true } as object), RangeError, 'ERR_ISMIO_OPTION');
});

test('a medium that is full says so, and serves what fits', {
  skip: process.getuid?.() !== 0 && 'root mounts',
}, async (t) => {
  const folder = join(temporaryFolder(t), 'small');
  mkdirSync(folder);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', folder]).status !== 0) {
    t.skip('no tmpfs can be mounted');
    return;
  }
  try {
    const path = join(folder, 'disk');
    writeFileSync(path, '');
    truncateSync(path, mebibyte);
    const disk = await openFileDisk(path);
    const full = { errno: 'ENOSPC' };
    await disk.write(0, Buffer.alloc(65_536, 1));
    await rejectsCode(disk.write(65_536, Buffer.alloc(524_288, 2)), IsmioError, 'ERR_ISMIO_DISK', full);
    await rejectsCode(disk.zero(524_288, 524_288), IsmioError, 'ERR_ISMIO_DISK', full);
    await disk.trim(65_536, mebibyte - 65_536);
    await disk.write(524_288, Buffer.alloc(65_536, 3));
    assert.ok((await read(disk, 524_288, 65_536)).equals(Buffer.alloc(65_536, 3)));
    assert.ok((await read(disk, 0, 65_536)).equals(Buffer.alloc(65_536, 1)));
    await disk.close();
  } finally {
    execFileSync('umount', [folder]);
  }
});

test('a write with FUA whose sync fails: what was written before may be lost as well, and the next flush says so, once', async (t) => {
  const path = join(temporaryFolder(t), 'disk');
  writeFileSync(path, Buffer.alloc(65_536));
  const disk = await openFileDisk(path);
  await disk.write(0, Buffer.of(1));
  const handle = await open(process.execPath);
  const fails = () => Promise.reject(Object.assign(new Error('as a kernel says it: once'), { code: 'EIO' }));
  t.mock.method(Object.getPrototypeOf(handle), 'datasync', fails, { times: 1 });
  await handle.close();
  await rejectsCode(disk.write(512, Buffer.of(2), { fua: true }), IsmioError, 'ERR_ISMIO_DISK', { errno: 'EIO' });
  await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_DISK', { errno: 'EIO' });
  await disk.flush();
  await disk.close();
});
