// drain: on the queue's own thread, in order, to be stopped between two accesses, and with the event loop free.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { type BatchError, emulate, IsmioError, type Queue, type Region } from 'ismio';
import { contents } from './support/bytes.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { patience, scaled } from './support/scale.js';

const millisecond = 1e6;

function fill(queue: Queue, count: number, from = 0): void {
  for (let i = from; i < from + count; i++) assert.ok(queue.storeWords(i * 8, i + 1, 1));
}

/** How many of the words that `fill` stores are there. */
function stored(region: Region, count: number): number {
  const words = new Uint32Array(contents(region, 0, count * 8).slice().buffer);
  return words.filter((word, i) => i % 2 === 0 && word !== 0).length;
}

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
  assert.equal(queue.storeWords(0, 1, 1) && queue.store8(0, 1) && queue.fence() && queue.load(0, new Uint8Array(8)), false);
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
      i % 3 === 0 ? queue.write(i * 8, Uint8Array.of(i, i >> 8, i >> 16, 0, 1, 0, 0, 0)) : queue.storeWords(i * 8, i, 1);
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

test('a signal that is aborted already lets nothing through', async () => {
  const reason = new Error('not wanted');
  for (let i = 0; i < scaled(100); i++) {
    using region = emulate({ size: 4096 });
    const queue = region.queue();
    fill(queue, 64);
    const error = await rejectsCode(queue.drain({ signal: AbortSignal.abort(reason) }), IsmioError, 'ERR_ISMIO_ABORTED');
    assert.equal(error.cause, reason);
    assert.equal(stored(region, 64), 0);
    assert.equal(region.stats().stores, 0);
    queue.submit();
    fill(queue, 1);
    assert.equal((await queue.drain()).stores, 1, 'the queue goes on');
  }
  using region = emulate({ size: 4096 });
  await rejectsCode(region.queue().drain({ signal: AbortSignal.abort() }), IsmioError, 'ERR_ISMIO_ABORTED');
});

for (const merge of ['none', 'any'] as const) {
  test(`an abort stops a drain with merge '${merge}' between two accesses`, async () => {
    using region = emulate({ size: 64 * 1024, cost: { store: 10 * millisecond, storeBlock: 10 * millisecond } });
    const queue = region.queue({ merge, depth: 4096 });
    const count = 200;
    for (let i = 0; i < count; i++) queue.storeWords(i * 64, i + 1, 1);
    const abort = new AbortController();
    const draining = queue.drain({ signal: abort.signal });
    draining.catch(() => undefined);
    await sleep(55);
    const seen = (): number => contents(region).filter((byte, at) => at % 64 === 4 && byte === 1).length;
    const before = seen();
    abort.abort();
    const error = (await rejectsCode(draining, IsmioError, 'ERR_ISMIO_ABORTED')) as unknown as BatchError;
    const after = seen();
    assert.ok(after - before <= 2, `${after - before} accesses after the abort`);
    assert.equal(error.completion.stores, after, 'what is counted is what is there');
    assert.equal(error.operations.length, count - after);
    assert.equal(error.index, after);
    assert.ok(error.operations.every(({ state }) => state === 'skipped'));
    assert.equal((error.cause as Error).name, 'AbortError');
    await sleep(30);
    assert.equal(seen(), after, 'nothing goes on afterwards');
  });
}

test('an abort stops a long read between two accesses', async () => {
  using region = emulate({ size: 64 * 1024, cost: { load: millisecond } });
  const queue = region.queue();
  queue.load(0, new Uint8Array(32 * 1024));
  const abort = new AbortController();
  const draining = queue.drain({ signal: abort.signal });
  setTimeout(() => abort.abort(), 30);
  const began = performance.now();
  const error = (await rejectsCode(draining, IsmioError, 'ERR_ISMIO_ABORTED')) as unknown as BatchError;
  assert.ok(performance.now() - began < patience(1000), 'it takes four seconds in all');
  assert.equal(error.operations[0]?.state, 'partial');
  assert.equal(error.operations[0]?.bytesDone, error.completion.loads * 8);
});

test('an abort stops its own drain and no other', async () => {
  using region = emulate({ size: 4096, cost: { store: millisecond } });
  const queue = region.queue();
  const abort = new AbortController();
  fill(queue, 20);
  const first = queue.drain();
  fill(queue, 20, 20);
  const second = queue.drain({ signal: abort.signal });
  fill(queue, 20, 40);
  const third = queue.drain();
  abort.abort('changed my mind');
  assert.equal((await first).stores, 20);
  const error = await rejectsCode(second, IsmioError, 'ERR_ISMIO_ABORTED', { cause: 'changed my mind' });
  assert.equal((error as unknown as BatchError).completion.stores, 0);
  assert.equal((await third).stores, 20);
});

test('a signal is let go of when the drain has ended, and does nothing any more', async () => {
  using region = emulate({ size: 4096, faults: [{ nth: 3, cc: 1 }] });
  const queue = region.queue();
  const abort = new AbortController();
  fill(queue, 2);
  await queue.drain({ signal: abort.signal });
  fill(queue, 2);
  await rejectsCode(queue.drain({ signal: abort.signal }), IsmioError, 'ERR_ISMIO_DEVICE');
  assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  abort.abort();
  fill(queue, 1);
  assert.equal((await queue.drain()).stores, 1);
});

test('closing a queue with work in flight stops it between two accesses, and says so', async () => {
  using region = emulate({ size: 4096, cost: { store: 5 * millisecond } });
  const queue = region.queue();
  fill(queue, 100);
  const first = queue.drain();
  fill(queue, 100, 100);
  const second = queue.drain();
  fill(queue, 7, 200);
  await sleep(20);
  const began = performance.now();
  assert.equal(queue.close(), 7);
  assert.equal(queue.close(), 0, 'again does nothing');
  const error = await rejectsCode(first, IsmioError, 'ERR_ISMIO_CLOSED');
  await rejectsCode(second, IsmioError, 'ERR_ISMIO_CLOSED');
  assert.ok(performance.now() - began < patience(400));
  assert.equal((error as unknown as BatchError).completion.stores, stored(region, 300));
  assert.equal(region.load32(0), 1, 'the region goes on');
});

test('closing a region with work in flight stops it, and nothing more is stored', async () => {
  const region = emulate({ size: 4096, cost: { store: 5 * millisecond } });
  const queue = region.queue();
  fill(queue, 100);
  const draining = queue.drain();
  await sleep(20);
  region.close();
  const error = (await rejectsCode(draining, IsmioError, 'ERR_ISMIO_CLOSED')) as unknown as BatchError;
  assert.ok(error.completion.stores < 100);
  assert.equal(queue.closed, true);
  throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_CLOSED');
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

test('a closed queue refuses every call', async () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  queue.close();
  const calls: readonly (() => unknown)[] = [
    () => queue.storeWords(0, 1, 1),
    () => queue.store8(0, 1),
    () => queue.store16(0, 1),
    () => queue.store32(0, 1),
    () => queue.store64(0, 1n),
    () => queue.write(0, new Uint8Array(8)),
    () => queue.write(0, new Uint8Array(0)),
    () => queue.load(0, new Uint8Array(8)),
    () => queue.fence(),
    () => queue.submit(),
  ];
  for (const call of calls) throwsCode(call, IsmioError, 'ERR_ISMIO_CLOSED', { region: region.name });
  await rejectsCode(queue.drain(), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('a queue is closed at the end of its block', () => {
  using region = emulate({ size: 4096 });
  let queue: Queue;
  {
    using held = region.queue();
    queue = held;
  }
  assert.equal(queue.closed, true);
});
