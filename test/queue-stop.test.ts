// Stopping what is in flight: between two accesses, with an error that says how far it was.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BatchError, emulate, IsmioError, type Queue } from 'ismio';
import { rejectsCode, throwsCode } from './support/errors.js';
import { patience, scaled } from './support/scale.js';
import { fill, stored } from './support/words.js';

const millisecond = 1e6;

test('a signal that is aborted already lets nothing through', async () => {
  const reason = new Error('not wanted');
  for (let i = 0; i < scaled(100); i++) {
    using region = emulate({ size: 4096 });
    const queue = region.queue();
    fill(queue, 64);
    const error = await rejectsCode(
      queue.drain({ signal: AbortSignal.abort(reason) }),
      IsmioError,
      'ERR_ISMIO_ABORTED',
    );
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
    const seen = (): number => {
      let words = 0;
      while (words < count && region.load8(words * 64 + 4) === 1) words++;
      return words;
    };
    abort.abort();
    const before = seen();
    const error = (await rejectsCode(draining, IsmioError, 'ERR_ISMIO_ABORTED')) as unknown as BatchError;
    const after = seen();
    assert.ok(after - before <= 1, `${after - before} accesses after the abort, of which one was under way`);
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
