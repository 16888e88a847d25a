// Functions without single stores: strict ones behind ism-vfio-pci, where every store is a store block. What no blocks can
// carry is refused before anything is issued, wherever it comes from.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allocBuffer, emulate, IsmioError, mapFile, Pool, type Queue, type Region, type Rules } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';

const rules: Partial<Rules> = { maxStoreBlock: 128, alignment: 'strict', singleStores: false };
const size = 16384;
const broken = { rule: 'singleStores', errno: 'ENXIO', bytesDone: 0 };

/** Nothing was stored or counted as such. */
function untouched(region: Region): void {
  const { stores, storeBlocks } = region.stats();
  assert.deepEqual([stores, storeBlocks], [0, 0]);
  assert.deepEqual(contents(region), new Uint8Array(region.size));
}

for (const [name, open] of [
  ['emulated', () => emulate({ size, rules })],
  ['mapped', (path: string) => mapFile(path, { rules })],
  ['pread', (path: string) => mapFile(path, { rules, access: 'pread' })],
] as const) {
  describe(`without single stores: ${name}`, () => {
    test('a write is cut into blocks that leave no word alone, as plan says', (t) => {
      using region = open(temporaryFile(t, size));
      assert.equal(region.rules.singleStores, false);
      const storeBlock = 'storeBlock' as const;
      assert.deepEqual(region.plan(0, 136), [
        { kind: storeBlock, offset: 0, length: 120 },
        { kind: storeBlock, offset: 120, length: 16 },
      ]);
      region.write(0, pattern(136));
      assert.deepEqual([region.stats().storeBlocks, region.stats().stores], [2, 0]);
      assert.deepEqual(contents(region, 0, 136), pattern(136));
    });

    test('a write that no blocks can carry is refused whole, and says what can be', (t) => {
      using region = open(temporaryFile(t, size));
      for (const [offset, length] of [
        [0, 8],
        [0, 132],
        [4, 128],
        [4088, 4104],
        [0, 4104],
      ] as const) {
        const values = { ...broken, offset, length };
        const error = throwsCode(() => region.write(offset, pattern(length)), RangeError, 'ERR_ISMIO_RULE', values);
        assert.match(error.message, /multiple of 8 bytes, 16 at least.* 4096/);
        throwsCode(() => region.plan(offset, length), RangeError, 'ERR_ISMIO_RULE', values);
      }
      untouched(region);
    });

    test('a store has no way', (t) => {
      using region = open(temporaryFile(t, size));
      const refuses = (length: number, act: () => void) => {
        const error = throwsCode(act, RangeError, 'ERR_ISMIO_RULE', { ...broken, offset: 64, length });
        assert.doesNotMatch(error.message, /use store/);
      };
      refuses(1, () => region.store8(64, 1));
      refuses(2, () => region.store16(64, 1));
      refuses(4, () => region.store32(64, 1));
      refuses(8, () => region.store64(64, 1n));
      const error = throwsCode(() => region.storeBlock(64, pattern(8)), RangeError, 'ERR_ISMIO_RULE', {
        rule: 'length',
      });
      assert.doesNotMatch(error.message, /use store/);
      untouched(region);
    });

    test('a queue that merges nothing refuses it where it is queued', (t) => {
      using region = open(temporaryFile(t, size));
      using queue = region.queue();
      const refuses = (act: () => void) => throwsCode(act, RangeError, 'ERR_ISMIO_RULE', broken);
      refuses(() => queue.storeWords(64, 1, 2));
      refuses(() => queue.store64(64, 1n));
      refuses(() => queue.store8(64, 1));
      refuses(() => queue.write(0, pattern(8)));
      refuses(() => queue.write(0, pattern(64), 4, 12));
      const index = (act: () => void) => refuses(act).index;
      assert.equal(
        index(() => queue.storeMany(Float64Array.of(0, 8), new Uint32Array(4))),
        0,
      );
      refuses(() => queue.storeMany({ first: 0 }, new Uint32Array(4)));
      const source = new Uint8Array(allocBuffer(4096));
      assert.equal(
        index(() => queue.writeMany(Float64Array.of(0, 512), Uint16Array.of(16, 8), source)),
        1,
      );
      assert.equal(queue.queued, 1, 'the write before it');
      assert.equal(queue.submit().storeBlocks, 1);
    });

    test('a queue that merges joins words into blocks, and refuses the batch where one is left alone', async (t) => {
      using region = open(temporaryFile(t, size));
      for (const order of ['strict', 'relaxed'] as const) {
        for (const merge of ['adjacent', 'any'] as const) {
          using queue = region.queue({ merge, order });
          for (let at = 0; at < 136; at += 8) queue.storeWords(at, at, 0);
          assert.equal(queue.submit().storeBlocks, 2);
          queue.write(0, pattern(64));
          queue.storeWords(4096, 1, 0);
          const before = region.stats().storeBlocks;
          const values = { ...broken, index: 1, offset: 4096, length: 8 };
          const error = throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_RULE', values);
          const states = (error.operations as { state: string }[]).map(({ state }) => state);
          assert.deepEqual(states, ['skipped', 'failed']);
          assert.doesNotMatch(error.message, /merge/);
          queue.storeWords(4096, 1, 0);
          await assert.rejects(queue.drain(), { name: 'IsmioError', code: 'ERR_ISMIO_RULE' });
          assert.equal(region.stats().storeBlocks, before);
        }
      }
    });
  });
}

