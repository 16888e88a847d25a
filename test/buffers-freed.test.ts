// Buffers of allocBuffer that are given back by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, emulate, freeBuffer } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';

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
  using region = emulate({ size: 4 * MiB });
  const queue = region.queue();
  for (let i = 0; i < 20; i++) {
    const buffer = allocBuffer(MiB);
    buffer.set(pattern(MiB, i));
    queue.write(0, buffer);
    freeBuffer(buffer);
    if (i % 2 === 0) queue.submit();
    else await queue.drain();
    assert.deepEqual(contents(region, 0, MiB), pattern(MiB, i));
  }
});

test('V8 is told how much memory a buffer has', () => {
  const before = process.memoryUsage().external;
  const buffer = allocBuffer(64 * MiB);
  assert.ok(process.memoryUsage().external - before >= 64 * MiB);
  freeBuffer(buffer);
});

test('only a buffer of allocBuffer can be freed', () => {
  throwsCode(() => freeBuffer(new Uint8Array(8)), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => freeBuffer(new Uint8Array(new SharedArrayBuffer(8))), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => freeBuffer('x' as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});
