// The NVMe controller of examples/devices: blocks there and back, and commands that cannot be.
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pattern } from './support/bytes.js';
import { temporaryFolder } from './support/files.js';
import type { NvmeHost } from './support/nvme-host.js';
import { openNvme } from './support/nvme-road.js';
import { patience } from './support/scale.js';

const op = { flush: 0, write: 1, read: 2, writeZeroes: 8, manage: 9 } as const;
const blocks = 4096;
const size = blocks * 512;
/** What the disk holds at first. */
const whole = pattern(size, 1);

const media = ['memory', 'file'] as const;

async function opened(test: TestContext, medium: (typeof media)[number], options: Parameters<typeof openNvme>[1] = {}) {
  const bytes = whole.slice();
  const file = join(temporaryFolder(test), 'disk');
  writeFileSync(file, bytes);
  const road = openNvme(test, { ...options, ...(medium === 'file' ? { file } : { bytes }) });
  await road.host.enable();
  await road.host.create(1, 256, 1);
  return { ...road, file, now: () => (medium === 'file' ? new Uint8Array(readFileSync(file)) : bytes) };
}

const reading = (first: bigint, block: number, count: number, second = 0n) =>
  ({ opcode: op.read, namespace: 1, first, second, words: [block, 0, count - 1] }) as const;

const part = (host: NvmeHost, at: number, length: number) => Buffer.from(host.memory.subarray(at, at + length));
const wanted = (block: number, count: number) => Buffer.from(whole.subarray(block * 512, (block + count) * 512));

