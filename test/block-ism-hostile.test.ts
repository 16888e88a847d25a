// Peers of a disk over ISM that break its protocol: each session ends with a reason, the process lives, and the next one is served.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import { type IsmDisk, memoryDisk, openBlock } from 'ismio/block';
import { served } from './support/block.js';
import { HandInitiator, HandTarget, hello, ioBytes, seal, sealed, slots } from './support/block-hand.js';
import { until } from './support/console-line.js';
import { rejectsCode } from './support/errors.js';
import { pairOn } from './support/ism.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const size = 65_536;
const port = 10_809;
const commands = { read: 1, write: 2, flush: 3, trim: 4, zero: 5, cache: 6, extents: 7 } as const;

interface Asked {
  epoch?: number;
  sequence?: number;
  command?: number;
  flags?: number;
  offset?: number;
  length?: number;
  most?: number;
  reserved?: number;
  inline?: Uint8Array;
}

/** A request as docs/block-protocol.md has it, word by word. */
function asked(epoch: number, values: Asked): Uint8Array {
  const { sequence: number = 1, command = 1, flags = 0, offset = 0, length = 512, most = 0, inline } = values;
  const words = [0, values.epoch ?? epoch, number, (command << 16) | flags, Math.floor(offset / 2 ** 32), offset];
  words.push(Math.floor(length / 2 ** 32), length, most, 0, 0, values.reserved ?? 0);
  return sealed(words, 64 + (((inline?.length ?? 0) + 3) & ~3), inline);
}

async function house() {
  const medium = memoryDisk({ size });
  const built = await served({ disk: medium, slots, ioBytes });
  const failures: unknown[] = [];
  built.target.on('failed', (failure) => void failures.push(failure));
  const hand = async () => (await HandInitiator.open(built.pair.b, built.pair.a.gid, port)).begin();
  return { ...built, medium, failures, hand };
}

/** The disk is served to somebody who keeps to the rules. */
async function serves({ open }: { open(): Promise<IsmDisk> }): Promise<void> {
  const disk = await open();
  await disk.write(0, Buffer.alloc(5000, 9));
  const bytes = Buffer.alloc(5000);
  await disk.read(0, bytes);
  assert.ok(bytes.every((byte) => byte === 9));
  await disk.close();
}

test('the bytes of a request and of its answers, as the page has them', async () => {
  await using it = await house();
  const hand = await it.hand();
  const inline = Buffer.from('abcde');
  hand.move(1, asked(hand.epoch, { command: commands.write, offset: 4096, length: 5, inline }));
  await until(() => hand.entry(1).readUInt32BE(8) === 1, 'an answer in the array');
  assert.deepEqual(hand.entry(1), Buffer.from(sealed([0, hand.epoch, 1, 0, 0], 32)));
  hand.move(2, asked(hand.epoch, { command: commands.read, offset: 4097, length: 3 }));
  const head = Buffer.from(hand.heads.memory.buffer, hand.heads.memory.byteOffset + 2 * 4096, 68);
  await until(() => head.readUInt32BE(8) === 1, 'an answer at the page');
  assert.deepEqual(Buffer.from(head), Buffer.from(sealed([0, hand.epoch, 1, 0, 3], 68, Buffer.from('bcd'))));
  hand.moveData(1, Buffer.alloc(4096, 0xaa));
  hand.move(1, asked(hand.epoch, { sequence: 2, command: commands.write, offset: 0, length: 4096 }));
  await until(() => hand.entry(1).readUInt32BE(8) === 2, 'the next answer');
  hand.move(3, asked(hand.epoch, { command: commands.read, length: 4096 }));
  await until(() => hand.entry(3).readUInt32BE(8) === 1, 'an answer to a read');
  assert.equal(hand.entry(3).readUInt32BE(16), 4096);
  assert.ok(hand.data.memory.subarray(3 * ioBytes, 4 * ioBytes).every((byte) => byte === 0xaa));
  hand.say('bye', { reason: 'done' });
  assert.equal((await hand.hear('bye')).flushed, 1);
  await hand.closed();
});

