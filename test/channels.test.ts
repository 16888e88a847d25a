// What is published on the diagnostics channels: when something began and ended, on which thread; and nothing unless asked.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { test } from 'node:test';
import { allocBuffer, type BatchMessage, emulate, Pool, type Queue, type Region, type ShardMessage } from 'ismio';

const now = (): number => Number(process.hrtime.bigint());

/** What a channel says while `work` runs. */
async function heard<Message>(name: string, work: () => unknown): Promise<Message[]> {
  const messages: Message[] = [];
  const listen = (message: unknown): void => void messages.push(message as Message);
  diagnostics.subscribe(name, listen);
  try {
    await work();
  } finally {
    diagnostics.unsubscribe(name, listen);
  }
  return messages;
}

const batches = (work: () => unknown): Promise<BatchMessage[]> => heard('ismio:batch', work);
const shards = (work: () => unknown): Promise<ShardMessage[]> => heard('ismio:shard', work);

function inOrder(...moments: number[]): void {
  for (const [i, moment] of moments.entries()) assert.ok(moment >= (moments[i - 1] ?? 0), moments.join(' '));
}

function queueOn(region: Region) {
  const queue = region.queue();
  queue.storeWords(0, 1, 2);
  queue.storeWords(8, 1, 2);
  return queue;
}

test('a submitted batch is told with its moments, on the clock of process.hrtime', async () => {
  using region = emulate({ size: 4096, cost: { store: 10_000 } });
  const queue = queueOn(region);
  const before = now();
  const [message, ...more] = await batches(() => queue.submit());
  assert.ok(message !== undefined && more.length === 0);
  inOrder(before, message.handedOver, message.began, message.ended, now());
  assert.ok(message.ended - message.began >= 20_000);
  assert.deepEqual([message.how, message.thread, message.error], ['submit', 'main', null]);
  assert.deepEqual([message.completion.operations, message.completion.bytes], [2, 16]);
  assert.ok(message.region === region && message.queue === queue);
});

test('a drained batch is told with the thread of its queue, before its promise settles', async () => {
  using region = emulate({ size: 4096 });
  const [one, other] = [queueOn(region), queueOn(region)];
  const order: string[] = [];
  const messages = await batches(async () => {
    const tell = (message: unknown): void => void order.push((message as BatchMessage).how);
    diagnostics.subscribe('ismio:batch', tell);
    await one.drain().then(() => order.push('settled'));
    diagnostics.unsubscribe('ismio:batch', tell);
    await other.drain();
  });
  assert.deepEqual(order, ['drain', 'settled']);
  const threads = messages.map(({ thread }) => thread);
  assert.match(threads[0] as string, /^main drain \d+$/);
  assert.notEqual(threads[0], threads[1]);
  for (const { handedOver, began, ended } of messages) inOrder(handedOver, began, ended);
});

test('a batch that fails is told with its error and what it did', async () => {
  using region = emulate({ size: 4096, faults: [{ access: 'store', nth: 2, cc: 1 }] });
  const queue = queueOn(region);
  const [message] = await batches(() => assert.throws(() => queue.submit()));
  assert.equal((message?.error as { code?: string } | undefined)?.code, 'ERR_ISMIO_DEVICE');
  assert.equal(message?.completion.stores, 1);
});

test('who comes later hears of later batches only; who has gone, of none', async () => {
  using region = emulate({ size: 4096 });
  queueOn(region).submit();
  const messages = await batches(() => queueOn(region).submit());
  queueOn(region).submit();
  assert.equal(messages.length, 1);
});

test('a batch in flight that nobody observed when it was handed over is not told', async () => {
  using region = emulate({ size: 4096 });
  const drained = queueOn(region).drain();
  assert.deepEqual(await batches(() => drained), []);
});

test('shards of a pool are told with the worker that did them', async () => {
  const pool = new Pool({ threads: 2, shardBytes: 4096 });
  using region = emulate({ size: 65536 });
  const source = allocBuffer(16384);
  const before = now();
  const messages = await shards(() => pool.write(region, 0, source));
  assert.deepEqual(
    messages.map(({ offset }) => offset).sort((a, b) => a - b),
    [0, 4096, 8192, 12288],
  );
  for (const message of messages) {
    assert.deepEqual([message.kind, message.length, message.failed], ['write', 4096, false]);
    assert.match(message.thread, /^worker \d+$/);
    inOrder(before, message.handedOver, message.began, message.ended, now());
  }
  const copied = await shards(() => pool.copy(region, 0, region, 32768, 4096));
  assert.deepEqual(
    copied.map(({ kind, offset }) => [kind, offset]),
    [['copy', 32768]],
  );
  assert.deepEqual(await batches(() => pool.read(region, 0, source)), []);
  await pool.close();
});

