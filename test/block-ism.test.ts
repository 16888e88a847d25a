// A disk over ISM, in one process: the contract of a disk beside an oracle, how many moves each request costs, who may have it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import { type BlockDevice, type IsmDisk, memoryDisk, openBlock, openFileDisk, serveBlock } from 'ismio/block';
import { quiet, SlowDisk, served } from './support/block.js';
import { until } from './support/console-line.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { pairOn, roads } from './support/ism.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const size = 2 ** 20;

/** Random calls on a disk, each at a place of its own, many in flight; then all of it is what it has to be. */
async function beside(disk: BlockDevice, seed: number, rounds: number): Promise<void> {
  const below = sequence(seed);
  const oracle = Buffer.alloc(disk.size);
  const stripes = 8;
  const stripe = disk.size / stripes;
  for (let round = 0; round < rounds; round++) {
    const calls = Array.from({ length: stripes }, async (_, i) => {
      const length = 1 + below([600, 4032, 4097, stripe][below(4)] as number);
      const offset = i * stripe + below(stripe - length + 1);
      const what = below(8);
      if (what < 3) {
        const bytes = Buffer.from(Array.from({ length }, () => below(256)));
        bytes.copy(oracle, offset);
        const cut = below(length);
        if (what === 0) await disk.writePieces?.(offset, [bytes.subarray(0, cut), bytes.subarray(cut)], { fua: true });
        else await disk.write(offset, bytes);
      } else if (what === 3) {
        oracle.fill(0, offset, offset + length);
        await disk.zero(offset, length, { mayTrim: below(2) === 0, fua: below(2) === 0 });
      } else if (what === 4) await disk.cache(offset, length);
      else {
        const target = Buffer.alloc(length, 0xee);
        const expected = Buffer.from(oracle.subarray(offset, offset + length));
        await disk.read(offset, target);
        assert.ok(target.equals(expected), `${length} bytes at ${offset} in round ${round}`);
      }
    });
    if (below(4) === 0) calls.push(Promise.resolve(disk.flush()));
    await Promise.all(calls);
  }
  const all = Buffer.alloc(disk.size);
  await disk.read(0, all);
  assert.ok(all.equals(oracle));
}

for (const road of roads) {
  describe(`by ${road}`, () => {
    test('reads what was written, beside an oracle, with many requests in flight and slots that are reused', async (t) => {
      const path = join(temporaryFolder(t), 'disk');
      writeFileSync(path, Buffer.alloc(size / 4));
      const medium = road === 'vfio-user' ? await openFileDisk(path) : memoryDisk({ size: size / 4 });
      t.after(() => medium.close());
      await using house = await served({ road, slots: 4, ioBytes: 8192, disk: medium });
      const disk = await house.open();
      await beside(disk, 7, scaled(30));
      assert.equal(house.target.stats().breaches, 0);
    });

    test('extents are the medium’s, by as many questions as it takes, and a trim makes holes', async () => {
      await using house = await served({ road });
      const disk = await house.open();
      await disk.write(65_536, Buffer.alloc(65_536, 1));
      assert.deepEqual(await disk.extents(0, size, 2), [
        { length: 65_536, hole: true, zero: true },
        { length: 65_536, hole: false, zero: false },
      ]);
      await disk.trim(0, size);
      assert.deepEqual(await disk.extents(100, 1000, 9999), [{ length: 1000, hole: true, zero: true }]);
      assert.deepEqual(await disk.extents(100, 0, 1), []);
    });
  });
}

test('signals that are late, come together or overtake, and moves that are busy: nothing is lost', async () => {
  const medium = memoryDisk({ size: size / 4 });
  await using house = await served({ slots: 4, ioBytes: 8192, disk: medium, adversary: { seed: 3 } });
  const disk = await house.open();
  await beside(disk, 9, scaled(6));
  assert.deepEqual([disk.stats().sessions, house.target.stats().breaches], [1, 0]);
});

test('moves that fail now and then: each session that ends so is followed by one that asks again what was not answered', async () => {
  const medium = Object.assign(memoryDisk({ size: size / 4 }), { life: 'one' });
  const adversary = { seed: 5, fail: 8 };
  await using house = await served({ slots: 4, ioBytes: 8192, disk: medium, adversary });
  let disk: IsmDisk | null = null;
  while (disk === null) disk = await house.open().catch(() => null); // the very first moves may be among them
  await beside(disk, 11, 6);
  assert.ok(disk.stats().sessions > 1 && disk.stats().replayed > 0, JSON.stringify(disk.stats()));
  assert.equal(house.target.stats().breaches, 0);
});

test('moves: 2 for what fits with the head, 3 for 4 KiB, reads and writes, and never one more', async () => {
  await using house = await served({ stream: quiet });
  const disk = await house.open({ stream: quiet });
  const [near, far] = house.pair.functions;
  // The last words of the hand-shake are on their way until both streams sleep.
  const counted = () => near.stats().moves + far.stats().moves;
  for (let before = -1; before !== counted(); await sleep(20)) before = counted();
  const costs = async (act: () => unknown): Promise<number> => {
    const before = counted();
    await act();
    return counted() - before;
  };
  for (const length of [1, 512, 3584, 4032]) {
    assert.equal(await costs(() => disk.write(8192, Buffer.alloc(length, 7))), 2, `a write of ${length}`);
    assert.equal(await costs(() => disk.read(8192, Buffer.alloc(length))), 2, `a read of ${length}`);
  }
  assert.equal(await costs(() => disk.write(8192, Buffer.alloc(4096, 7))), 3);
  assert.equal(await costs(() => disk.read(8192, Buffer.alloc(4096))), 3);
  // Wherever it lies at the medium: two of its pages are one of a slot.
  assert.equal(await costs(() => disk.read(65_536 - 512, Buffer.alloc(4096))), 3);
  assert.equal(await costs(() => disk.write(0, Buffer.alloc(65_536))), 18);
  assert.equal(await costs(() => disk.flush()), 2);
  assert.equal(await costs(() => disk.zero(0, size)), 2);
  assert.equal(await costs(() => disk.extents(0, size, 10)), 2);
  // Answers that are ready together go out as one.
  const many = () => Promise.all(Array.from({ length: 32 }, (_, i) => disk.write(i * 4096, Buffer.alloc(4096))));
  assert.equal(await costs(many), 32 * 2 + 1);
  assert.deepEqual([disk.stats().rescued, house.target.stats().rescued], [0, 0]);
});