test('a transfer of a pool is refused before its first shard, and a possible one has possible shards', async () => {
  await using pool = new Pool({ threads: 2, shardBytes: 4096 });
  using region = emulate({ size: 2 ** 20, rules });
  using other = emulate({ size: 2 ** 20 });
  const refused = { name: 'IsmioError', code: 'ERR_ISMIO_RULE', ...broken, done: [] };
  const whole = [{ offset: 16, length: 4096 * 9 - 8 }];
  await assert.rejects(pool.write(region, 16, pattern(4096 * 9 - 8)), { ...refused, notDone: whole });
  await assert.rejects(pool.copy(other, 0, region, 16, 4096 * 9 - 8), { ...refused, notDone: whole });
  untouched(region);
  for (const [offset, length] of [
    [16, 4096 * 9],
    [4080, 4096 * 200 + 32],
  ] as const) {
    const bytes = pattern(length);
    await pool.write(region, offset, bytes);
    assert.deepEqual(contents(region, offset, length), bytes);
    other.write(0, bytes);
    await pool.copy(other, 0, region, offset, length);
  }
  assert.equal(region.stats().errors, 0);
});

test('a relaxed region without single stores gets each store as a store block', () => {
  using region = emulate({ size: 4096, rules: { singleStores: false } });
  region.store64(0, 1n);
  region.store8(9, 7);
  region.write(100, pattern(3));
  using queue = region.queue();
  queue.storeWords(8, 1, 2);
  queue.store16(64, 3);
  assert.deepEqual([queue.submit().storeBlocks, region.stats().storeBlocks, region.stats().stores], [2, 5, 0]);
  assert.equal(region.load8(64), 3);
});

test('rules that would let nothing be stored are refused, and what is no flag', () => {
  const open = (given: object) => () => emulate({ size: 64, rules: given as Partial<Rules> });
  for (const given of [{ maxStoreBlock: 15 }, { boundary: 8 }]) {
    throwsCode(open({ alignment: 'strict', singleStores: false, ...given }), RangeError, 'ERR_ISMIO_OPTION', given);
    open({ alignment: 'strict', ...given })().close();
    open({ singleStores: false, ...given })().close();
  }
  throwsCode(open({ singleStores: 0 }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});

test('a block of 16 bytes at most carries an even number of words, and the refusal says so', () => {
  using region = emulate({ size: 4096, rules: { ...rules, maxStoreBlock: 16 } });
  region.write(0, pattern(48));
  const error = throwsCode(() => region.write(0, pattern(40)), RangeError, 'ERR_ISMIO_RULE', broken);
  assert.match(error.message, /multiple of 16 bytes/);
});

test('writes that overlap to an odd number of such words are refused together, before anything is issued', () => {
  const rulesOf16 = { ...rules, maxStoreBlock: 16 };
  const fill = (queue: Queue, between: () => void) => {
    queue.write(1024, pattern(16));
    queue.write(0, pattern(16));
    between();
    queue.write(8, pattern(16));
  };
  using region = emulate({ size: 4096, rules: rulesOf16 });
  using queue = region.queue({ merge: 'any', order: 'relaxed' });
  fill(queue, () => undefined);
  throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_RULE', { rule: 'singleStores' });
  untouched(region);
  fill(queue, () => queue.fence());
  assert.equal(queue.submit().storeBlocks, 3, 'with a fence between them');
  for (const options of [{ merge: 'any' }, { merge: 'none', order: 'relaxed' }] as const) {
    using other = region.queue(options);
    fill(other, () => undefined);
    assert.equal(other.submit().storeBlocks, 3, JSON.stringify(options));
  }
});
