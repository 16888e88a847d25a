// Streams between two ISM functions, over the real driver and fabric.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { allocBuffer, IsmioError } from 'ismio';
import type { ConnectOptions, IsmStream } from 'ismio/ism';
import { writeHello } from '../src/ism/stream/hello.js';
import { helloOffset } from '../src/ism/stream/layout.js';
import { rejectsCode } from './support/errors.js';
import { next, pairOn, roads } from './support/ism.js';
import { bytes, port, streamsOn } from './support/ism-streams.js';
import { sequence } from './support/random.js';

/** What comes until the peer ends. (An async iterator would destroy the stream then, with what it has yet to write.) */
async function collected(stream: IsmStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  stream.on('data', (part) => parts.push(part));
  await once(stream, 'end');
  return Buffer.concat(parts);
}

/** The event loop has had so many turns. */
async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

for (const road of roads) {
  test(`${road}: bytes go both ways at once, far more than the rings hold, and both directions end`, async () => {
    await using streams = await streamsOn(road, { ring: 4096, allowHalfOpen: true });
    const { near, far, pair } = streams;
    const [out, back] = [bytes(300_000, 1), bytes(200_000, 2)];
    near.end(out);
    far.end(back);
    const [outCame, backCame] = await Promise.all([collected(far), collected(near)]);
    assert.ok(outCame.equals(out));
    assert.ok(backCame.equals(back));
    assert.deepEqual([near.rescued, far.rescued], [0, 0]);
    await sleep(50);
    assert.deepEqual([pair.a.dmbs.length, pair.b.dmbs.length], [0, 0]);
  });

  test(`${road}: records arrive whole, empty ones too`, async () => {
    await using streams = await streamsOn(road, { mode: 'messages', ring: 4096 });
    const sent = [0, 1, 199, 200, 5000, 0, 100_000].map((length, index) => bytes(length, index));
    for (const record of sent) streams.near.write(record);
    streams.near.end();
    const came: Buffer[] = [];
    for await (const record of streams.far) came.push(record);
    assert.deepEqual(came, sent);
  });
}

test('a write of up to 200 bytes is one move, and its answer another', async () => {
  await using streams = await streamsOn('device.open()');
  const { near, far, pair } = streams;
  far.on('data', (data) => far.write(data));
  near.resume().write('first');
  const counts: string[] = [];
  for (let round = 0; round < 5; round++) {
    await sleep(5);
    const before = pair.functions.map((one) => one.stats().moves);
    near.write('x'.repeat(200));
    const [answer] = await once(near, 'data');
    assert.equal(answer.length, 200);
    counts.push(pair.functions.map((one, index) => one.stats().moves - (before[index] as number)).join(' and '));
  }
  // An end that has waited half a millisecond in vain says by a move that it sleeps, which may be between two looks here.
  assert.ok(counts.includes('1 and 1'), counts.join(', '));
  for (const moves of counts) assert.match(moves, /^1 and [12]$/);
});

test('a burst of k blocks is k + 1 moves with one signal, however many writes it is made of', async () => {
  await using streams = await streamsOn('device.open()');
  const { near, far, pair } = streams;
  const came = collected(far);
  await sleep(5);
  const before = { moves: pair.functions[0].stats().moves, signals: pair.functions[1].stats().signals };
  for (let index = 0; index < 1000; index++) near.write(Buffer.alloc(64, index)); // 64,000 bytes: 16 pages
  await turns();
  const { moves } = pair.functions[0].stats();
  assert.equal(moves - before.moves, 16 + 1);
  assert.equal(pair.functions[1].stats().signals - before.signals, 1);
  near.end();
  assert.equal((await came).length, 64_000);
});

test('what was written from allocBuffer goes out from where it lies', async () => {
  await using streams = await streamsOn('device.open()');
  const source = allocBuffer(60_000);
  source.fill(1);
  streams.near.write(source);
  source.fill(2); // before the tick ends: nothing has been copied
  const [first] = await once(streams.far, 'data');
  assert.equal(first[0], 2);
});

test('a writer waits while nobody reads, and goes on when somebody does', async () => {
  await using streams = await streamsOn('device.open()', { ring: 4096 });
  const { near, far } = streams;
  let told = 0;
  for (let index = 0; index < 100; index++) near.write(Buffer.alloc(1000), () => told++);
  await sleep(100);
  assert.ok(told < 100, `${told} writes were done`);
  assert.ok(far.bytesRead <= 4096 + 70_000);
  far.resume();
  near.end();
  await once(far, 'end');
  assert.equal(told, 100);
});

test('one end may go on writing after the other has ended, where both were asked to', async () => {
  await using streams = await streamsOn('device.open()', { allowHalfOpen: true });
  const { near, far } = streams;
  near.end('question');
  assert.equal(String(await collected(far)), 'question');
  far.write('part one, ');
  await sleep(20);
  far.end('part two');
  assert.equal(String(await collected(near)), 'part one, part two');
});

test('a destroyed stream ends the other with the reason', async () => {
  for (const [error, reason] of [
    [undefined, 'destroyed'],
    [new Error('mine'), 'failed'],
  ] as const) {
    await using streams = await streamsOn('device.open()');
    const { near, far, pair } = streams;
    near.on('error', () => undefined);
    near.write(Buffer.alloc(60_000)); // behind it, too
    await turns();
    near.destroy(error);
    const failure = await next<Error & { code: string; reason: string }>(far, 'error');
    assert.deepEqual([failure.code, failure.reason], ['ERR_ISMIO_ISM_ABORTED', reason]);
    assert.deepEqual([pair.a.dmbs.length, pair.b.dmbs.length], [0, 0]);
  }
});