describe('a request that breaks a rule ends the session, with the rule as its reason', () => {
  const { read, write, flush, trim, extents } = commands;
  const rules: [Asked, RegExp][] = [
    [{ epoch: 1 }, /epoch 1/],
    [{ sequence: 2 }, /request 2 came into slot 0, and 1 was next/],
    [{ command: 0 }, /command 0 is none/],
    [{ command: 8 }, /command 8 is none/],
    [{ flags: 1 }, /a read has flags 1/],
    [{ command: write, flags: 2, length: 4096 }, /a write has flags 2/],
    [{ reserved: 1 }, /reserved/],
    [{ length: 0 }, /a read has 0 bytes/],
    [{ length: ioBytes + 1 }, /more than a slot/],
    [{ command: write, length: 2 ** 32 + 512 }, /not within the disk/],
    [{ offset: size, length: 1 }, /not within the disk/],
    [{ offset: 2 ** 53, length: 512 }, /not within the disk/],
    [{ command: trim, offset: 512, length: size }, /not within the disk/],
    [{ command: flush, length: 512 }, /a flush has 512 bytes/],
    [{ command: read, most: 1 }, /a request of read wants 1 extents/],
    [{ command: extents, most: 253 }, /a request of extents wants 253 extents/],
  ];
  test(`${rules.length} of them`, async () => {
    await using it = await house();
    for (const [values, reason] of rules) {
      const hand = await it.hand();
      hand.move(0, asked(hand.epoch, values));
      assert.match(await hand.refused(), reason);
    }
    assert.deepEqual([it.target.stats().breaches, it.failures], [rules.length, []]);
    assert.equal(it.medium.allocated, 0);
    await serves(it);
  });
});

test('a slot that is asked again before its answer ends the session', async () => {
  await using it = await house();
  const hand = await it.hand();
  const long = { command: commands.zero, length: size };
  // Both are there before the target looks: of one of them it has to see that the other was not answered.
  hand.move(0, asked(hand.epoch, long));
  hand.move(0, asked(hand.epoch, { ...long, sequence: 2 }));
  assert.match(await hand.refused(), /request 2 came into slot 0, and 1 was next|whose last one is not answered/);
  await serves(it);
});

test('a read-only session that writes ends', async () => {
  await using it = await house();
  const hand = await HandInitiator.open(it.pair.b, it.pair.a.gid, port);
  hand.say('hello', { ...hello, flags: 1 });
  const { epoch, heads } = await hand.hear('welcome');
  hand.say('memory', { heads: hand.heads.token, data: Buffer.from(tokenBytes(hand.data.token)) });
  await hand.hear('ready');
  it.pair.b.move(heads, 0, asked(epoch, { command: commands.trim }), { signal: 0 });
  assert.match(await hand.refused(), /only reads/);
});

test('a request that is seen half-way waits for its other half; one that stays so ends the session', async () => {
  await using it = await house();
  const hand = await it.hand();
  const whole = asked(hand.epoch, { command: commands.write, length: 600, inline: Buffer.alloc(600, 3) });
  hand.move(0, Buffer.from(whole).fill(0, 100));
  await sleep(20);
  assert.equal(it.medium.allocated, 0);
  hand.move(0, whole);
  await until(() => hand.entry(0).readUInt32BE(8) === 1, 'an answer');
  hand.move(1, Buffer.from(whole).fill(1, 100));
  assert.match(await hand.refused(), /wrong check/);
  await serves(it);
});

test('structure-aware garbage in all slots: nothing of it reaches the medium but what the rules allow', async () => {
  await using it = await house();
  const below = sequence(29);
  const interesting = [0, 1, 2, 511, 512, 4032, 4033, ioBytes, size - 1, size, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53];
  const number = () => interesting[below(interesting.length)] as number;
  let hand = await it.hand();
  let sequences = new Array<number>(slots).fill(0);
  for (let i = 0; i < scaled(200); i++) {
    if (hand.isOver || hand.heard.some(({ name }) => name === 'refused')) {
      await hand.closed();
      hand = await it.hand();
      sequences = new Array<number>(slots).fill(0);
    }
    const slot = below(slots);
    const next = (sequences[slot] as number) + 1;
    sequences[slot] = next;
    const values: Asked = { sequence: next, command: 1 + below(7), offset: below(size), length: 1 + below(600) };
    if (values.command === commands.flush) Object.assign(values, { offset: 0, length: 0 });
    if (values.command === commands.extents) values.most = 5;
    if (below(3) === 0)
      values[(['offset', 'length', 'most', 'flags', 'reserved'] as const)[below(5)] as 'flags'] = number();
    const made = asked(hand.epoch, values);
    if (below(20) === 0) seal(made.fill(below(256), 4 + below(60)));
    hand.move(slot, made);
    if (below(2) === 0) await sleep(0);
  }
  hand.stream.destroy();
  assert.deepEqual(it.failures, []);
  assert.ok(it.target.stats().breaches > 10);
  assert.ok(it.target.stats().requests > 20);
  await until(() => it.target.stats().open === 0, 'the end of the last session');
  await serves(it);
});

