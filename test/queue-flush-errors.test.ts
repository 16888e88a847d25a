// Errors of automatic flushes: each is told once, to whoever asks first, and nobody has to be there when it comes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type BatchError, emulate, type Fault, IsmioError, type Queue, type Region } from 'ismio';
import { runModule } from './support/child.js';
import { rejectsCode, throwsCode } from './support/errors.js';

const everyStore: readonly Fault[] = [{ access: 'store', cc: 1 }];
const failingAt = (nth: number): readonly Fault[] => [{ access: 'store', nth, cc: 1 }];

/** A queue that holds the error of one store. */
async function queueThatHolds(region: Region): Promise<Queue> {
  const queue = region.queue({ flush: { turn: true } });
  queue.storeWords(0, 1, 1);
  await turn();
  await turn();
  assert.equal(queue.queued, 0);
  return queue;
}

test('close throws the error that nobody has been told, when the queue is closed', async () => {
  using region = emulate({ size: 4096, faults: everyStore });
  const queue = await queueThatHolds(region);
  throwsCode(() => queue.close(), IsmioError, 'ERR_ISMIO_DEVICE', { offset: 0 });
  assert.equal(queue.closed, true);
  assert.equal(queue.close(), 0, 'it is thrown once');
  assert.equal(await queue.flushed, undefined);
});

test('the end of a using block throws it as well', async () => {
  using region = emulate({ size: 4096, faults: everyStore });
  const queue = await queueThatHolds(region);
  throwsCode(() => queue[Symbol.dispose](), IsmioError, 'ERR_ISMIO_DEVICE');
  assert.equal(queue.closed, true);
});

test('region.close closes every queue, then throws the first error and says how many there are besides', async () => {
  for (const close of [(region: Region) => region.close(), (region: Region) => region[Symbol.dispose]()]) {
    const region = emulate({ size: 4096, faults: everyStore });
    const queues = [await queueThatHolds(region), await queueThatHolds(region), region.queue()];
    queues[2]?.fence();
    throwsCode(() => close(region), IsmioError, 'ERR_ISMIO_DEVICE', { laterErrors: 1, dropped: 1 });
    assert.equal(region.closed, true);
    assert.ok(queues.every((queue) => queue.closed));
    close(region);
  }
});

test('errors that come while one is held are counted', async () => {
  using region = emulate({ size: 4096 });
  let flushes = 0;
  const queue: Queue = region.queue({
    flush: { turn: true },
    onFlush: () => {
      if (++flushes === 1) queue.fence(); // before there is an error, which it would throw
      throw new Error(`flush ${flushes}`);
    },
  });
  queue.fence();
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(flushes, 2);
  const error = throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_CALLBACK', { laterErrors: 1 });
  assert.match(String(error.cause), /flush 1/);
  queue.fence();
  const [{ message }] = [await rejectsCode(queue.flushed, IsmioError, 'ERR_ISMIO_CALLBACK')];
  assert.match(message, /onFlush/);
  assert.equal(queue.close(), 0);
});

test('flushed resolves when the end of the turn has submitted, and at once where nothing is due', async () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue({ flush: { turn: true, ops: 10 } });
  await queue.flushed;
  queue.storeWords(0, 1, 1);
  const { flushed } = queue;
  assert.equal(queue.flushed, flushed, 'it is one promise until it settles');
  await flushed;
  assert.equal(queue.queued, 0);
  assert.equal(region.load32(0), 1);
  await region.queue().flushed;
});

test('flushed rejects with the error of the flush it waits for, which nobody else is told then', async () => {
  using region = emulate({ size: 4096, faults: failingAt(1) });
  const queue = region.queue({ flush: { turn: true } });
  queue.storeWords(0, 1, 1);
  const error = await rejectsCode(queue.flushed, IsmioError, 'ERR_ISMIO_DEVICE', { offset: 0 });
  assert.equal((error as unknown as BatchError).operations.length, 1);
  await queue.flushed;
  assert.ok(queue.storeWords(0, 2, 2));
  assert.equal(queue.submit().operations, 1);
  assert.equal(queue.close(), 0);
});

