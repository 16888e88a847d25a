// openVfioUser against a server that is scripted: versions, answers that do not fit, accesses, and how a server is lost.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { allocBuffer, IsmioError, openVfioUser, type VfioDevice, type VfioUserOptions } from 'ismio';
import { throwsCode } from './support/errors.js';
import { commands, type Deed, type Plan, vfioUserServer } from './support/vfio-user-server.js';

const { errno } = constants;
const noReply = 16;

/** Words of messages are in the byte order of the machine. */
const little = endianness() === 'LE';

function viewOf(payload: readonly number[]): DataView {
  return new DataView(Uint8Array.from(payload).buffer);
}

async function open(
  t: TestContext,
  plan: Plan = {},
  options: VfioUserOptions = {},
): Promise<{ device: VfioDevice; server: Awaited<ReturnType<typeof vfioUserServer>> }> {
  const server = await vfioUserServer(t, plan);
  const device = openVfioUser(server.path, options);
  t.after(() => device.close());
  return { device, server };
}

/** What the event 'lost' tells. A connection alone does not keep the process running, so a timer does. */
async function lossOf(device: VfioDevice): Promise<[IsmioError]> {
  const running = setInterval(() => undefined, 1000);
  const [error] = (await once(device, 'lost')) as [IsmioError];
  clearInterval(running);
  return [error];
}

test('a device of another process says what it is, and its registers are read and written', async (t) => {
  const { device, server } = await open(t);
  assert.equal(device.api, 'vfio-user');
  assert.equal(device.name, server.path);
  const { vendor, device: id, classCode, driver, iommuGroup, flags, regions, irqs } = device.info;
  assert.deepEqual([vendor, id, classCode, driver, iommuGroup], [0x1234, 0x11e8, 0x088000, 'vfio-user', null]);
  assert.deepEqual(flags, { reset: true, pci: true });
  assert.deepEqual(
    regions.map(({ name, size }) => [name, size]),
    [
      ['bar0', 8192n],
      ['config', 256n],
    ],
  );
  assert.deepEqual(
    irqs.map(({ name, count }) => [name, count]),
    [['msix', 4]],
  );
  assert.deepEqual(device.iovaRanges, [{ first: 0n, last: 2n ** 64n - 1n }]);
  const region = device.region(0);
  region.store8(1, 0x12);
  region.store16(2, 0x3456);
  region.store32(4, 0x789abcde);
  region.store64(8, 0x0123456789abcdefn);
  assert.deepEqual([region.load8(1), region.load16(2), region.load32(4)], [0x12, 0x3456, 0x789abcde]);
  assert.equal(region.load64(8), 0x0123456789abcdefn);
  const block = new Uint8Array(300).map((_, i) => i);
  region.storeBlock(1001, block);
  const read = new Uint8Array(300);
  region.read(1001, read);
  assert.deepEqual(read, block);
  device.config.write16(4, 6);
  assert.deepEqual([device.memory, device.busMaster], [true, true]);
  device.reset();
  assert.equal((await server.seen()).at(-1)?.command, commands.reset);
});

for (const [what, version] of [
  ['no text', { major: 0, minor: 1, text: null }],
  ['an empty text', { major: 0, minor: 0, text: '\0' }],
  ['no capabilities', { major: 0, minor: 1, text: '{}\0' }],
  [
    'all capabilities',
    {
      major: 0,
      minor: 1,
      text: '{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":4096,"max_dma_maps":1,"pgsizes":4096,"migration":{"pgsize":4096}}}\0',
    },
  ],
] as const) {
  test(`a server's version with ${what} is taken`, async (t) => {
    const { device } = await open(t, { version });
    assert.equal(device.region(0).load32(0), 0);
  });
}

