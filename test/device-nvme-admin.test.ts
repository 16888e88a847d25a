// The NVMe controller of examples/devices: what the admin commands do, and what they refuse.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NvmeHost } from './support/nvme-host.js';
import { openNvme } from './support/nvme-road.js';
import { patience } from './support/scale.js';

const op = {
  deleteSubmission: 0,
  createSubmission: 1,
  logPage: 2,
  deleteCompletion: 4,
  createCompletion: 5,
  identify: 6,
  abort: 8,
  setFeatures: 9,
  getFeatures: 10,
  event: 12,
  keepAlive: 0x18,
} as const;

async function opened(test: { after(end: () => void): void }, options: Parameters<typeof openNvme>[1] = {}) {
  const road = openNvme(test, options);
  await road.host.enable();
  return road;
}

async function identified(host: NvmeHost, what: number, namespace: number) {
  const at = host.pages(1);
  const { status } = await host.run(0, { opcode: op.identify, namespace, first: host.address(at), words: [what] });
  const data = host.memory.subarray(at, at + 4096);
  return { status, data, view: new DataView(data.buffer, data.byteOffset, 4096) };
}

async function log(host: NvmeHost, number: number, bytes: number, offset = 0, namespace = 0xffff_ffff) {
  const at = host.pages(1);
  const words = [number | ((bytes / 4 - 1) << 16), 0, offset];
  const { status } = await host.run(0, { opcode: op.logPage, namespace, first: host.address(at), words });
  return { status, view: new DataView(host.memory.buffer, host.memory.byteOffset + at, 4096) };
}

test('the controller says who it is, and how much it takes', async (test) => {
  const { host } = await opened(test, { serial: 'a serial number' });
  const { status, data, view } = await identified(host, 1, 0);
  assert.equal(status, 0);
  assert.equal(Buffer.from(data.subarray(4, 24)).toString('latin1'), 'a serial number'.padEnd(20));
  assert.equal(view.getUint8(77), 7, 'transfers of 512 KiB');
  assert.equal(view.getUint32(80, true), 0x0001_0400);
  assert.deepEqual([view.getUint8(512), view.getUint8(513)], [0x66, 0x44]);
  assert.match(
    Buffer.from(data.subarray(768, 1024)).toString('latin1'),
    /^nqn\.2014-08\.org\.nvmexpress:uuid:[-0-9a-f]{36}\0+$/,
  );
});

test('the namespace says its size, and that it can only be read where that is so', async (test) => {
  for (const [blockBytes, readOnly] of [
    [512, false],
    [4096, true],
  ] as const) {
    const { host } = await opened(test, { bytes: new Uint8Array(1 << 20), blockBytes, readOnly });
    const { view } = await identified(host, 0, 1);
    assert.equal(view.getBigUint64(0, true), BigInt((1 << 20) / blockBytes));
    assert.equal(2 ** view.getUint8(130), blockBytes);
    assert.equal(view.getUint8(99), readOnly ? 1 : 0);
  }
});

test('namespaces: the first is there, some could be, the others could not', async (test) => {
  const { host } = await opened(test);
  const list = await identified(host, 2, 0);
  assert.deepEqual([list.status, list.view.getUint32(0, true), list.view.getUint32(4, true)], [0, 1, 0]);
  assert.equal((await identified(host, 2, 1)).view.getUint32(0, true), 0, 'none behind the first');
  const inactive = await identified(host, 0, 9);
  assert.equal(inactive.status, 0);
  assert.ok(inactive.data.every((byte) => byte === 0));
  for (const namespace of [0, 257, 0xffff_ffff]) assert.equal((await identified(host, 0, namespace)).status, 0x0b);
  assert.equal((await identified(host, 2, 0xffff_ffff)).status, 0x0b);
  assert.equal((await identified(host, 3, 2)).status, 0x02);
  const descriptor = await identified(host, 3, 1);
  assert.deepEqual([descriptor.view.getUint8(0), descriptor.view.getUint8(1)], [3, 16]);
  assert.notEqual(descriptor.view.getBigUint64(4), 0n);
});

