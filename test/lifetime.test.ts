// Things that end while they are in use: regions nobody closed, threads and processes in the middle of a drain.
import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { allocBuffer, type BatchError, emulate, IsmioError, mapFile, type Queue, type Region } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { runModule } from './support/child.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';
import { patience, scaled } from './support/scale.js';
import { startWorker } from './support/workers.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** 16 MiB that are stored to emulated regions. */
const allocated = allocBuffer(2 ** 24).fill(1);

/** Collects what nobody holds, and lets the finalizers run. */
async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    collect();
    await turn();
    await sleep(1);
  }
}

test('every method of a closed region says that it is closed', async () => {
  const region = emulate({ size: 4096, name: 'window' });
  region.close();
  region.close();
  assert.equal(region.closed, true);
  const calls: readonly ((r: Region) => unknown)[] = [
    (r) => r.load8(0),
    (r) => r.load16(0),
    (r) => r.load32(0),
    (r) => r.load64(0),
    (r) => r.store8(0, 1),
    (r) => r.store16(0, 1),
    (r) => r.store32(0, 1),
    (r) => r.store64(0, 1n),
    (r) => r.read(0, new Uint8Array(8)),
    (r) => r.read(0, new Uint8Array(0)),
    (r) => r.write(0, new Uint8Array(8)),
    (r) => r.storeBlock(0, new Uint8Array(8)),
    (r) => r.plan(0, 8),
    (r) => r.timeStages(true),
    (r) => r.fence(),
    (r) => r.queue(),
  ];
  for (const call of calls) throwsCode(() => call(region), IsmioError, 'ERR_ISMIO_CLOSED', { region: 'window' });
  assert.equal(region.size, 4096, 'what it was can still be asked');
});

const refusedWrites: Record<string, (queue: Queue, buffer: Uint8Array) => unknown> = {
  'a write past the end': (queue, buffer) => queue.write(4090, buffer),
  'a write of more than there is': (queue, buffer) => queue.write(0, buffer, 60, 8),
  'a write to a full queue': (queue, buffer) => {
    while (queue.fence());
    assert.equal(queue.write(0, buffer), false);
  },
  'many writes past the end': (queue, buffer) => queue.writeMany(Float64Array.of(4090), 8, buffer),
  'no writes at all': (queue, buffer) => queue.writeMany(new Float64Array(0), 8, buffer),
  'a load past the end': (queue, buffer) => queue.load(4090, buffer),
};

for (const [what, refuse] of Object.entries(refusedWrites)) {
  test(`a queue keeps no buffer of what it refused: ${what}`, async () => {
    using region = emulate({ size: 4096 });
    const queue = region.queue({ depth: 4 });
    const buffers = [allocBuffer(64), new Uint8Array(64)].map((buffer) => {
      try {
        refuse(queue, buffer);
      } catch (error) {
        assert.match((error as IsmioError).code, /ERR_ISMIO_OUT_OF_RANGE/);
      }
      return new WeakRef(buffer.buffer);
    });
    await collectGarbage();
    for (const buffer of buffers) assert.equal(buffer.deref(), undefined);
    queue.close();
  });
}

test('a queue that is never idle keeps the buffers of batches in flight only', async () => {
  using region = emulate({ size: 4096, cost: { storeBlock: 20_000 } });
  const queue = region.queue({ depth: 64 });
  const drains: Promise<unknown>[] = [];
  const buffers: WeakRef<ArrayBufferLike>[] = [];
  for (let i = 0; i < 40; i++) {
    const buffer = allocBuffer(64);
    buffers.push(new WeakRef(buffer.buffer));
    queue.write(0, buffer);
    drains.push(queue.drain());
    if (i >= 4) await drains[i - 4];
    assert.ok(queue.inFlight > 0, 'there is always one in flight');
  }
  queue.write(0, allocBuffer(64));
  await collectGarbage();
  const kept = buffers.filter((buffer) => buffer.deref() !== undefined).length;
  assert.ok(kept <= 6, `${kept} of 40 buffers are kept`);
  await queue.drain();
});

