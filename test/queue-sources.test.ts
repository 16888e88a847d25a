// What a queue copies and what it reads in place, and the memory that it copies into.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allocBuffer, emulate } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { scaled } from './support/scale.js';

const modes = (['none', 'adjacent', 'any'] as const).flatMap((merge) =>
  (['strict', 'relaxed'] as const).map((order) => ({ merge, order })),
);

test('an ordinary source is copied when it is queued: a later change is not seen', () => {
  for (const mode of modes) {
    using region = emulate({ size: 4096 });
    const queue = region.queue(mode);
    const source = pattern(64);
    queue.write(3, source);
    source.fill(0);
    queue.submit();
    assert.deepEqual(contents(region, 3, 64), pattern(64));
  }
});

test('allocBuffer memory is read when it is stored: a later change is seen', async () => {
  for (const mode of modes) {
    using region = emulate({ size: 16_384 });
    const queue = region.queue({ ...mode, bytes: 8 });
    const source = allocBuffer(8192);
    for (const view of [source, new Float64Array(source.buffer), new DataView(source.buffer), source.buffer]) {
      source.fill(0);
      queue.write(5, view);
      source.set(pattern(8192));
      queue.submit();
      assert.deepEqual(contents(region, 5, 8192), pattern(8192));
    }
    source.fill(7);
    queue.write(0, source);
    source.fill(8);
    await queue.drain();
    assert.deepEqual(contents(region, 0, 8192), new Uint8Array(8192).fill(8));
  }
});

test('parts of a source are stored from where they start, whichever memory it is', () => {
  for (const source of [pattern(256), allocBuffer(256).fill(0), new Uint8Array(allocBuffer(300).buffer, 17, 256)]) {
    source.set(pattern(256));
    using region = emulate({ size: 4096 });
    const queue = region.queue();
    queue.write(0, source, 100);
    queue.write(1000, source, 7, 50);
    queue.write(2000, source, 256);
    queue.write(3000, source.subarray(10, 20), 2, 5);
    queue.submit();
    assert.deepEqual(contents(region, 0, 156), pattern(256).slice(100));
    assert.deepEqual(contents(region, 1000, 50), pattern(256).slice(7, 57));
    assert.deepEqual(contents(region, 3000, 5), pattern(256).slice(12, 17));
  }
});

test('many sources of allocBuffer memory can be queued at once', () => {
  using region = emulate({ size: 2 ** 20 });
  const queue = region.queue({ bytes: 4096 });
  const sources = Array.from({ length: 200 }, (_, i) => allocBuffer(512).fill(i + 1));
  for (const [i, source] of sources.entries()) {
    if (queue.write(i * 512, source)) continue;
    queue.submit();
    assert.ok(queue.write(i * 512, source));
  }
  queue.submit();
  for (let i = 0; i < 200; i++) assert.deepEqual(contents(region, i * 512, 512), new Uint8Array(512).fill(i + 1));
});

test('each operation may have a buffer of its own, longer than the memory for copies: none is copied', async () => {
  using region = emulate({ size: 2 ** 24 });
  const queue = region.queue({ bytes: 64, depth: 256 });
  for (const end of [() => queue.submit(), () => queue.drain()]) {
    const sources = Array.from({ length: 256 }, (_, i) => allocBuffer(4096).fill(i + 1));
    for (const [i, source] of sources.entries()) assert.ok(queue.write(i * 4096, source), `buffer ${i + 1}`);
    const completion = await end();
    assert.equal(completion.copies, 0);
    for (const i of [0, 62, 63, 64, 255]) assert.equal(region.load8(i * 4096), (i + 1) & 0xff);
    region.write(0, new Uint8Array(2 ** 20));
  }
});

test('a load into allocBuffer memory may be the source of a write behind it', () => {
  for (const mode of modes) {
    using region = emulate({ size: 4096 });
    region.write(0, pattern(64));
    const queue = region.queue(mode);
    const memory = allocBuffer(64);
    queue.load(0, memory);
    queue.write(2048, memory);
    queue.submit();
    assert.deepEqual(contents(region, 2048, 64), pattern(64), JSON.stringify(mode));
  }
});

