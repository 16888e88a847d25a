// Queues that submit by themselves: when they do, and where the errors of such batches go.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type BatchError, type Completion, emulate, IsmioError, type QueueOptions, type Region } from 'ismio';
import { contents } from './support/bytes.js';
import { throwsCode } from './support/errors.js';

type Told = readonly [error: IsmioError | null, completion: Completion];

function queueThatTells(region: Region, options: QueueOptions) {
  const told: Told[] = [];
  const queue = region.queue({ ...options, onFlush: (error, completion) => told.push([error, completion]) });
  return { queue, told };
}

const failing = { size: 4096, faults: [{ access: 'store', nth: 2, cc: 1 }] } as const;

test('without a policy nothing is submitted until it is asked for', async () => {
  using region = emulate({ size: 4096 });
  for (const flush of [{}, { turn: false }]) {
    const queue = region.queue({ flush });
    for (let i = 0; i < 100; i++) queue.storeWords(0, 1, 1);
    await turn();
    assert.equal(queue.queued, 100);
    assert.equal(region.stats().stores, 0);
  }
});

test('so many operations are submitted at once', () => {
  using region = emulate({ size: 4096 });
  const { queue, told } = queueThatTells(region, { flush: { ops: 3 } });
  for (let i = 0; i < 7; i++) queue.storeWords(i * 8, i, i);
  assert.deepEqual(
    told.map(([error, { operations }]) => [error, operations]),
    [
      [null, 3],
      [null, 3],
    ],
  );
  assert.equal(queue.queued, 1);
  assert.equal(region.stats().stores, 6);
  assert.equal(queue.submit().operations, 1);
  queue.storeWords(0, 1, 1);
  queue.fence();
  assert.equal(queue.queued, 2, 'a submit begins the count anew, and a fence is an operation');
});

test('so many bytes are submitted at once', () => {
  using region = emulate({ size: 4096 });
  const { queue, told } = queueThatTells(region, { flush: { bytes: 100 } });
  queue.write(0, new Uint8Array(60));
  queue.storeWords(64, 1, 1);
  queue.load(0, new Uint8Array(31));
  assert.equal(told.length, 0, '99 bytes');
  queue.store8(100, 1);
  assert.equal(told[0]?.[1].operations, 4);
  queue.write(0, new Uint8Array(1000));
  assert.equal(told.length, 2);
});

test('what was queued in a turn of the event loop is submitted at its end', async () => {
  using region = emulate({ size: 4096 });
  const { queue, told } = queueThatTells(region, { flush: { turn: true } });
  queue.storeWords(0, 1, 1);
  await Promise.resolve();
  queue.storeWords(8, 1, 1);
  assert.equal(told.length, 0);
  await turn();
  await turn();
  assert.equal(told.length, 1);
  assert.equal(told[0]?.[1].operations, 2);
  await turn();
  assert.equal(told.length, 1, 'an empty queue is not submitted');
  queue.storeWords(0, 1, 1);
  await turn();
  await turn();
  assert.equal(told.length, 2);
});

test('policies go together: whichever comes first', async () => {
  using region = emulate({ size: 4096 });
  const { queue, told } = queueThatTells(region, { flush: { ops: 4, bytes: 64, turn: true } });
  for (let i = 0; i < 4; i++) queue.store8(i, 1);
  assert.equal(told.length, 1, 'operations');
  queue.write(0, new Uint8Array(64));
  assert.equal(told.length, 2, 'bytes');
  queue.store8(0, 1);
  await turn();
  await turn();
  assert.deepEqual(
    told.map(([, { operations }]) => operations),
    [4, 1, 1],
  );
});

test('the call that sets off a batch has been taken; the next one throws the error of the batch', () => {
  using region = emulate(failing);
  const queue = region.queue({ flush: { ops: 3 } });
  queue.storeWords(0, 1, 1);
  queue.storeWords(8, 2, 2);
  assert.equal(queue.storeWords(16, 3, 3), true);
  const error = throwsCode(() => queue.storeWords(24, 4, 4), IsmioError, 'ERR_ISMIO_DEVICE', { index: 1 });
  const { operations } = error as unknown as BatchError;
  assert.deepEqual(
    operations.map(({ state }) => state),
    ['failed', 'skipped'],
  );
  assert.equal(queue.queued, 0);
  assert.ok(queue.storeWords(24, 4, 4), 'it is thrown once');
});

const nextCalls = {
  storeWords: (q) => q.storeWords(64, 9, 9),
  store8: (q) => q.store8(64, 9),
  store64: (q) => q.store64(64, 9n),
  write: (q) => q.write(64, new Uint8Array(8)),
  load: (q) => q.load(64, new Uint8Array(8)),
  fence: (q) => q.fence(),
  submit: (q) => q.submit(),
} satisfies Record<string, (queue: ReturnType<Region['queue']>) => unknown>;