test('what the medium cannot do fails with its errno, and the next request is served', async () => {
  const medium = new SlowDisk(size);
  await using house = await served({ disk: medium });
  const disk = await house.open();
  const values = { errno: 'ENOSPC', offset: 512, length: 5000 };
  medium.failures.push('ENOSPC', 'EDEADLK', 'ENOTSUP');
  const failed: unknown[] = [];
  house.target.on('failed', ({ command, errno }) => void failed.push([command, errno]));
  await rejectsCode(disk.write(512, Buffer.alloc(5000)), IsmioError, 'ERR_ISMIO_DISK', values);
  await rejectsCode(disk.read(0, Buffer.alloc(100)), IsmioError, 'ERR_ISMIO_DISK', { errno: 'EIO' });
  await rejectsCode(disk.zero(0, 4096, { fast: true }), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOTSUP' });
  await disk.write(512, Buffer.alloc(5000, 1));
  assert.deepEqual(failed, [
    ['write', 'ENOSPC'],
    ['read', 'EIO'],
    ['zero', 'ENOTSUP'],
  ]);
});

test('more requests than there are slots wait for them, in their order', async () => {
  const medium = new SlowDisk(size);
  await using house = await served({ disk: medium, slots: 2 });
  const disk = await house.open();
  medium.isHeld = true;
  const done = Array.from({ length: 7 }, (_, i) => disk.write(i * 512, Buffer.alloc(512, i + 1)));
  await until(() => medium.held === 2, 'two requests at the medium');
  assert.deepEqual([disk.stats().inFlight, disk.stats().waiting], [2, 5]);
  medium.release();
  await Promise.all(done);
  const bytes = Buffer.alloc(7 * 512);
  await disk.read(0, bytes);
  assert.deepEqual(
    Array.from({ length: 7 }, (_, i) => bytes[i * 512]),
    [1, 2, 3, 4, 5, 6, 7],
  );
});

test('one writes at a time; who reads may be there besides, and can not write', async () => {
  await using house = await served();
  const writer = await house.open();
  await rejectsCode(house.open(), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'busy' });
  const reader = await house.open({ readOnly: true });
  assert.deepEqual([reader.readOnly, reader.features.trim, reader.features.extents], [true, false, true]);
  throwsCode(() => reader.write(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_READ_ONLY');
  throwsCode(() => reader.zero(0, 1), IsmioError, 'ERR_ISMIO_READ_ONLY');
  await writer.write(0, Buffer.from('seen'));
  const bytes = Buffer.alloc(4);
  await reader.read(0, bytes);
  assert.equal(bytes.toString(), 'seen');
  await writer.close();
  const next = await house.open();
  await next.write(0, Buffer.from('next'));
});

test('a disk for some functions: others are refused, or may only read', async () => {
  await using house = await served({ access: { write: [0x99n], read: [0x22n] } });
  assert.equal((await house.open()).readOnly, true);
  await using forReads = await served({ access: { read: [0x22n] } });
  assert.equal((await forReads.open()).readOnly, true, 'who is let in to read writes nothing');
  await using closed = await served({ access: { read: [0x99n] } });
  await rejectsCode(closed.open(), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'denied' });
  assert.deepEqual(closed.said.at(-1)?.slice(0, 3), ['refused', 0x22n, 'denied']);
});

test('a key: both ends show that they have it, and neither believes the other without', async () => {
  const [key, other] = ['0123456789abcdef', 'another key, of 24 bytes'];
  await using house = await served({ key });
  const disk = await house.open({ key });
  await disk.write(0, Buffer.alloc(10));
  for (const wrong of [{ key: other }, {}]) {
    await rejectsCode(house.open({ ...wrong, readOnly: true }), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'key' });
  }
  await using without = await served();
  await rejectsCode(without.open({ key }), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'key' });
});

test('what is wrong with a call is told at the call, as of any disk', async () => {
  await using house = await served();
  const disk = await house.open();
  throwsCode(() => disk.read(size, Buffer.alloc(1)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => disk.write(-1, Buffer.alloc(1)), RangeError, 'ERR_ISMIO_OFFSET');
  await disk.read(size, Buffer.alloc(0));
  await disk.close();
  throwsCode(() => disk.flush(), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('options that cannot be are refused before anything is opened', async () => {
  await using pair = await pairOn('device.open()');
  const medium = memoryDisk({ size });
  for (const options of [{ slots: 0 }, { slots: 129 }, { ioBytes: 5000 }, { ioBytes: 2048 }, { grace: -1 }]) {
    await rejectsCode(serveBlock(pair.a, medium, options), RangeError, 'ERR_ISMIO_OPTION');
  }
  await rejectsCode(openBlock(pair.b, 0x11n, { mode: 'retry' as never }), RangeError, 'ERR_ISMIO_OPTION');
  await rejectsCode(openBlock(pair.b, 0n), RangeError, 'ERR_ISMIO_OPTION');
  await rejectsCode(openBlock(pair.b, 0x11n), IsmioError, 'ERR_ISMIO_ISM_REFUSED', { reason: 'noListener' });
});
