// A disk over ISM whose session, function or target goes in the middle of requests, and comes back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError, openVfioUser } from 'ismio';
import { type IsmDisk, type LossMode, memoryDisk, openBlock, serveBlock } from 'ismio/block';
import { serve } from 'ismio/device';
import { createFabric, type Ism, openIsm } from 'ismio/ism';
import { SlowDisk, served } from './support/block.js';
import { HandInitiator, ioBytes, slots } from './support/block-hand.js';
import { until } from './support/console-line.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { pairOn } from './support/ism.js';

const size = 2 ** 20;
const lost = { errno: 'EIO', reason: 'lost' } as const;

/** The initiator's function is reset under its driver: every stream and memory of it has gone. */
function cut(ism: Ism): void {
  ism.close();
}

async function byteAt(disk: IsmDisk, offset: number): Promise<number> {
  const bytes = Buffer.alloc(1);
  await disk.read(offset, bytes);
  return bytes[0] as number;
}

/** A disk whose initiator opens a new driver each time, and a target on a slow medium. */
async function cuttable(options: { mode?: LossMode; timeout?: number } = {}) {
  const medium = new SlowDisk(size);
  const house = await served({ disk: medium });
  house.pair.b.close();
  const drivers: Ism[] = [];
  const way = { isOpen: true };
  const open = async (): Promise<Ism> => {
    if (!way.isOpen) throw new Error('there is no fabric now');
    const driver = await openIsm(house.pair.functions[1].open());
    drivers.push(driver);
    return driver;
  };
  const disk = await openBlock(open, house.pair.a.gid, { grace: 50, ...options });
  return {
    ...{ house, medium, disk, way },
    cut: () => cut(drivers.at(-1) as Ism),
    async [Symbol.asyncDispose]() {
      medium.release();
      await disk.close();
      await house[Symbol.asyncDispose]();
    },
  };
}

test('what was in flight is asked again in a new session, and ends well', async () => {
  await using it = await cuttable();
  it.medium.isHeld = true;
  const writes = Array.from({ length: 5 }, (_, i) => it.disk.write(i * 4096, Buffer.alloc(4096, i + 1)));
  const read = it.disk.read(0, Buffer.alloc(512));
  await until(() => it.medium.held === 6, 'six requests at the medium');
  it.cut();
  await until(() => it.disk.state === 'lost', 'a lost target');
  const late = it.disk.write(size - 1, Buffer.of(9));
  it.medium.release();
  await Promise.all([...writes, read, late]);
  assert.deepEqual([it.disk.stats().replayed, it.disk.stats().sessions, it.disk.state], [6, 2, 'open']);
  assert.deepEqual([await byteAt(it.disk, 4 * 4096), await byteAt(it.disk, size - 1)], [5, 9]);
});

test('the fence: nobody is let in while the medium may still do what an earlier session asked', async () => {
  await using it = await cuttable();
  it.medium.isHeld = true;
  const old = it.disk.write(0, Buffer.of(1));
  await until(() => it.medium.held === 1, 'a write at the medium');
  it.cut();
  await until(() => it.house.said.some(([what]) => what === 'detach'), 'the end of the session');
  // It is back, and waits: another function’s initiator as well.
  let isIn = false;
  it.disk.on('state', (state) => (isIn ||= state === 'open'));
  await until(() => it.house.target.stats().open === 0, 'nobody served');
  const newer = it.disk.write(0, Buffer.of(2));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual([isIn, it.medium.calls.length], [false, 1]);
  it.medium.release();
  await Promise.all([old, newer]);
  assert.deepEqual(it.medium.calls, ['write', 'write', 'write']);
  assert.equal(await byteAt(it.disk, 0), 2);
});

test('memory of an earlier session takes no more moves: what its initiator stores late lands nowhere', async () => {
  await using house = await served();
  const disk = await house.open();
  const [before] = [house.pair.a.dmbs.map(({ token }) => token)];
  await disk.close();
  await until(() => house.pair.a.dmbs.length === 0, 'memory that was given back');
  await using again = await house.open();
  for (const token of before) {
    assert.throws(() => house.pair.b.move(token, 0, Buffer.alloc(64, 1)), { code: 'ERR_ISMIO_DEVICE' });
  }
  await again.flush();
});

