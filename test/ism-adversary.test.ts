// The adversary of a fabric: each mischief alone, on real moves, and the same seed twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import { type AdversaryOptions, createFabric, type Mischief } from 'ismio/ism';
import { throwsCode } from './support/errors.js';
import { fabricRoads, type Pair, pairOn, type Road } from './support/ism.js';

const polled = { interrupts: 'poll' } as const;

function opposed(adversary: Omit<AdversaryOptions, 'seed'>, road: Road = 'device.open()', seed = 1): Promise<Pair> {
  return pairOn(road, polled, { adversary: { seed, ...adversary } });
}

function done({ fabric }: Pair): Record<Mischief, number> {
  const { adversary } = fabric.stats();
  assert.ok(adversary !== null);
  return adversary;
}

/** Polls until it holds: a signal of the adversary's thread has no event to wait for. */
async function until(pair: Pair, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !holds(); ) {
    assert.ok(performance.now() < end, 'it did not come');
    await sleep(1);
    pair.b.poll();
  }
}

test('delayed signals come later than their bytes, and each comes', async () => {
  await using pair = await opposed({ delay: 1000, latest: 60 });
  const dmbs = Array.from({ length: 20 }, () => pair.b.registerDmb({ length: 8, peer: pair.a.gid }));
  const told: number[] = [];
  for (const [i, dmb] of dmbs.entries()) dmb.on('signal', () => told.push(i));
  for (const { token, memory } of dmbs) {
    pair.a.move(token, 0, Uint8Array.of(9), { signal: 0 });
    assert.equal(memory[0], 9);
  }
  pair.b.poll();
  assert.ok(told.length < 20, 'some are late');
  await until(pair, () => told.length === 20);
  assert.deepEqual(
    told.toSorted((a, b) => a - b),
    [...dmbs.keys()],
  );
  assert.notDeepEqual(told, [...dmbs.keys()], 'they overtake each other');
  assert.deepEqual(done(pair), { delay: 20, coalesce: 0, reorder: 0, fail: 0, kill: 0, busy: 0 });
  assert.equal(pair.functions[1].stats().signals, 20);
});

test('coalesced signals of one DMB come as one, with a bit for each', async () => {
  await using pair = await opposed({ coalesce: 1000, latest: 20 });
  const dmb = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
  const masks: number[] = [];
  dmb.on('signal', (mask) => masks.push(mask));
  for (const signal of [1, 2, 15]) pair.a.move(dmb.token, 0, Uint8Array.of(signal), { signal });
  await until(pair, () => masks.length > 0);
  assert.deepEqual(masks, [0x8006]);
  const { signals, interrupts } = pair.functions[1].stats();
  assert.deepEqual([signals, interrupts, done(pair).coalesce], [3, 1, 3]);
});

test('a coalesced signal comes with the next one of its DMB, not with that of another', async () => {
  await using pair = await opposed({ coalesce: 500, latest: 60_000 });
  const [one, other] = [1, 2].map(() => pair.b.registerDmb({ length: 8, peer: pair.a.gid }));
  assert.ok(one !== undefined && other !== undefined);
  let waiting = 0;
  one.on('signal', (mask) => {
    assert.equal(mask, waiting);
    waiting = 0;
  });
  for (let i = 0; i < 60; i++) {
    const before = done(pair).coalesce;
    waiting |= 1 << (i % 16);
    pair.a.move(one.token, 0, Uint8Array.of(i), { signal: i % 16 });
    const isHeld = done(pair).coalesce > before;
    pair.a.move(other.token, 0, Uint8Array.of(i), { signal: 0 });
    pair.b.poll();
    assert.equal(waiting !== 0, isHeld);
  }
});

test('a reordered signal comes behind bytes and signal of another DMB that were moved later', async () => {
  await using pair = await opposed({ reorder: 500, latest: 60_000 });
  const order: string[] = [];
  const [one, other] = ['one', 'other'].map((name) => {
    const dmb = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
    dmb.on('signal', () => order.push(name));
    return dmb;
  });
  assert.ok(one !== undefined && other !== undefined);
  let turned = 0;
  for (let i = 0; i < 40; i++) {
    order.length = 0;
    pair.a.move(one.token, 0, Uint8Array.of(i), { signal: 0 });
    pair.b.poll();
    const isLate = order.length === 0;
    pair.a.move(other.token, 0, Uint8Array.of(i), { signal: 0 });
    pair.b.poll();
    if (order.at(-1) !== 'other') continue; // that one waits as well
    if (isLate) turned++;
    await until(pair, () => order.includes('one')); // by that signal: the latest is a minute away
  }
  assert.ok(turned > 3, `${turned} came the other way round`);
});

test('moves that fail leave nothing behind, and are counted', async () => {
  await using pair = await opposed({ fail: 200 });
  const dmb = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
  let failed = 0;
  for (let i = 1; i <= 100; i++) {
    const before = dmb.memory[0];
    try {
      pair.a.move(dmb.token, 0, Uint8Array.of(i), { signal: 0 });
      assert.equal(dmb.memory[0], i);
    } catch (thrown) {
      assert.ok(thrown instanceof IsmioError);
      assert.deepEqual([thrown.code, thrown['deviceStatus']], ['ERR_ISMIO_DEVICE', 7]);
      assert.equal(dmb.memory[0], before);
      failed++;
    }
  }
  assert.ok(failed > 5 && failed < 60, `${failed} failed`);
  assert.deepEqual([done(pair).fail, pair.functions[0].stats().refused.failed], [failed, failed]);
});