test('a shard that fails is told as such', async () => {
  const pool = new Pool({ threads: 1 });
  using region = emulate({ size: 4096, faults: [{ cc: 1 }] });
  const messages = await shards(() => assert.rejects(pool.write(region, 0, new Uint8Array(64))));
  assert.deepEqual(
    messages.map(({ failed }) => failed),
    [true],
  );
  await pool.close();
});

/** Runs `act` once, from within the next message of 'ismio:batch', while `work` runs. */
async function within(act: (message: BatchMessage) => unknown, work: () => unknown): Promise<void> {
  let told = false;
  const listen = (message: unknown): void => {
    if (told) return;
    told = true;
    act(message as BatchMessage);
  };
  diagnostics.subscribe('ismio:batch', listen);
  try {
    await work();
  } finally {
    diagnostics.unsubscribe('ismio:batch', listen);
  }
  assert.ok(told);
}

const endings: Record<string, (queue: Queue) => unknown> = {
  submit: (queue) => queue.submit(),
  drain: (queue) => queue.drain(),
};

for (const [how, end] of Object.entries(endings)) {
  test(`whoever hears of a batch, by ${how}, may queue on the same queue: its bytes are kept`, async () => {
    using region = emulate({ size: 2 ** 16 });
    const queue = region.queue({ bytes: 64 });
    queue.write(0, new Uint8Array(8).fill(0x11));
    await within(
      ({ queue: its }) => assert.ok(its.write(4096, new Uint8Array(48).fill(0xaa))),
      () => end(queue),
    );
    assert.equal(queue.queued, 1);
    assert.equal(queue.write(8192, new Uint8Array(64).fill(0xbb)), false, 'the copies are not free yet');
    await end(queue);
    const back = new Uint8Array(48);
    region.read(4096, back);
    assert.deepEqual(back, new Uint8Array(48).fill(0xaa));
  });

  test(`whoever hears of a batch, by ${how}, may submit, drain or abort; the caller has its own completion`, async () => {
    for (const act of [
      (queue: Queue) => queue.fence() && queue.submit(),
      (queue: Queue) => queue.fence() && void queue.drain(),
    ]) {
      using region = emulate({ size: 4096 });
      const queue = queueOn(region);
      let completion: unknown;
      await within(
        ({ queue: its }) => act(its),
        async () => {
          completion = await end(queue);
        },
      );
      assert.equal((completion as { operations: number }).operations, 2);
      await queue.drain();
      assert.equal(queue.queued + queue.inFlight, 0);
    }
  });

  test(`whoever hears of a batch, by ${how}, may close the queue or the region`, async () => {
    for (const close of [({ queue }: BatchMessage) => queue.close(), ({ region }: BatchMessage) => region.close()]) {
      using region = emulate({ size: 4096 });
      const queue = queueOn(region);
      let completion: unknown;
      await within(close, async () => {
        completion = await end(queue);
      });
      assert.equal((completion as { operations: number }).operations, 2);
      assert.equal(queue.closed, true);
    }
  });

  test(`what a subscriber throws, by ${how}, leaves the queue as it is`, async () => {
    using region = emulate({ size: 4096 });
    const queue = queueOn(region);
    const uncaught = new Promise<unknown>((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
    const cause = new Error('from the subscriber');
    await within(
      () => {
        throw cause;
      },
      () => end(queue),
    );
    assert.equal(await uncaught, cause);
    process.setUncaughtExceptionCaptureCallback(null);
    assert.equal(queue.queued + queue.inFlight, 0);
    queue.write(0, new Uint8Array(8));
    assert.equal(((await end(queue)) as { operations: number }).operations, 1);
  });
}

test('of a batch that fails and is heard of, the error is its own, whatever is done from within', async () => {
  using region = emulate({ size: 4096, faults: [{ access: 'store', nth: 1, cc: 3 }] });
  const queue = queueOn(region);
  await within(
    ({ queue: its, error }) => {
      assert.equal((error as { code?: string } | null)?.code, 'ERR_ISMIO_INVALID_HANDLE');
      its.fence();
      its.submit();
    },
    () => assert.throws(() => queue.submit(), { code: 'ERR_ISMIO_INVALID_HANDLE', index: 0 }),
  );
});
