// A function whose driver sits behind QEMU 11.1 on a little-endian host, as in the s390x guest of docs/guests.md: it is strict, its
// store blocks have 128 bytes at most, and come as words of 8 bytes, one by one, each with its bytes in reverse.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BytesLike, IsmioError, type PciDevice } from 'ismio';
import { createFabric, type Ism, openIsm } from 'ismio/ism';
import { pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';

const rules = { maxStoreBlock: 128, alignment: 'strict', singleStores: false } as const;

/** What QEMU makes of the stores of a driver. */
function behindQemu(device: PciDevice): PciDevice {
  const region = device.region.bind(device);
  device.region = (index) => {
    const words = region(index);
    const bar = region(index, { rules });
    bar.storeBlock = (offset, bytes) => {
      assert.ok(bytes.byteLength >= 16 && bytes.byteLength <= rules.maxStoreBlock, `a block of ${bytes.byteLength}`);
      const view = viewOf(bytes);
      for (let at = 0; at < view.byteLength; at += 8) {
        words.store64(Number(offset) + at, view.getBigUint64(at, true), 'be');
      }
    };
    bar.write = (offset, bytes) => {
      const view = viewOf(bytes);
      for (const { offset: place, length } of bar.plan(offset, view.byteLength)) {
        bar.storeBlock(place, new Uint8Array(view.buffer, view.byteOffset + place - Number(offset), length));
      }
    };
    return bar;
  };
  return device;
}

function viewOf(bytes: BytesLike): DataView {
  return ArrayBuffer.isView(bytes)
    ? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new DataView(bytes);
}

interface Pair extends Disposable {
  readonly strict: Ism;
  readonly other: Ism;
}

async function pair(): Promise<Pair> {
  const fabric = createFabric();
  const own = fabric.function({ gid: 0x11n, reversedWords: true });
  const strict = await openIsm(behindQemu(own.open()), { interrupts: 'poll' });
  const other = await openIsm(fabric.function({ gid: 0x22n }).open(), { interrupts: 'poll' });
  return {
    ...{ strict, other },
    [Symbol.dispose]() {
      strict.close();
      other.close();
      fabric.close();
    },
  };
}

test('commands are given and answered, those without a payload as well', async () => {
  using both = await pair();
  const { strict, other } = both;
  assert.deepEqual([strict.strict, other.strict, strict.gid], [true, false, 0x11n]);
  strict.addVlan(7);
  assert.deepEqual([strict.info().vlans, strict.info().gid], [[7], 0x11n]);
  assert.deepEqual([strict.reaches(0x22n), strict.reaches(0x33n)], [true, false]);
  const told: [number, bigint][] = [];
  other.on('event', ({ code, info }) => told.push([code, info]));
  strict.signal(0x22n, { code: 5, info: 6n });
  other.poll();
  assert.deepEqual(told, [[5, 6n]]);
});

test('moves of every length that is possible arrive as they were sent, from pages into pages', async () => {
  using both = await pair();
  const { strict, other } = both;
  const dmb = other.registerDmb({ length: 4 * 4096, peer: 0x11n });
  const expected = new Uint8Array(dmb.length);
  for (let length = 16; length <= 8192; length += length < 400 ? 8 : 968) {
    for (const offset of [0, 8, 4096 - 128, 4096 - 16]) {
      const bytes = pattern(length, length + offset);
      if ((offset + length) % 4096 === 8) continue; // 8 bytes behind a page are no block
      strict.move(dmb.token, offset, bytes, length % 16 === 0 ? { signal: 3 } : {});
      expected.set(bytes, offset);
      assert.equal(Buffer.compare(new Uint8Array(dmb.memory), expected), 0, `${length} bytes at ${offset}`);
    }
  }
});

test('the signal comes with the last block, and none without', async () => {
  using both = await pair();
  const dmb = both.other.registerDmb({ length: 4096, peer: 0x11n });
  const masks: number[] = [];
  dmb.on('signal', (mask) => masks.push(mask));
  both.strict.move(dmb.token, 0, pattern(136));
  both.other.poll();
  assert.deepEqual(masks, []);
  both.strict.move(dmb.token, 0, pattern(136), { signal: 2 });
  both.other.poll();
  assert.deepEqual(masks, [1 << 2]);
});

test('what no blocks can carry is refused before anything of it is moved, and the error says what would do', async () => {
  using both = await pair();
  const { strict, other } = both;
  const dmb = other.registerDmb({ length: 4 * 4096, peer: 0x11n });
  for (const signal of [{}, { signal: 1 }]) {
    for (const [offset, length] of [
      [0, 8],
      [0, 33],
      [4, 32],
      [4088, 32],
      [0, 8200],
    ] as const) {
      const refused = () => strict.move(dmb.token, offset, pattern(length), signal);
      const error = throwsCode(refused, RangeError, 'ERR_ISMIO_RULE', { rule: 'singleStores', bytesDone: 0 });
      assert.match(error.message, /a multiple of 8 bytes, 16 at least/);
    }
  }
  assert.ok(dmb.memory.every((byte) => byte === 0));
  other.move(strict.registerDmb({ length: 4096, peer: 0x22n }).token, 1, pattern(3));
});

test('a driver that takes back what it is told by has gone, though the function stays open', async () => {
  using fabric = createFabric();
  const [own, peer] = [fabric.function({ gid: 0x11n }), fabric.function({ gid: 0x22n })];
  const device = own.open();
  assert.equal(own.present, false, 'nobody has registered anything');
  // The machine of a guest keeps the function open when the driver in it closes.
  const close = device.close.bind(device);
  device.close = () => {};
  const driver = await openIsm(device, { interrupts: 'poll' });
  const other = await openIsm(peer.open(), { interrupts: 'poll' });
  const gone: bigint[] = [];
  other.on('gone', (gid) => gone.push(gid));
  const dmb = driver.registerDmb({ length: 4096, peer: 0x22n });
  assert.equal(other.reaches(0x11n), true);
  driver.close();
  other.poll();
  assert.deepEqual([own.present, other.reaches(0x11n), gone], [false, false, [0x11n]]);
  throwsCode(() => other.move(dmb.token, 0, pattern(16)), IsmioError, 'ERR_ISMIO_DEVICE');
  close();
  other.poll();
  assert.deepEqual(gone, [0x11n], 'it is told once');
  other.close();
});
