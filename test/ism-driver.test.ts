// The driver of ISM functions, on every road that leads to a fabric of this process.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isIsmioError } from 'ismio';
import { defineDevice } from 'ismio/device';
import { createFabric, openIsm } from 'ismio/ism';
import { thrownBy } from './support/errors.js';
import { next, pairOn, roads } from './support/ism.js';
import { sequence } from './support/random.js';

for (const road of roads) {
  test(`${road}: a function says who it is, and whom it reaches`, async () => {
    await using pair = await pairOn(road);
    assert.equal(pair.a.gid, 0x11n);
    assert.equal(pair.a.reaches(0x22n), true);
    assert.equal(pair.a.reaches(0x33n), false);
    const { gid, dmbs, state } = pair.a.info();
    assert.deepEqual({ gid, dmbs, state }, { gid: 0x11n, dmbs: { most: 1888, used: 0 }, state: 1n });
  });

  test(`${road}: a move is in the peer's memory when it returns, and nothing beside it is touched`, async () => {
    await using pair = await pairOn(road);
    const dmb = pair.b.registerDmb({ length: 3 * 4096, peer: pair.a.gid });
    const expected = new Uint8Array(dmb.length);
    const draw = sequence(7);
    for (let i = 0; i < 200; i++) {
      const offset = draw(dmb.length);
      const bytes = Uint8Array.from({ length: 1 + draw(Math.min(6000, dmb.length - offset)) }, () => draw(256));
      if (offset + bytes.length > dmb.length) continue;
      pair.a.move(dmb.token, offset, bytes, i % 3 === 0 ? { signal: i % 16 } : {});
      expected.set(bytes, offset);
    }
    assert.deepEqual(Uint8Array.from(dmb.memory), expected);
  });

  test(`${road}: only the last block of a move signals, and none crosses a page`, async () => {
    await using pair = await pairOn(road);
    const dmb = pair.b.registerDmb({ length: 4 * 4096, peer: pair.a.gid });
    const before = pair.functions[0].stats().moves;
    const told = next<number>(dmb, 'signal');
    pair.a.move(dmb.token, 100, new Uint8Array(3 * 4096), { signal: 5 });
    assert.equal(await told, 1 << 5);
    assert.equal(pair.functions[0].stats().moves - before, 4);
    assert.equal(pair.functions[1].stats().signals, 1);
  });

  test(`${road}: moves that were queued are made by submit and drain, in order, with their signals`, async () => {
    await using pair = await pairOn(road);
    const dmb = pair.b.registerDmb({ length: 4 * 4096, peer: pair.a.gid });
    const queue = pair.a.queue({ depth: 4 });
    const big = Uint8Array.from({ length: 3 * 4096 }, (_, i) => i % 251);
    const told = next<number>(dmb, 'signal');
    assert.equal(queue.move(dmb.token, 50, big, { signal: 1 }), true);
    assert.equal(queue.queued, 2);
    assert.equal(queue.move(dmb.token, 0, Uint8Array.of(1, 2, 3)), true);
    assert.equal(queue.move(dmb.token, 1, Uint8Array.of(9), { signal: 4 }), true);
    assert.equal(queue.move(dmb.token, 0, Uint8Array.of(7)), false);
    assert.ok(dmb.memory.every((byte) => byte === 0));
    queue.submit();
    assert.deepEqual([...dmb.memory.slice(0, 4)], [1, 9, 3, 0]);
    assert.deepEqual(Uint8Array.from(dmb.memory.slice(50, 50 + big.length)), big);
    assert.notEqual((await told) & 0b10010, 0);
    queue.move(dmb.token, 0, Uint8Array.of(7));
    assert.equal((await queue.drain()).storeBlocks, 1);
    assert.equal(dmb.memory[0], 7);
    queue.move(dmb.token + (9n << 32n), 0, Uint8Array.of(7));
    assert.ok(isIsmioError(thrownBy(() => queue.submit())));
    queue.close();
  });

  test(`${road}: a peer that closes is told as gone, and moves into what it had are refused`, async () => {
    await using pair = await pairOn(road);
    const dmb = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
    const gone = next<bigint>(pair.a, 'gone');
    pair.b.close();
    assert.equal(await gone, 0x22n);
    const refused = thrownBy(() => pair.a.move(dmb.token, 0, Uint8Array.of(1)));
    assert.ok(isIsmioError(refused));
    assert.ok(['ERR_ISMIO_DEVICE', 'ERR_ISMIO_SYSTEM'].includes(refused.code), refused.code);
    assert.equal(pair.a.reaches(0x22n), false);
  });

  test(`${road}: moves that a function refuses: unknown, another's, past the end`, async () => {
    await using pair = await pairOn(road);
    const dmb = pair.b.registerDmb({ length: 5000, peer: pair.a.gid });
    const refuse = (act: () => void) => assert.ok(isIsmioError(thrownBy(act)));
    refuse(() => pair.b.move(dmb.token, 0, Uint8Array.of(1)));
    refuse(() => pair.a.move(dmb.token + (7n << 32n), 0, Uint8Array.of(1)));
    refuse(() => pair.a.move(dmb.token, 4999, Uint8Array.of(1, 2)));
    dmb.unregister();
    refuse(() => pair.a.move(dmb.token, 0, Uint8Array.of(1)));
    const { unknown, sender, bounds } = pair.functions[0].stats().refused;
    assert.deepEqual(
      { unknown, sender: pair.functions[1].stats().refused.sender + sender, bounds },
      { unknown: 2, sender: 1, bounds: 1 },
    );
    assert.ok(dmb.memory.every((byte) => byte === 0));
  });

  test(`${road}: a new life begins with none of what the last one registered`, async () => {
    await using pair = await pairOn(road);
    const old = pair.b.registerDmb({ length: 4096, peer: pair.a.gid });
    pair.a.addVlan(7);
    pair.b.close();
    await sleep(50);
    const again = await pair.open(pair.functions[1]);
    assert.equal(again.info().dmbs.used, 0);
    assert.deepEqual(again.info().vlans, []);
    assert.ok(isIsmioError(thrownBy(() => pair.a.move(old.token, 0, Uint8Array.of(1)))));
    const dmb = again.registerDmb({ length: 4096, peer: pair.a.gid });
    assert.notEqual(dmb.token, old.token);
    pair.a.move(dmb.token, 0, Uint8Array.of(9));
    assert.equal(dmb.memory[0], 9);
  });

  test(`${road}: VLAN ids: both ends need one that is asked for, and one where it is required`, async () => {
    await using pair = await pairOn(road);
    pair.a.addVlan(7);
    pair.a.addVlan(7);
    assert.deepEqual(pair.a.info().vlans, [7]);
    assert.equal(pair.a.reaches(pair.b.gid, 7), false);
    pair.b.addVlan(7);
    assert.equal(pair.a.reaches(pair.b.gid, 7), true);
    pair.a.requireVlan(true);
    const refused = thrownBy(() => pair.a.registerDmb({ length: 4096, peer: pair.b.gid }));
    assert.ok(isIsmioError(refused, 'ERR_ISMIO_ISM'));
    assert.equal(refused['command'], 'REG_DMB');
    pair.a.registerDmb({ length: 4096, peer: pair.b.gid, vlan: 7 }).unregister();
    pair.a.deleteVlan(7);
    assert.ok(
      isIsmioError(
        thrownBy(() => pair.a.deleteVlan(7)),
        'ERR_ISMIO_ISM',
      ),
    );
  });

  test(`${road}: as many DMBs as there are slots, and none more; indices come round`, async () => {
    await using pair = await pairOn(road);
    const first = pair.b.registerDmb({ length: 1, peer: pair.a.gid });
    first.unregister();
    const second = pair.b.registerDmb({ length: 1, peer: pair.a.gid });
    assert.equal(second.index, first.index + 1);
    pair.a.move(second.token, 0, Uint8Array.of(5));
    assert.equal(second.memory[0], 5);
  });
}

