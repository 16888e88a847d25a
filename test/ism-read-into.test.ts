// Streams that are read into one memory again and again.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './support/console-line.js';
import { throwsCode } from './support/errors.js';
import { roads } from './support/ism.js';
import { bytes, streamsOn } from './support/ism-streams.js';

for (const road of roads) {
  test(`${road}: all that comes is told in parts of one buffer, and the end behind it`, async () => {
    await using streams = await streamsOn(road, { ring: 4096 });
    const { near, far } = streams;
    const sent = bytes(300_000, 1);
    const buffer = new Uint8Array(1000);
    const parts: Buffer[] = [];
    far.readInto(buffer, (part) => {
      assert.equal(part.buffer, buffer.buffer);
      parts.push(Buffer.from(part));
    });
    far.on('data', () => assert.fail("'data' is told"));
    near.end(sent);
    await once(far, 'end');
    assert.deepEqual(Buffer.concat(parts), sent);
    assert.equal(far.bytesRead, sent.length);
  });
}

test('what is paused is not read, which the writer feels, and goes on where it was', async () => {
  await using streams = await streamsOn('device.open()', { ring: 4096 });
  const { near, far } = streams;
  const sent = bytes(100_000, 2);
  const parts: Buffer[] = [];
  far.readInto(new Uint8Array(512), (part) => {
    parts.push(Buffer.from(part));
    if (parts.length === 3) far.pause();
  });
  let isTaken = false;
  near.write(sent, () => (isTaken = true));
  await until(() => parts.length === 3, 'three parts come');
  await sleep(50);
  assert.deepEqual([parts.length, isTaken], [3, false]);
  far.resume();
  near.end();
  await once(far, 'end');
  assert.deepEqual(Buffer.concat(parts), sent);
});

test('what was there before the buffer is told first', async () => {
  await using streams = await streamsOn('device.open()');
  const { near, far } = streams;
  near.write('before');
  await once(far, 'readable');
  const parts: string[] = [];
  far.readInto(new Uint8Array(4), (part) => parts.push(Buffer.from(part).toString()));
  near.end(' behind');
  await once(far, 'end');
  assert.deepEqual(parts.slice(0, 2), ['befo', 're']);
  assert.equal(parts.join(''), 'before behind');
});

/** A stream that has 12 bytes buffered, which nobody has taken. */
async function buffered() {
  const streams = await streamsOn('device.open()');
  streams.near.write('abcdefghijkl');
  await once(streams.far, 'readable');
  return streams;
}

test('what was buffered is held by pause as well, and told behind resume, before the end', async () => {
  await using streams = await buffered();
  const { near, far } = streams;
  const parts: string[] = [];
  far.readInto(new Uint8Array(4), (part) => {
    parts.push(Buffer.from(part).toString());
    if (parts.length === 1) far.pause();
  });
  near.end();
  await sleep(20);
  assert.deepEqual([parts, far.isPaused()], [['abcd'], true]);
  far.resume();
  await once(far, 'end');
  assert.deepEqual(parts, ['abcd', 'efgh', 'ijkl']);
});

test('a stream that is destroyed, or whose buffer goes, in the middle of what was buffered tells no more of it', async () => {
  await using destroyed = await buffered();
  let told = 0;
  destroyed.near.on('error', () => undefined);
  destroyed.far.readInto(new Uint8Array(4), () => {
    told++;
    destroyed.far.destroy();
  });
  assert.equal(told, 1);
  await using transferred = await buffered();
  const buffer = new Uint8Array(4);
  const failed = once(transferred.far, 'error');
  transferred.far.readInto(buffer, () => {
    told++;
    structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
  });
  assert.equal(((await failed) as [{ code: string }])[0].code, 'ERR_ISMIO_DETACHED');
  assert.equal(told, 2);
});

test('a buffer that is transferred fails the stream at both ends, and nothing goes round for ever', async () => {
  await using streams = await streamsOn('device.open()');
  const { near, far } = streams;
  const buffer = new Uint8Array(64);
  far.readInto(buffer, () => structuredClone(buffer.buffer, { transfer: [buffer.buffer] }));
  const failed = [once(far, 'error'), once(near, 'error')];
  near.write(bytes(1000, 3));
  const [[here], [there]] = (await Promise.all(failed)) as [[{ code: string }], [{ code: string }]];
  assert.deepEqual([here.code, there.code], ['ERR_ISMIO_DETACHED', 'ERR_ISMIO_ISM_ABORTED']);
});

test('a stream that is destroyed while it is told of a part is told of no other', async () => {
  await using streams = await streamsOn('device.open()');
  const { near, far } = streams;
  let told = 0;
  far.readInto(new Uint8Array(8), () => {
    told++;
    far.destroy();
  });
  near.on('error', () => undefined).write(bytes(1000, 4));
  await once(far, 'close');
  assert.equal(told, 1);
});

test('an empty buffer, what is no buffer, a stream of records, of text or with a listener are refused', async () => {
  await using bytesOnly = await streamsOn('device.open()');
  const ignored = (): void => undefined;
  throwsCode(() => bytesOnly.far.readInto(new Uint8Array(0), ignored), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => bytesOnly.far.readInto('x' as never, ignored), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => bytesOnly.far.readInto(new Uint8Array(8), 1 as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  await using records = await streamsOn('device.open()', { mode: 'messages' });
  await using heard = await streamsOn('device.open()');
  heard.far.on('data', ignored);
  throwsCode(() => heard.far.readInto(new Uint8Array(8), ignored), RangeError, 'ERR_ISMIO_OPTION');
  await using decoded = await streamsOn('device.open()');
  decoded.far.setEncoding('utf8');
  throwsCode(() => decoded.far.readInto(new Uint8Array(8), ignored), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => records.far.readInto(new Uint8Array(8), ignored), RangeError, 'ERR_ISMIO_OPTION');
});
