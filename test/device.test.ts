// Devices that are defined here: descriptions, handlers, interrupts, DMA, lifetime.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { allocBuffer, IsmioError, Pool } from 'ismio';
import { type DeviceDescription, defineDevice } from 'ismio/device';
import { runModule } from './support/child.js';
import { rejectsCode, thrownBy, throwsCode } from './support/errors.js';

const plain = { vendor: 0x1af4, device: 0x4242, classCode: 0x08_80_00 } as const;

/** A device with one BAR of 4 KiB, open, with its memory decoded. */
function opened(bar: NonNullable<DeviceDescription['regions']>[number], more: Partial<DeviceDescription> = {}) {
  const device = defineDevice({ ...plain, regions: { 0: bar }, ...more });
  const driver = device.open();
  driver.enableMemory();
  return { device, driver, region: driver.region(0) };
}

describe('a description that cannot be', () => {
  const shared = allocBuffer(8192, { shared: true });
  const wrong: Record<string, [Partial<DeviceDescription>, RegExp]> = {
    'a vendor of all ones': [{ vendor: 0xffff }, /vendor/],
    'a class of more than 24 bits': [{ classCode: 0x100_0000 }, /classCode/],
    'a class below 0': [{ classCode: -1 }, /classCode must be from 0 to 16777215, not -1/],
    'a BAR of a size that is no power of two': [{ regions: { 0: { size: 100 } } }, /power of two/],
    'a BAR that is too small': [{ regions: { 0: { size: 8 } } }, /power of two from 16/],
    'a BAR 6': [{ regions: { 6: { size: 4096 } } }, /numbered 0 to 5/],
    'a 64-bit BAR in the last place': [{ regions: { 5: { size: 4096, bits: 64 } } }, /upper half/],
    'a BAR in the place of an upper half': [
      { regions: { 0: { size: 4096, bits: 64 }, 1: { size: 4096 } } },
      /upper half of BAR 0/,
    ],
    'a BAR of 2^40 bytes with 32 bits': [{ regions: { 0: { size: 2 ** 40, bits: 32 } } }, /takes 64 bits/],
    'memory that is none of allocBuffer': [
      { regions: { 0: { size: 4096, memory: new Uint8Array(4096) } } },
      /allocBuffer/,
    ],
    'memory of another length': [{ regions: { 0: { size: 4096, memory: shared } } }, /must have 4096 bytes/],
    'areas that overlap': [
      {
        regions: {
          0: {
            size: 16_384,
            areas: [
              { offset: 0, memory: shared },
              { offset: 4096, memory: shared },
            ],
          },
        },
      },
      /overlaps/,
    ],
    'an area between pages': [
      { regions: { 0: { size: 16_384, areas: [{ offset: 8, memory: shared }] } } },
      /whole pages/,
    ],
    'three vectors of MSI': [{ interrupts: { msi: 3 } }, /msi must be/],
    'an MSI-X table past the end of its BAR': [
      { regions: { 0: { size: 4096 } }, interrupts: { msix: { vectors: 300, bar: 0 } } },
      /within the BAR/,
    ],
    'an MSI-X table over its own pending bits': [
      { regions: { 0: { size: 4096 } }, interrupts: { msix: { vectors: 4, bar: 0, table: 0, pending: 32 } } },
      /lie apart/,
    ],
    'an MSI-X table in a BAR that is not there': [{ interrupts: { msix: { vectors: 4, bar: 3 } } }, /no such BAR/],
    'an MSI-X table in memory': [
      { regions: { 0: { size: 8192, memory: shared } }, interrupts: { msix: { vectors: 4, bar: 0 } } },
      /cannot lie in memory/,
    ],
    'more capabilities than there is room for': [
      { vendorCapabilities: [new Uint8Array(200)], interrupts: { msix: 1 } },
      /room for 192/,
    ],
    'a fault past the end of the BAR': [
      { regions: { 0: { size: 4096, faults: [{ cc: 1, range: [5000, 6000] }] } } },
      /a byte of the region/,
    ],
  };
  for (const [what, [part, message]] of Object.entries(wrong)) {
    test(`${what} is refused with what is wrong`, () => {
      const error = throwsCode(() => defineDevice({ ...plain, ...part }), RangeError, 'ERR_ISMIO_OPTION');
      assert.match(error.message, message);
    });
  }

  test('a handler that is no function, and a word that is no option, are refused', () => {
    const bar = { size: 4096, load: 7 as never };
    throwsCode(() => defineDevice({ ...plain, regions: { 0: bar } }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
    const misspelt = { ...plain, region: {} } as DeviceDescription;
    throwsCode(() => defineDevice(misspelt), RangeError, 'ERR_ISMIO_OPTION');
  });
});

test('a handler sees each access as the driver made it: offset, width and value', () => {
  const seen: unknown[][] = [];
  const { region } = opened({
    size: 4096,
    load: (offset, width) => {
      seen.push(['load', offset, width]);
      return width === 8 ? 1n : 1;
    },
    store: (offset, value, width) => void seen.push(['store', offset, value, width]),
  });
  region.load8(1);
  region.load16(2);
  region.load32(4);
  region.load64(8);
  region.store8(1, 0xff);
  region.store16(2, 0xffff);
  region.store32(4, 0xffff_ffff);
  region.store64(8, 2n ** 64n - 1n);
  assert.deepEqual(seen, [
    ['load', 1, 1],
    ['load', 2, 2],
    ['load', 4, 4],
    ['load', 8, 8],
    ['store', 1, 0xff, 1],
    ['store', 2, 0xffff, 2],
    ['store', 4, 0xffff_ffff, 4],
    ['store', 8, 2n ** 64n - 1n, 8],
  ]);
  const { loads, stores, bytes, crossings } = region.stats();
  assert.deepEqual([loads, stores, bytes, crossings], [4, 4, 30, 0], 'counted, without a crossing');
});

test('a store block arrives as one call, and where no handler takes it as the stores that vfio-pci makes of it', () => {
  const blocks: [number, number[]][] = [];
  const { region } = opened({ size: 4096, storeBlock: (offset, bytes) => void blocks.push([offset, [...bytes]]) });
  region.storeBlock(
    8,
    Uint8Array.from({ length: 20 }, (_, i) => i),
  );
  assert.deepEqual(blocks, [[8, Array.from({ length: 20 }, (_, i) => i)]]);

  const stores: [number, number | bigint, number][] = [];
  const cut = opened({ size: 4096, store: (offset, value, width) => void stores.push([offset, value, width]) });
  cut.region.storeBlock(
    3,
    Uint8Array.from({ length: 16 }, (_, i) => i + 1),
  );
  assert.deepEqual(
    stores.map(([offset, , width]) => [offset, width]),
    [
      [3, 1],
      [4, 4],
      [8, 8],
      [16, 2],
      [18, 1],
    ],
  );
  assert.equal(stores[1]?.[1], 0x0504_0302);
});

test('values are in the byte order of the BAR, whichever the driver asks for', () => {
  const values: (number | bigint)[] = [];
  const { region } = opened({
    size: 4096,
    order: 'be',
    load: () => 0x0102_0304,
    store: (_offset, value) => void values.push(value),
  });
  assert.equal(region.load32(0, 'be'), 0x0102_0304);
  assert.equal(region.load32(0, 'le'), 0x0403_0201);
  region.store32(0, 0x0102_0304, 'be');
  region.store32(0, 0x0102_0304, 'le');
  assert.deepEqual(values, [0x0102_0304, 0x0403_0201]);
});

test('a handler that throws, or gives no value, refuses the access, is called once, and tells the device', () => {
  const told: Error[] = [];
  let calls = 0;
  const { device, region } = opened({
    size: 4096,
    load: (offset) => {
      calls++;
      if (offset === 0) throw new Error('not now');
      return offset === 4 ? 2 ** 32 : (undefined as never);
    },
    store: () => {
      calls++;
      throw new TypeError('never');
    },
  });
  device.on('error', (error) => told.push(error));
  for (const act of [
    () => region.load32(0),
    () => region.load32(4),
    () => region.load32(8),
    () => region.store32(0, 1),
  ]) {
    throwsCode(act, IsmioError, 'ERR_ISMIO_DEVICE', { conditionCode: 1, errno: 'EIO' });
  }
  assert.equal(calls, 4);
  assert.deepEqual(
    told.map(({ message }) => message.split(':')[0]),
    [
      'not now',
      'the handler of BAR 0 gave 4294967296 for a load of 4 bytes at offset 4',
      'the handler of BAR 0 gave undefined for a load of 4 bytes at offset 8',
      'never',
    ],
  );
  assert.equal(region.stats().errors, 4);
});

test('an error that nobody listens for is a warning, and the process goes on', async () => {
  const { code, stdout, stderr } = await runModule(`
    import { defineDevice } from 'ismio/device';
    const device = defineDevice({ vendor: 1, device: 2, classCode: 0, regions: { 0: { size: 4096, load() { throw new Error('broken'); } } } });
    const driver = device.open();
    driver.enableMemory();
    try { driver.region(0).load8(0); } catch ({ code }) { console.log(code); }
    process.on('warning', ({ code, message }) => console.log(code, message.split('\\n')[0]));
  `);
  assert.deepEqual([code, stdout], [0, 'ERR_ISMIO_DEVICE\nISMIO_HANDLER 0001:0002: Error: broken\n'], stderr);
});

test('a promise answers a queue that is drained; an access that could only wait for itself is refused', async () => {
  let stored: number | bigint = 0;
  const { region } = opened({
    size: 4096,
    load: async (offset, width) => {
      await setTimeout(5);
      return width === 8 ? BigInt(offset) + 7n : offset + 7;
    },
    store: async (_offset, value) => {
      await setTimeout(5);
      stored = value;
    },
  });
  throwsCode(() => region.load32(8), IsmioError, 'ERR_ISMIO_DEADLOCK', { errno: 'EDEADLK' });
  const queue = region.queue();
  const target = new Uint8Array(16);
  queue.store64(0, 5n);
  queue.load(8, target);
  await queue.drain();
  assert.equal(stored, 5n);
  assert.deepEqual([target[0], target[8]], [15, 23]);
});

test('workers of a pool reach the handlers of the thread that defined the device', async () => {
  const stores = new Map<number, number | bigint>();
  const { region } = opened({ size: 65_536, store: (offset, value) => void stores.set(offset, value) });
  await using pool = new Pool({ threads: 2 });
  const bytes = allocBuffer(4096, { shared: true });
  for (let at = 0; at < bytes.length; at += 8) new DataView(bytes.buffer).setBigUint64(at, BigInt(at), true);
  await pool.write(region, 0, bytes);
  assert.deepEqual(
    Array.from({ length: 512 }, (_, i) => stores.get(i * 8)),
    Array.from({ length: 512 }, (_, i) => BigInt(i * 8)),
  );
});

test('a queue that is closed while its drain waits for a handler ends at once', async () => {
  const { region } = opened({ size: 4096, store: () => undefined });
  const queue = region.queue();
  for (let i = 0; i < 100; i++) queue.store64(i * 8, 1n);
  const drained = queue.drain();
  const began = performance.now();
  queue.close();
  assert.ok(performance.now() - began < 2000);
  await rejectsCode(drained, IsmioError, 'ERR_ISMIO_CLOSED');
});

test('rules, costs and faults of emulate apply to a BAR', () => {
  const { region } = opened({
    size: 4096,
    load: () => 1,
    store: () => undefined,
    storeBlock: () => undefined,
    rules: { maxStoreBlock: 128, alignment: 'strict' },
    cost: { load: 2e6 },
    faults: [{ access: 'store', nth: 2, cc: 1, status: 8 }],
  });
  assert.equal(region.rules.maxStoreBlock, 128);
  throwsCode(() => region.storeBlock(4, new Uint8Array(16)), RangeError, 'ERR_ISMIO_RULE', { rule: 'offsetAlignment' });
  region.store32(0, 1);
  throwsCode(() => region.store32(0, 1), IsmioError, 'ERR_ISMIO_DEVICE', { deviceStatus: 8 });
  const began = performance.now();
  region.load32(0);
  assert.ok(performance.now() - began >= 2);
});

test('DMA that goes wrong is told with its errno, and shows in the status register', () => {
  const { device, driver } = opened({ size: 4096 });
  const bytes = new Uint8Array(16);
  const buffer = allocBuffer(4096);
  const { iova } = driver.dmaMap(buffer, { writable: false });
  const errnoOf = (act: () => void) => thrownBy(act).errno;
  assert.equal(
    errnoOf(() => device.dma.read(iova, bytes)),
    'EPERM',
  );
  driver.enableBusMaster();
  assert.equal(
    errnoOf(() => device.dma.write(iova, bytes)),
    'EACCES',
  );
  assert.equal(
    errnoOf(() => device.dma.read(iova + 4090n, bytes)),
    'EFAULT',
  );
  assert.equal(driver.config.read16(6) & 0x2000, 0x2000);
  driver.config.write16(6, 0x2000);
  assert.equal(driver.config.read16(6) & 0x2000, 0, 'cleared by writing a one');
  device.dma.read(iova, bytes);
  assert.equal(device.dma.view(iova, 16), null, 'memory that may not be written gives no view');
  throwsCode(() => device.dma.read(1 as never, bytes), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});

test('a view of the driver’s memory is that memory, and stays when it is unmapped', () => {
  const { device, driver } = opened({ size: 4096 });
  driver.enableBusMaster();
  const buffer = allocBuffer(8192);
  const mapping = driver.dmaMap(buffer);
  const view = device.dma.view(mapping.iova + 4096n, 16);
  assert.ok(view);
  buffer[4097] = 9;
  assert.equal(view[1], 9);
  view[2] = 8;
  assert.equal(buffer[4098], 8);
  mapping.unmap();
  assert.equal(view[1], 9);
  assert.equal(device.dma.view(mapping.iova, 16), null);
});

test('a device that is taken away is gone where its BAR is memory as well', () => {
  const { device, driver, region } = opened({ size: 4096, memory: allocBuffer(4096) });
  region.store32(0, 5);
  device.close();
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'device' });
  throwsCode(() => region.storeBlock(0, new Uint8Array(8)), IsmioError, 'ERR_ISMIO_REGION_LOST');
  driver.close();
});

test('a region that its own handler closes ends behind the access that called the handler', async () => {
  const program = `
    import { defineDevice } from 'ismio/device';
    let closed = 0;
    for (let i = 0; i < 500; i++) {
      let region;
      const close = () => region.close();
      const device = defineDevice({ vendor: 1, device: 2, classCode: 0, regions: { 0: { size: 4096, store: close, storeBlock: close } } });
      const driver = device.open();
      driver.enableMemory();
      region = driver.region(0);
      region.storeBlock(0, new Uint8Array(64));
      try { region.store32(0, 1); } catch (error) { if (error.code === 'ERR_ISMIO_CLOSED') closed++; }
      driver.close();
    }
    console.log(closed);`;
  const { code, signal, stdout, stderr } = await runModule(program);
  assert.deepEqual([code, signal, stdout], [0, null, '500\n'], stderr);
});

test('a block that reaches from the MSI-X table to registers goes to both', () => {
  const stored: unknown[] = [];
  const bar = { size: 4096, store: (...given: unknown[]) => void stored.push(given), storeBlock: () => assert.fail() };
  const interrupts = { msix: { vectors: 4, bar: 0, table: 0, pending: 0x100 } };
  const { driver, region } = opened(bar, { interrupts });
  region.storeBlock(0x38, new Uint8Array(20).fill(1));
  assert.equal(region.load32(0x38), 0x01010101);
  assert.deepEqual(stored, [
    [0x40, 0x0101010101010101n, 8],
    [0x48, 0x01010101, 4],
  ]);
  driver.close();
});

test('a block that reaches from memory to registers goes to both', () => {
  const memory = allocBuffer(4096);
  const blocks: [offset: number, length: number][] = [];
  const storeBlock = (offset: number, bytes: Uint8Array) => void blocks.push([offset, bytes.length]);
  const rules = { maxStoreBlock: 8192, boundary: 8192 };
  const { driver, region } = opened({ size: 8192, areas: [{ offset: 0, memory }], storeBlock, rules });
  region.storeBlock(4080, new Uint8Array(48).fill(7));
  assert.deepEqual([memory[4079], memory[4080], memory[4095]], [0, 7, 7]);
  assert.deepEqual(blocks, [[4096, 32]]);
  driver.close();
});

test('a refusal that its access did not come to is nobody else’s', () => {
  let driver: ReturnType<typeof opened>['driver'] | null = null;
  const load = () => {
    driver?.enableMemory(false);
    throw new Error('its own');
  };
  const made = opened({ size: 4096, load, store: () => undefined });
  driver = made.driver;
  made.device.on('error', () => undefined);
  throwsCode(() => made.region.load32(0), IsmioError, 'ERR_ISMIO_DEVICE');
  driver.enableMemory();
  made.region.storeBlock(0, new Uint8Array(16));
  driver.close();
});

test('INTx that is up when its driver goes is up for the next one', () => {
  const device = defineDevice({ ...plain, interrupts: { intx: true } });
  device.level(true);
  device.open().close();
  const driver = device.open();
  assert.equal(driver.config.read16(6) & 8, 8);
  device.level(false);
  assert.equal(driver.config.read16(6) & 8, 0);
  driver.close();
});

test('a reset that throws is refused by the device, which is told', () => {
  const thrown: string[] = [];
  const device = defineDevice({
    ...plain,
    reset: () => {
      throw new Error('not now');
    },
  });
  device.on('error', ({ message }) => thrown.push(message));
  const driver = device.open();
  throwsCode(() => driver.reset(), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EIO' });
  assert.deepEqual(thrown, ['not now']);
  driver.close();
});

test('a listener that throws when the device is opened leaves it there for others', () => {
  const device = defineDevice(plain);
  device.once('open', () => {
    throw new Error('not mine');
  });
  assert.throws(() => device.open(), /not mine/);
  device.open().close();
});

test('open, close and reset are told to the device', () => {
  const told: string[] = [];
  const device = defineDevice({ ...plain, regions: { 0: { size: 4096 } }, reset: () => void told.push('reset()') });
  for (const name of ['open', 'close', 'reset'] as const) device.on(name, () => told.push(name));
  const driver = device.open();
  driver.enableMemory();
  driver.reset();
  driver.close();
  assert.deepEqual(told, ['open', 'reset()', 'reset', 'close']);
  const again = device.open();
  assert.equal(again.memory, false, 'what the driver before has written is forgotten');
  again.close();
});

test('a PCI Express function is reset by its Device Control register, and is as after a reset then', () => {
  let resets = 0;
  const { driver } = opened({ size: 4096 }, { express: true, reset: () => void resets++ });
  const express = driver.config.capability('express');
  assert.ok(express);
  const control = express.offset + 8;
  assert.equal(driver.config.read32(express.offset + 4) & 0x1000_0000, 0x1000_0000, 'it says that it can');
  driver.config.write16(control, driver.config.read16(control) | 0x8000);
  assert.equal(resets, 1);
  assert.equal(driver.memory, false);
  assert.equal(driver.config.read16(control) & 0x8000, 0, 'the bit reads 0');
});