test('flushed rejects with an error that came before it was asked for', async () => {
  using region = emulate({ size: 4096, faults: failingAt(1) });
  const queue = await queueThatHolds(region);
  await rejectsCode(queue.flushed, IsmioError, 'ERR_ISMIO_DEVICE');
  await queue.flushed;
  assert.equal(queue.submit().operations, 0);
});

test('an error that nobody asks for rejects nothing', async () => {
  const rejections: unknown[] = [];
  const listen = (reason: unknown): void => void rejections.push(reason);
  process.on('unhandledRejection', listen);
  const region = emulate({ size: 4096, faults: everyStore });
  await queueThatHolds(region);
  await turn();
  process.off('unhandledRejection', listen);
  assert.deepEqual(rejections, []);
  assert.throws(() => region.close());
});

test('flushed waits for a flush that waits for drains', async () => {
  using region = emulate({ size: 4096, cost: { store: 100_000 } });
  const queue = region.queue({ flush: { ops: 4 } });
  for (let i = 0; i < 3; i++) queue.storeWords(0, 1, 1);
  const drained = queue.drain();
  for (let i = 0; i < 4; i++) queue.storeWords(8, 7, 7);
  assert.equal(queue.queued, 4);
  await queue.flushed;
  assert.equal(queue.queued, 0);
  assert.equal(region.load32(8), 7);
  await drained;
});

test('flushed of a queue that is closed first says that it was, and how much was dropped', async () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue({ flush: { turn: true } });
  queue.storeWords(0, 1, 1);
  const { flushed } = queue;
  assert.equal(queue.close(), 1);
  await rejectsCode(flushed, IsmioError, 'ERR_ISMIO_CLOSED', { dropped: 1 });
  const idle = region.queue({ flush: { turn: true } });
  idle.storeWords(0, 1, 1);
  const ended = idle.flushed;
  idle.submit();
  assert.equal(idle.close(), 0);
  await ended;
});

test('storeMany and writeMany stop behind the operation that set off a flush which failed', () => {
  const offsets = Float64Array.from({ length: 12 }, (_, i) => i * 64);
  const bulk: Record<string, (queue: Queue, done: number) => number> = {
    storeMany: (queue, done) => queue.storeMany(offsets, new BigUint64Array(12), done),
    writeMany: (queue, done) => queue.writeMany(offsets.subarray(done), 16, new Uint8Array(192)),
    'storeMany of a stride': (queue, done) => queue.storeMany({ first: 0, stride: 64 }, new Uint32Array(24), done),
  };
  for (const [name, many] of Object.entries(bulk)) {
    using region = emulate({ size: 4096, faults: [{ nth: 6, cc: 1 }] });
    const queue = region.queue({ flush: { ops: 4 } });
    assert.equal(many(queue, 0), 8, name);
    throwsCode(() => many(queue, 8), IsmioError, 'ERR_ISMIO_DEVICE', { index: 1 });
    assert.equal(queue.queued, 0, 'whoever calls again queues it once');
    assert.equal(many(queue, 8), 4);
    assert.equal(queue.close(), 0);
  }
});

test('a callback that closes the queue in the middle of a bulk call does not undo what was taken', () => {
  for (const many of [
    (queue: Queue) => queue.storeMany({ first: 0 }, new Uint32Array(16)),
    (queue: Queue) => queue.writeMany(new Float64Array(8), 8, new Uint8Array(64)),
  ]) {
    using region = emulate({ size: 4096 });
    const queue: Queue = region.queue({ flush: { ops: 3 }, onFlush: () => queue.close() });
    assert.equal(many(queue), 3);
    throwsCode(() => many(queue), IsmioError, 'ERR_ISMIO_CLOSED');
  }
});

test('arrays that a callback takes away end a bulk call where it was', () => {
  using region = emulate({ size: 4096 });
  const values = new BigUint64Array(8).fill(7n);
  const lengths = new Uint16Array(8).fill(8);
  const take = () => structuredClone([values, lengths], { transfer: [values.buffer, lengths.buffer] });
  const queue = region.queue({ flush: { ops: 2 }, onFlush: take });
  assert.equal(queue.storeMany({ first: 0 }, values), 2);
  throwsCode(() => queue.storeMany({ first: 0 }, values), TypeError, 'ERR_ISMIO_DETACHED');
  const few = new Uint16Array(8).fill(8);
  const other = region.queue({
    flush: { ops: 2 },
    onFlush: () => structuredClone(few, { transfer: [few.buffer] }),
  });
  assert.equal(other.writeMany(new Float64Array(8), few, new Uint8Array(64)), 2);
});

