// What merging saves, in numbers that can be worked out by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, type Completion, emulate, type Queue, type QueueOptions, type Rules } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { scaled } from './support/scale.js';

/** Loads, stores and store blocks of what `fill` queues. */
function issued(rules: Partial<Rules>, options: QueueOptions, fill: (queue: Queue) => void): Completion {
  using region = emulate({ size: 2 ** 20, rules });
  const queue = region.queue({ depth: 8192, ...options });
  fill(queue);
  return queue.submit();
}

function counts({ loads, stores, storeBlocks, merged }: Completion): number[] {
  return [loads, stores, storeBlocks, merged];
}

const words =
  (...offsets: readonly number[]) =>
  (queue: Queue): void => {
    for (const offset of offsets) assert.ok(queue.storeWords(offset, offset, 1));
  };

for (const maxStoreBlock of [8, 16, 64, 128, 256, 4096]) {
  for (const merge of ['adjacent', 'any'] as const) {
    test(`n sequential 8-byte stores take ceil(8n / ${maxStoreBlock}) accesses with merge '${merge}'`, () => {
      for (const n of [1, 2, 3, 15, 16, 17, 31, 33, 511, 512, 513, scaled(5000)]) {
        using region = emulate({ size: 2 ** 20, rules: { maxStoreBlock } });
        const queue = region.queue({ depth: 8192, merge });
        for (let i = 0; i < n; i++) assert.ok(queue.storeWords(i * 8, i + 1, ~i >>> 0));
        const done = queue.submit();
        assert.equal(done.issued, Math.ceil((8 * n) / maxStoreBlock), `n = ${n}`);
        assert.equal(done.bytes, 8 * n);
        const expected = new DataView(new ArrayBuffer(8 * n));
        for (let i = 0; i < n; i++) {
          expected.setUint32(i * 8, i + 1, true);
          expected.setUint32(i * 8 + 4, ~i >>> 0, true);
        }
        assert.deepEqual(contents(region, 0, 8 * n), new Uint8Array(expected.buffer));
      }
    });
  }
}

test('merging goes on across operations that come one batch after the other into the ring', () => {
  using region = emulate({ size: 2 ** 20 });
  const queue = region.queue({ depth: 100, merge: 'adjacent' });
  let total = 0;
  for (let i = 0; i < 1000; i++) {
    if (queue.storeWords(i * 8, i, i)) continue;
    total += queue.submit().issued;
    assert.ok(queue.storeWords(i * 8, i, i));
  }
  total += queue.submit().issued;
  // Ten batches of 800 bytes; two of them cross a boundary of 4096 bytes, and one store block ends on it.
  const crossings = Array.from(
    { length: 10 },
    (_, i) => Math.ceil(((i + 1) * 800) / 4096) - Math.floor((i * 800) / 4096),
  );
  assert.equal(
    total,
    crossings.reduce((sum, n) => sum + n, 0),
  );
});

test("merge 'none' issues each operation on its own", () => {
  assert.deepEqual(counts(issued({}, { merge: 'none' }, words(0, 8, 16))), [0, 3, 0, 0]);
});

test("merge 'adjacent' joins what begins where the one before ends, and nothing else", () => {
  const merge = 'adjacent';
  assert.deepEqual(counts(issued({}, { merge }, words(0, 8, 16))), [0, 0, 1, 2]);
  assert.deepEqual(counts(issued({}, { merge }, words(16, 8, 0))), [0, 3, 0, 0], 'downwards');
  assert.deepEqual(counts(issued({}, { merge }, words(0, 0, 0))), [0, 3, 0, 0], 'over each other');
  assert.deepEqual(counts(issued({}, { merge }, words(0, 16, 8))), [0, 3, 0, 0], 'around a gap');
});

test("merge 'any' joins what touches or overlaps, in any direction", () => {
  const merge = 'any';
  assert.deepEqual(counts(issued({}, { merge }, words(0, 8, 16))), [0, 0, 1, 2]);
  assert.deepEqual(counts(issued({}, { merge }, words(16, 8, 0))), [0, 0, 1, 2], 'downwards');
  assert.deepEqual(
    counts(issued({}, { merge }, words(0, 16, 8))),
    [0, 1, 1, 1],
    'a gap ends it, where order is strict',
  );
  assert.equal(issued({}, { merge }, words(0, 0, 0)).issued, 1, 'over each other');
});

test("order 'relaxed' with merge 'any' joins what touches in the end", () => {
  const options = { merge: 'any', order: 'relaxed' } as const;
  assert.equal(issued({}, options, words(0, 16, 8)).issued, 1);
  assert.equal(issued({}, options, words(8, 4096, 0, 4104)).issued, 2);
  const shuffled = Array.from({ length: 512 }, (_, i) => ((i * 197) % 512) * 8);
  assert.deepEqual(counts(issued({}, options, words(...shuffled))).slice(0, 3), [0, 0, 1]);
});

