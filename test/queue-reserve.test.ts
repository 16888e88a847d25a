// queue.reserve: bytes that are made in the queue's own memory, and stored from there.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BatchError, emulate, IsmioError, type Reservation, record, replay } from 'ismio';
import { contents } from './support/bytes.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { scaled } from './support/scale.js';

test('what is filled in place is what is stored, and nothing is copied', () => {
  using region = emulate({ size: 8192 });
  const queue = region.queue();
  const room = queue.reserve(4096, 4096) as Reservation;
  const words = new BigUint64Array(room.bytes.buffer, room.bytes.byteOffset, 512);
  for (let i = 0; i < 512; i++) words[i] = BigInt(i);
  assert.equal(queue.queued, 0, 'not before it is committed');
  assert.equal(room.commit(), true);
  assert.equal(queue.queued, 1);
  const { operations, storeBlocks, bytes, copies } = queue.submit();
  assert.deepEqual([operations, storeBlocks, bytes, copies], [1, 1, 4096, 0]);
  assert.deepEqual(contents(region).subarray(4096), new Uint8Array(words.buffer, words.byteOffset, 4096));
});

test('a reservation is for one write: what is committed or cancelled is refused, with a code', () => {
  using region = emulate({ size: 64 });
  const queue = region.queue();
  const committed = queue.reserve(0, 8) as Reservation;
  committed.commit();
  throwsCode(() => committed.commit(), IsmioError, 'ERR_ISMIO_RESERVATION');
  committed.cancel();
  {
    using dropped = queue.reserve(8, 8) as Reservation;
    dropped.bytes.fill(1);
  }
  const cancelled = queue.reserve(8, 8) as Reservation;
  cancelled.cancel();
  cancelled.cancel();
  throwsCode(() => cancelled.commit(), IsmioError, 'ERR_ISMIO_RESERVATION');
  assert.equal(queue.submit().operations, 1);
});

test('what is cancelled gives its room back at once where nothing is queued, in whatever order', () => {
  using region = emulate({ size: 256 });
  const queue = region.queue({ bytes: 64 });
  for (let turn = 0; turn < 3; turn++) {
    (queue.reserve(0, 64) as Reservation).cancel();
    const [first, second] = [queue.reserve(0, 32), queue.reserve(32, 32)] as Reservation[];
    first?.cancel();
    assert.equal(queue.reserve(0, 40), null, 'the second is still held');
    second?.cancel();
  }
  assert.equal(queue.write(0, new Uint8Array(64)), true);
});

test('what is cancelled while a batch with its neighbour is queued or in flight is free when that has ended', async () => {
  using region = emulate({ size: 256 });
  const queue = region.queue({ bytes: 64 });
  const [kept, queued] = [queue.reserve(0, 32), queue.reserve(32, 32)] as [Reservation, Reservation];
  queued.commit();
  kept.cancel();
  assert.equal(queue.reserve(0, 8), null, 'the bytes of the batch lie behind');
  queue.submit();
  const [held, drained] = [queue.reserve(0, 32), queue.reserve(32, 32)] as [Reservation, Reservation];
  drained.bytes.fill(3);
  drained.commit();
  const draining = queue.drain();
  held.cancel();
  await draining;
  assert.deepEqual(contents(region).subarray(32, 64), new Uint8Array(32).fill(3));
  assert.notEqual(queue.reserve(0, 64), null);
});

test('a reservation has ended when its commit sets off a flush: onFlush cannot queue it again, nor give its room back', () => {
  using region = emulate({ size: 256 });
  const codes: unknown[] = [];
  let current: Reservation | null = null;
  const onFlush = (): void => {
    if (current === null) return;
    codes.push((thrownFor(() => current?.commit()) as IsmioError).code);
    current.cancel();
  };
  const queue = region.queue({ bytes: 32, flush: { ops: 1 }, onFlush });
  current = queue.reserve(0, 16) as Reservation;
  const other = queue.reserve(16, 16) as Reservation;
  other.bytes.fill(5);
  current.commit();
  assert.deepEqual(codes, ['ERR_ISMIO_RESERVATION']);
  assert.equal(region.stats().storeBlocks, 1);
  current = null;
  while (queue.write(64, new Uint8Array(16).fill(9)) && region.stats().storeBlocks < 4);
  other.commit();
  assert.deepEqual(contents(region).subarray(16, 32), new Uint8Array(16).fill(5), 'of the other as well');
});