test('what was asked of a region can still be asked when it is closed, drains that were on their way included', async () => {
  const region = emulate({ size: 4096, cost: { store: 1e6 } });
  const queue = region.queue();
  region.write(0, new Uint8Array(16));
  for (let i = 0; i < 200; i++) queue.storeWords(i * 8, i, i);
  const draining = queue.drain();
  await sleep(20);
  region.close();
  const atClosing = region.stats();
  const error = await rejectsCode(draining, IsmioError, 'ERR_ISMIO_CLOSED');
  const { completion } = error as unknown as BatchError;
  const stats = region.stats();
  assert.equal(stats.storeBlocks, 1);
  assert.equal(stats.stores, completion.stores, 'also of stores that ended after the region was closed');
  assert.ok(stats.stores > 0 && stats.stores < 200 && atClosing.stores <= stats.stores);
  assert.equal(stats.stages, null);
});

test('times of stages of a closed region stay as they were', () => {
  const region = emulate({ size: 4096, cost: { store: 1e6 } });
  region.timeStages(true);
  region.store64(0, 1n);
  region.close();
  assert.ok((region.stats().stages?.device ?? 0) >= 0.99e6);
});

test('a closed region stays closed, and touches no other, however many are opened after it', () => {
  for (const reopenings of [1, 2, 63, 64, 1023, 4095, 4096, scaled(70_000)]) {
    const closed = emulate({ size: 4096, name: 'closed' });
    const queue = closed.queue();
    closed.close();
    for (let i = 0; i < reopenings; i++) emulate({ size: 4096 }).close();
    using other = emulate({ size: 4096, name: 'other' });
    for (const use of [
      () => closed.store64(0, 1n),
      () => closed.write(0, new Uint8Array(64).fill(1)),
      () => closed.read(0, new Uint8Array(8)),
      () => closed.fence(),
      () => closed.timeStages(true),
      () => closed.queue(),
      () => queue.storeWords(0, 1, 1),
      () => queue.submit(),
    ]) {
      throwsCode(use, IsmioError, 'ERR_ISMIO_CLOSED', { region: 'closed' });
    }
    assert.deepEqual(contents(other), new Uint8Array(4096), `after ${reopenings}`);
    assert.equal(other.stats().crossings, 1, 'the look at its contents');
  }
});

test('closing a region closes its queues', async () => {
  const region = emulate({ size: 4096 });
  const queue = region.queue();
  queue.storeWords(0, 1, 1);
  region.close();
  assert.equal(queue.closed, true);
  throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_CLOSED');
  await rejectsCode(queue.drain(), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('opening a queue looks at no more than a few of those that are open, on average', (t) => {
  using region = emulate({ size: 4096 });
  const looks = t.mock.method(WeakRef.prototype, 'deref');
  const queues = Array.from({ length: 1000 }, () => region.queue({ depth: 2, bytes: 64 }));
  assert.ok(looks.mock.callCount() < 4 * queues.length, `${looks.mock.callCount()} looks at 1000 queues`);
  for (const queue of queues) queue.close();
});

test('regions that nobody closed go when they are collected: there is always room for more', async (t) => {
  const path = temporaryFile(t, 4096);
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 400; i++) mapFile(path).load8(0);
    await collectGarbage();
  }
});

test('memory of emulated regions that nobody closed is given back', async () => {
  const bytes = new Uint8Array(2 ** 22).fill(1);
  const leave = (): void => emulate({ size: 2 ** 40 }).write(0, bytes);
  leave();
  await collectGarbage();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 30; i++) {
    leave();
    if (i % 5 === 4) await collectGarbage();
  }
  await collectGarbage();
  const growth = process.memoryUsage.rss() - before;
  assert.ok(growth < 64 * 2 ** 20, `${growth} bytes more for 120 MiB that nobody holds`);
});

test('emulated regions that are dropped are collected by themselves, as their memory is told to V8', async () => {
  await collectGarbage();
  const before = process.memoryUsage.rss();
  let most = 0;
  for (let i = 0; i < 60; i++) {
    emulate({ size: 2 ** 30 }).write(0, allocated);
    most = Math.max(most, process.memoryUsage.rss() - before);
    await turn();
  }
  assert.ok(most < 480 * 2 ** 20, `${most} bytes more, of 960 MiB that nobody holds`);
});

