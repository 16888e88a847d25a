// Digests of data over ISM: bytes that are changed on their way are seen at the other end, are not used, and are told of.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { IsmioError } from 'ismio';
import { memoryDisk, openBlock } from 'ismio/block';
import type { Ism } from 'ismio/ism';
import { quiet, served } from './support/block.js';
import { HandInitiator, HandTarget, hello, ioBytes, sealed, slots } from './support/block-hand.js';
import { until } from './support/console-line.js';
import { rejectsCode } from './support/errors.js';
import { pairOn, roads } from './support/ism.js';
import { sequence } from './support/random.js';

const size = 65_536;
const port = 10_809;
const [read, write] = [1, 2];
/** What a target answers in place of an errno. */
const wrongDigest = 84;

/** By the definition, bit by bit. */
function crc32c(bytes: Uint8Array): number {
  let state = 0xffffffff;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) state = (state >>> 1) ^ (state & 1 ? 0x82f63b78 : 0);
  }
  return ~state >>> 0;
}

function randomBytes(length: number, seed: number): Buffer {
  const below = sequence(seed);
  return Buffer.from(Array.from({ length }, () => below(256)));
}

/** A request as docs/block-protocol.md has it. */
function asked(
  hand: HandInitiator,
  sequence: number,
  command: number,
  length: number,
  digest: number,
  inline?: Uint8Array,
) {
  const words = [0, hand.epoch, sequence, command << 16, 0, 0, 0, length, 0, digest];
  return sealed(words, 64 + (((inline?.length ?? 0) + 3) & ~3), inline);
}

for (const road of roads) {
  test(`by ${road}: what was written is read, of all lengths, where either end wants digests`, async () => {
    for (const [target, own] of [
      [true, false],
      [false, true],
    ]) {
      await using house = await served({ road, ioBytes: 8192, slots: 4, dataDigest: target === true });
      const disk = await house.open({ dataDigest: own === true });
      for (const length of [1, 511, 4032, 4033, 4096, 8192, 20_000]) {
        const bytes = randomBytes(length, length);
        await disk.writePieces(3, [bytes.subarray(0, length >> 1), bytes.subarray(length >> 1)]);
        const back = Buffer.alloc(length);
        await disk.read(3, back);
        assert.ok(back.equals(bytes), `${length}`);
      }
      await disk.zero(0, 4096);
      await disk.flush();
      assert.equal((await disk.extents(0, 4096, 4)).length, 1);
      assert.deepEqual([disk.stats().corrupt, house.target.stats().corrupt, house.target.stats().breaches], [0, 0, 0]);
    }
  });
}

test('digests cost no move', async () => {
  await using house = await served({ stream: quiet, dataDigest: true });
  const disk = await house.open({ stream: quiet });
  const moves = () => disk.stats().moves + house.target.stats().moves;
  for (const [length, cost] of [
    [4032, 2],
    [4096, 3],
  ] as const) {
    for (const act of ['write', 'read'] as const) {
      const before = moves();
      await disk[act](0, Buffer.alloc(length));
      assert.equal(moves() - before, cost, `a ${act} of ${length}`);
    }
  }
});

/** Has whatever this end moves in whole pages changed by a bit on its way, while it is armed. */
function tamper(ism: Ism): { isArmed: boolean } {
  const state = { isArmed: false };
  const open = ism.queue.bind(ism);
  ism.queue = (options) => {
    const queue = open(options);
    const move = queue.move.bind(queue);
    queue.move = (token, offset, bytes, own) => {
      const copy = Buffer.from(bytes as Uint8Array);
      if (state.isArmed && copy.length === 4096) copy.writeUInt8(copy.readUInt8(1234) ^ 0x10, 1234);
      return move(token, offset, copy, own);
    };
    return queue;
  };
  return state;
}

test('a bit of a write that is changed in flight: nothing is written, both ends count and name it, and it is asked again', async () => {
  await using house = await served({ disk: memoryDisk({ size }), dataDigest: true });
  const way = tamper(house.pair.b);
  const disk = await house.open();
  const bytes = randomBytes(4096, 1);
  await disk.write(8192, Buffer.alloc(4096, 9));
  way.isArmed = true;
  const told = once(house.target, 'corrupt');
  const values = { errno: 'EIO', offset: 8192, length: 4096 };
  const error = await rejectsCode(disk.write(8192, bytes), IsmioError, 'ERR_ISMIO_BLOCK_DIGEST', values);
  assert.match(error.message, /nothing was written; write it again/);
  const [gid, seen] = (await told) as [bigint, IsmioError];
  const changed = Buffer.from(bytes);
  changed.writeUInt8(changed.readUInt8(1234) ^ 0x10, 1234);
  assert.deepEqual([gid, seen.code], [0x22n, 'ERR_ISMIO_BLOCK_DIGEST']);
  assert.deepEqual([seen['expected'], seen['computed']], [crc32c(bytes), crc32c(changed)]);
  way.isArmed = false;
  const back = Buffer.alloc(4096);
  await disk.read(8192, back);
  assert.ok(back.every((byte) => byte === 9));
  await disk.write(8192, bytes);
  await disk.read(8192, back);
  assert.ok(back.equals(bytes));
  const { corrupt, failed, open } = house.target.stats();
  assert.deepEqual([corrupt, failed, open, disk.stats().corrupt, disk.stats().sessions], [1, 0, 1, 1, 1]);
});