for (const [what, version, words, values] of [
  [
    'another major version',
    { major: 1, minor: 0, text: '{}\0' },
    /version 1\.0 .* 0\.1 at most/,
    { version: '1.0', proposed: '0.1' },
  ],
  ['a higher minor version', { major: 0, minor: 2, text: '{}\0' }, /version 0\.2 .* 0\.1 at most/, { version: '0.2' }],
  ['a text without a NUL', { major: 0, minor: 1, text: '{}' }, /NUL/, {}],
  ['a text with two', { major: 0, minor: 1, text: '{}\0\0' }, /NUL/, {}],
  ['a text that is no JSON', { major: 0, minor: 1, text: '{"capabilities":\0' }, /no JSON/, {}],
  ['a text of a list', { major: 0, minor: 1, text: '[]\0' }, /no object/, {}],
  ['capabilities that are none', { major: 0, minor: 1, text: '{"capabilities":7}\0' }, /no object/, {}],
  [
    'transfers of less than a page',
    { major: 0, minor: 1, text: '{"capabilities":{"max_data_xfer_size":4095}}\0' },
    /max_data_xfer_size is 4095/,
    { max_data_xfer_size: 4095 },
  ],
  [
    'a number that is none',
    { major: 0, minor: 1, text: '{"capabilities":{"max_msg_fds":"8"}}\0' },
    /max_msg_fds is "8"/,
    {},
  ],
] as const) {
  test(`a server's version with ${what} is refused, in words that say so`, async (t) => {
    const { path } = await vfioUserServer(t, { version });
    const error = throwsCode(() => openVfioUser(path), IsmioError, 'ERR_ISMIO_VFIO_USER', { path, ...values });
    assert.match(error.message, words);
  });
}

for (const [what, deed, code, words] of [
  ['refuses it', { do: 'error', errno: errno.EINVAL }, 'ERR_ISMIO_VFIO_USER', /refused version 0\.1 .* EINVAL/],
  ['has another client', { do: 'error', errno: errno.EBUSY }, 'ERR_ISMIO_DEVICE_BUSY', /another client/],
  ['hangs up', { do: 'hangUp' }, 'ERR_ISMIO_VFIO_USER', /closed the connection.* before it agreed/],
  ['never answers', { do: 'silence' }, 'ERR_ISMIO_VFIO_USER', /did not answer for 200 ms/],
  ['sends garbage', { do: 'garbage' }, 'ERR_ISMIO_VFIO_USER', /no message of vfio-user/],
  ['answers too briefly', { do: 'reply', payload: [0, 0] }, 'ERR_ISMIO_VFIO_USER', /2 bytes/],
] as const) {
  test(`a server that ${what} when the version is proposed is told`, async (t) => {
    const { path } = await vfioUserServer(t, { deeds: { [commands.version]: [deed] } });
    const error = throwsCode(() => openVfioUser(path, { timeout: 200 }), IsmioError, code, { path });
    assert.match(error.message, words);
  });
}

test('a path where nobody listens is told with what it may be', async (t) => {
  const folder = mkdtempSync('/dev/shm/ismio-');
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'file');
  writeFileSync(file, '');
  for (const [path, name] of [
    [join(folder, 'none'), 'ENOENT'],
    [file, 'ECONNREFUSED'],
    ['x'.repeat(108), 'ENAMETOOLONG'],
  ] as const) {
    throwsCode(() => openVfioUser(path), IsmioError, 'ERR_ISMIO_VFIO_USER', { path, call: 'connect', errno: name });
  }
});