test('a structure that there is not is an invalid field', async (test) => {
  const { host } = await opened(test);
  for (const what of [4, 5, 6, 0x10, 0xff]) assert.equal((await identified(host, what, 1)).status, 0x02);
});

test('an identify into two pages that are apart, and into what is not mapped', async (test) => {
  const { host } = await opened(test, { serial: 'test' });
  const [one, two] = [host.pages(2), host.pages(2)];
  const across = { opcode: op.identify, first: host.address(one) + 4096n - 24n, second: host.address(two), words: [1] };
  assert.equal((await host.run(0, across)).status, 0);
  assert.equal(host.memory[one + 4096 - 24 + 4], 't'.charCodeAt(0));
  assert.equal(host.memory[two + 512 - 24], 0x66);
  assert.equal((await host.run(0, { ...across, second: host.address(two) + 4n })).status, 0x13);
  assert.equal((await host.run(0, { ...across, first: host.address(one) + 2n })).status, 0x13);
  assert.equal((await host.run(0, { ...across, first: 0xffff_ffff_ffff_f000n })).status, 0x04);
  assert.equal((await host.run(0, { ...across, second: 0x7fff_0000_0000n })).status, 0x04);
});

test('commands that there are not, fused ones, and other descriptions of data are refused', async (test) => {
  const { host } = await opened(test);
  for (const opcode of [0x03, 0x07, 0x0d, 0x7f, 0x80, 0xc0, 0xff])
    assert.equal((await host.run(0, { opcode })).status, 0x01);
  for (const flags of [1, 2, 0x40, 0x80, 0xc0]) {
    assert.equal((await host.run(0, { opcode: op.identify, flags, words: [1] })).status, 0x02);
  }
});

test('queues that cannot be are refused, each with its status', async (test) => {
  const { host } = await opened(test, { queues: 4 });
  const first = host.address(host.pages(1));
  const size = (id: number, entries: number) => id | ((entries - 1) << 16);
  const completions = (id: number, entries: number, flags: number, at = first) =>
    host.run(0, { opcode: op.createCompletion, first: at, words: [size(id, entries), flags] });
  const submissions = (id: number, entries: number, flags: number, at = first) =>
    host.run(0, { opcode: op.createSubmission, first: at, words: [size(id, entries), flags] });
  assert.equal((await completions(0, 16, 1)).status, 0x101, 'the admin queue');
  assert.equal((await completions(5, 16, 1)).status, 0x101, 'more than there are');
  assert.equal((await completions(1, 1, 1)).status, 0x102, 'one entry');
  assert.equal((await completions(1, 1025, 1)).status, 0x102, 'too many');
  assert.equal((await completions(1, 16, 0)).status, 0x02, 'not in one piece');
  assert.equal((await completions(1, 16, 3 | (5 << 16))).status, 0x108, 'a vector too far');
  assert.equal((await completions(1, 16, 1, first + 8n)).status, 0x13);
  assert.equal((await submissions(1, 16, 1 | (1 << 16))).status, 0x100, 'no such completion queue');
  assert.equal((await completions(1, 16, 1)).status, 0);
  assert.equal((await completions(1, 16, 1)).status, 0x101, 'there is one already');
  assert.equal((await submissions(1, 16, 1)).status, 0x100, 'that of the admin queue');
  assert.equal((await submissions(1, 16, 1 | (9 << 16))).status, 0x101);
  assert.equal((await submissions(0, 16, 1 | (1 << 16))).status, 0x101);
  assert.equal((await submissions(1, 1, 1 | (1 << 16))).status, 0x102);
  assert.equal((await submissions(1, 16, 1 << 16)).status, 0x02);
  assert.equal((await submissions(1, 16, 1 | (1 << 16), first + 4n)).status, 0x13);
  assert.equal((await submissions(1, 16, 1 | (1 << 16))).status, 0);
  const gone = (opcode: number, id: number) => host.run(0, { opcode, words: [id] });
  assert.equal((await gone(op.deleteCompletion, 1)).status, 0x10c, 'it is in use');
  assert.equal((await gone(op.deleteSubmission, 2)).status, 0x101);
  assert.equal((await gone(op.deleteSubmission, 0)).status, 0x101);
  assert.equal((await gone(op.deleteSubmission, 0xffff)).status, 0x101);
  assert.equal((await gone(op.deleteSubmission, 1)).status, 0);
  assert.equal((await gone(op.deleteCompletion, 1)).status, 0);
  assert.equal((await gone(op.deleteCompletion, 0)).status, 0x101);
  assert.equal((await gone(op.deleteCompletion, 1)).status, 0x101);
});