for (const road of fabricRoads) {
  test(`${road}: a function that is killed has moved its bytes and not its signal; its peers are told, and the next driver lives`, async () => {
    await using pair = await opposed({ kill: 1000 }, road);
    const dmb = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
    const own = pair.a.registerDmb({ length: 8, peer: pair.b.gid });
    const gone: bigint[] = [];
    pair.b.on('gone', (gid) => gone.push(gid));
    dmb.on('signal', () => assert.fail('it died before that'));
    assert.throws(() => pair.a.move(dmb.token, 0, Uint8Array.of(9), { signal: 0 }), { code: 'ERR_ISMIO_DEVICE' });
    pair.b.poll();
    assert.deepEqual([dmb.memory[0], gone], [9, [0x11n]]);
    assert.deepEqual([pair.functions[0].present, pair.b.reaches(0x11n)], [false, false]);
    throwsCode(() => pair.a.info(), IsmioError, 'ERR_ISMIO_ISM', { returnCode: 0xffff });
    assert.throws(() => pair.a.move(dmb.token, 0, Uint8Array.of(8)), { code: 'ERR_ISMIO_DEVICE' });
    assert.equal(dmb.memory[0], 9);
    own.unregister();
    pair.a.close();
    await sleep(20);
    const again = await pair.open(pair.functions[0], polled);
    assert.equal(pair.b.reaches(again.gid), true);
    pair.b.poll();
    assert.deepEqual([gone, done(pair).kill], [[0x11n], 1], 'it is told once');
  });

  test(`${road}: what is busy is tried again, and given up when it stays so`, async () => {
    await using pair = await opposed({ busy: 500 }, road);
    const dmb = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
    for (let i = 0; i < 100; i++) {
      pair.a.move(dmb.token, 0, Uint8Array.of(i));
      assert.equal(dmb.memory[0], i);
    }
    assert.ok(done(pair).busy > 50, `${done(pair).busy} times busy`);
    await using always = await opposed({ busy: 1000 }, road);
    const { token } = always.b.registerDmb({ length: 8, peer: always.a.gid });
    throwsCode(() => always.a.move(token, 0, Uint8Array.of(1)), IsmioError, 'ERR_ISMIO_BUSY');
  });
}

test('the same seed does the same to the same moves, and another seed something else', async () => {
  const made = async (seed: number): Promise<string> => {
    await using pair = await opposed({ fail: 300, busy: 300, delay: 300 }, 'device.open()', seed);
    const { token } = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
    const outcomes = Array.from({ length: 200 }, (_, i) => {
      const before = done(pair);
      try {
        pair.a.move(token, 0, Uint8Array.of(i), { signal: 0 });
      } catch (thrown) {
        assert.equal((thrown as IsmioError).code, 'ERR_ISMIO_DEVICE');
      }
      const after = done(pair);
      return [after.fail - before.fail, after.busy - before.busy, after.delay - before.delay].join('');
    });
    return outcomes.join(' ');
  };
  const first = await made(7);
  assert.equal(await made(7), first);
  assert.notEqual(await made(8), first);
});

test('without an adversary none is counted; with a seed alone nothing is refused', async () => {
  using plain = createFabric();
  assert.deepEqual(plain.stats(), { adversary: null });
  await using pair = await opposed({});
  const { token } = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
  for (let i = 0; i < 300; i++) pair.a.move(token, 0, Uint8Array.of(i), { signal: i % 16 });
  const { delay, coalesce, reorder, fail, kill, busy } = done(pair);
  assert.ok(delay > 0 && coalesce > 0 && reorder > 0 && busy > 0, JSON.stringify(done(pair)));
  assert.deepEqual([fail, kill], [0, 0]);
});

test('an adversary without a seed, with another kind or a rate that is none is refused', () => {
  for (const [adversary, type, code] of [
    [{}, TypeError, 'ERR_ISMIO_ARGUMENT_TYPE'],
    [{ seed: -1 }, RangeError, 'ERR_ISMIO_OPTION'],
    [{ seed: 1, lose: 1 }, RangeError, 'ERR_ISMIO_OPTION'],
    [{ seed: 1, fail: 1001 }, RangeError, 'ERR_ISMIO_OPTION'],
    [{ seed: 1, busy: 0.5 }, RangeError, 'ERR_ISMIO_OPTION'],
    [{ seed: 1, latest: 0 }, RangeError, 'ERR_ISMIO_OPTION'],
  ] as const) {
    throwsCode(() => createFabric({ adversary: adversary as AdversaryOptions }), type, code);
  }
  const past = () => createFabric({ direct: true, adversary: { seed: 1 } }); // lanes pass the fabric by
  throwsCode(past, RangeError, 'ERR_ISMIO_OPTION', { direct: true });
});

test('a fabric that is closed while signals are held ends at once', async () => {
  const pair = await opposed({ coalesce: 1000, latest: 60_000 });
  const { token } = pair.b.registerDmb({ length: 8, peer: pair.a.gid });
  pair.a.move(token, 0, Uint8Array.of(1), { signal: 0 });
  const begun = performance.now();
  await pair[Symbol.asyncDispose]();
  assert.ok(performance.now() - begun < 5000);
});