test('it keeps its bytes when other batches end before it is committed, by submit and by drain', async () => {
  using region = emulate({ size: 256 });
  const queue = region.queue({ bytes: 64 });
  const room = queue.reserve(0, 32) as Reservation;
  room.bytes.fill(7);
  for (let i = 0; i < 20; i++) {
    if (!queue.write(64, new Uint8Array(16).fill(i))) break;
    if (i % 2 === 0) queue.submit();
    else await queue.drain();
  }
  queue.submit();
  assert.equal(room.commit(), true);
  queue.submit();
  assert.deepEqual(contents(region).subarray(0, 32), new Uint8Array(32).fill(7));
  assert.equal(queue.write(64, new Uint8Array(64)), true, 'and gives its room back');
  queue.submit();
});

test('a full queue is null, or false at the commit, and what was filled stays for the next try', () => {
  using region = emulate({ size: 256 });
  const queue = region.queue({ depth: 2, bytes: 32 });
  const first = queue.reserve(0, 24) as Reservation;
  assert.equal(queue.reserve(32, 16), null, 'no memory');
  queue.storeWords(64, 1, 0);
  queue.storeWords(72, 1, 0);
  assert.equal(queue.reserve(32, 8), null, 'no entry');
  first.bytes.fill(9);
  assert.equal(first.commit(), false);
  queue.submit();
  assert.equal(first.commit(), true);
  queue.submit();
  assert.deepEqual(contents(region).subarray(0, 25), new Uint8Array(25).fill(9, 0, 24));
});

