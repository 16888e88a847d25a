// The event loop of an NBD server stays awake for a moment behind requests that come at once, and sleeps where none do.
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Attention } from '../src/block/nbd/attention.js';

/** Of the next milliseconds, the part in which the event loop did not wait. */
async function awake(milliseconds: number): Promise<number> {
  const before = performance.eventLoopUtilization();
  await sleep(milliseconds);
  return performance.eventLoopUtilization(before).utilization;
}

test('it is awake for half a millisecond behind the last of some requests, and sleeps then', async () => {
  const attention = new Attention();
  for (let index = 0; index < 3; index++) attention.heard();
  await sleep(20);
  assert.ok((await awake(50)) < 0.5, 'nothing comes, and nothing is looked for');
});

test('requests that are milliseconds apart keep nobody awake', async () => {
  const attention = new Attention();
  const busy = (async () => {
    for (let index = 0; index < 20; index++) {
      attention.heard();
      await sleep(3);
    }
  })();
  assert.ok((await awake(50)) < 0.5);
  await busy;
});

test('behind requests that come at once the event loop does not wait, and behind one alone it does', () => {
  let turns = 0;
  const hook = createHook({ init: (_id, type) => void (type === 'Immediate' && turns++) }).enable();
  try {
    const attention = new Attention();
    attention.heard();
    assert.equal(turns, 0);
    for (let index = 0; index < 10; index++) attention.heard();
    assert.equal(turns, 1);
  } finally {
    hook.disable();
  }
});
