// A disk over another that is only read: what it shows, beside an oracle, and that nothing reaches the disk below.
import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import { type BlockDevice, type Extent, memoryDisk, type OverlayDisk, openFileDisk, overlayDisk } from 'ismio/block';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { NbdClient, served } from './support/nbd.js';
import { sequence } from './support/random.js';

const block = 4096;

async function contents(disk: BlockDevice): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size, 0xee);
  await disk.read(0, bytes);
  return bytes;
}

/** Half of it holes, in stretches of 64 KiB, and an odd end. */
async function base(t: TestContext, size = 600_123) {
  const path = join(temporaryFolder(t), 'below');
  writeFileSync(path, Buffer.alloc(size));
  const written = await openFileDisk(path);
  for (let at = 0; at < size; at += 65_536) {
    const length = Math.min(65_536, size - at);
    if ((at / 65_536) % 2 === 0) await written.write(at, Buffer.alloc(length, 1 + (at / 65_536) * 7));
    else await written.zero(at, length, { mayTrim: true });
  }
  await written.close();
  const disk = await openFileDisk(path, { readOnly: true });
  t.after(() => disk.close());
  return disk;
}

const layers: Readonly<Record<string, (t: TestContext, below: BlockDevice) => Promise<OverlayDisk>>> = {
  memory: (t, below) => closedAfter(t, overlayDisk(below)),
  'a file': (t, below) => closedAfter(t, overlayDisk(below, { folder: temporaryFolder(t) })),
};

async function closedAfter(t: TestContext, made: Promise<OverlayDisk>): Promise<OverlayDisk> {
  const disk = await made;
  t.after(() => disk.close());
  return disk;
}

for (const [where, make] of Object.entries(layers)) {
  describe(`a layer in ${where}`, () => {
    test('shows what was written over what lies below, beside an oracle, and its extents are true', async (t) => {
      const below = await base(t);
      const before = await contents(below);
      const disk = await make(t, below);
      const oracle = Buffer.from(before);
      const draw = sequence(31);
      for (let i = 0; i < 200; i++) {
        const offset = draw(disk.size);
        const length = Math.min(1 + draw([100, 9000, 70_000][draw(3)] as number), disk.size - offset);
        const what = draw(6);
        if (what < 3) {
          const bytes = Buffer.alloc(length, 1 + draw(255));
          await disk.write(offset, bytes, { fua: what === 0 });
          bytes.copy(oracle, offset);
        } else if (what === 3) {
          await disk.zero(offset, length, { mayTrim: draw(2) === 0 });
          oracle.fill(0, offset, offset + length);
        } else if (what === 4) {
          await disk.trim(offset, length);
          const end = offset + length;
          const last = end === disk.size ? end : end - (end % block);
          oracle.fill(0, Math.min(Math.ceil(offset / block) * block, last), last);
        } else await disk.flush();
        if (i % 10 === 0) assert.ok((await contents(disk)).equals(oracle), `step ${i}`);
      }
      assert.ok((await contents(disk)).equals(oracle));
      for (const most of [1, 1000]) {
        let at = 0;
        while (at < disk.size) {
          const some: Extent[] = await disk.extents(at, disk.size - at, most);
          assert.ok(some.length > 0 && some.length <= most);
          for (const { length, zero } of some) {
            if (zero) assert.ok(oracle.subarray(at, at + length).every((byte) => byte === 0));
            at += length;
          }
        }
        assert.equal(at, disk.size);
      }
      await disk.close();
      assert.ok((await contents(below)).equals(before), 'the disk below has changed');
    });

    test('writes of neighbours within one block, at a time, all come to stay', async (t) => {
      const disk = await make(t, await base(t));
      const before = await contents(disk);
      const draw = sequence(5);
      const writes: unknown[] = [];
      for (let at = 100; at < 50_000; ) {
        const length = 1 + draw(900);
        const bytes = Buffer.alloc(length, 1 + draw(255));
        bytes.copy(before, at);
        writes.push(disk.write(at, bytes));
        at += length;
      }
      await Promise.all(writes);
      assert.ok((await contents(disk)).equals(before));
    });

    test('a part of a block that is written while all of it is, takes nothing back of the rest', async (t) => {
      const disk = await make(t, await base(t));
      await Promise.all([disk.write(0, Buffer.alloc(3 * block, 0xaa)), disk.write(block + 10, Buffer.alloc(20, 0xbb))]);
      await Promise.all([
        disk.write(8 * block + 9, Buffer.alloc(2, 0xbb)),
        disk.write(8 * block, Buffer.alloc(block, 0xaa)),
      ]);
      const bytes = await contents(disk);
      const at = block + 10;
      for (let i = 0; i < 3 * block; i++) if (i < at || i >= at + 20) assert.equal(bytes[i], 0xaa, String(i));
      for (let i = 8 * block; i < 9 * block; i++) assert.ok(bytes[i] === 0xaa || bytes[i] === 0xbb, String(i));
    });
  });
}

