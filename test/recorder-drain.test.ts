// A drain that is recorded: its bytes are read from where they are, while the event loop turns.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { allocBuffer, emulate, freeBuffer, type Queue, readRecording, record, replay } from 'ismio';
import { runModule } from './support/child.js';
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

for (const [what, queueAll] of [
  ['of 256 MiB', (queue, buffer, at) => queue.write(at, buffer, at, MiB)],
  ['of loads of 256 MiB', (queue, buffer, at) => queue.load(at, buffer.subarray(at, at + MiB))],
] as const satisfies readonly [string, (queue: Queue, buffer: Uint8Array, at: number) => unknown][]) {
  test(`a recorded drain ${what} holds the event loop for milliseconds, and the memory that it takes is bounded`, async (t) => {
    const path = join(temporaryFolder(t), 'long');
    using region = emulate({ size: 256 * MiB });
    const recorder = record(region, path, { loads: true });
    const queue = region.queue();
    const buffer = allocBuffer(256 * MiB);
    for (let at = 0; at < buffer.length; at += 4096) buffer[at] = at >>> 12;
    for (let at = 0; at < buffer.length; at += MiB) queueAll(queue, buffer, at);
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
    // Half of what is recorded: V8 has not taken back all of it yet, and another V8 is later than this one.
    assert.ok(most < 128 * MiB, `${most} bytes`);
  });
}

test('what a recorded drain has loaded is in the recording, though it changes as soon as the drain has ended', async (t) => {
  const path = join(temporaryFolder(t), 'loads');
  using region = emulate({ size: 64 * MiB });
  const bytes = new Uint8Array(64 * MiB);
  randomFillSync(bytes);
  region.write(0, bytes);
  const recorder = record(region, path, { loads: true });
  const queue = region.queue();
  const buffer = allocBuffer(8 * MiB);
  const offsets: number[] = [];
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < buffer.length; at += MiB) {
      offsets.push(round * 9 * MiB + at);
      queue.load(round * 9 * MiB + at, buffer.subarray(at, at + MiB));
    }
    const drained = queue.drain();
    region.load64(60 * MiB); // behind it, though its bytes are not read yet
    await drained;
    buffer.fill(0);
  }
  recorder.close();
  for await (const { origin, kind, offset, length, payload } of readRecording(path)) {
    if (kind !== 'load') continue;
    if (origin === 'queued') assert.equal(offset, offsets.shift());
    assert.equal(Buffer.compare(payload as Uint8Array, bytes.subarray(offset, offset + length)), 0, `at ${offset}`);
  }
  assert.deepEqual(offsets, []);
});

