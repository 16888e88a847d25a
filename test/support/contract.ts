// What a driver may rely on of a PciDevice, by whichever road it is reached: the same tests for each.
//
// The device under them is the one of `contractDevice`: registers that answer, memory, MSI-X, and DMA that it is asked for by a
// register.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, IsmioError, type PciDevice } from 'ismio';
import { type Device, type DeviceDescription, defineDevice } from 'ismio/device';
import { rejectsCode, thrownBy } from './errors.js';

/** Registers of BAR 0; 8 bytes each. */
export const registers = {
  identity: 0x00,
  last: 0x08,
  interrupt: 0x10,
  address: 0x18,
  copy: 0x20,
  broken: 0x28,
} as const;
const identity = 0x1234_5678_9abc_def0n;

/** What the contract needs of the package: its public half, or that of the modules behind it. */
export interface Package {
  allocBuffer(length: number, options?: { readonly shared?: boolean }): Uint8Array<ArrayBuffer>;
  defineDevice(description: DeviceDescription): Device;
  readonly IsmioError: typeof IsmioError;
}
const installed: Package = { allocBuffer, defineDevice, IsmioError };

/** BAR 0: registers. BAR 2: 64 KiB of memory. Three vectors of MSI-X. */
export function contractDevice({ allocBuffer, defineDevice } = installed): Device {
  const words = new Map<number, bigint>([[registers.identity, identity]]);
  const device = defineDevice({
    name: 'contract',
    vendor: 0x1af4,
    device: 0x4242,
    classCode: 0x08_80_00,
    subsystemVendor: 0x1af4,
    subsystemDevice: 7,
    express: true,
    regions: {
      0: {
        size: 4096,
        load(offset, width) {
          if (offset === registers.broken) throw new Error('this register is broken');
          const word = words.get(offset & ~7) ?? 0n;
          const part = (word >> BigInt((offset & 7) * 8)) & ((1n << BigInt(width * 8)) - 1n);
          return width === 8 ? part : Number(part);
        },
        store(offset, value) {
          if (offset === registers.broken) throw new Error('this register is broken');
          if (offset === registers.interrupt) device.interrupt('msix', Number(value));
          else if (offset === registers.copy) copy(words.get(registers.address) ?? 0n, Number(value));
          else words.set(offset, BigInt(value));
          words.set(registers.last, BigInt(value));
        },
      },
      2: { size: 65_536, memory: allocBuffer(65_536, { shared: true }) },
    },
    interrupts: { msix: 3 },
  });
  device.on('error', () => undefined);
  /** Turns the bytes at an address round, there and back by DMA. */
  function copy(address: bigint, length: number): void {
    const bytes = new Uint8Array(length);
    device.dma.read(address, bytes);
    device.dma.write(address, bytes.reverse());
  }
  return device;
}

/** A road to that device: `open` gives the driver's side. */
export interface Road {
  readonly name: string;
  /** Whether a refused access shows to the driver as ones, and a refused store not at all: QEMU stands between. */
  readonly hidesRefusals?: boolean;
  /** Whether one process may open it twice: the kernel lets it, by a group. */
  readonly shared?: boolean;
  /** Whose buffers it maps, and whose errors it throws, where it is a road of the modules themselves. */
  readonly package?: Package;
  open(): Promise<{ device: PciDevice; close(): Promise<void> }>;
}