for (const medium of media) {
  test(`${medium}: reads of one block, of parts of two pages, and of as many as there may be`, async (test) => {
    const { host } = await opened(test, medium);
    const at = host.pages(129);
    assert.equal((await host.run(1, reading(host.address(at), 7, 1))).status, 0);
    assert.deepEqual(part(host, at, 512), wanted(7, 1));
    // 3 blocks that begin 512 bytes before the end of a page, and go on in another.
    const other = host.pages(1);
    assert.equal((await host.run(1, reading(host.address(at + 4096 - 512), 20, 3, host.address(other)))).status, 0);
    assert.deepEqual(part(host, at + 4096 - 512, 512), wanted(20, 1));
    assert.deepEqual(part(host, other, 1024), wanted(21, 2));
    const list = host.list(Array.from({ length: 127 }, (_, i) => host.address(at + (i + 1) * 4096)));
    assert.equal((await host.run(1, reading(host.address(at), 0, 1024, list))).status, 0);
    assert.deepEqual(part(host, at, 1024 * 512), wanted(0, 1024));
  });

  test(`${medium}: pages in any order, by lists of which one goes on in the next`, async (test) => {
    const { host } = await opened(test, medium);
    const at = host.pages(40);
    const order = [...Array(40).keys()].sort((a, b) => ((a * 17) % 41) - ((b * 17) % 41));
    const [head, ...rest] = order.map((page) => host.address(at + page * 4096));
    const tail = host.list(rest.slice(1));
    // The first list has two entries up to the end of its page: one page, and the next list.
    const lists = host.pages(1);
    host.list([rest[0] as bigint, tail], lists + 4080);
    assert.equal((await host.run(1, reading(head as bigint, 100, 320, host.address(lists + 4080)))).status, 0);
    for (const [i, page] of order.entries())
      assert.deepEqual(part(host, at + page * 4096, 4096), wanted(100 + i * 8, 8));
  });

  test(`${medium}: what is written is there, and nothing beside it`, async (test) => {
    const { host, now } = await opened(test, medium);
    const at = host.pages(3);
    host.memory.set(pattern(3 * 4096, 9), at);
    const list = host.list([host.address(at + 4096), host.address(at + 8192)]);
    const write = { ...reading(host.address(at), 1000, 24, list), opcode: op.write };
    assert.equal((await host.run(1, write)).status, 0);
    assert.equal((await host.run(1, { opcode: op.flush, namespace: 1 })).status, 0);
    assert.equal((await host.run(1, { opcode: op.flush, namespace: 0xffff_ffff })).status, 0);
    const expected = whole.slice();
    expected.set(pattern(3 * 4096, 9), 1000 * 512);
    // With forced unit access, and without a write cache.
    assert.equal((await host.run(1, { ...write, words: [2000, 0, (1 << 30) | 7] })).status, 0);
    assert.equal((await host.run(0, { opcode: 9, words: [6, 0] })).status, 0);
    assert.equal((await host.run(1, { ...write, words: [3000, 0, 7] })).status, 0);
    for (const block of [2000, 3000]) expected.set(pattern(3 * 4096, 9).subarray(0, 4096), block * 512);
    assert.deepEqual(Buffer.from(now()), Buffer.from(expected));
  });

  test(`${medium}: zeroes are written, and ranges are deallocated`, async (test) => {
    const { host, now } = await opened(test, medium);
    assert.equal((await host.run(1, { opcode: op.writeZeroes, namespace: 1, words: [8, 0, 3999] })).status, 0);
    const expected = whole.slice().fill(0, 8 * 512, 4008 * 512);
    assert.deepEqual(Buffer.from(now()), Buffer.from(expected));
    const at = host.pages(1);
    const view = new DataView(host.memory.buffer, host.memory.byteOffset + at);
    for (const [i, block] of [0, 4010].entries()) {
      view.setUint32(i * 16 + 4, 2, true);
      view.setBigUint64(i * 16 + 8, BigInt(block), true);
    }
    const manage = { opcode: op.manage, namespace: 1, first: host.address(at), words: [1, 4] };
    assert.equal((await host.run(1, manage)).status, 0);
    // A file has no holes from here: what was there stays.
    if (medium === 'memory') for (const block of [0, 4010]) expected.fill(0, block * 512, (block + 2) * 512);
    assert.deepEqual(Buffer.from(now()), Buffer.from(expected));
    view.setBigUint64(24, BigInt(blocks - 1), true);
    assert.equal((await host.run(1, manage)).status, 0x80);
    view.setBigUint64(24, 2n ** 64n - 1n, true);
    assert.equal((await host.run(1, manage)).status, 0x80);
    assert.equal((await host.run(1, { ...manage, first: 0n })).status, 0x04);
  });

  test(`${medium}: what reaches past the end, is too long, or of another namespace is refused`, async (test) => {
    const { host, now } = await opened(test, medium);
    const first = host.address(host.pages(2));
    for (const opcode of [op.read, op.write, op.writeZeroes]) {
      const one = { opcode, namespace: 1, first };
      for (const words of [
        [blocks, 0, 0],
        [blocks - 1, 0, 1],
        [0xffff_ffff, 0xffff_ffff, 0],
        [0, 1, 0],
        [0, 0x0080_0000, 0],
      ]) {
        assert.equal((await host.run(1, { ...one, words })).status, 0x80, `${opcode}: ${words}`);
      }
      assert.equal((await host.run(1, { ...one, namespace: 0, words: [0, 0, 0] })).status, 0x0b);
      assert.equal((await host.run(1, { ...one, namespace: 2, words: [0, 0, 0] })).status, 0x02);
      assert.equal((await host.run(1, { ...one, namespace: 257, words: [0, 0, 0] })).status, 0x0b);
      assert.equal((await host.run(1, { ...one, namespace: 0xffff_ffff, words: [0, 0, 0] })).status, 0x0b);
    }
    assert.equal((await host.run(1, reading(first, 0, 1025))).status, 0x02);
    assert.equal((await host.run(1, { ...reading(first, 0, 1025), opcode: op.write })).status, 0x02);
    for (const opcode of [3, 4, 5, 0x0c, 0x0d, 0x80, 0xff]) {
      assert.equal((await host.run(1, { opcode, namespace: 1 })).status, 0x01);
    }
    assert.equal((await host.run(1, { ...reading(first, 0, 1), flags: 0x40 })).status, 0x02);
    assert.deepEqual(Buffer.from(now()), Buffer.from(whole));
  });

  test(`${medium}: pages that cannot be fail their command alone`, async (test) => {
    const { host } = await opened(test, medium);
    const at = host.pages(4);
    const good = host.address(at);
    const nowhere = 0xffff_ffff_ffff_f000n;
    const of = async (first: bigint, second: bigint, count: number) =>
      (await host.run(1, reading(first, 0, count, second))).status;
    assert.equal(await of(good + 1n, 0n, 1), 0x13);
    assert.equal(await of(good, good + 8n, 16), 0x13, 'a second page that is none');
    assert.equal(await of(good, good + 4n, 32), 0x13, 'a list between its entries');
    assert.equal(await of(good, host.list([good, good + 512n]), 24), 0x13, 'a page of a list that is none');
    const lists = host.pages(1);
    host.list([good + 8n], lists + 4088);
    assert.equal(await of(good, host.address(lists + 4088), 32), 0x13, 'the next list not at a page');
    assert.equal(await of(nowhere, 0n, 1), 0x04);
    assert.equal(await of(good, nowhere, 16), 0x04);
    assert.equal(await of(good, nowhere, 32), 0x04);
    assert.equal(await of(good, host.list([good, nowhere]), 24), 0x04);
    host.list([nowhere], lists + 4088);
    assert.equal(await of(good, host.address(lists + 4088), 32), 0x04);
    // A list that goes on in itself is as long as the command.
    host.list([host.address(lists)], lists + 4088);
    host.list([good, good], lists);
    assert.equal(await of(good, host.address(lists + 4088), 24), 0);
    assert.equal(await of(good, 0n, 1), 0);
  });

  test(`${medium}: 255 commands at once, and an interrupt for many of them`, async (test) => {
    const { host, signalled } = await opened(test, medium);
    const at = host.pages(255);
    const ids = new Map<number, number>();
    for (let i = 0; i < 255; i++) ids.set(host.put(1, reading(host.address(at + i * 4096), i * 8, 8)), i);
    host.ring(1);
    for (let i = 0; i < 255; i++) {
      const { id, status, queue } = await host.completion(1, false);
      assert.deepEqual([status, queue], [0, 1]);
      const block = ids.get(id) as number;
      ids.delete(id);
      assert.deepEqual(part(host, at + block * 4096, 4096), wanted(block * 8, 8));
    }
    host.took(1);
    assert.equal(ids.size, 0);
    await host.quiet();
    const told = signalled(1);
    assert.ok(told >= 1 && told < 200, `${told} interrupts`);
  });

  test(`${medium}: a full completion queue holds back what is done, and what is not begun`, async (test) => {
    const { host } = await opened(test, medium);
    // 4 entries of completions, so 3 at once, for 64 of submissions.
    const completions = host.pages(1);
    host.memory.fill(0, completions, completions + 4096);
    assert.equal(
      (await host.run(0, { opcode: 5, first: host.address(completions), words: [2 | (3 << 16), 1] })).status,
      0,
    );
    const submissions = host.pages(1);
    const words = [2 | (63 << 16), 1 | (2 << 16)];
    assert.equal((await host.run(0, { opcode: 1, first: host.address(submissions), words })).status, 0);
    const view = new DataView(host.memory.buffer, host.memory.byteOffset);
    for (let i = 0; i < 40; i++) {
      view.setUint32(submissions + i * 64, (op.flush | (i << 16)) >>> 0, true);
      view.setUint32(submissions + i * 64 + 4, 1, true);
    }
    host.bar.store32(0x1010, 40);
    const seen: number[] = [];
    let [head, phase] = [0, 1];
    const deadline = performance.now() + patience(10_000);
    while (seen.length < 40 && performance.now() < deadline) {
      await new Promise((resolve) => setImmediate(resolve));
      let taken = 0;
      for (; (view.getUint16(completions + head * 16 + 14, true) & 1) === phase; taken++) {
        seen.push(view.getUint16(completions + head * 16 + 12, true));
        head = (head + 1) % 4;
        if (head === 0) phase ^= 1;
        assert.ok(taken < 3, 'never more than it has room for');
      }
      if (taken > 0) host.bar.store32(0x1014, head);
    }
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      [...Array(40).keys()],
    );
  });
}