test('what a using block drops is told by a warning, what close drops by its answer', async () => {
  const warnings: (Error & { code?: string })[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on('warning', listen);
  const queued = (region: Region): Queue => {
    const queue = region.queue();
    queue.storeWords(0, 1, 1);
    queue.fence();
    return queue;
  };
  const region = emulate({ size: 64, name: 'window' });
  queued(region)[Symbol.dispose]();
  assert.equal(queued(region).close(), 2);
  queued(region);
  queued(region);
  assert.equal(region.close(), 4);
  const other = emulate({ size: 64, name: 'other' });
  queued(other);
  other[Symbol.dispose]();
  emulate({ size: 64 })[Symbol.dispose]();
  await turn();
  process.off('warning', listen);
  assert.deepEqual(
    warnings.map(({ code, message }) => [code, message.match(/^\d+/)?.[0], /window|other/.exec(message)?.[0]]),
    [
      ['ISMIO_DROPPED', '2', 'window'],
      ['ISMIO_DROPPED', '2', 'other'],
    ],
  );
});

/** A queue whose flush at the end of the turn fails, and then `rest`. */
const failing = (rest: string): string => `
  import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
  import { emulate } from 'ismio';
  const region = emulate({ size: 4096, name: 'window', faults: [{ access: 'store', cc: 1, status: 4 }] });
  const open = (options = {}) => region.queue({ flush: { turn: true }, ...options });
  let queue = open();
  queue.store64(8, 1n);
  await turn();
  await turn();
  ${rest}`;

const told = /\[ISMIO_UNTOLD\] IsmioWarning: .*queue on window failed.*ERR_ISMIO_DEVICE/;

test('an error that nobody asks for until the process ends is a warning, and the exit code is 1', async () => {
  for (const [rest, code] of [
    ['', 1],
    ['process.exit();', 1],
    ['process.exit(0);', 0],
    ['process.exit(7);', 7],
    ['process.exitCode = 5;', 5],
  ] as const) {
    const child = await runModule(failing(rest));
    assert.equal(child.code, code, rest);
    assert.match(child.stderr, told, rest);
    assert.match(child.stderr, /queue\.flushed/);
  }
});

test('the warning at the end has the error as its cause, and says how many came after it', async () => {
  const child = await runModule(
    failing(`
    process.on('warning', ({ code, cause }) => console.log(code, cause.code, cause.offset));
    process.on('exit', () => console.log('last'));
    const other = open({ onFlush: () => { throw new Error('no'); } });
    other.fence();
    await turn();
    await turn();`),
  );
  assert.deepEqual(child.stdout.split('\n').sort(), [
    '',
    'ISMIO_UNTOLD ERR_ISMIO_CALLBACK undefined',
    'ISMIO_UNTOLD ERR_ISMIO_DEVICE 8',
    'last',
  ]);
});

test('an error that somebody was told says nothing at the end', async () => {
  for (const rest of [
    'try { queue.close(); } catch {}',
    'try { region.close(); } catch {}',
    'await queue.flushed.catch(() => undefined);',
    'try { queue.fence(); } catch {}',
  ]) {
    const child = await runModule(failing(rest));
    assert.deepEqual([child.code, child.stderr], [0, ''], rest);
  }
});

test('an error whose queue was collected is a warning as soon as that is known', async () => {
  const child = await runModule(
    failing(`
    queue = null;
    process.on('warning', () => process.exit());
    for (;;) { gc(); await sleep(1); }`),
    { flags: ['--expose-gc'] },
  );
  assert.equal(child.code, 1);
  assert.match(child.stderr, told);
});

test('a Worker that ends without asking says so, and ends with 1', async () => {
  const child = await runModule(`
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(
      failing('').replace("from 'ismio'", 'from "MODULE"'),
    )}.replace('MODULE', import.meta.resolve('ismio')))));
    const [code] = await once(worker, 'exit');
    console.log(code);
  `);
  assert.equal(child.stdout, '1\n', child.stderr);
  assert.match(child.stderr, told);
});