test('a batch that loads to where bytes are that are not read yet waits for that', async (t) => {
  const path = join(temporaryFolder(t), 'again');
  using region = emulate({ size: 64 * MiB });
  region.write(0, new Uint8Array(32 * MiB).fill(1));
  region.write(32 * MiB, new Uint8Array(32 * MiB).fill(2));
  const recorder = record(region, path, { loads: true });
  const queue = region.queue();
  const buffer = allocBuffer(32 * MiB);
  queue.load(0, buffer);
  const first = queue.drain();
  while (queue.inFlight > 0) await setTimeout(1);
  queue.load(32 * MiB, buffer); // its program has not been told yet that the first has ended
  await Promise.all([first, queue.drain()]);
  recorder.close();
  for await (const { kind, offset, payload } of readRecording(path)) {
    if (kind === 'load') assert.ok(payload?.every((byte) => byte === (offset < 32 * MiB ? 1 : 2)));
  }
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

test('a disk that is full while nobody waits ends the recording, and no drain: each is told', async (t) => {
  const folder = temporaryFolder(t);
  const source = `
    import { allocBuffer, emulate, record } from 'ismio';
    const region = emulate({ size: 2 ** 25 });
    const recorder = record(region, ${JSON.stringify(join(folder, 'full'))}, { compress: false });
    const queue = region.queue();
    queue.write(0, allocBuffer(2 ** 25));
    console.log((await queue.drain()).bytes);
    region.store8(0, 1);
    console.log(recorder.closed);
    try { recorder.close(); } catch ({ code, errno }) { console.log(code, errno); }`;
  // A limit on the length of files stands for the end of the disk.
  const through = ['/bin/bash', '-c', `trap '' XFSZ; ulimit -f 8192; exec "$0" "$@"`];
  const { stdout, stderr } = await runModule(source, { through });
  assert.deepEqual([stdout, stderr], [`${2 ** 25}\ntrue\nERR_ISMIO_WRITE_FILE EFBIG\n`, '']);
  assert.deepEqual(readdirSync(folder), []);
});

test('a batch that failed with others behind it is replayed as far as it went, and so are they', async (t) => {
  const path = join(temporaryFolder(t), 'behind');
  const fault = { access: 'store', cc: 1, status: 4 } as const;
  using region = emulate({
    size: 2 ** 16,
    cost: { store: 1e6 },
    faults: [
      { ...fault, nth: 3 },
      { ...fault, nth: 9 },
    ],
  });
  const recorder = record(region, path);
  const queue = region.queue({ depth: 8 });
  const settled: Promise<unknown>[] = [];
  const failed: string[] = [];
  for (let batch = 0; batch < 6; batch++) {
    for (let at = 0; at < 4; at++) {
      const word = batch * 4 + at;
      while (!queue.storeWords(word * 8, word + 1, batch)) await settled.at(-2);
    }
    settled.push(queue.drain().catch(({ code }: { code: string }) => failed.push(code)));
  }
  await Promise.all(settled);
  recorder.close();
  assert.deepEqual(failed, ['ERR_ISMIO_DEVICE', 'ERR_ISMIO_DEVICE']);
  using target = emulate({ size: 2 ** 16 });
  await replay(path, { region: target });
  for (let word = 0; word < 24; word++) assert.equal(target.load64(word * 8), region.load64(word * 8), `word ${word}`);
  assert.equal(region.load64(16), 0n, 'the third store of the first batch');
});

for (const [when, act] of [
  ['a submit', (queue: Queue, free: () => void) => [free(), queue.submit()]],
  ['a drain', (queue: Queue, free: () => void) => [free(), queue.drain()][1]],
  ['the end of a drain', (queue: Queue, free: () => void) => [queue.drain(), free()][0]],
] as const) {
  test(`a buffer that was freed before ${when} is recorded with the bytes that were stored`, async (t) => {
    const path = join(temporaryFolder(t), 'freed');
    using region = emulate({ size: MiB });
    const recorder = record(region, path);
    const queue = region.queue();
    const buffer = allocBuffer(8192);
    randomFillSync(buffer);
    const expected = buffer.slice();
    queue.write(0, buffer, 0, 4096);
    queue.write(4096, buffer, 4096, 100);
    await act(queue, () => freeBuffer(buffer));
    queue.write(8192, allocBuffer(4096).fill(9)); // may have the slot of the one before
    await queue.drain();
    recorder.close();
    const bytes: Uint8Array[] = [];
    for await (const { kind, payload } of readRecording(path)) if (kind === 'write') bytes.push(payload as Uint8Array);
    assert.deepEqual(bytes, [expected.slice(0, 4096), expected.slice(4096, 4196), new Uint8Array(4096).fill(9)]);
  });
}

test('a queue that is closed while it drains, with its buffer freed at once, does not end the recording', async (t) => {
  const path = join(temporaryFolder(t), 'closed');
  using region = emulate({ size: MiB });
  const recorder = record(region, path);
  const queue = region.queue();
  const buffer = allocBuffer(MiB).fill(5);
  queue.write(0, buffer);
  const drained = queue.drain();
  queue.close();
  freeBuffer(buffer);
  await drained.catch(() => undefined); // it may have been stopped
  region.store8(0, 1);
  recorder.close();
  const { value: write } = await readRecording(path).next();
  assert.deepEqual(write?.payload, new Uint8Array(MiB).fill(5));
});
