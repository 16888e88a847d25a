// A drain that is recorded: its bytes are read from where they are, while the event loop turns.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { allocBuffer, emulate, readRecording, record, replay } from 'ismio';
import { temporaryFolder } from './support/files.js';
import { patience } from './support/scale.js';

const MiB = 2 ** 20;

test('the bytes of a recorded drain are those that were handed over, though they change as soon as it has ended', async (t) => {
  const path = join(temporaryFolder(t), 'changing');
  using region = emulate({ size: 64 * MiB });
  const recorder = record(region, path);
  const queue = region.queue();
  const buffer = allocBuffer(8 * MiB);
  for (let round = 0; round < 3; round++) {
    randomFillSync(buffer);
    for (let at = 0; at < buffer.length; at += MiB) queue.write(round * buffer.length + at, buffer, at, MiB);
    for (let at = 0; at < 100; at++) queue.write(48 * MiB + at * 600, buffer, at * 1000, 100 + at * 5);
    const drained = queue.drain();
    region.store64(60 * MiB, BigInt(round)); // behind it, though its bytes are not read yet
    await drained;
    buffer.fill(0);
  }
  recorder.close();
  const target = emulate({ size: 64 * MiB });
  await replay(path, { region: target });
  const [one, other] = [new Uint8Array(64 * MiB), new Uint8Array(64 * MiB)];
  region.read(0, one);
  target.read(0, other);
  assert.equal(Buffer.compare(one, other), 0);
  target.close();
});

test('operations stand in the recording in their order, whenever their bytes are read', async (t) => {
  const path = join(temporaryFolder(t), 'order');
  using region = emulate({ size: 64 * MiB });
  const recorder = record(region, path);
  const queue = region.queue();
  const buffer = allocBuffer(32 * MiB);
  queue.write(0, buffer);
  const first = queue.drain();
  region.store8(40 * MiB, 1);
  queue.write(1, buffer);
  const second = queue.drain();
  recorder.close(); // at once: the rest is read and written now
  await Promise.all([first, second]);
  const kinds: string[] = [];
  for await (const { kind, offset } of readRecording(path)) if (kind !== 'write') kinds.push(`${kind} ${offset}`);
  assert.deepEqual(kinds, ['drain 0', `store ${40 * MiB}`, 'drain 0']);
});

test('a recorded drain of 256 MiB holds the event loop for milliseconds, and the memory that it takes is bounded', async (t) => {
  const path = join(temporaryFolder(t), 'long');
  using region = emulate({ size: 256 * MiB });
  const recorder = record(region, path);
  const queue = region.queue();
  const buffer = allocBuffer(256 * MiB);
  for (let at = 0; at < buffer.length; at += 4096) buffer[at] = at >>> 12;
  for (let at = 0; at < buffer.length; at += MiB) queue.write(at, buffer, at, MiB);
  const before = process.memoryUsage().arrayBuffers;
  let ended = false;
  let longest = 0;
  let most = 0;
  let last = milliseconds();
  const drained = queue.drain().finally(() => {
    ended = true;
  });
  while (!ended) {
    await setImmediate();
    const now = milliseconds();
    longest = Math.max(longest, now - last);
    last = now;
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  await drained;
  recorder.close();
  t.diagnostic(`longest turn ${longest.toFixed(1)} ms, most memory ${(most / MiB).toFixed(0)} MiB`);
  assert.ok(longest < patience(80), `${longest} ms: to write all of it takes seconds`);
  assert.ok(most < 64 * MiB, `${most} bytes`);
});

/** That this thread has run, as far as the system counts it: on a busy machine it waits as well. */
function milliseconds(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

test('to wait for a queue that has nothing to drain is to wait for what is still read of the drain before', async (t) => {
  const path = join(temporaryFolder(t), 'barrier');
  using region = emulate({ size: 64 * MiB });
  const recorder = record(region, path);
  const queue = region.queue();
  const buffer = allocBuffer(64 * MiB).fill(1);
  queue.write(0, buffer);
  void queue.drain();
  while (queue.inFlight > 0) await setTimeout(1);
  await queue.drain();
  buffer.fill(2);
  recorder.close();
  for await (const { payload } of readRecording(path))
    assert.ok(payload === null || payload.every((byte) => byte === 1));
});