test('a bit of a read that is changed in flight fails that read alone; without digests nobody sees it', async () => {
  for (const dataDigest of [true, false]) {
    await using house = await served({ disk: memoryDisk({ size }) });
    const way = tamper(house.pair.a);
    const disk = await house.open({ dataDigest });
    const bytes = randomBytes(4096, 2);
    await disk.write(0, bytes);
    way.isArmed = true;
    const back = Buffer.alloc(4096);
    if (dataDigest) {
      const values = { errno: 'EIO', offset: 0, length: 4096, expected: crc32c(bytes) };
      const error = await rejectsCode(disk.read(0, back), IsmioError, 'ERR_ISMIO_BLOCK_DIGEST', values);
      assert.equal(error['computed'], crc32c(back));
      way.isArmed = false;
      await disk.read(0, back);
      assert.ok(back.equals(bytes));
    } else {
      await disk.read(0, back);
      assert.equal(back.equals(bytes), false);
    }
    assert.deepEqual([disk.stats().corrupt, disk.stats().sessions], [dataDigest ? 1 : 0, 1]);
  }
});

async function house(dataDigest = false) {
  const medium = memoryDisk({ size });
  const built = await served({ disk: medium, slots, ioBytes, dataDigest });
  const hand = async (digest = 1) => (await HandInitiator.open(built.pair.b, built.pair.a.gid, port)).begin({ digest });
  return { ...built, medium, hand };
}

test("a disk that fails with a wrong digest of its own is a disk that fails: the session's digests have nothing to do with it", async () => {
  const below = (): Promise<void> =>
    Promise.reject(new IsmioError('ERR_ISMIO_BLOCK_DIGEST', 'from another target', { errno: 'EIO' }));
  const relayed = Object.assign(memoryDisk({ size }), { read: below, write: below, view: undefined });
  await using house = await served({ disk: relayed });
  const disk = await house.open();
  for (const ended of [disk.read(0, Buffer.alloc(512)), disk.write(0, Buffer.alloc(512))]) {
    await rejectsCode(ended, IsmioError, 'ERR_ISMIO_DISK', { errno: 'EIO' });
  }
  const { corrupt, failed } = house.target.stats();
  assert.deepEqual([disk.state, disk.stats().corrupt, corrupt, failed], ['open', 0, 0, 2]);
});

test('where digests lie: of a write in its request, of a read in its answer, inline and not', async () => {
  await using it = await house();
  const hand = await it.hand();
  const long = randomBytes(4096, 3);
  hand.moveData(0, long);
  hand.move(0, asked(hand, 1, write, 4096, crc32c(long)));
  await until(() => hand.entry(0).readUInt32BE(8) === 1, 'an answer');
  assert.deepEqual(hand.entry(0), Buffer.from(sealed([0, hand.epoch, 1, 0, 0, 0], 32)));
  hand.move(1, asked(hand, 1, read, 4096, 0));
  await until(() => hand.entry(1).readUInt32BE(8) === 1, 'an answer to a read');
  assert.deepEqual(hand.entry(1), Buffer.from(sealed([0, hand.epoch, 1, 0, 4096, crc32c(long)], 32)));
  hand.move(2, asked(hand, 1, read, 5, 0));
  const head = Buffer.from(hand.heads.memory.buffer, hand.heads.memory.byteOffset + 2 * 4096, 72);
  await until(() => head.readUInt32BE(8) === 1, 'an answer at the page');
  const short = long.subarray(0, 5);
  assert.deepEqual(Buffer.from(head), Buffer.from(sealed([0, hand.epoch, 1, 0, 5, crc32c(short)], 72, short)));
  const inline = Buffer.from('abc');
  hand.move(3, asked(hand, 1, write, 3, crc32c(inline), inline));
  await until(() => hand.entry(3).readUInt32BE(8) === 1, 'an answer to a short write');
  assert.equal(hand.entry(3).readUInt32BE(12), 0);
});