test('a store that nothing joins stays a store, of its own width', () => {
  for (const merge of ['none', 'adjacent', 'any'] as const) {
    for (const order of ['strict', 'relaxed'] as const) {
      for (const alignment of ['strict', 'relaxed'] as const) {
        const done = issued({ alignment }, { merge, order }, (queue) => {
          queue.store8(1, 1);
          queue.store16(16, 1);
          queue.store32(32, 1);
          queue.store64(64, 1n);
          queue.storeWords(128, 1, 1);
        });
        assert.deepEqual(counts(done), [0, 5, 0, 0], `${merge}, ${order}, ${alignment}`);
      }
    }
  }
});

test('a write is a store block where one may be, also when it is as short as a store', () => {
  for (const merge of ['none', 'adjacent', 'any'] as const) {
    for (const order of ['strict', 'relaxed'] as const) {
      const write = (queue: Queue): boolean => queue.write(3, pattern(8));
      assert.deepEqual(counts(issued({}, { merge, order }, write)), [0, 0, 1, 0], `relaxed rules, ${merge}, ${order}`);
      const strict = counts(issued({ alignment: 'strict' }, { merge, order }, write));
      assert.deepEqual(strict, [0, 4, 0, 0], `strict rules, ${merge}, ${order}: 1 at 3, 4 at 4, 2 at 8, 1 at 10`);
    }
  }
});

test('a fence ends a merge', () => {
  for (const merge of ['adjacent', 'any'] as const) {
    for (const order of ['strict', 'relaxed'] as const) {
      const done = issued({}, { merge, order }, (queue) => {
        words(0, 8)(queue);
        queue.fence();
        words(16, 24)(queue);
      });
      assert.deepEqual(counts(done), [0, 0, 2, 2], `${merge}, ${order}`);
    }
  }
});

test('nothing is merged across a boundary or beyond the largest block', () => {
  for (const order of ['strict', 'relaxed'] as const) {
    const merge = 'any';
    assert.equal(issued({ boundary: 64 }, { merge, order }, words(48, 56, 64, 72)).issued, 2, 'boundary');
    assert.equal(issued({ maxStoreBlock: 24 }, { merge, order }, words(0, 8, 16, 24)).issued, 2, 'largest block');
  }
});

test('a store laid over another fills a window to its end, and what follows begins the next', () => {
  for (const boundary of [8, 16, 64]) {
    using region = emulate({ size: 256, rules: { maxStoreBlock: boundary, boundary } });
    const queue = region.queue({ merge: 'any' });
    queue.store8(boundary - 8, 0xff);
    for (let at = boundary - 8; at < 256 - 8; at += 8) queue.storeWords(at, at, at);
    queue.submit();
    for (let at = boundary - 8; at < 256 - 8; at += 8) assert.equal(region.load32(at), at);
    assert.deepEqual(contents(region, 0, boundary - 8), new Uint8Array(boundary - 8), 'nothing before it');
  }
});

test('short writes behind one that ends at a boundary are joined as all others are', () => {
  for (const merge of ['adjacent', 'any'] as const) {
    using region = emulate({ size: 16_384 });
    const queue = region.queue({ merge });
    const source = allocBuffer(64 * 128).fill(7);
    for (let i = 0; i < 128; i++) queue.write(4032 + 64 * i, source, 64 * i, 64);
    assert.equal(queue.submit().storeBlocks, 3, merge);
    assert.deepEqual(contents(region, 4032, source.length), Uint8Array.from(source));
  }
});

test('stores of mixed widths join into one block', () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue({ merge: 'adjacent' });
  queue.store8(7, 0x11);
  queue.storeWords(8, 0x33333333, 0x44444444);
  queue.store32(16, 0x55555555);
  queue.store16(20, 0x6666);
  queue.write(22, Uint8Array.of(7, 8, 9));
  assert.deepEqual(counts(queue.submit()), [0, 0, 1, 4]);
  assert.equal(Buffer.from(contents(region, 7, 18)).toString('hex'), '113333333344444444555555556666070809');
});

test('a load sees the queued write to the same bytes, and the write is issued for it', () => {
  for (const merge of ['none', 'adjacent', 'any'] as const) {
    for (const order of ['strict', 'relaxed'] as const) {
      using region = emulate({ size: 4096 });
      const queue = region.queue({ merge, order });
      const before = new Uint8Array(8);
      const after = new Uint8Array(8);
      queue.storeWords(8, 1, 2);
      queue.load(8, before);
      queue.storeWords(8, 3, 4);
      queue.load(8, after);
      queue.submit();
      assert.deepEqual([...before], [1, 0, 0, 0, 2, 0, 0, 0]);
      assert.deepEqual([...after], [3, 0, 0, 0, 4, 0, 0, 0]);
    }
  }
});
