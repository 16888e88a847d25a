// What a replay may take, whatever the recording says: time until it can be stopped, and memory.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { emulate, type Region, replay } from 'ismio';
import type { ByteWriter } from '../src/record/bytes.js';
import { limits } from '../src/record/format.js';
import { Loading } from '../src/record/loading.js';
import type { RecordedQueue } from '../src/record/run.js';
import { defineQueue, defineRegion, forged, recorded, say } from './support/recordings.js';

const withoutPayload = { version: '0', started: '2026-01-01T00:00:00.000Z', payload: false };
const mebibyte = 2 ** 20;

/** A recording without payload: few bytes that stand for much work. */
function terse(t: TestContext, control: (control: ByteWriter) => void, operations: number, batches = 0): string {
  return forged(t, [{ control, operations, batches }], { metadata: withoutPayload });
}

/** 65,536 operations of 1 MiB, one after the other at the same place. */
const endless: Readonly<Record<string, (c: ByteWriter) => void>> = {
  'direct writes': (c) => say(c, 0x14, 0, 0, 65536, 0, 0, 0, mebibyte),
  'writes of one batch': (c) => [
    defineQueue(c, mebibyte),
    say(c, 0x24, 0, 0, 65536, 0, 0, mebibyte),
    say(c, 0x05, 0, 0),
  ],
  'loads of one batch': (c) => [
    defineQueue(c, mebibyte),
    say(c, 0x20, 0, 0, 65536, 0, 0, mebibyte),
    say(c, 0x06, 0, 0),
  ],
};

for (const [what, control] of Object.entries(endless)) {
  for (const verify of [true, false]) {
    test(`a replay is stopped in the middle of a block: ${what}, ${verify ? 'compared' : 'not compared'}`, async (t) => {
      const batches = what.includes('batch') ? 1 : 0;
      const path = terse(t, (c) => [defineRegion(c, mebibyte), control(c)], 65536, batches);
      const signal = AbortSignal.timeout(50);
      await assert.rejects(replay(path, { signal, verify }), { code: 'ERR_ISMIO_ABORTED' });
    });
  }
}

test('a replay that waits for the time of an operation is stopped', async (t) => {
  const hour = 3600e9;
  const path = terse(t, (c) => [defineRegion(c), say(c, 0x11, 0, 0, 1, hour, 0, 8)], 1);
  const signal = AbortSignal.timeout(20);
  await assert.rejects(replay(path, { signal, pace: 'recorded' }), { code: 'ERR_ISMIO_ABORTED' });
});

test('a replay that waits for a batch is stopped', async (t) => {
  const path = terse(
    t,
    (c) => [defineRegion(c), defineQueue(c), say(c, 0x21, 0, 0, 10, 0, 8, 8), say(c, 0x06, 0, 0)],
    10,
    1,
  );
  const slow = ({ size }: { size: number }): Region => emulate({ size, cost: { store: 1e9 } });
  const signal = AbortSignal.timeout(20);
  await assert.rejects(replay(path, { signal, region: slow }), { code: 'ERR_ISMIO_ABORTED' });
});

test('what takes more memory than is allowed is told as that, and is no damage', async (t) => {
  const path = await recorded(t, (region) => region.write(0, new Uint8Array(4 * 4096)), { size: 4 * 4096 });
  await assert.rejects(replay(path, { memory: 3 * 2 * 4096 }), {
    code: 'ERR_ISMIO_TOO_LONG',
    memory: 3 * 2 * 4096,
    message: /Allow more/,
  });
  await replay(path, { memory: 4 * 2 * 4096 });
});

const scattered = (c: ByteWriter): unknown => [
  defineRegion(c, 2 ** 40),
  say(c, 0x11, 0, 0, 100, 0, 8, 2 ** 30, 8), // a page each
];

test('an emulated region holds no more than is allowed, also where nothing is compared', async (t) => {
  const path = terse(t, scattered, 100);
  for (const region of [undefined, ({ size }: { size: number }) => emulate({ size })]) {
    const options = { verify: false, ...(region !== undefined && { region }) };
    await assert.rejects(replay(path, { ...options, memory: 99 * 4096 }), { code: 'ERR_ISMIO_TOO_LONG' });
    await replay(path, { ...options, memory: 100 * 4096 });
  }
});