for (const [name, call] of Object.entries(nextCalls)) {
  test(`the error of a batch at the end of a turn is thrown by the next call, ${name}, which does nothing else`, async () => {
    using region = emulate(failing);
    const queue = region.queue({ flush: { turn: true } });
    queue.storeWords(0, 1, 1);
    queue.storeWords(8, 2, 2);
    await turn();
    await turn();
    throwsCode(() => call(queue), IsmioError, 'ERR_ISMIO_DEVICE', { index: 1, offset: 8 });
    assert.equal(queue.queued, 0, 'whoever calls again queues it once');
    call(queue);
    queue.submit();
    assert.equal(queue.queued, 0);
  });
}

test('the error of a batch at the end of a turn rejects the next drain', async () => {
  using region = emulate(failing);
  const queue = region.queue({ flush: { turn: true } });
  queue.storeWords(0, 1, 1);
  queue.storeWords(8, 2, 2);
  await turn();
  await turn();
  await assert.rejects(queue.drain(), { code: 'ERR_ISMIO_DEVICE' });
  assert.equal((await queue.drain()).operations, 0);
});

test('onFlush is told of errors, and they are not thrown as well', async () => {
  using region = emulate(failing);
  const { queue, told } = queueThatTells(region, { flush: { ops: 2 } });
  queue.storeWords(0, 1, 1);
  queue.storeWords(8, 2, 2);
  queue.storeWords(16, 3, 3);
  assert.equal(told.length, 1);
  const [error, completion] = told[0] as Told;
  assert.equal(error?.code, 'ERR_ISMIO_DEVICE');
  assert.equal(completion.stores, 1);
  assert.equal(completion, (error as BatchError).completion);
  assert.equal(queue.submit().operations, 1);
});

test('what onFlush throws is thrown by the next call', async () => {
  using region = emulate({ size: 4096 });
  const cause = new Error('from the callback');
  const onFlush = (): never => {
    throw cause;
  };
  const byCount = region.queue({ flush: { ops: 1 }, onFlush });
  assert.ok(byCount.storeWords(0, 1, 1));
  throwsCode(() => byCount.storeWords(0, 9, 9), IsmioError, 'ERR_ISMIO_CALLBACK', { cause });
  const byTurn = region.queue({ flush: { turn: true }, onFlush });
  byTurn.storeWords(8, 2, 2);
  await turn();
  await turn();
  throwsCode(() => byTurn.submit(), IsmioError, 'ERR_ISMIO_CALLBACK', { cause });
  assert.equal(byTurn.submit().operations, 0);
  assert.deepEqual([region.load32(0), region.load32(8)], [1, 2], 'the batches went through');
});

test('onFlush may queue, submit and close', () => {
  using region = emulate({ size: 4096 });
  let calls = 0;
  const queue = region.queue({
    flush: { ops: 2 },
    onFlush: () => {
      calls++;
      if (calls === 1) {
        queue.storeWords(64, 7, 7);
        queue.submit();
        queue.storeWords(72, 8, 8);
        queue.close();
      }
    },
  });
  queue.storeWords(0, 1, 1);
  queue.storeWords(8, 1, 1);
  assert.equal(calls, 1);
  assert.equal(queue.closed, true);
  assert.deepEqual([region.load32(64), region.load32(72)], [7, 0]);
});

test('onFlush may close the region', async () => {
  for (const flush of [{ ops: 1 }, { turn: true }]) {
    const region = emulate({ size: 4096 });
    const queue = region.queue({ flush, onFlush: () => region.close() });
    queue.storeWords(0, 1, 1);
    await turn();
    await turn();
    assert.equal(queue.closed, true);
    throwsCode(() => queue.storeWords(8, 1, 1), IsmioError, 'ERR_ISMIO_CLOSED');
  }
});

test('a batch that is due while others are drained comes after them', async () => {
  using region = emulate({ size: 4096, cost: { store: 200_000 } });
  const { queue, told } = queueThatTells(region, { flush: { ops: 50 } });
  for (let i = 0; i < 20; i++) queue.storeWords(0, 1, 1);
  const draining = queue.drain();
  for (let i = 0; i < 60; i++) queue.storeWords(0, 2, 2);
  assert.equal(told.length, 0);
  assert.equal((await draining).operations, 20);
  await turn();
  assert.equal(told.length, 1);
  assert.equal(told[0]?.[1].operations, 60);
  assert.equal(region.load32(0), 2);
});

test('a queue that is closed before the end of the turn submits nothing', async () => {
  using region = emulate({ size: 4096 });
  const { queue, told } = queueThatTells(region, { flush: { turn: true } });
  queue.storeWords(0, 1, 1);
  assert.equal(queue.close(), 1, 'it says how many operations were dropped');
  await turn();
  await turn();
  assert.equal(told.length, 0);
  assert.deepEqual(contents(region, 0, 8), new Uint8Array(8));
});