test('the file of a layer has no name, and as many blocks as were written', async (t) => {
  const folder = temporaryFolder(t);
  const disk = await overlayDisk(memoryDisk({ size: 2 ** 40 }), { folder });
  await disk.write(2 ** 39 + 5, Buffer.from('here'));
  assert.deepEqual(readdirSync(folder), []);
  const [first, second, third] = await disk.extents(0, disk.size, 3);
  assert.deepEqual([first?.length, second?.hole], [2 ** 39, false]);
  assert.ok((second?.length ?? 0) <= 65_536, `${second?.length}`);
  assert.equal(third?.hole, true);
  await disk.close();
  assert.deepEqual(readdirSync(folder), []);
});

test('a folder that takes no file, and options that are none', async (t) => {
  const below = memoryDisk({ size: 10 });
  const folder = join(temporaryFolder(t), 'none');
  await rejectsCode(overlayDisk(below, { folder }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOENT' });
  await rejectsCode(overlayDisk(below, { layer: 1 } as object), RangeError, 'ERR_ISMIO_OPTION');
});

/** Whose calls fail while `fails` is set, or wait for `held`. */
function shaky(size: number) {
  const memory = memoryDisk({ size });
  const state = { fails: false, held: null as Promise<void> | null };
  const answer = (act: () => void) => {
    if (state.fails) return Promise.reject(Object.assign(new Error('the medium'), { code: 'EIO' }));
    if (state.held === null) return void act();
    return state.held.then(act);
  };
  const { name, readOnly, blockSize, features } = memory;
  const disk: BlockDevice = {
    ...{ name, size, readOnly, blockSize, features },
    read: (offset, target) => answer(() => memory.read(offset, target)),
    write: (offset, source) => answer(() => memory.write(offset, source)),
    flush: () => undefined,
    trim: () => undefined,
    zero: () => undefined,
    cache: () => undefined,
    extents: (offset, length, most) => memory.extents(offset, length, most),
    close: () => memory.close(),
  };
  return { disk, memory, state };
}

test('where the disk below fails, a write of a part of a block fails, and the next one finds all as it was', async () => {
  const { disk: below, memory, state } = shaky(3 * block);
  memory.write(0, Buffer.alloc(3 * block, 7));
  const disk = await overlayDisk(below);
  state.fails = true;
  await assert.rejects(Promise.resolve(disk.write(10, Buffer.alloc(10, 1))), { code: 'EIO' });
  await disk.write(block, Buffer.alloc(block, 2)); // needs nothing of what lies below
  state.fails = false;
  await disk.write(20, Buffer.alloc(1, 3));
  const expected = Buffer.alloc(3 * block, 7)
    .fill(2, block, 2 * block)
    .fill(3, 20, 21);
  assert.ok((await contents(disk)).equals(expected));
});

test('closing waits for what is in flight, and what comes later is refused; the disk below stays open', async () => {
  const { disk: below, state } = shaky(2 * block);
  const disk = await overlayDisk(below);
  let release: () => void = () => undefined;
  state.held = new Promise((resolve) => {
    release = resolve;
  });
  const written = Promise.resolve(disk.write(1, Buffer.of(1)));
  let isClosed = false;
  const closing = disk.close().then(() => {
    isClosed = true;
  });
  for (let i = 0; i < 5; i++) await setImmediate();
  assert.equal(isClosed, false);
  release();
  await Promise.all([written, closing]);
  throwsCode(() => disk.read(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_CLOSED');
  await below.read(0, Buffer.alloc(1));
});

test('what lies past the end is refused, and nothing is changed', async () => {
  const disk = await overlayDisk(memoryDisk({ size: 100 }));
  throwsCode(() => disk.write(90, Buffer.alloc(11)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => disk.zero(101, 0), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  assert.ok((await contents(disk)).equals(Buffer.alloc(100)));
});

test('clients of NBD write to a snapshot of a file, and the file stays as it is', async (t) => {
  const below = await base(t);
  const before = await contents(below);
  const { path } = await served(t, await overlayDisk(below));
  const client = await NbdClient.open(path);
  assert.equal(await client.write(65_000, Buffer.alloc(1000, 0x5a)), 0);
  const expected = Buffer.from(before).fill(0x5a, 65_000, 66_000);
  assert.ok((await client.read(60_000, 20_000)).equals(expected.subarray(60_000, 80_000)));
  assert.ok((await contents(below)).equals(before));
  assert.equal(statSync(below.name).size, before.length);
});