test('a driver refuses what is no ISM function', async () => {
  const other = defineDevice({ vendor: 0x1234, device: 0x11e8, classCode: 0 });
  const device = other.open();
  await assert.rejects(openIsm(device), (error) => isIsmioError(error, 'ERR_ISMIO_NOT_A_DEVICE'));
  device.close();
  other.close();
});

test('a second driver of one device is refused, and the first hears on', async () => {
  await using pair = await pairOn('device.open()');
  await assert.rejects(openIsm(pair.b.device), (error) => isIsmioError(error, 'ERR_ISMIO_DEVICE_BUSY'));
  const dmb = pair.b.registerDmb({ length: 1, peer: pair.a.gid });
  const told = next<number>(dmb, 'signal');
  pair.a.move(dmb.token, 0, Uint8Array.of(1), { signal: 0 });
  assert.equal(await told, 1);
});

test('a driver that is closed by a listener of what its closing ends is closed once', async () => {
  await using pair = await pairOn('device.open()');
  let closed = 0;
  pair.b.on('close', () => closed++);
  pair.b.registerDmb({ length: 1, peer: pair.a.gid }).on('close', () => pair.b.close());
  pair.b.close();
  assert.equal(closed, 1);
});

test('GIDs are unique in a fabric, and free again when a function was closed', () => {
  using fabric = createFabric();
  const one = fabric.function({ gid: 5n });
  const device = one.open();
  device.region(0); // what a driver has open keeps nothing of it
  assert.ok(
    isIsmioError(
      thrownBy(() => fabric.function({ gid: 5n })),
      'ERR_ISMIO_OPTION',
    ),
  );
  one.close();
  assert.deepEqual(fabric.functions, []);
  fabric.function({ gid: 5n });
  device.close();
});