test('what write would refuse is refused before anything is reserved, and after close nothing is committed', () => {
  using region = emulate({ size: 64 });
  const queue = region.queue({ bytes: 32 });
  throwsCode(() => queue.reserve(60, 8), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => queue.reserve(0, 40), RangeError, 'ERR_ISMIO_TOO_LONG');
  throwsCode(() => queue.reserve(0, '8' as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  assert.ok(thrownFor(() => queue.reserve(0, 1.5)) instanceof RangeError);
  assert.ok(thrownFor(() => queue.reserve(0, -1)) instanceof RangeError);
  const room = queue.reserve(0, 8) as Reservation;
  queue.close();
  throwsCode(() => room.commit(), IsmioError, 'ERR_ISMIO_CLOSED');
  throwsCode(() => queue.reserve(0, 8), IsmioError, 'ERR_ISMIO_CLOSED');
  room.cancel();
});

test('where the region takes store blocks alone and nothing is merged, what none can carry is refused by reserve', () => {
  using region = emulate({ size: 256, rules: { alignment: 'strict', singleStores: false } });
  const queue = region.queue({ merge: 'none' });
  throwsCode(() => queue.reserve(0, 8), RangeError, 'ERR_ISMIO_RULE', { rule: 'singleStores' });
  assert.equal(queue.reserve(0, 16)?.commit(), true);
  assert.equal(queue.submit().storeBlocks, 1);
});

test('a batch that failed tells of its reservations as of writes, and what is held meanwhile is stored after it', () => {
  using region = emulate({ size: 256, rules: { maxStoreBlock: 64 }, faults: [{ nth: 2, cc: 1 }] });
  const queue = region.queue({ merge: 'none', bytes: 256 });
  const held = queue.reserve(192, 64) as Reservation;
  held.bytes.fill(4);
  for (const offset of [0, 128]) {
    const room = queue.reserve(offset, offset === 0 ? 128 : 64) as Reservation;
    room.bytes.fill(3);
    room.commit();
  }
  const { operations } = thrownFor(() => queue.submit()) as BatchError;
  assert.deepEqual(
    operations.map(({ kind, offset, length, state, bytesDone }) => [kind, offset, length, state, bytesDone]),
    [
      ['write', 0, 128, 'partial', 64],
      ['write', 128, 64, 'skipped', 0],
    ],
  );
  assert.equal(held.commit(), true);
  queue.submit();
  const stored = new Uint8Array(256).fill(3, 0, 64).fill(4, 192);
  assert.deepEqual(contents(region), stored);
});

test('a drain that is aborted gives the room of its reservations back, and keeps that of those which are held', async () => {
  using region = emulate({ size: 256 });
  const queue = region.queue({ bytes: 128 });
  const held = queue.reserve(0, 32) as Reservation;
  held.bytes.fill(6);
  const room = queue.reserve(64, 64) as Reservation;
  room.bytes.fill(1);
  room.commit();
  await rejectsCode(queue.drain({ signal: AbortSignal.abort() }), IsmioError, 'ERR_ISMIO_ABORTED');
  assert.equal(queue.reserve(0, 128), null, 'one is held');
  held.commit();
  queue.submit();
  assert.deepEqual(contents(region), new Uint8Array(256).fill(6, 0, 32));
  assert.notEqual(queue.reserve(0, 128), null);
});

test('the bytes are there for as long as somebody has them, also when the queue is closed or in a drain that close stops', async () => {
  using region = emulate({ size: 64 });
  const queue = region.queue();
  const room = queue.reserve(0, 16) as Reservation;
  const committed = queue.reserve(16, 16) as Reservation;
  committed.commit();
  const draining = queue.drain();
  queue.close();
  await draining.catch((error) => assert.equal(error.code, 'ERR_ISMIO_CLOSED'));
  room.bytes.fill(8);
  room.cancel();
  assert.deepEqual(room.bytes, new Uint8Array(16).fill(8));
  assert.equal(region.load8(0), 0);
});

test('a recording has the bytes as they were when the batch was handed over, and a replay stores the same', async (t) => {
  using region = emulate({ size: 64 });
  const path = join(temporaryFolder(t), 'reserved');
  const recorder = record(region, path);
  const queue = region.queue();
  const [early, late] = [queue.reserve(0, 16), queue.reserve(16, 16)] as [Reservation, Reservation];
  late.bytes.fill(2);
  late.commit();
  queue.submit();
  early.bytes.fill(1);
  early.commit();
  await queue.drain();
  late.bytes.fill(9);
  recorder.close();
  using again = emulate({ size: 64 });
  await replay(path, { region: again });
  assert.deepEqual(contents(again), contents(region));
  assert.deepEqual(contents(again), new Uint8Array(64).fill(1, 0, 16).fill(2, 16, 32));
});

function thrownFor(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** What a program may do, with an index of one of the reservations that it holds. */
const anySteps = fc.array(
  fc.record({
    what: fc.constantFrom('reserve', 'commit', 'cancel', 'write', 'submit', 'drain'),
    offset: fc.nat(200),
    length: fc.nat(40),
    value: fc.integer({ min: 1, max: 255 }),
    which: fc.nat(3),
  }),
  { maxLength: 60 },
);

test('reservations held, committed and dropped in any order, among writes and batches, store what a model says', async () => {
  await fc.assert(
    fc.asyncProperty(anySteps, fc.constantFrom('none', 'adjacent', 'any'), async (steps, merge) => {
      using region = emulate({ size: 256 });
      const queue = region.queue({ depth: 8, bytes: 128, merge });
      const model = new Uint8Array(256);
      const held: { room: Reservation; offset: number; value: number }[] = [];
      for (const { what, offset, length, value, which } of steps) {
        const one = held[which];
        if (what === 'reserve') {
          const room = queue.reserve(offset, length);
          room?.bytes.fill(value);
          if (room !== null) held.push({ room, offset, value });
        } else if (what === 'write') {
          if (queue.write(offset, new Uint8Array(length).fill(value))) model.fill(value, offset, offset + length);
        } else if (what === 'submit') queue.submit();
        else if (what === 'drain') await queue.drain();
        else if (one !== undefined) {
          if (what === 'cancel') one.room.cancel();
          else if (!one.room.commit()) continue;
          else model.fill(one.value, one.offset, one.offset + one.room.bytes.length);
          held.splice(which, 1);
        }
      }
      queue.submit();
      assert.deepEqual(contents(region), model);
      for (const { room } of held) room.cancel();
      assert.notEqual(queue.reserve(0, 128), null, 'all room is given back');
    }),
    { numRuns: scaled(400) },
  );
});
