// What a function writes into its driver's memory, and how the driver takes it: polled, so that nothing but memory and its byte
// order is between them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IsmEvent } from 'ismio/ism';
import { pairOn } from './support/ism.js';

test('signals that come together are told together, each by its bit', async () => {
  await using pair = await pairOn('device.open()', { interrupts: 'poll' });
  const dmb = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  const other = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  const masks: number[] = [];
  dmb.on('signal', (mask) => masks.push(mask));
  for (const signal of [0, 3, 3, 15]) pair.a.move(dmb.token, 0, Uint8Array.of(1), { signal });
  pair.b.poll();
  pair.b.poll();
  assert.deepEqual(masks, [0x8009]);
  assert.notEqual(other.index, dmb.index);
});

test('software events come with code, sender and info, in order, round the queue', async () => {
  await using pair = await pairOn('device.open()', { interrupts: 'poll' });
  const events: IsmEvent[] = [];
  pair.b.on('event', (event) => events.push(event));
  for (let code = 0; code < 100; code++) {
    pair.a.signal(pair.b.gid, { code, info: BigInt(code) << 40n });
    if (code % 7 === 6) pair.b.poll();
  }
  pair.b.poll();
  const told = events.map(({ type, code, token, info }) => [type, code, token, info]);
  const sent = Array.from({ length: 100 }, (_, code) => ['software', code, pair.a.gid, BigInt(code) << 40n]);
  assert.deepEqual(told, sent);
});

test('as many events as the queue has entries are told; of one more, the last alone', async () => {
  await using pair = await pairOn('device.open()', { interrupts: 'poll' });
  const codes: number[] = [];
  pair.b.on('event', ({ code }) => codes.push(code));
  for (const [from, to] of [
    [0, 3],
    [3, 18],
    [18, 34],
  ] as const) {
    for (let code = from; code < to; code++) {
      pair.a.signal(pair.b.gid, { code });
      await sleep(1); // an entry that was written again is told by its time
    }
    pair.b.poll();
  }
  assert.deepEqual(codes, [...Array.from({ length: 18 }, (_, code) => code), 33]);
});

test('a listener that throws, and that of the error as well, keeps nobody from being told', async () => {
  await using pair = await pairOn('device.open()', { interrupts: 'poll' });
  const [first, second] = [1, 2].map(() => pair.b.registerDmb({ length: 1, peer: pair.a.gid }));
  assert.ok(first !== undefined && second !== undefined);
  const errors: string[] = [];
  pair.b.on('error', ({ message }) => errors.push(message));
  first.on('signal', () => {
    throw new Error('first');
  });
  let told = 0;
  second.on('signal', () => told++);
  for (let i = 0; i < 2; i++) {
    for (const { token } of [first, second]) pair.a.move(token, 0, Uint8Array.of(1), { signal: 0 });
    pair.b.poll();
  }
  await sleep(1);
  assert.deepEqual([told, errors], [2, ['first', 'first']]);
});

test('interrupts are raised once for signals that a driver of this process has still to look at', async () => {
  await using pair = await pairOn('device.open()', { interrupts: 'poll' });
  const dmb = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  for (let i = 0; i < 1000; i++) pair.a.move(dmb.token, 0, Uint8Array.of(i), { signal: 0 });
  assert.equal(pair.functions[1].stats().signals, 1000);
  assert.equal(pair.functions[1].stats().interrupts, 1);
  pair.b.poll();
  pair.a.move(dmb.token, 0, Uint8Array.of(1), { signal: 0 });
  assert.equal(pair.functions[1].stats().interrupts, 2);
});
