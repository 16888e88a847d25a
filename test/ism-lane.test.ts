// Lanes: a sender that has the memory of a peer's DMB itself. Who is lent what, and what is refused.
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allocBuffer, IsmioError } from 'ismio';
import { serve } from 'ismio/device';
import { createFabric, type IsmStream } from 'ismio/ism';
import { Commander } from '../src/ism/driver/commander.js';
import { commandBar, commands } from '../src/ism/wire.js';
import { throwsCode } from './support/errors.js';
import { next, pairOn } from './support/ism.js';
import { pack, RawClient } from './support/vfio-user-client.js';

const road = 'vfio-user, by lanes';
const laneCommand = 0x4953;
const errno = { EINVAL: 22, ENOSYS: 38 } as const;

test('what is moved by a lane is in the peer’s memory, with its signals, and the fabric counts none of it', async () => {
  await using pair = await pairOn(road);
  const dmb = pair.b.registerDmb({ length: 10_000, peer: pair.a.gid });
  using lane = pair.a.lane(dmb.token);
  assert.equal(lane.length, 10_000);
  const signalled = next<number>(dmb, 'signal');
  const bytes = Uint8Array.from({ length: 9000 }, (_, i) => i % 251);
  lane.move(500, bytes, { signal: 3 });
  assert.equal(await signalled, 1 << 3);
  assert.deepEqual(dmb.memory.slice(500, 9500), bytes);
  assert.ok(dmb.memory.slice(0, 500).every((byte) => byte === 0));
  assert.ok(dmb.memory.slice(9500).every((byte) => byte === 0));
  const { moves, lanes } = pair.functions[0].stats();
  assert.deepEqual({ moves, lanes }, { moves: 0, lanes: 1 });
  assert.equal(pair.functions[1].stats().received, 0);
});

test('each of many signals by lanes and through the fabric is heard, whichever came first', async () => {
  await using pair = await pairOn(road);
  const dmbs = Array.from({ length: 8 }, () => pair.b.registerDmb({ length: 4096, peer: pair.a.gid }));
  const lanes = dmbs.map((dmb) => pair.a.lane(dmb.token));
  for (let round = 0; round < 50; round++) {
    const told = dmbs.map((dmb) => next<number>(dmb, 'signal'));
    for (const [i, dmb] of dmbs.entries()) {
      if ((round + i) % 2 === 0) lanes[i]?.signal(i);
      else pair.a.move(dmb.token, 0, Uint8Array.of(1), { signal: i });
    }
    assert.deepEqual(
      await Promise.all(told),
      dmbs.map((_, i) => 1 << i),
    );
  }
});