test('a namespace that can only be read refuses to be written', async (test) => {
  const { host, now } = await opened(test, 'file', { readOnly: true });
  const first = host.address(host.pages(1));
  assert.equal((await host.run(1, reading(first, 0, 8))).status, 0);
  assert.equal((await host.run(1, { ...reading(first, 0, 8), opcode: op.write })).status, 0x20);
  assert.equal((await host.run(1, { opcode: op.writeZeroes, namespace: 1, words: [0, 0, 0] })).status, 0x20);
  assert.equal((await host.run(1, { opcode: op.manage, namespace: 1, first, words: [0, 4] })).status, 0x20);
  assert.deepEqual(Buffer.from(now()), Buffer.from(whole));
});

test('a file that has become shorter is a medium that cannot be read there, and health counts it', async (test) => {
  const { host, file } = await opened(test, 'file');
  truncateSync(file, 4096);
  const first = host.address(host.pages(1));
  assert.equal((await host.run(1, reading(first, 0, 8))).status, 0);
  assert.equal((await host.run(1, reading(first, 80, 8))).status, 0x281);
  const at = host.pages(1);
  await host.run(0, { opcode: 2, namespace: 0xffff_ffff, first: host.address(at), words: [2 | (127 << 16)] });
  assert.equal(new DataView(host.memory.buffer, host.memory.byteOffset).getBigUint64(at + 160, true), 1n);
});

