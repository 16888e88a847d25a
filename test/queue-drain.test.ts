// drain: on the queue's own thread, in order, side by side with others, and with the event loop free.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { emulate, IsmioError, type Queue } from 'ismio';
import { contents } from './support/bytes.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { scaled } from './support/scale.js';
import { fill, stored } from './support/words.js';

const millisecond = 1e6;

test('a drain does what a submit does', async () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue({ merge: 'adjacent' });
  fill(queue, 100);
  const target = new Uint8Array(16);
  queue.load(0, target);
  assert.deepEqual(await queue.drain(), {
    operations: 101,
    issued: 3,
    loads: 2,
    stores: 0,
    storeBlocks: 1,
    bytes: 816,
    copies: 101,
    merged: 99,
    retries: 0,
  });
  assert.deepEqual([...target], [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
});

test('the drain of an empty queue resolves at once', async () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  const { operations, issued } = await queue.drain();
  assert.deepEqual({ operations, issued }, { operations: 0, issued: 0 });
});

test('the event loop turns while a drain is at work', async () => {
  using region = emulate({ size: 4096, cost: { store: millisecond } });
  const queue = region.queue();
  fill(queue, 200);
  let turns = 0;
  let done = false;
  const draining = queue.drain().then(() => {
    done = true;
  });
  while (!done) {
    await turn();
    turns++;
  }
  await draining;
  assert.ok(turns > 50, `${turns} turns in 200 ms`);
});

test('drains settle in the order in which they were called, each with its own counts', async () => {
  using region = emulate({ size: 4096, cost: { store: millisecond / 20 } });
  const queue = region.queue();
  const settled: number[] = [];
  const drains = Array.from({ length: 8 }, (_, i) => {
    fill(queue, i + 1, i * 10);
    return queue.drain().then(({ operations, stores }) => {
      assert.deepEqual([operations, stores], [i + 1, i + 1]);
      settled.push(i);
    });
  });
  await Promise.all(drains);
  assert.deepEqual(settled, [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('a drain with nothing new queued waits for those before it', async () => {
  using region = emulate({ size: 4096, cost: { store: millisecond } });
  const queue = region.queue();
  fill(queue, 20);
  const first = queue.drain();
  const second = await queue.drain();
  assert.equal(second.operations, 0);
  assert.equal(stored(region, 20), 20);
  assert.equal((await first).operations, 20);
});

test('a drain that fails does not stop the ones after it', async () => {
  using region = emulate({ size: 4096, faults: [{ access: 'store', nth: 2, cc: 1 }] });
  const queue = region.queue();
  fill(queue, 3);
  const failing = queue.drain();
  fill(queue, 3, 3);
  const going = queue.drain();
  await rejectsCode(failing, IsmioError, 'ERR_ISMIO_DEVICE', { index: 1 });
  assert.equal((await going).stores, 3);
});

test('a submit while a drain is in flight is refused, and takes nothing from the queue', async () => {
  using region = emulate({ size: 4096, cost: { store: millisecond } });
  const queue = region.queue();
  fill(queue, 10);
  const draining = queue.drain();
  fill(queue, 5, 10);
  throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_QUEUE_BUSY');
  assert.equal(queue.queued, 5);
  await draining;
  assert.equal(queue.submit().stores, 5);
});

test('operations in flight take up room', async () => {
  using region = emulate({ size: 4096, cost: { store: 5 * millisecond } });
  const queue = region.queue({ depth: 8 });
  fill(queue, 8);
  assert.equal(queue.storeWords(0, 1, 1), false);
  assert.deepEqual([queue.queued, queue.inFlight], [8, 0]);
  const draining = queue.drain();
  assert.equal(queue.queued, 0);
  assert.ok(queue.inFlight > 0);
  assert.equal(
    queue.storeWords(0, 1, 1) && queue.store8(0, 1) && queue.fence() && queue.load(0, new Uint8Array(8)),
    false,
  );
  await draining;
  assert.deepEqual([queue.queued, queue.inFlight], [queue.queued, 0]);
  queue.submit();
  fill(queue, 8);
  assert.equal(queue.fence(), false);
  assert.equal(queue.write(0, new Uint8Array(8)), false);
});

test('a producer that waits for room loses nothing', async () => {
  using region = emulate({ size: 2 ** 20 });
  const queue = region.queue({ depth: 64, bytes: 512, merge: 'adjacent' });
  const count = scaled(20_000);
  const drains: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    const claim = (): boolean =>
      i % 3 === 0
        ? queue.write(i * 8, Uint8Array.of(i, i >> 8, i >> 16, 0, 1, 0, 0, 0))
        : queue.storeWords(i * 8, i, 1);
    while (!claim()) {
      if (queue.queued > 0) drains.push(queue.drain());
      await turn();
    }
  }
  drains.push(queue.drain());
  await Promise.all(drains);
  const words = new Uint8Array(contents(region, 0, count * 8));
  const view = new DataView(words.buffer);
  for (let i = 0; i < count; i++) {
    assert.equal(view.getUint32(i * 8, true), i);
    assert.equal(view.getUint32(i * 8 + 4, true), 1);
  }
});

test('queues of one region drain side by side, and its counts are exact', async () => {
  using region = emulate({ size: 2 ** 20 });
  const rounds = scaled(200);
  const work = async (queue: Queue, base: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 100; i++) queue.storeWords(base + i * 64, round, i);
      queue.load(base, new Uint8Array(80));
      await queue.drain();
    }
  };
  const queues = [0, 1, 2].map((n) => work(region.queue(), n * 65_536));
  let own = 0;
  const everyOtherTurn = setInterval(() => {
    region.store8(2 ** 20 - 1, own++ & 0xff);
  }, 0);
  await Promise.all(queues);
  clearInterval(everyOtherTurn);
  const { loads, stores, bytes, errors } = region.stats();
  assert.deepEqual(
    { loads, stores, bytes, errors },
    { loads: 3 * rounds * 10, stores: 3 * rounds * 100 + own, bytes: 3 * rounds * 880 + own, errors: 0 },
  );
});