test('a region of the caller may hold what it can, where nothing is compared', async (t) => {
  using region = emulate({ size: 2 ** 40 });
  await replay(terse(t, scattered, 100), { verify: false, memory: 2 ** 13, region });
  assert.equal(region.stats().stores, 100);
});

test('what was allowed to a region is free again when it has been closed', async (t) => {
  const path = terse(
    t,
    (c) => {
      for (let round = 0; round < 3; round++) {
        defineRegion(c, mebibyte);
        say(c, 0x14, 0, 0, 1, 0, 0, 65536);
        defineQueue(c, 1024);
        say(c, 0x20, 0, 0, 1, 0, 8);
        say(c, 0x06, 0, 0);
        say(c, 0x07, 0, 0);
        say(c, 0x04, 0);
        say(c, 0x02, 0);
      }
    },
    6,
    3,
  );
  const { regions } = await replay(path, { memory: 2 * 65536 + 1024 * 32 + mebibyte });
  assert.equal(regions.length, 3);
});

test('queues together have rings of no more than is allowed', async (t) => {
  const path = terse(
    t,
    (c) => {
      defineRegion(c);
      for (let queue = 0; queue < 10; queue++) {
        say(c, 0x03, queue, 0, 1000, 0, 0);
        say(c, 0x25, 0, queue, 1);
        say(c, 0x05, queue, 0);
      }
    },
    10,
    10,
  );
  const ring = 1024 * 32;
  await assert.rejects(replay(path, { memory: 10 * ring - 1 }), { code: 'ERR_ISMIO_TOO_LONG', message: /queues/ });
  await replay(path, { memory: 10 * ring });
});

test('no more batches wait for what they loaded than can be in flight', () => {
  const queue = {} as RecordedQueue;
  const loading = new Loading();
  const handOver = (batch: number): void => {
    loading.waiting = 8;
    loading.handedOver(batch, queue);
  };
  for (let batch = 0; batch < limits.loading; batch++) handOver(batch);
  loading.answer(0, 0, new Uint8Array(8));
  handOver(limits.loading);
  assert.throws(() => handOver(limits.loading + 1), /more than 1048576 batches with loads/);
});

test('any number of places may be contested', async (t) => {
  const places = 130_000;
  const path = await recorded(
    t,
    async (region) => {
      const queues = [0, 1].map(() => region.queue({ depth: 2 ** 18 }));
      for (const queue of queues) for (let at = 0; at < places; at++) queue.storeWords(at * 16, at, 0);
      await Promise.all(queues.map((queue) => queue.drain()));
    },
    { size: 2 ** 22, payload: false },
  );
  const { regions } = await replay(path);
  assert.equal(regions[0]?.verified?.bytes, 0);
  assert.ok((regions[0]?.verified?.uncertain ?? 0) >= places * 8);
});

test('direct accesses while a large batch is in flight take no longer for its size', async (t) => {
  const timeOf = async (accesses: number): Promise<number> => {
    const path = await recorded(
      t,
      async (region) => {
        const queue = region.queue({ depth: 2 ** 16 });
        for (let at = 0; at < 40_000; at++) queue.storeWords(at * 16, at, 0);
        const drained = queue.drain();
        for (let access = 0; access < accesses; access++) {
          region.load32(mebibyte);
          region.store32(mebibyte, access);
        }
        await drained;
      },
      { size: 2 ** 21, payload: false },
    );
    return (await replay(path)).seconds;
  };
  await timeOf(1);
  const alone = await timeOf(1);
  const among = await timeOf(300);
  assert.ok(among < 10 * alone, `${among} s with 600 direct accesses, ${alone} s with two`);
});

test('what a direct access has in common with a batch in flight is not certain, and nothing else', async (t) => {
  const path = await recorded(t, async (region) => {
    const queue = region.queue();
    for (let at = 0; at < 64; at++) queue.storeWords(at * 16, at, 0);
    const drained = queue.drain();
    for (let at = 0; at < 32; at++) region.store32(at * 8 + 4, at);
    await drained;
  });
  const { regions } = await replay(path);
  // 16 of the direct stores are between the queued ones, 16 are to the upper half of one.
  assert.equal(regions[0]?.verified?.bytes, 64 * 8 - 16 * 4 + 16 * 4);
});
