// 8-byte stores that are queued by the thousand cross as series. Whatever that is, it shows nowhere: here the same stores are
// queued once in ways that make series, and once in one that makes none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BatchError, emulate, type Fault, type Queue, type QueueOptions, type Region } from 'ismio';
import { contents } from './support/bytes.js';
import { listOf, recorded } from './support/recordings.js';
import { scaled } from './support/scale.js';

const size = 16_388; // the last 4 bytes have no room for a word

const places = Math.floor(size / 8);

interface Stores {
  readonly kind: 'stride' | 'pairs' | 'offsets' | 'words';
  readonly first: number;
  readonly stride: number;
  readonly count: number;
}

type Step = Stores | 'submit' | 'drain' | 'fence' | 'write' | 'load';

const stores: fc.Arbitrary<Stores> = fc
  .record({
    kind: fc.constantFrom('stride' as const, 'pairs' as const, 'offsets' as const, 'words' as const, 'words' as const),
    first: fc.nat(places - 1),
    stride: fc.constantFrom(8, 8, 8, 8, 16, 24, 0, -8),
    count: fc.oneof(fc.nat(12), fc.nat(150), fc.nat(1200)),
  })
  .map(({ kind, first, stride, count }) => {
    const room = stride > 0 ? (places - 1 - first) / (stride / 8) : stride < 0 ? first / (-stride / 8) : count;
    return { kind, first: first * 8, stride, count: Math.min(count, Math.floor(room) + 1) };
  });

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: stores },
    { weight: 4, arbitrary: fc.constantFrom<Step[]>('submit', 'drain', 'fence', 'write', 'load') },
  ),
  { maxLength: 12 },
);

const options: fc.Arbitrary<QueueOptions> = fc.record({
  depth: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 60, max: 2000 })),
  merge: fc.constantFrom('none' as const, 'adjacent' as const, 'any' as const),
  order: fc.constantFrom('strict' as const, 'relaxed' as const),
});

/** None for loads: the region is read when all is over. */
const faults: fc.Arbitrary<readonly Fault[]> = fc
  .tuple(fc.constantFrom('store' as const, 'storeBlock' as const), fc.integer({ min: 1, max: 60 }), fc.nat(2))
  .map(([access, nth, how]) => {
    if (how === 0) return [];
    return how === 1 ? [{ access, nth, cc: 1 }] : [{ access, nth, cc: 2, tries: 3 }];
  });

/** Queues some of the stores, from this one on: how many were taken. */
type Way = (queue: Queue, stores: Stores, done: number, value: number) => number;

const wordAt = (value: number, at: number): bigint => BigInt(value + at) * 0x0003_0001_0000_0001n;

const oneByOne: Way = (queue, { first, stride, count }, done, value) => {
  let at = done;
  while (at < count && queue.store64(first + at * stride, wordAt(value, at))) at++;
  return at - done;
};

const asSeries: Way = (queue, { kind, first, stride, count }, done, value) => {
  const values = BigUint64Array.from({ length: count }, (_, at) => wordAt(value, at));
  const pairs = Uint32Array.from([...values].flatMap((each) => [Number(each & 0xffff_ffffn), Number(each >> 32n)]));
  if (kind === 'stride') return queue.storeMany({ first, stride }, values, done);
  if (kind === 'pairs') return queue.storeMany({ first, stride }, pairs, done);
  if (kind === 'offsets') {
    return queue.storeMany(
      Float64Array.from({ length: count }, (_, at) => first + at * stride),
      pairs,
      done,
    );
  }
  let at = done;
  while (at < count) {
    const [low, high] = [pairs[2 * at] as number, pairs[2 * at + 1] as number];
    if (!queue.storeWords(first + at * stride, low, high)) break;
    at++;
  }
  return at - done;
};