test('what a drain stored on its own thread is told to V8 as well', async () => {
  await collectGarbage();
  const before = process.memoryUsage.rss();
  let most = 0;
  for (let i = 0; i < 60; i++) {
    const queue = emulate({ size: 2 ** 30 }).queue({ bytes: 8 });
    queue.write(0, allocated);
    await queue.drain();
    most = Math.max(most, process.memoryUsage.rss() - before);
  }
  assert.ok(most < 480 * 2 ** 20, `${most} bytes more, of 960 MiB that nobody holds`);
});

test('memory of emulated regions that are closed is told to be given back: V8 collects nothing for it', async () => {
  const collections = new PerformanceObserver(() => undefined);
  collections.observe({ entryTypes: ['gc'] });
  for (let i = 0; i < 60; i++) {
    const region = emulate({ size: 2 ** 30 });
    region.write(0, allocated);
    region.queue({ bytes: 8, depth: 16 }); // by now V8 knows of it
    region.close();
  }
  await turn();
  const kinds = collections
    .takeRecords()
    .map((entry) => (entry as unknown as { detail: { kind: number } }).detail.kind);
  collections.disconnect();
  const major = kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MAJOR).length;
  assert.ok(major < 5, `${major} collections for 60 regions of 16 MiB that are closed`);
});

test('queues that nobody closed go when they are collected, and their regions stay', async () => {
  using region = emulate({ size: 4096 });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 50; i++) {
      const queue = region.queue({ depth: 16, bytes: 4096 });
      queue.storeWords(0, i, i);
      await queue.drain();
      queue.storeWords(8, 1, 1);
    }
    await collectGarbage();
  }
  assert.equal(region.load32(0), 49);
  assert.equal(region.load32(8), 0, 'what was not submitted is not stored');
});

test('a drain settles although nobody holds its queue or its region any more', async () => {
  const begin = (): Promise<unknown> => {
    const region = emulate({ size: 4096, cost: { store: 1e6 } });
    const queue = region.queue();
    for (let i = 0; i < 30; i++) queue.storeWords(i * 8, i, i);
    return queue.drain();
  };
  const draining = begin();
  await collectGarbage();
  assert.equal(((await draining) as { stores: number }).stores, 30);
});

test('a queue keeps its region', async () => {
  const queue = ((): Queue => emulate({ size: 4096 }).queue())();
  await collectGarbage();
  queue.storeWords(0, 1, 1);
  assert.equal(queue.submit().stores, 1);
  assert.equal(queue.region.load32(0), 1);
});

test('allocBuffer memory that only a queue uses stays until it is stored', async () => {
  const { allocBuffer } = await import('ismio');
  using region = emulate({ size: 2 ** 20 });
  const queue = region.queue();
  for (let i = 0; i < 20; i++) queue.write(i * 4096, allocBuffer(4096).fill(i + 1));
  await collectGarbage();
  queue.submit();
  for (let i = 0; i < 20; i++) assert.deepEqual(contents(region, i * 4096, 4096), new Uint8Array(4096).fill(i + 1));
});

test('a thread that is terminated during a drain ends at once, and the others go on', async () => {
  using region = emulate({ size: 4096 });
  for (let i = 0; i < 3; i++) {
    const worker = startWorker({ name: 'drainFor', accesses: 10_000, nanoseconds: 5e6 });
    await worker.said;
    await sleep(20);
    const began = performance.now();
    await worker.terminate();
    assert.ok(performance.now() - began < patience(1000), 'it would have taken 50 seconds');
    region.write(0, pattern(4096, i));
    assert.deepEqual(contents(region), pattern(4096, i));
  }
});

