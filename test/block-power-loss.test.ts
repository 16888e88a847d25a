// The power of the medium is lost: what was answered behind a flush, or with FUA, is there in every state that the medium may be left
// in, by whichever road it was written.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { BlockDevice, LossMode } from 'ismio/block';
import { command } from '../src/block/nbd/wire.js';
import { served as ismServed, SlowDisk } from './support/block.js';
import { asking, events, World, type WorldEvent } from './support/block-world.js';
import { type Asking, Writers } from './support/block-writers.js';
import { until } from './support/console-line.js';
import { History } from './support/history.js';
import { errnoName, NbdClient, served as nbdServed } from './support/nbd.js';
import { nbdAsking } from './support/nbd-asking.js';
import { sequence } from './support/random.js';
import { type MediumFault, RecordingMedium } from './support/recording-medium.js';
import { scaled } from './support/scale.js';
import { sectorBytes } from './support/stamps.js';

const modes: readonly LossMode[] = ['fail-all', 'queue-new', 'queue-and-replay'];

async function overIsm(t: TestContext, medium: BlockDevice, mode: LossMode): Promise<BlockDevice> {
  const house = await ismServed({ disk: medium });
  t.after(() => house[Symbol.asyncDispose]());
  return house.open({ mode });
}

async function overNbd(t: TestContext, disk: BlockDevice): Promise<Asking> {
  const { path } = await nbdServed(t, disk);
  const client = await NbdClient.open(path);
  t.after(() => client.socket.destroy());
  return nbdAsking(client);
}

type Road = (t: TestContext, medium: BlockDevice) => Promise<Asking>;
const roads: Readonly<Record<string, Road>> = {
  ...Object.fromEntries(
    modes.map((mode): [string, Road] => [
      `over ISM, ${mode}`,
      async (t, medium) => {
        const disk = await overIsm(t, medium, mode);
        return asking(() => disk);
      },
    ]),
  ),
  'by NBD': overNbd,
  'by NBD over ISM': async (t, medium) => overNbd(t, await overIsm(t, medium, 'queue-and-replay')),
};

const sectors = 3;
/** More would take longer to look at than they are worth. */
const mostStates = 60;

/** Requests, two in flight at a time, and the power lost in every way between them and meanwhile. @returns states that were looked at */
async function losses(t: TestContext, road: Road, seed: number, fault: MediumFault = 'none'): Promise<number> {
  const draw = sequence(seed);
  const medium = new RecordingMedium({ bytes: Buffer.alloc(sectors * sectorBytes), draw, fault });
  const history = new History();
  const writers = new Writers({ history, draw, sectors, longest: sectors, client: 'w' });
  const disk = await road(t, medium);
  let looked = 0;
  const look = () => {
    if (medium.states > mostStates) return;
    for (let number = 0; number < medium.states; number++) {
      const after = history.fork();
      after.lostPower({ isSeen: true });
      after.done(after.read('r', 0, sectors), medium.state(number));
      after.check();
      looked++;
    }
  };
  for (let turn = 0; turn < 12; turn++) {
    const both = Promise.all([writers.ask(disk), writers.ask(disk)]);
    for (let turns = draw(4); turns > 0; turns--) await setImmediate();
    look();
    await both;
    look();
    if (medium.states > mostStates) await writers.flush(disk);
  }
  await writers.flush(disk);
  look();
  return looked;
}

describe('every state that the medium may be left in has what was flushed', () => {
  for (const [name, road] of Object.entries(roads)) {
    test(name, async (t) => {
      let looked = 0;
      for (let seed = 0; seed < scaled(3); seed++) looked += await losses(t, road, seed);
      assert.ok(looked > 50, `${looked} states`);
    });
  }

  for (const fault of ['ignores flush', 'ignores FUA'] as const) {
    test(`and where it ${fault}, that is seen`, async (t) => {
      const all = Array.from({ length: 3 }, (_, seed) => losses(t, roads['by NBD over ISM'] as Road, seed, fault));
      const ended = await Promise.allSettled(all);
      const errors = ended.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : []));
      assert.ok(errors.length > 0, 'no loss was seen');
      for (const message of errors) assert.match(message, /no order explains read of/);
    });
  }
});