test('a load into the source of a write before it does not change what is written', () => {
  for (const mode of modes) {
    using region = emulate({ size: 4096 });
    region.write(2048, pattern(64, 2));
    const queue = region.queue(mode);
    const memory = allocBuffer(64);
    memory.set(pattern(64));
    queue.write(0, memory);
    queue.load(2048, memory.subarray(16, 48));
    queue.submit();
    assert.deepEqual(contents(region, 0, 64), pattern(64), JSON.stringify(mode));
    assert.deepEqual(memory.slice(16, 48), pattern(64, 2).slice(0, 32));
  }
});

test('what never fits the memory for copies is refused, with what to do', () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue({ bytes: 64 });
  const values = { length: 65, bytes: 64 };
  const error = throwsCode(() => queue.write(0, new Uint8Array(65)), RangeError, 'ERR_ISMIO_TOO_LONG', values);
  assert.match(error.message, /allocBuffer/);
  throwsCode(() => queue.load(0, new Uint8Array(65)), RangeError, 'ERR_ISMIO_TOO_LONG', values);
  assert.equal(queue.queued, 0);
  assert.ok(queue.write(0, new Uint8Array(64)));
});

test('memory for copies that is used up is a full queue, and not an error', () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue({ bytes: 64 });
  assert.ok(queue.write(0, pattern(40)));
  assert.equal(queue.write(40, pattern(40)), false);
  assert.equal(queue.load(0, new Uint8Array(40)), false);
  assert.ok(queue.storeWords(80, 1, 1), 'a store needs none of it');
  assert.ok(queue.write(96, allocBuffer(100)), 'nor does allocBuffer memory');
  assert.equal(queue.submit().operations, 3);
  assert.ok(queue.write(40, pattern(40)));
});

test('whatever fits the memory for copies fits it again after every submit', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 260 }), sizes, (bytes, lengths) => {
      using region = emulate({ size: 8192 });
      const queue = region.queue({ bytes });
      const model = new Uint8Array(8192);
      let at = 0;
      for (const [i, length] of lengths.entries()) {
        const source = pattern(length, i);
        if (!queue.write(at, source)) {
          queue.submit();
          assert.ok(queue.write(at, source), `${length} of ${bytes} bytes in an empty queue`);
        }
        model.set(source, at);
        at += length;
      }
      queue.submit();
      assert.deepEqual(contents(region), model);
    }),
    { numRuns: scaled(500) },
  );
});

test('a queue of depth 1 takes one operation at a time', async () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue({ depth: 1 });
  for (let i = 0; i < 300; i++) {
    assert.ok(queue.storeWords(i * 8, i, i));
    assert.equal(queue.storeWords(0, 9, 9), false);
    const { operations } = i % 2 === 0 ? queue.submit() : await queue.drain();
    assert.equal(operations, 1);
  }
  for (let i = 0; i < 300; i++) assert.equal(region.load32(i * 8), i);
});

test('a depth that is no power of two is kept exactly', () => {
  using region = emulate({ size: 4096 });
  for (const depth of [1, 2, 3, 5, 100, 1000]) {
    const queue = region.queue({ depth });
    assert.equal(queue.depth, depth);
    let taken = 0;
    while (queue.storeWords(0, 1, 1)) taken++;
    assert.equal(taken, depth);
  }
});

test('resident memory stays flat over many operations', async (t) => {
  using region = emulate({ size: 2 ** 20 });
  const queue = region.queue({ depth: 4096, merge: 'adjacent' });
  const source = pattern(24);
  const round = async (batches: number): Promise<void> => {
    for (let batch = 0; batch < batches; batch++) {
      for (let i = 0; i < 4000; i++) {
        if (i % 50 === 0) queue.write(i * 32, source);
        else queue.storeWords(i * 32, i, batch);
      }
      if (batch % 10 === 0) await queue.drain();
      else queue.submit();
    }
  };
  const batches = scaled(500);
  await round(batches);
  const before = process.memoryUsage.rss();
  await round(batches);
  const growth = process.memoryUsage.rss() - before;
  t.diagnostic(`${growth >> 10} KiB more after ${batches * 4000} operations`);
  assert.ok(growth < 16 * 2 ** 20, `${growth} bytes more`);
});