for (const how of ['a submit', 'a submit that loads', 'write', 'read'] as const) {
  test(`a thread that is terminated in the middle of ${how} of its own ends within some accesses`, async () => {
    const worker = startWorker({ name: 'issueFor', how, accesses: 4096, nanoseconds: 2e6 });
    await worker.said;
    await sleep(100);
    const began = performance.now();
    await worker.terminate();
    assert.ok(performance.now() - began < patience(2000), 'it would have taken 8 seconds');
  });
}

// From its termination on a thread runs no JavaScript, but the native code that it is in goes on to its end.
for (const [what, step] of Object.entries({
  'opens regions': "emulate({ size: 8, name: 'a'.repeat(200) }).close()",
  'loads the addon': 'process.dlopen({ exports: {} }, addon)',
})) {
  test(`a thread that is terminated while it ${what} leaves the process alone`, async () => {
    const child = await runModule(`
      import { once } from 'node:events';
      import { setTimeout as sleep } from 'node:timers/promises';
      import { Worker } from 'node:worker_threads';
      import { info } from 'ismio';
      const source = \`
        Promise.all([import('node:worker_threads'), import('ismio')]).then(([threads, { emulate }]) => {
          const { parentPort, workerData: addon } = threads;
          parentPort.postMessage('begun');
          for (;;) ${step};
        });\`;
      for (let i = 0; i < ${scaled(30)}; i++) {
        const worker = new Worker(source, { eval: true, workerData: info().binary });
        await once(worker, 'message');
        await sleep(i % 5);
        await worker.terminate();
      }
      console.log('alive');
    `);
    assert.deepEqual([child.code, child.stdout, child.stderr], [0, 'alive\n', '']);
  });
}

test('a thread that ends with regions and queues open leaves nothing behind', async () => {
  for (let i = 0; i < scaled(5); i++) {
    const worker = startWorker({ name: 'leave' });
    await worker.said;
    await worker.ended;
  }
});

test('process.exit in the middle of a drain ends at once with its own code', async () => {
  const child = await runModule(`
    import { emulate, allocBuffer } from 'ismio';
    const region = emulate({ size: 2 ** 30, cost: { store: 5e6, storeBlock: 5e6 } });
    for (const merge of ['none', 'any']) {
      const queue = region.queue({ depth: 20_000, merge });
      for (let i = 0; i < 10_000; i++) queue.storeWords(i * 64, i, i);
      queue.drain().then(() => process.exit(1));
    }
    setTimeout(() => { console.log(region.stats().errors); process.exit(7); }, 50);
  `);
  assert.deepEqual([child.code, child.signal, child.stdout, child.stderr], [7, null, '0\n', '']);
  assert.ok(child.milliseconds < patience(3000), `${child.milliseconds} ms, where the drains take 100 seconds`);
});

test('an exception that nobody catches in the middle of a drain ends the process as ever', async () => {
  const child = await runModule(`
    import { emulate } from 'ismio';
    const queue = emulate({ size: 4096, cost: { store: 5e6 } }).queue();
    for (let i = 0; i < 500; i++) queue.storeWords(0, i, i);
    queue.drain();
    setTimeout(() => { throw new Error('on purpose'); }, 20);
  `);
  assert.deepEqual([child.code, child.signal], [1, null]);
  assert.match(child.stderr, /on purpose/);
});

test('a drain in flight keeps the process alive, and an idle queue does not', async () => {
  const child = await runModule(`
    import { emulate } from 'ismio';
    const region = emulate({ size: 4096, cost: { store: 1e6 } });
    const queue = region.queue();
    region.queue({ flush: { turn: true } });
    for (let i = 0; i < 50; i++) queue.storeWords(0, i, i);
    queue.drain().then(({ stores }) => console.log(stores));
  `);
  assert.deepEqual([child.code, child.stdout, child.stderr], [0, '50\n', '']);
});

test('a drain that fails with nobody to catch it is an unhandled rejection, with its code', async () => {
  const child = await runModule(`
    import { emulate } from 'ismio';
    const queue = emulate({ size: 4096, faults: [{ cc: 1 }] }).queue();
    queue.storeWords(0, 1, 1);
    queue.drain();
  `);
  assert.equal(child.code, 1);
  assert.match(child.stderr, /ERR_ISMIO_DEVICE/);
});
