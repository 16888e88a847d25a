// Buffers of allocBuffer that are given back by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, emulate, freeBuffer, Pool } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { runModule } from './support/child.js';
import { rejectsCode, throwsCode } from './support/errors.js';

const MiB = 2 ** 20;

test('buffers that are freed in a loop without a turn take no more memory than one of them', () => {
  let most = 0;
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 40; i++) {
    const buffer = allocBuffer(32 * MiB);
    buffer.fill(1);
    most = Math.max(most, process.memoryUsage.rss());
    freeBuffer(buffer);
  }
  assert.ok(most - before < 200 * MiB, `${Math.round((most - before) / MiB)} MiB`);
});

test('using gives a buffer back at the end of its block', () => {
  let view: Uint8Array;
  {
    using buffer = allocBuffer(4096);
    view = new Uint8Array(buffer.buffer);
    assert.equal(view.length, 4096);
  }
  assert.equal(view.length, 0);
});

test('a freed buffer and all its views are detached, and freeing it again does nothing', () => {
  using region = emulate({ size: 4096 });
  const buffer = allocBuffer(64);
  const view = buffer.subarray(8, 16);
  freeBuffer(view);
  assert.equal(buffer.length, 0);
  throwsCode(() => region.write(0, buffer), TypeError, 'ERR_ISMIO_DETACHED');
  freeBuffer(buffer);
  freeBuffer(view);
  buffer[Symbol.dispose]();
});

test('what is queued or in flight keeps the memory that was freed until it has ended', async () => {
  const bytes = 64 * 1024;
  using region = emulate({ size: bytes });
  const queue = region.queue();
  for (let i = 0; i < 20; i++) {
    const buffer = allocBuffer(bytes);
    buffer.set(pattern(bytes, i));
    queue.write(0, buffer);
    freeBuffer(buffer);
    if (i % 2 === 0) queue.submit();
    else await queue.drain();
    assert.deepEqual(contents(region, 0, bytes), pattern(bytes, i));
  }
});

test('memory that is freed before a worker of a pool has come to it is told as that', async () => {
  using region = emulate({ size: 4 * MiB, cost: { storeBlock: 50_000 } });
  const pool = new Pool({ threads: 1 });
  const first = pool.write(region, 0, new Uint8Array(4 * MiB)); // keeps the worker busy
  for (const transfer of ['write', 'read'] as const) {
    const buffer = allocBuffer(64);
    const waiting = pool[transfer](region, 0, buffer);
    freeBuffer(buffer);
    await rejectsCode(waiting, TypeError, 'ERR_ISMIO_DETACHED');
  }
  await first;
  await pool.close();
});

test('V8 is told how much memory a buffer has', async () => {
  // In a process of its own: here it takes back buffers of the tests before at any time.
  const { stdout } = await runModule(`
    import { allocBuffer, freeBuffer } from 'ismio';
    const told = () => process.memoryUsage().external;
    const before = told();
    const buffer = allocBuffer(${64 * MiB});
    const held = told();
    freeBuffer(buffer);
    console.log(held - before >= ${64 * MiB}, held - told() >= ${64 * MiB});`);
  assert.equal(stdout, 'true true\n');
});

test('only a buffer of allocBuffer can be freed', () => {
  throwsCode(() => freeBuffer(new Uint8Array(8)), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => freeBuffer(new Uint8Array(new SharedArrayBuffer(8))), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => freeBuffer('x' as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});