test('a queue is deleted when what it has in progress has ended', async (test) => {
  const { host } = await opened(test, 'file');
  const at = host.pages(100);
  for (let i = 0; i < 100; i++) host.put(1, reading(host.address(at + i * 4096), i * 8, 8));
  host.ring(1);
  const deleting = host.submit(0, { opcode: 0, words: [1] });
  assert.equal((await host.completion(0)).id, deleting);
  let ended = 0;
  while (host.look(1) !== null) ended++;
  assert.ok(ended > 0 && ended <= 100);
  await host.quiet();
  assert.equal(host.look(1), null, 'nothing comes behind it');
});

test('a controller that is disabled in the middle of reads is not ready any more when none of them can come', async (test) => {
  const { host } = await opened(test, 'file');
  const at = host.pages(100);
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 100; i++) host.put(1, reading(host.address(at + i * 4096), i * 8, 8));
    host.ring(1);
    await host.disable();
    host.memory.fill(0xee, at, at + 100 * 4096);
    await host.quiet();
    assert.ok(host.memory.subarray(at, at + 100 * 4096).every((byte) => byte === 0xee));
    await host.enable();
    await host.create(1, 256, 1);
  }
});

test('entries of a queue that the host goes on changing are read once', async (test) => {
  const { host } = await opened(test, 'file');
  const first = host.address(host.pages(1));
  const at = host.pages(1);
  // The tail is rung twice around the queue: each entry is a command, none is past the end.
  for (let i = 0; i < 600; i++) {
    host.put(1, reading(i % 3 === 0 ? first : host.address(at), i % 4000, 1));
    if (i % 100 === 99) {
      host.ring(1);
      for (let k = 0; k < 100; k++) assert.equal((await host.completion(1)).status, 0);
    }
  }
});

test('with doorbell buffers, commands are found there, and the host is told when it has to ring', async (test) => {
  const { host } = await opened(test, 'memory');
  const [doorbells, indexes, at] = [host.pages(1), host.pages(1), host.pages(8)];
  const set = { opcode: 0x7c, first: host.address(doorbells), second: host.address(indexes) };
  assert.equal((await host.run(0, { ...set, first: host.address(doorbells) + 8n })).status, 0x13);
  assert.equal((await host.run(0, { ...set, second: 0xffff_ffff_ffff_f000n })).status, 0x02);
  assert.equal((await host.run(0, set)).status, 0);
  const words = new DataView(host.memory.buffer, host.memory.byteOffset);
  const tail = (value: number) => words.setUint32(doorbells + 8, value, true);
  const head = (value: number) => words.setUint32(doorbells + 12, value, true);
  const index = () => words.getUint32(indexes + 8, true);
  // Four commands are in the buffer by the time that the register is rung for the first of them.
  for (let i = 0; i < 4; i++) host.put(1, reading(host.address(at + i * 4096), i * 8, 8));
  tail(4);
  host.ring(1, 1);
  for (let i = 0; i < 4; i++) assert.equal((await host.completion(1, false)).status, 0);
  await host.quiet();
  assert.equal(index(), 4, 'ring when it goes on from there');
  assert.deepEqual(part(host, at, 16384), wanted(0, 32));
  // A register that was rung late says nothing that the buffer does not say.
  host.ring(1, 2);
  await host.quiet();
  assert.equal(host.look(1), null);
  // More completions than the queue holds: the head is found in the buffer as well.
  for (let round = 1; round <= 300; round++) {
    host.put(1, reading(host.address(at), round, 1));
    tail((4 + round) % 256);
    host.ring(1, 0);
    assert.equal((await host.completion(1, false)).status, 0);
    head((4 + round) % 256);
  }
  await host.quiet();
  assert.equal(index(), 304 % 256);
  // Behind the end of the queue.
  tail(256);
  host.ring(1, 0);
  await host.until((status) => (status & 2) !== 0);
  await host.disable();
  await host.enable();
});
