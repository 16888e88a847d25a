// queue.storeMany: as if storeWords had been called for each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emulate, IsmioError, type Queue } from 'ismio';
import { contents } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { scaled } from './support/scale.js';

const size = 512;

const anyStores = fc.array(fc.tuple(fc.nat(size / 8 - 1), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), {
  maxLength: 40,
});

function filled(store: (queue: Queue, done: number) => number, total: number, depth: number): Uint8Array {
  using region = emulate({ size });
  const queue = region.queue({ depth, merge: 'adjacent' });
  for (let done = 0; done < total; ) {
    const stored = store(queue, done);
    assert.equal(queue.queued, stored, 'the answer is what was queued');
    done += stored;
    queue.submit();
  }
  return contents(region);
}

test('bigints and pairs of words end where storeWords puts them, in parts when the queue is full', () => {
  fc.assert(
    fc.property(anyStores, fc.integer({ min: 1, max: 20 }), fc.nat(3), (stores, depth, type) => {
      const places = stores.map(([at]) => at * 8);
      const values = BigUint64Array.from(stores, ([, value]) => value);
      const words = Uint32Array.from(
        stores.flatMap(([, value]) => [Number(value & 0xffff_ffffn), Number(value >> 32n)]),
      );
      const offsets = [Float64Array, Uint32Array, Int32Array][type % 3]?.from(places) as Float64Array;
      const one = filled(
        (queue, done) =>
          Number(queue.storeWords(places[done] as number, words[2 * done] as number, words[2 * done + 1] as number)),
        places.length,
        depth,
      );
      const bigints = filled((queue, done) => queue.storeMany(offsets, values, done), places.length, depth);
      const pairs = filled(
        (queue, done) => queue.storeMany(offsets, words, done, places.length - done),
        places.length,
        depth,
      );
      assert.deepEqual(bigints, one);
      assert.deepEqual(pairs, one);
    }),
    { numRuns: scaled(200) },
  );
});

test('a stride stands for its offsets, backwards as well', () => {
  const words = Uint32Array.from({ length: 16 }, (_, at) => at + 1);
  for (const [first, stride] of [
    [0, 8],
    [64, 24],
    [256, -16],
    [8, 0],
  ] as const) {
    const offsets = Float64Array.from({ length: 8 }, (_, at) => first + at * stride);
    const listed = filled((queue, done) => queue.storeMany(offsets, words, done), 8, 3);
    const strided = filled((queue, done) => queue.storeMany({ first, stride }, words, done), 8, 3);
    assert.deepEqual(strided, listed);
  }
});

test('a stride is 8 unless it is given', () => {
  const words = Uint32Array.of(1, 2, 3, 4);
  assert.deepEqual(
    filled((queue) => queue.storeMany({ first: 16 }, words), 2, 4),
    filled((queue) => queue.storeMany(Float64Array.of(16, 24), words), 2, 4),
  );
});

test('an offset that is none is told with its index; those before it are queued', () => {
  for (const [bad, code] of [
    [4, 'ERR_ISMIO_MISALIGNED'],
    [size, 'ERR_ISMIO_OUT_OF_RANGE'],
    [-8, 'ERR_ISMIO_OFFSET'],
    [Number.NaN, 'ERR_ISMIO_OFFSET'],
    [8.5, 'ERR_ISMIO_OFFSET'],
  ] as const) {
    using region = emulate({ size });
    const queue = region.queue();
    const offsets = Float64Array.of(0, 8, bad, 16);
    throwsCode(() => queue.storeMany(offsets, new Uint32Array(8)), RangeError, code, { index: 2 });
    assert.equal(queue.queued, 2);
  }
});

test('of a stride that leaves the region nothing is queued', () => {
  using region = emulate({ size });
  const queue = region.queue();
  const words = new Uint32Array(8);
  throwsCode(() => queue.storeMany({ first: size - 16 }, words), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => queue.storeMany({ first: 16, stride: -8 }, words), RangeError, 'ERR_ISMIO_OFFSET');
  throwsCode(() => queue.storeMany({ first: 4 }, words), RangeError, 'ERR_ISMIO_MISALIGNED');
  throwsCode(() => queue.storeMany({ first: 0, stride: 12 }, words), RangeError, 'ERR_ISMIO_OPTION', { stride: 12 });
  assert.equal(queue.queued, 0);
});

test('arguments of the wrong type, and parts that are not there, are refused', () => {
  using region = emulate({ size });
  const queue = region.queue();
  const offsets = new Float64Array(4);
  const words = new Uint32Array(8);
  throwsCode(() => queue.storeMany([0] as never, words), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => queue.storeMany(new Float32Array(4) as never, words), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => queue.storeMany(offsets, new Float64Array(4) as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => queue.storeMany(offsets, words, 2, 3), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', { available: 4 });
  throwsCode(() => queue.storeMany(offsets, words, -1), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => queue.storeMany({ first: '0' } as never, words), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  assert.equal(queue.storeMany(offsets, words, 4), 0);
  region.close();
  throwsCode(() => queue.storeMany(offsets, words), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('a flush policy submits after as many stores as it says', () => {
  using region = emulate({ size });
  const completions: number[] = [];
  const queue = region.queue({ flush: { ops: 3 }, onFlush: (_, { operations }) => void completions.push(operations) });
  assert.equal(queue.storeMany({ first: 0 }, new Uint32Array(16)), 8);
  assert.deepEqual(completions, [3, 3]);
  assert.equal(queue.queued, 2);
});