export function contractOf(road: Road): void {
  const { allocBuffer, IsmioError } = road.package ?? installed;
  const refused = (act: () => unknown) => assert.equal(thrownBy(act).code, 'ERR_ISMIO_DEVICE');
  const on = (what: string, body: (device: PciDevice) => Promise<void> | void) =>
    test(`${road.name}: ${what}`, async () => {
      const { device, close } = await road.open();
      try {
        await body(device);
      } finally {
        if (!device.closed) device.close();
        await close();
      }
    });

  on('says what it is, in info and in configuration space', ({ info, config }) => {
    assert.deepEqual([info.vendor, info.device, info.classCode], [0x1af4, 0x4242, 0x08_80_00]);
    assert.deepEqual([config.read16(0), config.read16(2), config.read16(0x2e)], [0x1af4, 0x4242, 7]);
    assert.deepEqual(
      config.capabilities().map(({ name }) => name),
      ['msix', 'express'],
    );
    const bars = info.regions.filter(({ index }) => index < 6).map(({ name, size }) => [name, Number(size)]);
    assert.deepEqual(bars, [
      ['bar0', 4096],
      ['bar1', 8192],
      ['bar2', 65_536],
    ]);
    assert.equal(info.irqs.find(({ name }) => name === 'msix')?.count, 3);
  });

  on('tells how long a BAR is by which address bits can be written', ({ config }) => {
    config.write32(0x18, 0xffff_ffff);
    assert.equal(config.read32(0x18), 0xffff_0000);
    config.write16(0x00, 0xffff);
    assert.equal(config.read16(0x00), 0x1af4, 'the vendor id cannot be written');
  });

  on('refuses accesses while memory decode is off', (device) => {
    const region = device.region(0);
    device.enableMemory(false);
    // The kernel takes a mapping away; whoever is asked for each access refuses it.
    assert.ok(['ERR_ISMIO_DEVICE', 'ERR_ISMIO_REGION_LOST'].includes(thrownBy(() => region.load64(0)).code));
    assert.equal(device.memory, false);
    device.enableMemory();
    assert.equal(device.region(0).load64(0), identity);
  });

  on('loads and stores each width as it was asked for', (device) => {
    device.enableMemory();
    const region = device.region(0);
    assert.equal(region.load64(registers.identity), identity);
    assert.equal(region.load32(registers.identity), 0x9abc_def0);
    assert.equal(region.load16(registers.identity + 6), 0x1234);
    assert.equal(region.load8(registers.identity), 0xf0);
    region.store64(0x40, 0x0102_0304_0506_0708n);
    region.store32(0x48, 7);
    assert.equal(region.load64(0x40), 0x0102_0304_0506_0708n);
    assert.equal(region.load64(registers.last), 7n);
    assert.equal(region.load64(0x40, 'be'), 0x0807_0605_0403_0201n);
  });

  on('tells a refused load and store, and goes on', (device) => {
    device.enableMemory();
    const region = device.region(0);
    if (road.hidesRefusals === true) {
      assert.equal(region.load64(registers.broken), 2n ** 64n - 1n);
      region.store64(registers.broken, 1n);
    } else {
      refused(() => region.load64(registers.broken));
      refused(() => region.store64(registers.broken, 1n));
    }
    assert.equal(region.load64(registers.identity), identity);
  });

  on('takes batches in their order, submitted and drained', async (device) => {
    device.enableMemory();
    const queue = device.region(0).queue();
    for (let i = 0; i < 20; i++) queue.store64(0x80 + i * 8, BigInt(i));
    assert.equal(queue.submit().operations, 20);
    assert.equal(device.region(0).load64(registers.last), 19n);
    for (let i = 0; i < 20; i++) queue.store64(0x80 + i * 8, BigInt(i + 100));
    await queue.drain();
    assert.equal(device.region(0).load64(0x80 + 19 * 8), 119n);
    if (road.hidesRefusals === true) return;
    queue.store64(registers.broken, 1n);
    await rejectsCode(queue.drain(), IsmioError, 'ERR_ISMIO_DEVICE');
  });

  on('has memory in a BAR: blocks, words, reads of any length', (device) => {
    device.enableMemory();
    const region = device.region(2);
    const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => i * 7);
    region.write(13, bytes);
    const read = new Uint8Array(10_000);
    region.read(13, read);
    assert.deepEqual(read, bytes);
    region.storeBlock(4096, bytes.subarray(0, 4096));
    assert.equal(region.load32(4096), 0x150e_0700);
  });

  on('signals vectors of MSI-X to their handlers, those raised before they were enabled as well', async (device) => {
    device.enableMemory();
    device.enableBusMaster();
    const region = device.region(0);
    const irq = device.irq('msix');
    region.store64(registers.interrupt, 2n);
    const early = irq.vector(2);
    irq.enable();
    assert.deepEqual(await early.wait({ signal: AbortSignal.timeout(10_000) }), { vector: 2, count: 1 });
    const waiting = irq.vector(1).wait({ signal: AbortSignal.timeout(10_000) });
    region.store64(registers.interrupt, 1n);
    assert.deepEqual(await waiting, { vector: 1, count: 1 });
    irq.disable();
  });

  on('reads and writes its driver’s memory where that is mapped, as a bus master alone', (device) => {
    device.enableMemory();
    const region = device.region(0);
    for (const buffer of [allocBuffer(4096), allocBuffer(4096, { shared: true })]) {
      /** Nothing is moved, whether the driver is told or not. */
      const refusedCopy = () => {
        const before = buffer.slice(0, 5);
        if (road.hidesRefusals === true) region.store64(registers.copy, 4n);
        else refused(() => region.store64(registers.copy, 4n));
        region.load64(registers.identity); // behind it
        assert.deepEqual(buffer.slice(0, 5), before);
      };
      const mapping = device.dmaMap(buffer);
      buffer.set([1, 2, 3, 4]);
      region.store64(registers.address, mapping.iova);
      device.enableBusMaster(false);
      refusedCopy();
      device.enableBusMaster();
      region.store64(registers.copy, 4n);
      region.load64(registers.identity);
      assert.deepEqual([...buffer.subarray(0, 5)], [4, 3, 2, 1, 0]);
      mapping.unmap();
      refusedCopy();
    }
  });

  on('refuses a second mapping of a bus address, and takes another after it was unmapped', (device) => {
    const [one, other] = [allocBuffer(4096), allocBuffer(4096)];
    const mapping = device.dmaMap(one, { iova: 0x10_0000n });
    assert.equal(thrownBy(() => device.dmaMap(other, { iova: 0x10_0000n })).code, 'ERR_ISMIO_OPTION');
    mapping.unmap();
    device.dmaMap(other, { iova: 0x10_0000n });
  });

  on('is reset', (device) => device.reset());

  on('is opened by one driver at a time, and again when that has closed it', async (device) => {
    if (road.shared !== true) await rejectsCode(road.open(), IsmioError, 'ERR_ISMIO_DEVICE_BUSY');
    device.close();
    const again = await road.open();
    again.device.enableMemory();
    assert.equal(again.device.region(0).load64(registers.identity), identity);
    again.device.close();
    await again.close();
  });
}