test('a lane ends where its memory does, and what is wrong with a move is told before anything is stored', async () => {
  await using pair = await pairOn(road);
  const dmb = pair.b.registerDmb({ length: 5000, peer: pair.a.gid });
  using lane = pair.a.lane(dmb.token);
  throwsCode(() => lane.move(4999, Uint8Array.of(1, 2)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => lane.move(0, new Uint8Array()), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => lane.move(0, Uint8Array.of(1), { signal: 16 }), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => lane.signal(-1), RangeError, 'ERR_ISMIO_OPTION');
  assert.ok(dmb.memory.every((byte) => byte === 0));
});

test('a lane is lent to the function that is authorised, of a DMB that is there, by a fabric that is direct', async () => {
  await using pair = await pairOn(road);
  const dmb = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  const refuse = (who: typeof pair.a, token: bigint, why: RegExp) =>
    assert.match(throwsCode(() => who.lane(token), IsmioError, 'ERR_ISMIO_ISM', { token }).message, why);
  refuse(pair.b, dmb.token, /another function is authorised/);
  refuse(pair.a, dmb.token + (7n << 32n), /no DMB has it/);
  refuse(pair.a, dmb.token + 1n, /no DMB has it/);
  dmb.unregister();
  refuse(pair.a, dmb.token, /no DMB has it/);
  await using near = await pairOn('device.open()');
  const own = near.b.registerDmb({ length: 4096, peer: near.a.gid });
  refuse(near.a, own.token, /only a fabric in another process/);
  await using plain = await pairOn('vfio-user');
  const other = plain.b.registerDmb({ length: 4096, peer: plain.a.gid });
  refuse(plain.a, other.token, /its fabric is not direct/);
});

test('memory that is more than the DMB is lent to nobody: a stream to it goes through the fabric', async () => {
  await using pair = await pairOn(road);
  const whole = allocBuffer(8192, { shared: true });
  const mapping = pair.b.device.dmaMap(whole);
  const commander = new Commander(pair.b.device.region(commandBar));
  const { values } = commander.run(commands.registerDmb, {
    dmb: mapping.iova,
    dmb_len: 4096,
    sba_idx: 1000,
    vlan_valid: 0,
    vlan_id: 0,
    rgid: pair.a.gid,
  });
  const { message } = throwsCode(() => pair.a.lane(values.dmb_tok), IsmioError, 'ERR_ISMIO_ISM');
  assert.match(message, /no file of its own/);
  pair.a.move(values.dmb_tok, 0, Uint8Array.of(7));
  assert.equal(whole[0], 7);
});

test('a peer that has no interrupt now is sent to through the fabric', async () => {
  await using pair = await pairOn(road, { interrupts: 'poll' });
  const dmb = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  assert.match(throwsCode(() => pair.a.lane(dmb.token), IsmioError, 'ERR_ISMIO_ISM').message, /no interrupt now/);
});

test('memory that was taken back stays with the lane alone: what is moved there reaches nothing that came after', async () => {
  await using pair = await pairOn(road);
  const first = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  using lane = pair.a.lane(first.token);
  first.unregister();
  const second = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  lane.move(0, new Uint8Array(4096).fill(9));
  await new Promise(setImmediate);
  assert.ok(second.memory.every((byte) => byte === 0));
});

test('a lane ends with its driver, and is lost with its fabric', async () => {
  const pair = await pairOn(road);
  const dmb = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  const closed = pair.a.lane(dmb.token);
  closed.close();
  throwsCode(() => closed.move(0, Uint8Array.of(1)), IsmioError, 'ERR_ISMIO_CLOSED');
  throwsCode(() => closed.signal(0), IsmioError, 'ERR_ISMIO_CLOSED');
  const lost = pair.a.lane(dmb.token);
  const gone = next(pair.a.device as unknown as { once(name: string, told: (value: Error) => void): unknown }, 'lost');
  pair.functions[0].close();
  await gone;
  throwsCode(() => lost.move(0, Uint8Array.of(1)), IsmioError, 'ERR_ISMIO_REGION_LOST');
  lost.close();
  await pair[Symbol.asyncDispose]().catch(() => undefined); // its driver cannot take back what it registered
});

test('what a lane was lent is given back with its driver, whoever forgot to close it', async () => {
  const pair = await pairOn(road);
  const open = () => readdirSync('/proc/self/fd').length;
  const dmb = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
  const before = open();
  for (let i = 0; i < 10; i++) pair.a.lane(dmb.token);
  assert.equal(open(), before + 10, 'the eventfd of each');
  pair.a.close();
  assert.ok(open() < before, 'and what the driver had');
  await pair[Symbol.asyncDispose]();
});

test('streams of drivers that are direct go by lanes, and those of one that is not through the fabric', async () => {
  await using pair = await pairOn(road);
  const plain = await pair.open(pair.fabric.function({ gid: 0x33n }), { direct: false });
  pair.b.listen(1, (stream) => void stream.on('error', () => undefined).on('data', (part) => stream.write(part)));
  for (const [driver, one, expected] of [
    [pair.a, pair.functions[0], 1],
    [plain, pair.fabric.functions[2], 0],
  ] as const) {
    const stream: IsmStream = await driver.connect(pair.b.gid, 1);
    const before = one?.stats().moves ?? 0;
    const come = next<Buffer>(stream, 'data');
    stream.write('twelve bytes');
    assert.equal(String(await come), 'twelve bytes');
    assert.equal(one?.stats().lanes, expected);
    assert.equal((one?.stats().moves ?? 0) > before, expected === 0);
    stream.on('error', () => undefined).destroy();
  }
});

test('a request for a lane that is none is refused, and nothing is lent', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ismio-lane-'));
  const fabric = createFabric({ direct: true });
  const [one, other] = [fabric.function({ gid: 1n }), fabric.function({ gid: 2n })];
  const servers = [await serve(one, { path: join(folder, '0') }), await serve(other, { path: join(folder, '1') })];
  const client = await RawClient.connect(join(folder, '0'));
  const ask = async (...body: (number | bigint)[]) => (await client.call(laneCommand, pack(...body))).errno;
  const token = 1n << 32n;
  assert.equal(await ask(), errno.EINVAL);
  assert.equal(await ask(15, 0, token), errno.EINVAL);
  assert.equal(await ask(16, 1, token), errno.EINVAL);
  assert.equal(await ask(16, 0, token, 0), errno.EINVAL);
  assert.equal(await ask(16, 0, token), errno.EINVAL, 'a client that takes one descriptor at a time');
  assert.equal(one.stats().lanes, 0);
  await client.close();
  for (const server of servers) await server.close();
  fabric.close();
  const plain = createFabric();
  const server = await serve(plain.function({ gid: 1n }), { path: join(folder, '2') });
  const second = await RawClient.connect(join(folder, '2'));
  assert.equal((await second.call(laneCommand, pack(16, 0, token))).errno, errno.ENOSYS);
  await second.close();
  await server.close();
  plain.close();
  rmSync(folder, { recursive: true });
});