test('memory that is not the peer’s own, or is none, is refused', async () => {
  await using it = await house();
  const other = it.pair.b.registerDmb({ length: 4096, peer: it.pair.a.gid });
  for (const data of [Buffer.alloc(0), Buffer.alloc(16), 'heads', 'twice'] as const) {
    const hand = await HandInitiator.open(it.pair.b, it.pair.a.gid, port);
    await hand.greet();
    const own = tokenBytes(data === 'heads' ? hand.heads.token : other.token);
    const named = typeof data === 'string' ? own : data;
    hand.say('memory', { heads: hand.heads.token, data: named });
    if (data === 'twice') {
      hand.say('memory', { heads: hand.heads.token, data: named });
      assert.match(await hand.refused(), /'memory' came when the session was served/);
    } else assert.match(await hand.refused(), /tokens came|names one memory twice/);
  }
  await serves(it);
});

test('records that are no messages, or come when they should not, end the session', async () => {
  await using it = await house();
  const below = sequence(5);
  for (let i = 0; i < scaled(40); i++) {
    const hand = await HandInitiator.open(it.pair.b, it.pair.a.gid, port);
    const kind = below(4);
    if (kind === 0) hand.stream.write(Buffer.from(Array.from({ length: 1 + below(100) }, () => below(256))));
    else if (kind === 1) hand.say('bye', { reason: '' });
    else if (kind === 2) hand.say('hello', { ...hello, version: 2 });
    else hand.say('hello', { ...hello, flags: 128 });
    await hand.hear('refused');
    await hand.closed();
  }
  await serves(it);
});

describe('a target that breaks the protocol: the disk fails, and says why', () => {
  /** What it answers to a read of 512 bytes, and to a write of 4096. */
  const answers: [string, (target: HandTarget) => void, RegExp][] = [
    ['epoch', (target) => target.answer(0, sealed([0, 1, 1, 0, 0], 32)), /epoch 1/],
    ['sequence', (target) => target.answer(0, sealed([0, 99, 7, 0, 0], 32)), /request 7/],
    ['errno', (target) => target.answer(0, sealed([0, 99, 1, 7777, 0], 32)), /errno 7777/],
    ['length', (target) => target.answer(0, sealed([0, 99, 1, 0, 9], 32)), /9 bytes/],
    ['reserved', (target) => target.answer(0, sealed([0, 99, 1, 0, 0, 0, 1], 32)), /reserved/],
  ];
  for (const [what, answer, reason] of answers) {
    test(what, async () => {
      await using pair = await pairOn('device.open()');
      const target = new HandTarget(pair.a, port);
      const disk = await openBlock(pair.b, pair.a.gid, { grace: 50 });
      const failed = once(disk, 'error');
      const write = rejectsCode(disk.write(0, Buffer.alloc(4096)), IsmioError, 'ERR_ISMIO_BLOCK');
      await target.asked(0);
      answer(target);
      assert.match((await write).message, reason);
      await failed;
      await disk.close();
      target.close();
    });
  }

  test('extents that cannot be, and bytes of a read that are not as many', async () => {
    for (const extent of [
      [0, 0, 0, 0],
      [0, 512, 4, 0],
      [0, 65_537, 0, 0],
      [0, 512, 0, 1],
    ]) {
      await using pair = await pairOn('device.open()');
      const target = new HandTarget(pair.a, port);
      const disk = await openBlock(pair.b, pair.a.gid, { grace: 50 });
      disk.on('error', () => undefined);
      const asked = rejectsCode(disk.extents(0, size, 1), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'protocol' });
      await target.asked(0);
      const page = Buffer.alloc(16);
      for (const [i, word] of extent.entries()) page.writeUInt32BE(word, 4 * i);
      target.answerInline(0, sealed([0, 99, 1, 0, 16], 80, page));
      await asked;
      await disk.close();
      target.close();
    }
  });

  test('memory that takes no data: what would say that they are there is not moved either', async () => {
    await using pair = await pairOn('vfio-user');
    const target = new HandTarget(pair.a, port);
    const disk = await openBlock(pair.b, pair.a.gid, { grace: 50, mode: 'queue-new' });
    target.data?.unregister();
    const both = [disk.write(0, Buffer.alloc(4096)), disk.write(4096, Buffer.alloc(512))];
    for (const one of both) await rejectsCode(one, IsmioError, 'ERR_ISMIO_BLOCK_LOST', { errno: 'EIO' });
    assert.ok(target.heads?.memory.every((byte) => byte === 0));
    await disk.close();
    target.close();
  });

  test('a welcome that cannot be', async () => {
    await using pair = await pairOn('device.open()');
    for (const [i, welcome] of [
      { slots: 0 },
      { slots: 129 },
      { ioBytes: 5000 },
      { epoch: 0 },
      { size: 2n ** 53n },
      { minimum: 0 },
      { data: Buffer.alloc(7) },
    ].entries()) {
      const target = new HandTarget(pair.a, 100 + i, welcome);
      await rejectsCode(openBlock(pair.b, pair.a.gid, { port: 100 + i }), IsmioError, 'ERR_ISMIO_BLOCK');
      target.close();
    }
  });
});

function tokenBytes(token: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(token);
  return bytes;
}