describe('what was asked while the target is lost', () => {
  test('fail-all: what is in flight and what comes fails at once, until it is back', async () => {
    await using it = await cuttable({ mode: 'fail-all' });
    it.medium.isHeld = true;
    it.way.isOpen = false;
    const inFlight = it.disk.write(0, Buffer.of(1));
    await until(() => it.medium.held === 1, 'a write at the medium');
    it.cut();
    await rejectsCode(inFlight, IsmioError, 'ERR_ISMIO_BLOCK_LOST', lost);
    await rejectsCode(it.disk.flush(), IsmioError, 'ERR_ISMIO_BLOCK_LOST', lost);
    it.medium.release();
    it.way.isOpen = true;
    await until(() => it.disk.state === 'open', 'a target that is back');
    await it.disk.flush();
  });

  test('queue-new: what was in flight fails, what comes waits', async () => {
    await using it = await cuttable({ mode: 'queue-new' });
    it.medium.isHeld = true;
    const inFlight = it.disk.write(0, Buffer.of(1));
    await until(() => it.medium.held === 1, 'a write at the medium');
    it.cut();
    await rejectsCode(inFlight, IsmioError, 'ERR_ISMIO_BLOCK_LOST', lost);
    const next = it.disk.write(0, Buffer.of(2));
    it.medium.release();
    await next;
    assert.equal(await byteAt(it.disk, 0), 2);
  });

  test('a time limit: then it fails, and is served again when the target is back', async () => {
    await using it = await cuttable({ timeout: 50 });
    it.way.isOpen = false;
    it.medium.isHeld = true;
    const inFlight = it.disk.write(0, Buffer.of(1));
    await until(() => it.medium.held === 1, 'a write at the medium');
    it.cut();
    await rejectsCode(inFlight, IsmioError, 'ERR_ISMIO_BLOCK_LOST', lost);
    assert.equal(it.disk.state, 'away');
    await rejectsCode(it.disk.read(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_BLOCK_LOST', lost);
    it.medium.release();
    it.way.isOpen = true;
    await until(() => it.disk.state === 'open', 'a target that is back');
    await it.disk.write(0, Buffer.of(3));
    assert.equal(await byteAt(it.disk, 0), 3);
  });
});

/** A disk in memory that says that it outlives its target. */
const lasting = (life: string) => Object.assign(memoryDisk({ size }), { life });

test('a planned restart of the target fails and loses nothing, of writers that go on all the time', async () => {
  await using pair = await pairOn('device.open()');
  const medium = Object.assign(new SlowDisk(size), { life: 'the same' });
  let target = await serveBlock(pair.a, medium);
  await using disk = await openBlock(pair.b, pair.a.gid);
  const written = new Uint8Array(8);
  let isOver = false;
  const writers = Array.from(written, async (_, i) => {
    for (let value = 1; !isOver; value = (value + 1) & 0xff) {
      await disk.write(i * 4096, Buffer.alloc(4096, value));
      written[i] = value;
    }
  });
  for (let times = 1; times <= 3; times++) {
    const requests = medium.calls.length;
    await until(() => medium.calls.length > requests + 20, 'some writes');
    await target.close();
    target = await serveBlock(pair.a, medium);
    await until(() => disk.stats().sessions === times + 1, 'the next session');
  }
  isOver = true;
  await Promise.all(writers);
  assert.equal(disk.stats().replayed, 0);
  await disk.flush();
  for (const [i, value] of written.entries()) assert.equal(await byteAt(disk, i * 4096), value);
  await disk.close();
  await target.close();
});

test('a target that comes back without what was not flushed: the next flush fails, once', async () => {
  await using pair = await pairOn('device.open()');
  await using _ = await serveBlock(pair.a, lasting('before the crash'));
  await using disk = await openBlock(pair.b, pair.a.gid);
  await disk.write(0, Buffer.of(1));
  pair.a.close();
  await using _next = await serveBlock(await pair.open(pair.functions[0]), lasting('behind it'));
  await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_BLOCK_LOST', { errno: 'EIO', reason: 'unflushed' });
  await disk.flush();
});

test('a target that could not flush when it was restarted: the next flush fails, once', async () => {
  await using pair = await pairOn('device.open()');
  const medium = Object.assign(new SlowDisk(size), { life: 'the same' });
  await using target = await serveBlock(pair.a, medium);
  await using disk = await openBlock(pair.b, pair.a.gid);
  await disk.write(0, Buffer.of(1));
  medium.failures.push('ENOSPC');
  await target.close();
  await using _next = await serveBlock(pair.a, medium);
  await until(() => disk.stats().sessions === 2, 'the next session');
  await disk.write(512, Buffer.of(1));
  await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_BLOCK_LOST', { errno: 'EIO', reason: 'unflushed' });
  await disk.flush();
});

test('what is lost behind a flush that told of a loss is told of by the next', async () => {
  await using pair = await pairOn('device.open()');
  await using _ = await serveBlock(pair.a, lasting('before the crash'));
  await using disk = await openBlock(pair.b, pair.a.gid);
  await disk.write(0, Buffer.of(1));
  pair.a.close();
  const second = await pair.open(pair.functions[0]);
  await using _second = await serveBlock(second, lasting('behind it'));
  await until(() => disk.stats().sessions === 2, 'the next session');
  await disk.write(0, Buffer.of(2));
  await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_BLOCK_LOST', { reason: 'unflushed' });
  second.close();
  await using _third = await serveBlock(await pair.open(pair.functions[0]), lasting('behind another'));
  await until(() => disk.stats().sessions === 3, 'the session behind that');
  await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_BLOCK_LOST', { reason: 'unflushed' });
  await disk.flush();
});

for (const what of ['a flush', 'a write with FUA'] as const) {
  test(`${what} that failed when its session was lost: the medium is asked again, and the next flush fails all the same`, async () => {
    await using it = await cuttable();
    await it.disk.write(0, Buffer.of(1));
    it.medium.isHeld = true;
    const ended = what === 'a flush' ? it.disk.flush() : it.disk.write(0, Buffer.of(2), { fua: true });
    const settled = ended.catch((error: IsmioError) => error['errno']);
    await until(() => it.medium.held === 1, 'a request at the medium');
    it.cut();
    await until(() => it.disk.state === 'lost', 'a lost target');
    it.medium.failures.push('ENOSPC'); // as a kernel says it: once
    it.medium.release();
    assert.equal(await settled, what === 'a flush' ? 'ENOSPC' : undefined);
    if (what !== 'a flush') await rejectsCode(it.disk.flush(), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC' });
    await it.disk.flush();
  });
}

test('a flush that failed, and whose answer was heard, fails no other when its session is lost', async () => {
  await using it = await cuttable();
  it.medium.failures.push('ENOSPC');
  await rejectsCode(it.disk.flush(), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC' });
  await it.disk.read(0, Buffer.alloc(1));
  it.cut();
  await until(() => it.disk.stats().sessions === 2, 'the next session');
  await it.disk.flush();
});

test('a flush of one that only reads, which failed, fails the next flush of whoever writes as well', async () => {
  const medium = new SlowDisk(size);
  await using house = await served({ disk: medium });
  const [writer, reader] = [await house.open(), await house.open({ readOnly: true })];
  await writer.write(0, Buffer.of(1));
  medium.failures.push('ENOSPC');
  await rejectsCode(reader.flush(), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC' });
  await rejectsCode(writer.flush(), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC' });
  await writer.flush();
});

test('a flush that fails while a writer waits for its own fails that one: the medium says it once', async () => {
  const medium = new SlowDisk(size);
  await using house = await served({ disk: medium });
  const [writer, reader] = [await house.open(), await house.open({ readOnly: true })];
  await writer.write(0, Buffer.of(1));
  medium.isHeld = true;
  const first = rejectsCode(reader.flush(), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC' });
  await until(() => medium.held === 1, "the reader's flush at the medium");
  const second = rejectsCode(writer.flush(), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC' });
  await until(() => medium.held === 2, "the writer's flush as well");
  medium.failures.push('ENOSPC');
  medium.release();
  await Promise.all([first, second]);
  await writer.flush();
});

test('a target that could not wait for its last flush: the next flush fails, once', async () => {
  await using pair = await pairOn('device.open()');
  const medium = Object.assign(new SlowDisk(size), { life: 'the same' });
  await using target = await serveBlock(pair.a, medium, { grace: 50 });
  await using disk = await openBlock(pair.b, pair.a.gid);
  await disk.write(0, Buffer.of(1));
  medium.isHeld = true;
  await target.close();
  medium.failures.push('ENOSPC');
  medium.release();
  await using _next = await serveBlock(pair.a, medium);
  await until(() => disk.stats().sessions === 2, 'the next session');
  await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_BLOCK_LOST', { errno: 'EIO', reason: 'unflushed' });
  await disk.flush();
});

test('what another has perhaps overwritten since the session was lost is not asked again, but fails', async () => {
  await using it = await cuttable();
  it.medium.isHeld = true;
  const [stale, read] = [it.disk.write(0, Buffer.of(1)), it.disk.read(0, Buffer.alloc(1))];
  await until(() => it.medium.held === 2, 'two requests at the medium');
  it.way.isOpen = false;
  it.cut();
  await until(() => it.disk.state === 'lost', 'a lost target');
  const late = it.disk.write(512, Buffer.of(3)); // was asked of nobody yet
  it.medium.release();
  const { pair } = it.house;
  const driver = await pair.open(pair.functions[1]);
  const other = await openBlock(driver, pair.a.gid);
  assert.equal(await byteAt(other, 0), 1);
  await other.write(0, Buffer.of(2));
  await other.close();
  driver.close();
  it.way.isOpen = true;
  await rejectsCode(stale, IsmioError, 'ERR_ISMIO_BLOCK_LOST', { errno: 'EIO', reason: 'others' });
  await Promise.all([read, late]);
  assert.deepEqual([await byteAt(it.disk, 0), await byteAt(it.disk, 512)], [2, 3]);
});

test('a target that comes back as another disk is of no use: everything fails, and it says why', async () => {
  for (const [first, second] of [
    [lasting('one'), Object.assign(memoryDisk({ size: 2 * size }), { life: 'one' })],
    [memoryDisk({ size }), memoryDisk({ size })],
  ] as const) {
    await using pair = await pairOn('device.open()');
    await using target = await serveBlock(pair.a, first);
    await using disk = await openBlock(pair.b, pair.a.gid);
    const failed = once(disk, 'error');
    await target.close();
    await using _ = await serveBlock(pair.a, second);
    const [error] = (await failed) as [IsmioError];
    assert.deepEqual([error.code, error['reason']], ['ERR_ISMIO_BLOCK', 'another']);
    await rejectsCode(disk.read(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'another' });
  }
});

/** A fabric of two functions at sockets, as a process of its own would have it. */
async function fabricIn(folder: string) {
  const fabric = createFabric();
  const servers = [0x11n, 0x22n].map((gid, i) => serve(fabric.function({ gid }), { path: join(folder, `${i}.sock`) }));
  await Promise.all(servers);
  return async () => {
    for (const server of await Promise.all(servers)) await server.close();
    fabric.close();
  };
}

test('both ends outlive their fabric: another one is found, and the disk goes on', async (t) => {
  const folder = temporaryFolder(t);
  const opener = (index: 0 | 1) => async () => openIsm(openVfioUser(join(folder, `${index}.sock`)));
  let end = await fabricIn(folder);
  const medium = Object.assign(new SlowDisk(size), { life: 'one' });
  const target = await serveBlock(opener(0), medium);
  const disk = await openBlock(opener(1), 0x11n);
  medium.isHeld = true;
  const inFlight = disk.write(7, Buffer.of(7));
  await until(() => medium.held === 1, 'a write at the medium');
  await end();
  await until(() => disk.state === 'lost', 'a lost fabric');
  medium.release();
  end = await fabricIn(folder);
  await inFlight;
  await disk.flush();
  assert.equal(await byteAt(disk, 7), 7);
  await disk.close();
  await target.close();
  await end();
});

test('a target closes its driver when an initiator has read what was said last, and not before', async () => {
  await using pair = await pairOn('device.open()');
  const target = await serveBlock(() => Promise.resolve(pair.a), memoryDisk({ size }), { slots, ioBytes });
  const hand = await (await HandInitiator.open(pair.b, pair.a.gid, target.port)).begin();
  hand.say('bye', { reason: 'done' });
  const farewell = hand.hear('bye');
  hand.stream.pause();
  await until(() => target.stats().open === 0, 'an initiator that has left');
  const closed = target.close();
  await sleep(300); // it is busy with something else
  hand.stream.resume();
  assert.equal((await farewell).flushed, 1);
  await closed;
  assert.equal(pair.a.closed, true);
});

test('a target that is closed keeps no process', async () => {
  await using pair = await pairOn('device.open()');
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const target = await serveBlock(pair.a, memoryDisk({ size }));
  await target.close();
  assert.equal(timers(), before);
});

describe('close never hangs', () => {
  test('of a disk whose medium does: what was asked fails', async () => {
    await using it = await cuttable();
    it.medium.isHeld = true;
    const hanging = it.disk.write(0, Buffer.of(1));
    await until(() => it.medium.held === 1, 'a write at the medium');
    const failed = rejectsCode(hanging, IsmioError, 'ERR_ISMIO_CLOSED');
    await it.disk.close();
    await failed;
  });

  test('of a disk whose target is lost, and of one that is being opened', async () => {
    await using it = await cuttable();
    it.way.isOpen = false;
    it.cut();
    const waiting = rejectsCode(it.disk.flush(), IsmioError, 'ERR_ISMIO_CLOSED');
    await it.disk.close();
    await waiting;
    const stop = new AbortController();
    const opening = it.house.open({ signal: stop.signal }).catch((error: unknown) => error);
    stop.abort();
    const error = (await opening) as IsmioError;
    assert.equal(error.code, 'ERR_ISMIO_ABORTED');
  });

  test('of a target whose medium hangs, and whose initiator does not leave', async () => {
    const medium = new SlowDisk(size);
    await using house = await served({ disk: medium });
    const disk = await house.open();
    medium.isHeld = true;
    const hanging = disk.write(0, Buffer.of(1)).catch(() => undefined);
    await until(() => medium.held === 1, 'a write at the medium');
    await house.target.close();
    await disk.close();
    await hanging;
    medium.release();
  });
});