test('the death of a function ends its streams at once', async () => {
  await using streams = await streamsOn('device.open()');
  streams.pair.b.on('error', () => undefined);
  streams.far.on('error', () => undefined);
  const failure = next<Error & { code: string }>(streams.near, 'error');
  streams.pair.b.close();
  assert.equal((await failure).code, 'ERR_ISMIO_ISM_PEER_DIED');
});

test('a port that nobody listens at refuses, a full one too, and another mode, and says it in words', async () => {
  await using pair = await pairOn('device.open()');
  const code = 'ERR_ISMIO_ISM_REFUSED';
  const refusal = async (at: number, options: ConnectOptions = {}) =>
    (await rejectsCode(pair.a.connect(pair.b.gid, at, options), IsmioError, code)).message;
  using _bytes = pair.b.listen(2, { maxStreams: 1 }, (stream) => stream.on('error', () => undefined));
  assert.equal(await refusal(1), 'port 1 of function 0x22 refused the stream (noListener): nobody listens there');
  assert.match(await refusal(2, { mode: 'messages' }), /\(mode\): one end wants bytes, and the other messages$/);
  await sleep(20);
  (await pair.a.connect(pair.b.gid, 2)).on('error', () => undefined);
  assert.match(await refusal(2), /\(full\): it has as many streams as it takes; ask again later$/);
  assert.throws(() => pair.b.listen(2), { code: 'ERR_ISMIO_IN_USE' });
});

test('a peer that does not answer is given up in time, or when the signal says so', async () => {
  await using pair = await pairOn('device.open()', { interrupts: 'poll' });
  const late = pair.a.connect(pair.b.gid, 1, { timeout: 60 });
  assert.equal((await rejectsCode(late, IsmioError, 'ERR_ISMIO_ISM_REFUSED')).reason, 'timeout');
  const stopped = new AbortController();
  const attempt = pair.a.connect(pair.b.gid, 1, { signal: stopped.signal });
  setImmediate(() => stopped.abort(new Error('enough')));
  await rejectsCode(attempt, IsmioError, 'ERR_ISMIO_ABORTED');
  assert.equal(pair.a.dmbs.length, 0);
});

test('a hundred streams between two functions each get their bytes, while one of them is never still', async () => {
  await using pair = await pairOn('device.open()');
  pair.b.listen(port, (stream) => pipeline(stream, stream).catch(() => undefined));
  const busy = await pair.a.connect(pair.b.gid, port);
  busy.on('error', () => undefined).resume();
  const block = Buffer.alloc(32_768);
  const pump = (): void => {
    while (busy.write(block));
    busy.once('drain', pump);
  };
  pump();
  const echoes = Array.from({ length: 100 }, async (_, index) => {
    const stream = await pair.a.connect(pair.b.gid, port, { ring: 4096 });
    const sent = bytes(10_000, index);
    stream.end(sent);
    assert.ok((await collected(stream)).equals(sent));
    return stream.rescued;
  });
  assert.deepEqual(new Set(await Promise.all(echoes)), new Set([0]));
  busy.destroy();
});

test('however the two ends of a stream end, each sees the end of the other, and closes', async () => {
  await using pair = await pairOn('device.open()');
  const draw = sequence(11);
  const listener = pair.b.listen(port, { allowHalfOpen: true });
  for (let i = 0; i < 150; i++) {
    const accepted = next<IsmStream>(listener, 'stream');
    const near = await pair.a.connect(pair.b.gid, port, { ring: 4096, allowHalfOpen: true });
    const far = await accepted;
    const both = [near, far].map(async (stream) => {
      const closed = once(stream, 'close');
      const came = collected(stream);
      await turns(draw(4));
      stream.end(bytes(draw(3) * 100, i));
      await Promise.all([came, closed]);
    });
    await Promise.race([
      Promise.all(both),
      sleep(5000, null, { ref: false }).then(() => assert.fail(`stream ${i} did not end`)),
    ]);
  }
});

test('a peer that is gone right behind its hello fails the stream, or the attempt, and not the process', async () => {
  await using pair = await pairOn('device.open()');
  pair.b.listen(port);
  pair.b.on('event', () => pair.b.close()); // the stream's own listener came first, and has answered
  const failed = (async () => {
    const stream = await pair.a.connect(pair.b.gid, port);
    await once(stream, 'close');
  })();
  await assert.rejects(failed, (error: IsmioError) => /^ERR_ISMIO_ISM_(PEER_DIED|ABORTED|REFUSED)$/.test(error.code));
});

test('memory that another stream moves into is not moved into, whoever names it', async () => {
  await using streams = await streamsOn('device.open()');
  const { pair, near, far } = streams;
  const third = await pair.open(pair.fabric.function({ gid: 0x33n }));
  // A peer that knows a token which is not its own, and answers as a listener does.
  const taken = pair.b.dmbs[0] as { token: bigint };
  third.on('event', ({ info, code }) => {
    const said = { mode: 'bytes', epoch: 5, answers: 0, ring: 65_536, heartbeat: 1000, recordLimit: 0 } as const;
    const hello = writeHello({ ...said, port: code & 0xffff, token: taken.token });
    third.move(info, helloOffset, hello, { signal: 0 });
  });
  const refused = pair.a.connect(third.gid, port, { timeout: 2000 });
  assert.equal((await rejectsCode(refused, IsmioError, 'ERR_ISMIO_ISM_REFUSED')).reason, 'token');
  near.write('still whole');
  const [text] = (await once(far, 'data')) as [Buffer];
  assert.equal(text.toString(), 'still whole');
});
