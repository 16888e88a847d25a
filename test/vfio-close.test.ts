// What closing a device takes with it, in any order, and what is left when the kernel refuses a part of it.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { allocBuffer } from '../src/access/memory.js';
import { IsmioError } from '../src/support/errors.js';
import type { VfioDevice } from '../src/vfio/device.js';
import { openVfio } from '../src/vfio/open.js';
import { throwsCode } from './support/errors.js';
import { type StandInFunction, StandInKernel } from './support/kernel.js';
import { irqFlags, regionFlags } from './support/kernel-structs.js';

const bdf = '0000:00:04.0';
const all = regionFlags.read | regionFlags.write | regionFlags.mmap;
const whole: StandInFunction = {
  bdf,
  cdev: 'vfio0',
  regions: [
    { index: 0, size: 8192n, flags: all },
    { index: 2, size: 4096n },
  ],
  irqs: [
    { index: 1, count: 4, flags: irqFlags.eventfd },
    { index: 3, count: 1, flags: irqFlags.eventfd },
  ],
};

/** Eventfds go when the event loop has let go of them, so it gets to turn first. */
async function descriptors(): Promise<number> {
  await setTimeout(5);
  return readdirSync('/proc/self/fd').length;
}

for (const api of ['group', 'cdev'] as const) {
  describe(`a device opened as ${api}`, () => {
    const unmapCall = api === 'group' ? 'unmapDma' : 'unmapIoas';
    const install = (t: Parameters<typeof StandInKernel.install>[0]) => {
      const kernel = StandInKernel.install(t, { functions: [whole] });
      return { kernel, open: (): VfioDevice => openVfio(bdf, { ...kernel.paths, api }) };
    };

    test('leaves nothing open when it is closed with all that it had', async (t) => {
      const { kernel, open } = install(t);
      const before = await descriptors();
      const device = open();
      const regions = [device.region(0), device.region(2), device.region(0, { access: 'pread' })];
      const mapping = device.dmaMap(allocBuffer(8192));
      device.irq('msi').enable(3);
      device.irq('err').enable();
      assert.ok((await descriptors()) > before);
      device.close();
      assert.equal(await descriptors(), before);
      assert.equal(kernel.open, 0);
      assert.ok(regions.every((region) => region.closed));
      assert.deepEqual(kernel.mapped, []);
      mapping.unmap();
    });

    test('stops its DMA, disables interrupts and unmaps, in this order, before its descriptors are closed', (t) => {
      const { kernel, open } = install(t);
      const device = open();
      device.enableBusMaster();
      device.irq('msi').enable();
      device.dmaMap(allocBuffer(4096));
      const commands: number[] = [];
      kernel.replace('pwrite', (_device, offset, bytes) => {
        commands.push(Number(offset & 0xffn), bytes[0] as number);
        return bytes.length;
      });
      const from = kernel.calls.length;
      device.close();
      const closes = api === 'group' ? 3 : 2;
      const last = kernel.calls.slice(kernel.calls.lastIndexOf('pwrite'));
      assert.deepEqual(last, ['pwrite', 'setIrqs', unmapCall, ...Array(closes).fill('close')]);
      assert.ok(kernel.calls.indexOf('pwrite', from) >= 0);
      assert.deepEqual(commands, [4, 0], 'the bus master bit of the command register is cleared, and nothing else');
    });

    test('leaves the command register alone when the function is no bus master', (t) => {
      const { kernel, open } = install(t);
      const device = open();
      device.enableMemory();
      const from = kernel.calls.length;
      device.close();
      assert.equal(kernel.calls.includes('pwrite', from), false);
    });

    test('can be closed twice, and by its disposal, and again afterwards', (t) => {
      const { kernel, open } = install(t);
      const device = open();
      const region = device.region(0);
      region[Symbol.dispose]();
      device[Symbol.dispose]();
      device.close();
      region.close();
      assert.equal(device.closed, true);
      const closed = kernel.calls.filter((call) => call === 'close').length;
      device.close();
      assert.equal(kernel.calls.filter((call) => call === 'close').length, closed, 'no descriptor is closed twice');
    });

    test('answers ERR_ISMIO_CLOSED to everything afterwards', (t) => {
      const { open } = install(t);
      const device = open();
      const { config } = device;
      const irq = device.irq('msi');
      device.close();
      const uses: readonly (() => unknown)[] = [
        () => device.region(0),
        () => config.read8(0),
        () => config.write16(4, 0),
        () => config.read(0, new Uint8Array(4)),
        () => device.config.read32(0),
        () => device.memory,
        () => device.busMaster,
        () => device.enableMemory(),
        () => device.enableBusMaster(),
        () => device.irq('msi'),
        () => device.iovaRanges,
        () => device.dmaMap(allocBuffer(4096)),
        () => device.reset(),
        () => irq.enable(),
        () => irq.trigger(),
        () => irq.mask(),
        () => irq.unmask(),
      ];
      for (const use of uses) throwsCode(use, IsmioError, 'ERR_ISMIO_CLOSED');
      irq.disable();
    });

    test('that the kernel refuses to take leave of goes on closing, and tells every refusal', async (t) => {
      const { kernel, open } = install(t);
      const before = await descriptors();
      const device = open();
      device.enableBusMaster();
      device.irq('msi').enable();
      device.irq('err').enable();
      const mappings = [device.dmaMap(allocBuffer(4096)), device.dmaMap(allocBuffer(4096))];
      kernel.refuse('pwrite', constants.errno.EPERM);
      kernel.refuse('setIrqs', constants.errno.EIO);
      kernel.refuse(unmapCall, constants.errno.ENODEV);
      const error = throwsCode(() => device.close(), IsmioError, 'ERR_ISMIO_VFIO', {
        errno: 'EPERM',
        call: 'pwrite',
        bdf,
      });
      const told = (error.cause as AggregateError).errors as IsmioError[];
      assert.deepEqual(
        told.map(({ errno }) => errno),
        ['EPERM', 'EIO', 'EIO', 'ENODEV', 'ENODEV'],
      );
      assert.match(error.message, /refused 5 parts/);
      assert.equal(device.closed, true);
      device.close();
      assert.equal(kernel.open, 0);
      assert.equal(await descriptors(), before, 'the eventfds have gone too');
      const asked = kernel.calls.length;
      for (const mapping of mappings) throwsCode(() => mapping.unmap(), IsmioError, 'ERR_ISMIO_CLOSED', { bdf });
      assert.equal(kernel.calls.length, asked, 'its descriptors may be those of somebody else by now');
    });

    test('that the kernel refuses one thing alone throws just that', (t) => {
      const { kernel, open } = install(t);
      const device = open();
      device.dmaMap(allocBuffer(4096));
      kernel.refuse(unmapCall, constants.errno.EBUSY);
      const error = throwsCode(() => device.close(), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EBUSY' });
      assert.equal(error.cause instanceof AggregateError, false);
    });

    test('unmaps what a refused unmap left', (t) => {
      const { kernel, open } = install(t);
      const device = open();
      const mapping = device.dmaMap(allocBuffer(4096));
      kernel.refuse(unmapCall, constants.errno.EINTR);
      throwsCode(() => mapping.unmap(), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EINTR' });
      assert.equal(mapping.mapped, true);
      kernel.refuse(unmapCall, 0);
      device.close();
      assert.equal(mapping.mapped, false);
      assert.deepEqual(kernel.mapped, []);
    });
  });
}

test('memory decode and bus mastering are bits of the command register, and leave the others alone', (t) => {
  const kernel = StandInKernel.install(t, { functions: [whole] });
  using device = openVfio(bdf, kernel.paths);
  device.config.write16(4, 0x0400);
  device.enableMemory();
  device.enableBusMaster();
  assert.deepEqual([device.memory, device.busMaster, device.config.read16(4)], [true, true, 0x0406]);
  device.enableMemory(false);
  assert.deepEqual([device.memory, device.busMaster, device.config.read16(4)], [false, true, 0x0404]);
  device.enableBusMaster(false);
  assert.equal(device.config.read16(4), 0x0400);
  throwsCode(() => device.enableMemory(1 as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});

test('configuration space is little-endian on every machine, and refuses what does not fit', (t) => {
  const kernel = StandInKernel.install(t, { functions: [whole] });
  using device = openVfio(bdf, kernel.paths);
  const { config } = device;
  assert.equal(config.size, 256);
  config.write32(0x10, 0x8182_8384);
  config.write16(0x14, 0xa1a2);
  config.write8(0x16, 0xff);
  const bytes = new Uint8Array(8);
  config.read(0x10, bytes);
  assert.deepEqual([...bytes], [0x84, 0x83, 0x82, 0x81, 0xa2, 0xa1, 0xff, 0]);
  assert.equal(config.read32(0x10), 0x8182_8384);
  assert.equal(config.read8(0x13), 0x81);
  throwsCode(() => config.read16(0x11), RangeError, 'ERR_ISMIO_MISALIGNED');
  throwsCode(() => config.read8(256), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => config.read(250, new Uint8Array(7)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  throwsCode(() => config.write8(0, 256), RangeError, 'ERR_ISMIO_VALUE');
  throwsCode(() => config.write32(0, -1), RangeError, 'ERR_ISMIO_VALUE');
  kernel.refuse('pwrite', constants.errno.EIO);
  throwsCode(() => config.write8(0, 1), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EIO', call: 'pwrite', offset: 0 });
});

test('a reset is asked of the kernel, and a function that has none says so', (t) => {
  const kernel = StandInKernel.install(t, {
    functions: [
      { ...whole, flags: 2 },
      { ...whole, bdf: '0000:00:05.0', cdev: 'vfio1' },
    ],
  });
  using without = openVfio(bdf, kernel.paths);
  assert.equal(without.info.flags.reset, false);
  const error = throwsCode(() => without.reset(), IsmioError, 'ERR_ISMIO_VFIO', { call: 'VFIO_DEVICE_RESET', bdf });
  assert.match(error.message, /no way to be reset/);
  using having = openVfio('0000:00:05.0', kernel.paths);
  having.reset();
  assert.equal(kernel.calls.at(-1), 'resetDevice');
});