test('I/O queues need the sizes of their entries in CC', async (test) => {
  const { host } = await opened(test);
  host.bar.store32(0x14, 1);
  const words = [1 | (15 << 16), 1];
  assert.equal((await host.run(0, { opcode: op.createCompletion, first: host.address(0), words })).status, 0x02);
});

test('as many queues are granted as there are, before the first is made', async (test) => {
  const { host } = await opened(test, { queues: 4 });
  const set = (value: number) => host.run(0, { opcode: op.setFeatures, words: [7, value] });
  assert.deepEqual([(await set(0x000f_000f)).result, (await set(0)).result], [0x0003_0003, 0x0003_0003]);
  assert.equal((await set(0xffff)).status, 0x02);
  assert.equal((await set(0xffff_0000)).status, 0x02);
  await host.create(1, 16);
  assert.equal((await set(3)).status, 0x0c);
  assert.equal((await host.run(0, { opcode: op.getFeatures, words: [7] })).result, 0x0003_0003);
});

test('features are kept until the controller is reset, and told as they are, were, and can be', async (test) => {
  const { host } = await opened(test);
  const get = (number: number, value = 0) => host.run(0, { opcode: op.getFeatures, words: [number, value] });
  const set = (number: number, value: number) => host.run(0, { opcode: op.setFeatures, words: [number, value] });
  assert.equal((await get(6)).result, 1);
  assert.equal((await set(6, 0)).status, 0);
  assert.deepEqual([(await get(6)).result, (await get(6 | 0x100)).result, (await get(6 | 0x200)).result], [0, 1, 1]);
  assert.equal((await get(6 | 0x300)).result, 4);
  assert.equal((await get(6 | 0x400)).status, 0x02);
  assert.equal((await set(8, 0x1234)).status, 0);
  assert.equal((await get(8)).result, 0x1234);
  assert.equal((await set(4, 0x0010_0123)).status, 0);
  assert.deepEqual([(await get(4, 0x0010_0000)).result, (await get(4)).result], [0x123, 343]);
  assert.equal((await set(4, 0x0021_0000)).status, 0x02);
  assert.equal((await set(9, 0x1_0002)).status, 0);
  assert.deepEqual([(await get(9, 2)).result, (await get(9, 3)).result], [0x1_0002, 3]);
  assert.equal((await set(9, 99)).status, 0x02);
  assert.equal((await set(2, 1)).status, 0x02, 'a power state that there is not');
  assert.equal((await set(0x8000_0006 | 0, 0)).status, 0x10d);
  for (const number of [0, 3, 0x0c, 0x0d, 0x10, 0xc0]) {
    assert.deepEqual([(await get(number)).status, (await set(number, 0)).status], [0x02, 0x02]);
  }
  await host.disable();
  await host.enable();
  assert.deepEqual([(await get(6)).result, (await get(8)).result, (await get(4, 0x0010_0000)).result], [1, 0, 0]);
});