test('an initiator whose digests are wrong: each write is answered with 84, nothing is written, the session goes on', async () => {
  await using it = await house();
  const hand = await it.hand();
  const inline = Buffer.from('abc');
  hand.moveData(0, Buffer.alloc(4096, 1));
  hand.move(0, asked(hand, 1, write, 4096, 1));
  hand.move(1, asked(hand, 1, write, 3, 0, inline)); // 0 is a digest as any other
  await until(() => [0, 1].every((slot) => hand.entry(slot).readUInt32BE(8) === 1), 'answers');
  for (const slot of [0, 1]) {
    assert.deepEqual(hand.entry(slot), Buffer.from(sealed([0, hand.epoch, 1, wrongDigest, 0, 0], 32)));
  }
  assert.equal(it.medium.allocated, 0);
  hand.move(1, asked(hand, 2, write, 3, crc32c(inline), inline));
  await until(() => hand.entry(1).readUInt32BE(8) === 2, 'the next answer');
  assert.deepEqual([hand.entry(1).readUInt32BE(12), it.target.stats().corrupt, it.target.stats().open], [0, 2, 1]);
});

test('digests where there may be none, or of a kind that is none, end the session', async () => {
  await using it = await house();
  const inline = Buffer.from('abc');
  const without = await it.hand(0);
  without.move(0, asked(without, 1, write, 3, crc32c(inline), inline));
  assert.match(await without.refused(), /a write has a digest/);
  const hand = await it.hand();
  hand.move(0, asked(hand, 1, read, 512, 1));
  assert.match(await hand.refused(), /a read has a digest/);
  const other = await HandInitiator.open(it.pair.b, it.pair.a.gid, port);
  other.say('hello', { ...hello, digest: 2 });
  assert.match(await other.refused(), /asks for digest 2/);
  assert.deepEqual([it.target.stats().breaches, it.medium.allocated], [3, 0]);
});

describe('a target whose digests are wrong', () => {
  async function target(digest = 1) {
    const pair = await pairOn('device.open()');
    const by = new HandTarget(pair.a, port, { digest });
    const disk = await openBlock(pair.b, pair.a.gid, { grace: 50, dataDigest: digest === 1 });
    disk.on('error', () => undefined);
    return {
      by,
      disk,
      async [Symbol.asyncDispose]() {
        await disk.close();
        by.close();
        await pair[Symbol.asyncDispose]();
      },
    };
  }

  test('of a read: it fails, and the session goes on', async () => {
    await using it = await target();
    const bytes = Buffer.from('data');
    for (const [i, digest] of [0, 1, crc32c(bytes)].entries()) {
      const back = Buffer.alloc(4);
      const pending = it.disk.read(0, back);
      const view = await it.by.asked(0);
      await until(() => view.getUint32(8) === i + 1, 'the next request');
      it.by.answerInline(0, sealed([0, 99, i + 1, 0, 4, digest], 68, bytes));
      if (i < 2) {
        const values = { expected: digest, computed: crc32c(bytes) };
        await rejectsCode(pending, IsmioError, 'ERR_ISMIO_BLOCK_DIGEST', values);
      } else await pending;
    }
    assert.deepEqual([it.disk.stats().corrupt, it.disk.state], [2, 'open']);
  });

  test('an answer that may have none, or refuses a digest that nobody gave, is a breach', async () => {
    for (const [digest, command, answer] of [
      [0, 'write', [0, 99, 1, 0, 0, 7]],
      [1, 'write', [0, 99, 1, 0, 0, 7]],
      [0, 'write', [0, 99, 1, wrongDigest, 0]],
      [1, 'read', [0, 99, 1, wrongDigest, 0]],
    ] as const) {
      await using it = await target(digest);
      const pending = rejectsCode(it.disk[command](0, Buffer.alloc(4096)), IsmioError, 'ERR_ISMIO_BLOCK', {
        reason: 'protocol',
      });
      await it.by.asked(0);
      it.by.answer(0, sealed(answer, 32));
      await pending;
      assert.equal(it.disk.stats().corrupt, 0);
    }
  });

  test('a welcome without, where they were asked for, or with some that nobody knows', async () => {
    await using pair = await pairOn('device.open()');
    for (const [i, digest] of [0, 2].entries()) {
      const by = new HandTarget(pair.a, 100 + i, { digest });
      const opened = openBlock(pair.b, pair.a.gid, { port: 100 + i, dataDigest: true });
      assert.match((await rejectsCode(opened, IsmioError, 'ERR_ISMIO_BLOCK')).message, /welcome cannot be: digest/);
      by.close();
    }
  });
});
