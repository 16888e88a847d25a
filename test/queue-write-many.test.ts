// queue.writeMany: as if write had been called for each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allocBuffer, emulate, IsmioError, type Queue } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { scaled } from './support/scale.js';

const size = 512;

const anyWrites = fc.array(
  fc.nat(64).chain((length) => fc.tuple(fc.nat(size - length), fc.constant(length))),
  { maxLength: 40 },
);

function filled(write: (queue: Queue, done: number) => number, total: number, depth: number): Uint8Array {
  using region = emulate({ size });
  const queue = region.queue({ depth, merge: 'adjacent' });
  for (let done = 0; done < total; ) {
    const queued = write(queue, done);
    assert.equal(queue.queued, queued, 'the answer is what was queued');
    assert.ok(queued > 0);
    done += queued;
    queue.submit();
  }
  return contents(region);
}

test('writes from every kind of memory end where write puts them, in parts when the queue is full', () => {
  fc.assert(
    fc.property(anyWrites, fc.integer({ min: 1, max: 20 }), fc.nat(2), fc.nat(7), (writes, depth, type, start) => {
      const places = writes.map(([place]) => place);
      const starts = [start];
      for (const [, length] of writes) starts.push((starts.at(-1) as number) + length);
      const offsets = [Float64Array, Uint32Array, Int32Array][type]?.from(places) as Float64Array;
      const lengths = [Uint16Array, Uint32Array][type % 2]?.from(writes.map(([, length]) => length)) as Uint16Array;
      const copied = pattern(starts.at(-1) as number);
      const inPlace = allocBuffer(copied.length + 3).subarray(3);
      inPlace.set(copied);
      const one = filled(
        (queue, done) =>
          Number(queue.write(places[done] as number, copied, starts[done] as number, lengths[done] as number)),
        places.length,
        depth,
      );
      for (const source of [copied, inPlace]) {
        const many = filled(
          (queue, done) => queue.writeMany(offsets.subarray(done), lengths.subarray(done), source, starts[done]),
          places.length,
          depth,
        );
        assert.deepEqual(many, one);
      }
    }),
    { numRuns: scaled(300) },
  );
});

test('allocBuffer memory is not copied, other memory is', () => {
  using region = emulate({ size });
  const queue = region.queue();
  const offsets = Float64Array.of(0, 100, 200);
  for (const [source, copies] of [
    [allocBuffer(48), 0],
    [new Uint8Array(48), 3],
  ] as const) {
    assert.equal(queue.writeMany(offsets, 16, source), 3);
    const completion = queue.submit();
    assert.equal(completion.copies, copies);
    assert.equal(completion.bytes, 48);
  }
});

test('one length is that of all, and what is left of the source stays where it is', () => {
  using region = emulate({ size });
  const queue = region.queue();
  const source = allocBuffer(100);
  source.set(pattern(100));
  assert.equal(queue.writeMany(Uint32Array.of(300, 7), 20, source, 5), 2);
  assert.equal(queue.writeMany(Uint32Array.of(400, 8), 0, source), 2);
  assert.equal(queue.submit().bytes, 40);
  assert.deepEqual(contents(region, 300, 20), pattern(100).slice(5, 25));
  assert.deepEqual(contents(region, 7, 20), pattern(100).slice(25, 45));
});