for (const [name, road] of Object.entries(roads)) {
  test(`a flush and FUA reach the medium before they are answered, ${name}`, async (t) => {
    const medium = new RecordingMedium({ bytes: Buffer.alloc(16 * sectorBytes), draw: sequence(1) });
    const disk = await road(t, medium);
    await disk.write(0, Buffer.alloc(4 * sectorBytes, 1), false);
    assert.deepEqual([medium.unkept, medium.flushes], [4, 0]);
    await disk.write(sectorBytes, Buffer.alloc(sectorBytes, 2), true);
    assert.equal(medium.unkept, 3);
    await disk.zero(2 * sectorBytes, 2 * sectorBytes, true);
    assert.equal(medium.unkept, 1);
    await disk.flush();
    assert.deepEqual([medium.unkept, medium.flushes], [0, 1]);
  });
}

test('a flush by NBD that failed, and whose client has gone: the next flush of whoever connects behind it fails, once', async (t) => {
  const medium = new SlowDisk(4096);
  const { server, path } = await nbdServed(t, medium);
  const flush = async (client: NbdClient) => errnoName((await client.call({ type: command.flush })).errno);
  const open = async () => {
    const client = await NbdClient.open(path);
    t.after(() => client.socket.destroy());
    return client;
  };
  const client = await open();
  medium.isHeld = true;
  client.send({ type: command.flush });
  await until(() => medium.held === 1, 'a flush at the medium');
  client.socket.destroy();
  medium.failures.push('ENOSPC');
  const gone = once(server, 'gone');
  medium.release();
  await gone;
  for (const expected of ['ENOSPC', '0', '0']) assert.equal(await flush(await open()), expected);

  // One that leaves as it should has heard of it.
  const leaving = await open();
  medium.failures.push('ENOSPC');
  assert.equal(await flush(leaving), 'ENOSPC');
  const left = once(server, 'gone');
  leaving.send({ type: command.disconnect });
  await left;
  assert.equal(await flush(await open()), '0');
});

test('a flush by NBD that failed behind a broken connection, or was told to who did not hear it, is told to the next', async (t) => {
  const medium = new SlowDisk(4096);
  const { server, path } = await nbdServed(t, medium);
  const open = async () => {
    const client = await NbdClient.open(path);
    t.after(() => client.socket.destroy());
    return client;
  };
  const flush = async () => errnoName((await (await open()).call({ type: command.flush })).errno);
  const unread = await open();
  unread.socket.pause();
  medium.isHeld = true;
  unread.send({ type: command.flush });
  await until(() => medium.held === 1, 'a flush at the medium');
  medium.isHeld = false;
  // More than its socket takes in by itself.
  for (let read = 0; read < 64; read++) unread.send({ type: command.read, offset: 0, length: 4096 });
  await until(() => server.stats().bytesRead === 64 * 4096, 'answers that nobody reads');
  const broken = once(server, 'gone');
  unread.socket.destroy();
  assert.notEqual((await broken)[1], null, 'with a reason: the connection is reset');
  medium.failures.push('ENOSPC');
  const failed = once(server, 'failed');
  medium.release();
  await failed;

  const deaf = await open();
  medium.isHeld = true;
  deaf.send({ type: command.flush });
  await until(() => medium.held === 1, 'its flush at the medium');
  const gone = once(server, 'gone');
  deaf.socket.destroy();
  medium.release();
  await gone;
  assert.equal(await flush(), 'ENOSPC');
  assert.equal(await flush(), '0');
});

/** Lives of a disk in each mode; or the one of a seed again. */
const count = Number(process.env['ISMIO_LOSSES'] ?? 1);
const only = process.env['ISMIO_SEED'];
const seeds = only === undefined ? Array.from({ length: count }, (_, seed) => seed) : [Number(only)];

async function live(mode: LossMode, seed: number): Promise<void> {
  const draw = sequence(seed);
  await using world = await World.open({ draw, mode });
  const befell = Array.from({ length: 5 }, () => events[draw(events.length)] as WorldEvent);
  for (const event of befell) await world.round(event);
  world.history.check();
  const { unknown, refused } = world.writers.counts;
  if (mode === 'queue-and-replay' && !befell.includes('all lose power')) assert.equal(unknown, 0);
  const isTold = befell.includes('the target loses power') || befell.includes('a flush fails');
  if (!isTold) assert.equal(refused, 0);
}

for (const mode of modes) {
  test(`sessions, targets and the power are lost while writers go on, ${mode}: every read is explained`, async () => {
    for (const seed of seeds) {
      await live(mode, seed).catch((cause: unknown) => {
        throw new Error(`ISMIO_SEED=${seed}: ${(cause as Error).message}`, { cause });
      });
    }
  });
}