test('log pages: health counts what was read, errors have the last ones first, firmware has one slot', async (test) => {
  const { host } = await opened(test);
  await host.create(1, 16);
  const first = host.address(host.pages(2));
  for (let i = 0; i < 3; i++) await host.run(1, { opcode: 2, namespace: 1, first, words: [0, 0, 7] });
  await host.run(1, { opcode: 1, namespace: 1, first, words: [0, 0, 0] });
  const health = await log(host, 2, 512);
  assert.deepEqual(
    [health.status, health.view.getBigUint64(64, true), health.view.getBigUint64(80, true)],
    [0, 3n, 1n],
  );
  const bad = await host.run(1, { opcode: 2, namespace: 1, first, words: [5000, 0, 0] });
  assert.equal(bad.status, 0x80);
  const errors = await log(host, 1, 64);
  assert.deepEqual(
    [errors.view.getUint16(8, true), errors.view.getUint16(10, true), (errors.view.getUint16(12, true) >>> 1) & 0x7ff],
    [1, bad.id, 0x80],
  );
  assert.equal(errors.view.getBigUint64(16, true), 5000n);
  const firmware = await log(host, 3, 8, 8);
  assert.equal(firmware.view.getUint8(0), '1'.charCodeAt(0), 'from an offset on');
  assert.equal((await log(host, 2, 512, 512)).status, 0);
  assert.equal((await log(host, 2, 512, 516)).status, 0x02);
  assert.equal((await log(host, 2, 512, 2)).status, 0x02);
  assert.equal((await log(host, 2, 512, 0, 1)).status, 0x02);
  for (const number of [0, 4, 5, 0x80]) assert.equal((await log(host, number, 512)).status, 0x109);
  // Of a page, no more than there is.
  assert.equal((await log(host, 2, 2 ** 18)).status, 0);
});

test('a doorbell that there is not, or cannot be, is an event that a waiting command tells', async (test) => {
  const { host } = await opened(test);
  const waiting = [0, 1, 2, 3].map(() => host.submit(0, { opcode: op.event }));
  assert.equal((await host.run(0, { opcode: op.event })).status, 0x105);
  host.bar.store32(0x1000, 32);
  const told = await host.completion(0);
  assert.deepEqual([told.id, told.status, told.result], [waiting[0], 0, 0x0001_0100]);
  host.bar.store32(0x1008, 1);
  host.bar.store32(0x1008, 1);
  await host.quiet();
  assert.equal(host.look(0), null, 'not before the log was read');
  const first = host.address(host.pages(1));
  const reading = host.submit(0, { opcode: op.logPage, namespace: 0xffff_ffff, first, words: [1 | (15 << 16)] });
  const both = [await host.completion(0), await host.completion(0)].map(({ id, result }) => [id, result]);
  assert.deepEqual(
    both.toSorted(),
    [
      [waiting[1], 0x0001_0000],
      [reading, 0],
    ].toSorted(),
  );
  // A head behind what was written.
  await log(host, 1, 64);
  host.took(0, 31);
  assert.equal((await host.completion(0)).result, 0x0001_0100);
});

test('a command that waits for an event is aborted; another is told as not aborted', async (test) => {
  const { host } = await opened(test);
  const id = host.submit(0, { opcode: op.event });
  const abort = host.submit(0, { opcode: op.abort, words: [id << 16] });
  const ended = [await host.completion(0), await host.completion(0)];
  assert.deepEqual(
    ended.map((one) => [one.id, one.status, one.result]),
    [
      [id, 7, 0],
      [abort, 0, 0],
    ],
  );
  assert.equal((await host.run(0, { opcode: op.abort, words: [id << 16] })).result, 1);
  assert.equal((await host.run(0, { opcode: op.abort, words: [5 | (1 << 16)] })).result, 1);
});

test('a host that says how often it will be heard, and is not, finds a fatal status', async (test) => {
  const { host } = await opened(test);
  assert.equal((await host.run(0, { opcode: op.setFeatures, words: [0x0f, 300] })).status, 0);
  assert.equal((await host.run(0, { opcode: op.keepAlive })).status, 0);
  assert.equal(host.status, 1);
  const deadline = performance.now() + patience(10_000);
  while ((host.status & 2) === 0) {
    assert.ok(performance.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await host.disable();
  await host.enable();
});