test('an offset that is none, and a source that ends, are told with their index; the writes before are queued', () => {
  for (const source of [allocBuffer(64), new Uint8Array(64)]) {
    for (const [offsets, code] of [
      [[0, 8, size - 7, 16], 'ERR_ISMIO_OUT_OF_RANGE'],
      [[0, 8, -8, 16], 'ERR_ISMIO_OFFSET'],
      [[0, 8, Number.NaN, 16], 'ERR_ISMIO_OFFSET'],
      [[0, 8, 0.5, 16], 'ERR_ISMIO_OFFSET'],
    ] as const) {
      using region = emulate({ size });
      const queue = region.queue();
      const many = () => queue.writeMany(Float64Array.from(offsets), 8, source);
      throwsCode(many, RangeError, code, { index: 2 });
      assert.equal(queue.queued, 2);
    }
    using region = emulate({ size });
    const queue = region.queue();
    const offsets = Float64Array.of(0, 8, 16, 24);
    const ends = { index: 3, start: 58, available: 64 };
    throwsCode(
      () => queue.writeMany(offsets, Uint16Array.of(8, 8, 8, 8), source, 34),
      RangeError,
      'ERR_ISMIO_OUT_OF_RANGE',
      ends,
    );
    assert.equal(queue.queued, 3);
  }
});

test('arguments of the wrong type, and parts that are not there, are refused before anything is queued', () => {
  using region = emulate({ size });
  const queue = region.queue();
  const offsets = new Float64Array(4);
  const source = allocBuffer(64);
  for (const [wrong, code] of [
    [() => queue.writeMany([0] as never, 8, source), 'ERR_ISMIO_ARGUMENT_TYPE'],
    [() => queue.writeMany({ first: 0 } as never, 8, source), 'ERR_ISMIO_ARGUMENT_TYPE'],
    [() => queue.writeMany(offsets, '8' as never, source), 'ERR_ISMIO_ARGUMENT_TYPE'],
    [() => queue.writeMany(offsets, new Float64Array(4) as never, source), 'ERR_ISMIO_ARGUMENT_TYPE'],
    [() => queue.writeMany(offsets, 8, 'bytes' as never), 'ERR_ISMIO_ARGUMENT_TYPE'],
    [() => queue.writeMany(offsets, 8, source, '0' as never), 'ERR_ISMIO_ARGUMENT_TYPE'],
  ] as const) {
    throwsCode(wrong, TypeError, code);
  }
  const few = { count: 4, available: 3 };
  throwsCode(() => queue.writeMany(offsets, new Uint16Array(3), source), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', few);
  throwsCode(() => queue.writeMany(offsets, -1, source), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => queue.writeMany(offsets, 1.5, source), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => queue.writeMany(offsets, 8, source, 65), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => queue.writeMany(offsets, 8, source, -1), RangeError, 'ERR_ISMIO_OPTION');
  assert.equal(queue.queued, 0);
  assert.equal(queue.writeMany(new Float64Array(0), 8, source, 64), 0);
  region.close();
  throwsCode(() => queue.writeMany(offsets, 8, source), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('a source that was transferred away is refused, in place or not', () => {
  using region = emulate({ size });
  const queue = region.queue();
  const source = new Uint8Array(64);
  assert.equal(queue.writeMany(Float64Array.of(0), 8, source), 1);
  structuredClone(source.buffer, { transfer: [source.buffer] });
  throwsCode(() => queue.writeMany(Float64Array.of(0), 8, source), TypeError, 'ERR_ISMIO_DETACHED');
});

test('a flush policy submits after as many writes, or bytes, as it says', () => {
  using region = emulate({ size });
  const completions: number[] = [];
  const onFlush = (_: unknown, { operations }: { operations: number }) => void completions.push(operations);
  const queue = region.queue({ flush: { ops: 3 }, onFlush });
  assert.equal(queue.writeMany(new Float64Array(8), 8, allocBuffer(64)), 8);
  assert.deepEqual(completions, [3, 3]);
  assert.equal(queue.queued, 2);
});

test('with room in the ring but none for copies it stops, and goes on after a submit', () => {
  using region = emulate({ size });
  const queue = region.queue({ bytes: 24 });
  const source = pattern(40);
  const offsets = Float64Array.of(0, 8, 16, 24, 32);
  assert.equal(queue.writeMany(offsets, 8, source), 3);
  queue.submit();
  assert.equal(queue.writeMany(offsets.subarray(3), 8, source, 24), 2);
  queue.submit();
  assert.deepEqual(contents(region, 0, 40), source);
});