test('options are checked before anything is connected to', () => {
  throwsCode(() => openVfioUser('/none', { timeout: 0 }), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => openVfioUser('/none', { posted: 1 as never }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => openVfioUser('/none', { wait: 1 } as never), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => openVfioUser(7 as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});

for (const [what, deed, code] of [
  ['with an error', { do: 'error', errno: errno.EIO }, 'ERR_ISMIO_DEVICE'],
  ['with another error', { do: 'error', errno: errno.EPERM }, 'ERR_ISMIO_SYSTEM'],
  ['too briefly', { do: 'answer', cut: 1 }, 'ERR_ISMIO_SYSTEM'],
  ['with nothing', { do: 'reply', payload: [] }, 'ERR_ISMIO_SYSTEM'],
  ['at too great length', { do: 'answer', add: 1 }, 'ERR_ISMIO_SYSTEM'],
] as const) {
  test(`an access that is answered ${what} fails, and the next one goes through`, async (t) => {
    // The first read of all is that of configuration space.
    const reads: readonly (Deed | null)[] = [null, null, deed];
    const { device } = await open(t, { deeds: { [commands.regionRead]: reads, [commands.regionWrite]: [deed] } });
    const region = device.region(0);
    throwsCode(() => region.load32(0), IsmioError, code);
    throwsCode(() => region.store32(0, 1), IsmioError, code);
    region.store32(0, 5);
    assert.equal(region.load32(0), 5);
  });
}

for (const [what, deed, reason] of [
  ['hangs up', { do: 'hangUp' }, 'hungUp'],
  ['never answers', { do: 'silence' }, 'silent'],
  ['answers another message', { do: 'answer', id: 1 }, 'broken'],
  ['sends garbage', { do: 'garbage' }, 'broken'],
] as const) {
  test(`a server that ${what} loses the device: every access, and an event`, async (t) => {
    const { device, server } = await open(t, { deeds: { [commands.regionWrite]: [deed] } }, { timeout: 200 });
    const region = device.region(0);
    const other = device.region(0);
    const lost = lossOf(device);
    throwsCode(() => region.store32(0, 1), IsmioError, 'ERR_ISMIO_REGION_LOST');
    throwsCode(() => other.load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
    throwsCode(() => device.config.read16(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason, path: server.path });
    throwsCode(() => device.reset(), IsmioError, 'ERR_ISMIO_REGION_LOST');
    throwsCode(() => device.dmaMap(allocBuffer(4096)), IsmioError, 'ERR_ISMIO_REGION_LOST', {
      call: 'VFIO_USER_DMA_MAP',
    });
    const [error] = await lost;
    assert.deepEqual([error.code, error.reason], ['ERR_ISMIO_REGION_LOST', reason]);
    device.close();
  });
}

test('a server that answers twice is lost', async (t) => {
  const { device } = await open(t, { deeds: { [commands.regionWrite]: [{ do: 'answer', twice: true }] } });
  const lost = lossOf(device);
  device.region(0).store32(0, 1);
  assert.equal((await lost)[0].reason, 'broken');
});

test('a server that ends while nobody asks anything is told within a second, and what is mapped stays safe', async (t) => {
  const { device, server } = await open(t);
  const mapping = device.dmaMap(allocBuffer(4096));
  const region = device.region(0);
  const began = performance.now();
  const lost = lossOf(device);
  await server.end();
  await lost;
  assert.ok(performance.now() - began < 1000);
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'device' });
  mapping.unmap();
  assert.equal(mapping.mapped, false);
  device.close();
});

test('a region that is opened behind the loss is lost', async (t) => {
  const { device, server } = await open(t);
  const lost = lossOf(device);
  await server.end();
  await lost;
  throwsCode(() => device.region(0).load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
});

test('a closed device says so, and its server has no client any more', async (t) => {
  const { device } = await open(t);
  device.close();
  device.close();
  throwsCode(() => device.reset(), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('posted stores ask for no reply, and arrive in their order before what is loaded behind them', async (t) => {
  const { device, server } = await open(t, {}, { posted: true });
  const region = device.region(0);
  const queue = region.queue({ depth: 128 });
  for (let i = 0; i < 100; i++) queue.store64(i * 8, BigInt(i));
  queue.submit();
  region.store32(0, 77);
  assert.equal(region.load32(0), 77);
  assert.equal(region.load64(99 * 8), 99n);
  const writes = (await server.seen()).filter(({ command }) => command === commands.regionWrite);
  assert.equal(writes.length, 101);
  assert.ok(writes.every(({ flags }) => flags === noReply));
  assert.deepEqual(
    writes.slice(0, 100).map(({ payload }) => Number(viewOf(payload).getBigUint64(0, little))),
    Array.from({ length: 100 }, (_, i) => i * 8),
  );
});

test('a batch of stores is a message each, and each store block is one', async (t) => {
  const { device, server } = await open(t);
  const region = device.region(0);
  const queue = region.queue({ depth: 64 });
  for (let i = 0; i < 20; i++) queue.store32(i * 4, i);
  queue.write(4096, new Uint8Array(4096).fill(7));
  queue.submit();
  const writes = (await server.seen()).filter(({ command }) => command === commands.regionWrite);
  assert.deepEqual(
    writes.map(({ payload }) => payload.length - 16),
    [...Array(20).fill(4), 4096],
  );
  assert.ok(writes.every(({ flags }) => flags === 0));
});

test('a batch of 64 store blocks is on its way as a whole before the first of them is answered', async (t) => {
  const { device } = await open(t, { together: 64 });
  const region = device.region(0);
  const queue = region.queue({ depth: 64 });
  const source = allocBuffer(128).fill(7);
  for (let i = 0; i < 64; i++) queue.write(i * 128, source);
  assert.equal(queue.submit().storeBlocks, 64);
  assert.equal(region.load32(8188), 0x0707_0707);
});

test('a drain on another thread goes over the same connection', async (t) => {
  const { device } = await open(t);
  const region = device.region(0);
  const queue = region.queue({ depth: 512 });
  for (let i = 0; i < 500; i++) queue.store64(i * 8, BigInt(i));
  const drained = queue.drain();
  for (let i = 0; i < 200; i++) region.load32(4096 + i * 4);
  await drained;
  assert.equal(region.load64(499 * 8), 499n);
});

test('the server reads and writes a mapped buffer during a call, and only that', async (t) => {
  const deeds = {
    [commands.reset]: [
      { do: 'ask', address: 0x10002, count: 3, write: [1, 2, 3] },
      { do: 'ask', address: 0x10001, count: 4 },
      { do: 'ask', address: 0x20000, count: 1 },
    ],
  } as const;
  const { device, server } = await open(t, { deeds });
  const buffer = allocBuffer(4096);
  device.dmaMap(buffer, { iova: 0x10000n });
  device.reset();
  assert.deepEqual([...buffer.subarray(0, 6)], [0, 0, 1, 2, 3, 0]);
  device.reset();
  device.reset();
  const replies = (await server.seen()).filter(({ flags }) => (flags & 15) === 1);
  assert.deepEqual(
    replies.map(({ command }) => command),
    [commands.dmaWrite, commands.dmaRead, commands.dmaRead],
  );
  assert.deepEqual(replies[1]?.payload.slice(16), [0, 1, 2, 3]);
  assert.deepEqual([replies[2]?.flags, replies[2]?.payload.length], [1 | 32, 0]);
});

test('the server writes a mapped buffer while nobody asks it anything', async (t) => {
  const { device } = await open(t, { later: { milliseconds: 50, address: 0x10000, write: [9] } });
  const buffer = allocBuffer(4096);
  device.dmaMap(buffer, { iova: 0x10000n });
  device.config.read16(0);
  const end = performance.now() + 5000;
  while (buffer[0] !== 9 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(buffer[0], 9);
});

test('what the server refuses to map is free again; more than it takes is not asked for', async (t) => {
  const { device, server } = await open(t, {
    version: { major: 0, minor: 1, text: '{"capabilities":{"max_dma_maps":1}}\0' },
    deeds: { [commands.dmaMap]: [{ do: 'error', errno: errno.EINVAL }] },
  });
  const buffer = allocBuffer(4096);
  throwsCode(() => device.dmaMap(buffer, { iova: 0x1000n }), IsmioError, 'ERR_ISMIO_VFIO', {
    call: 'VFIO_USER_DMA_MAP',
  });
  const mapping = device.dmaMap(buffer, { iova: 0x1000n });
  throwsCode(() => device.dmaMap(allocBuffer(4096)), IsmioError, 'ERR_ISMIO_DMA_LIMIT');
  mapping.unmap();
  device.dmaMap(allocBuffer(4096));
  const maps = (await server.seen()).filter(({ command }) => command === commands.dmaMap);
  assert.equal(maps.length, 3);
});

test('interrupts that are enabled end their wait when the server is lost', async (t) => {
  const { device, server } = await open(t, {
    version: { major: 0, minor: 1, text: '{"capabilities":{"max_msg_fds":1}}\0' },
  });
  const irq = device.irq('msix');
  irq.enable(3);
  const lost = lossOf(device);
  const waits = assert.rejects(irq.wait(), { code: 'ERR_ISMIO_CLOSED' });
  const sets = (await server.seen()).filter(({ command }) => command === commands.setIrqs);
  // One descriptor a message is what this server takes.
  assert.deepEqual(
    sets.map(({ payload }) => [12, 16].map((at) => viewOf(payload).getUint32(at, little))),
    [
      [0, 1],
      [1, 1],
      [2, 1],
    ],
  );
  await server.end();
  await Promise.all([waits, lost]);
  assert.equal(irq.enabled, 0);
});

test('a store block that the server cannot take at once is refused when the region is opened', async (t) => {
  const { device } = await open(t, {
    version: { major: 0, minor: 1, text: '{"capabilities":{"max_data_xfer_size":4096}}\0' },
  });
  const rules = { maxStoreBlock: 8192, boundary: 8192 };
  throwsCode(() => device.region(0, { rules }), RangeError, 'ERR_ISMIO_OPTION', { transfer: 4096 });
});