/** What became of each batch, and of the region. */
async function outcome(region: Region, given: QueueOptions, all: readonly Step[], way: Way): Promise<unknown[]> {
  const told: unknown[] = [];
  const queue = region.queue(given);
  const ended = async (how: 'submit' | 'drain'): Promise<void> => {
    told.push(queue.queued);
    try {
      told.push(how === 'submit' ? queue.submit() : await queue.drain());
    } catch (error) {
      const { message, completion, operations, index } = error as BatchError & { index: number };
      told.push(message, completion, index, operations);
    }
  };
  const target = new Uint8Array(24);
  for (const [number, step] of all.entries()) {
    switch (step) {
      case 'submit':
      case 'drain':
        await ended(step);
        break;
      case 'fence':
        queue.fence();
        break;
      case 'load':
        queue.load(number * 100, target);
        break;
      case 'write':
        queue.write(number * 40, new Uint8Array(20).fill(number));
        break;
      default:
        for (let done = 0; done < step.count; ) {
          done += way(queue, step, done, number * 1300);
          if (done < step.count) await ended(number % 2 === 0 ? 'submit' : 'drain');
        }
    }
  }
  await ended('drain');
  return [...told, target, region.stats(), contents(region)];
}

test('stores that cross as series come to the same accesses, counts and outcomes as one by one', async () => {
  await fc.assert(
    fc.asyncProperty(steps, options, faults, async (all, given, script) => {
      using joined = emulate({ size, faults: script });
      using single = emulate({ size, faults: script });
      assert.deepEqual(await outcome(joined, given, all, asSeries), await outcome(single, given, all, oneByOne));
    }),
    { numRuns: scaled(150) },
  );
});

test('a recording has each store of a series', async (t) => {
  const lists = [];
  for (const way of [asSeries, oneByOne]) {
    for (const merge of ['none', 'adjacent'] as const) {
      const path = await recorded(
        t,
        async (region) => {
          const queue = region.queue({ merge, depth: 2048 });
          way(queue, { kind: 'words', first: 0, stride: 8, count: 300 }, 0, 1);
          way(queue, { kind: 'stride', first: 1024, stride: 16, count: 100 }, 0, 7);
          queue.fence();
          way(queue, { kind: 'offsets', first: 8, stride: 8, count: 400 }, 0, 9);
          queue.submit();
          way(queue, { kind: 'words', first: 800, stride: 8, count: 200 }, 0, 3);
          await queue.drain();
        },
        { payload: true },
      );
      lists.push((await listOf(path)).filter(({ kind }) => kind !== ('queue' as string)));
    }
  }
  const [joined, joinedMerged, single, singleMerged] = lists;
  assert.ok((joined as unknown[]).length > 1000);
  assert.deepEqual(joined, single);
  assert.deepEqual(joinedMerged, singleMerged);
});

test('a series that is being filled counts as queued, and what is dropped by close', () => {
  using region = emulate({ size });
  const queue = region.queue({ merge: 'adjacent' });
  for (let at = 0; at < 200; at++) {
    assert.ok(queue.storeWords(at * 8, at, 0));
    assert.equal(queue.queued, at + 1);
  }
  assert.equal(queue.close(), 200);
});

test('a series ends where the queue is full, and where the region does', () => {
  using region = emulate({ size });
  const queue = region.queue({ merge: 'adjacent', depth: 100 });
  let taken = 0;
  while (queue.storeWords(taken * 8, taken, 1)) taken++;
  assert.equal(taken, 100);
  assert.equal(queue.submit().operations, 100);
  const long = region.queue({ depth: 4096 });
  for (let at = 0; at < places; at++) assert.ok(long.storeWords(at * 8, at, 2));
  assert.throws(() => long.storeWords(places * 8, 0, 0), { code: 'ERR_ISMIO_OUT_OF_RANGE' });
  assert.equal(long.submit().stores, places);
  assert.equal(region.load32((places - 1) * 8), places - 1);
});

test('an argument that is none is refused in the middle of a series, which goes on behind it', () => {
  using region = emulate({ size });
  const queue = region.queue({ merge: 'adjacent' });
  for (let at = 0; at < 100; at++) queue.storeWords(at * 8, at, 0);
  assert.throws(() => queue.storeWords(800, -1, 0), { code: 'ERR_ISMIO_VALUE' });
  assert.throws(() => queue.storeWords(800, 0, 2 ** 32), { code: 'ERR_ISMIO_VALUE' });
  assert.throws(() => queue.storeWords('800' as never, 0, 0), { code: 'ERR_ISMIO_ARGUMENT_TYPE' });
  for (let at = 100; at < 200; at++) queue.storeWords(at * 8, at, 0);
  assert.equal(queue.submit().operations, 200);
  for (let at = 0; at < 200; at++) assert.equal(region.load64(at * 8), BigInt(at));
});
