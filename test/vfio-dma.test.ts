// Buffers for DMA, on a kernel that stands in for Linux: what is mapped, what is refused, and until when.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { allocBuffer } from '../src/access/memory.js';
import { native } from '../src/addon/binding.js';
import { IsmioError } from '../src/support/errors.js';
import type { VfioDevice } from '../src/vfio/device.js';
import type { DmaMapping } from '../src/vfio/dma.js';
import { openVfio } from '../src/vfio/open.js';
import { throwsCode } from './support/errors.js';
import { StandInKernel, type StandInOptions } from './support/kernel.js';

const bdf = '0000:00:04.0';
const { pageSize } = native.vfio;
const page = BigInt(pageSize);

const flags = { group: { readable: 1, writable: 2 }, cdev: { readable: 4, writable: 2 } } as const;

test('devices of one group share its bus addresses: neither is given what the other has', (t) => {
  const other = '0000:00:05.0';
  const kernel = StandInKernel.install(t, { functions: [{ bdf }, { bdf: other }] });
  const [one, two] = [bdf, other].map((address) =>
    kernel.closing(openVfio(address, { ...kernel.paths, api: 'group' })),
  ) as [VfioDevice, VfioDevice];
  assert.equal(one.dmaMap(allocBuffer(1)).iova, page);
  assert.equal(two.dmaMap(allocBuffer(1)).iova, 2n * page);
  throwsCode(() => two.dmaMap(allocBuffer(1), { iova: page }), RangeError, 'ERR_ISMIO_OPTION', { iova: page });
  one.close();
  assert.equal(two.dmaMap(allocBuffer(1)).iova, page, 'free again');
});

for (const api of ['group', 'cdev'] as const) {
  describe(`DMA through a ${api}`, () => {
    const install = (t: TestContext, options: Partial<StandInOptions> = {}) => {
      const kernel = StandInKernel.install(t, { functions: [{ bdf, cdev: 'vfio0' }], ...options });
      return { kernel, device: kernel.closing(openVfio(bdf, { ...kernel.paths, api })) };
    };
    const [mapCall, unmapCall] =
      api === 'group' ? (['mapDma', 'unmapDma'] as const) : (['mapIoas', 'unmapIoas'] as const);

    test('maps whole pages for reading and writing, at the lowest address that is not 0', (t) => {
      const { kernel, device } = install(t);
      const buffer = allocBuffer(pageSize + 1);
      const mapping = device.dmaMap(buffer);
      assert.equal(mapping.iova, page);
      assert.equal(mapping.length, pageSize + 1);
      assert.equal(mapping.buffer, buffer);
      const both = flags[api].readable | flags[api].writable;
      assert.deepEqual(kernel.mapped, [[page, { length: 2 * pageSize, flags: both }]]);
      assert.equal(device.dmaMap(allocBuffer(1)).iova, 3n * page);
    });

    test('maps for one direction alone where it is told to', (t) => {
      const { kernel, device } = install(t);
      device.dmaMap(allocBuffer(1), { writable: false });
      device.dmaMap(allocBuffer(1), { readable: false });
      assert.deepEqual(
        kernel.mapped.map(([, { flags }]) => flags),
        [flags[api].readable, flags[api].writable],
      );
    });

    test('hands the kernel the memory of the buffer and the place in it', (t) => {
      const { kernel, device } = install(t);
      const told: unknown[] = [];
      kernel.replace(mapCall, ((...given: unknown[]) => {
        told.push(...given.slice(api === 'group' ? 1 : 2));
        return 0;
      }) as never);
      device.dmaMap(allocBuffer(4 * pageSize).subarray(pageSize, 3 * pageSize), { iova: 16n * page });
      const [iova, memory, position, length] = told;
      assert.deepEqual([iova, position, length], [16n * page, pageSize, 2 * pageSize]);
      assert.ok((memory as number) > 0);
    });

    test('takes the address it is told, if it is free', (t) => {
      const { kernel, device } = install(t);
      assert.equal(device.dmaMap(allocBuffer(1), { iova: 0n }).iova, 0n);
      const taken = () => device.dmaMap(allocBuffer(1), { iova: 0n });
      const mapped = kernel.calls.filter((call) => call === mapCall).length;
      throwsCode(taken, RangeError, 'ERR_ISMIO_OPTION', { iova: 0n });
      assert.equal(kernel.calls.filter((call) => call === mapCall).length, mapped, 'the kernel was not asked');
    });

    test('honours a limit, for an address of the caller as well', (t) => {
      const { device } = install(t, { iovaRanges: [[2n ** 32n, 2n ** 40n]] });
      const limit = 2n ** 32n + 2n * page - 1n;
      assert.equal(device.dmaMap(allocBuffer(1), { limit }).iova, 2n ** 32n);
      throwsCode(() => device.dmaMap(allocBuffer(2 * pageSize), { limit }), IsmioError, 'ERR_ISMIO_DMA_LIMIT', {
        limit,
      });
      const chosen = { limit, iova: 2n ** 32n + 2n * page };
      throwsCode(() => device.dmaMap(allocBuffer(1), chosen), RangeError, 'ERR_ISMIO_OPTION');
    });

    test('ends at unmap, once, and its address is free again', (t) => {
      const { kernel, device } = install(t);
      const mapping = device.dmaMap(allocBuffer(1));
      mapping.unmap();
      mapping[Symbol.dispose]();
      mapping.unmap();
      assert.equal(kernel.calls.filter((call) => call === unmapCall).length, 1);
      assert.deepEqual(kernel.mapped, []);
      assert.equal(device.dmaMap(allocBuffer(1)).iova, mapping.iova);
    });

    for (const errno of api === 'group' ? (['ENOSPC', 'ENOMEM'] as const) : (['ENOMEM'] as const)) {
      test(`${errno} is ERR_ISMIO_DMA_LIMIT, and takes no address`, (t) => {
        const { kernel, device } = install(t);
        kernel.refuse(mapCall, constants.errno[errno]);
        const error = throwsCode(() => device.dmaMap(allocBuffer(1)), IsmioError, 'ERR_ISMIO_DMA_LIMIT', { errno });
        assert.match(error.message, /larger buffers|ulimit -l/);
        kernel.refuse(mapCall, 0);
        assert.equal(device.dmaMap(allocBuffer(1)).iova, page);
      });
    }

    test("something that is mapped there without our knowledge is the kernel's refusal", (t) => {
      const { kernel, device } = install(t);
      kernel.refuse(mapCall, constants.errno.EEXIST);
      const error = throwsCode(() => device.dmaMap(allocBuffer(1)), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EEXIST' });
      assert.match(error.message, /mapped there already/);
    });

    test('an unmap that the kernel refuses is tried again by the next, and keeps the address until one went well', (t) => {
      const { kernel, device } = install(t);
      const mapping = device.dmaMap(allocBuffer(1));
      kernel.refuse(unmapCall, constants.errno.EBUSY);
      const refused = { errno: 'EBUSY', iova: page };
      for (let i = 0; i < 2; i++) throwsCode(() => mapping.unmap(), IsmioError, 'ERR_ISMIO_VFIO', refused);
      assert.equal(mapping.mapped, true);
      assert.equal(device.dmaMap(allocBuffer(1)).iova, 2n * page);
      kernel.refuse(unmapCall, 0);
      mapping.unmap();
      assert.equal(mapping.mapped, false);
      assert.deepEqual(
        kernel.mapped.map(([iova]) => iova),
        [2n * page],
      );
      assert.equal(device.dmaMap(allocBuffer(1)).iova, page, 'free again');
      const asked = kernel.calls.length;
      mapping.unmap();
      assert.equal(kernel.calls.length, asked);
    });

    test('an unmap that the kernel does in part says how much, and is not taken for done', (t) => {
      const { kernel, device } = install(t);
      const mapping = device.dmaMap(allocBuffer(1));
      kernel.replace(unmapCall, () => 0);
      throwsCode(() => mapping.unmap(), IsmioError, 'ERR_ISMIO_VFIO', { bytesDone: 0, length: pageSize });
      assert.equal(mapping.mapped, true);
      assert.equal(device.dmaMap(allocBuffer(1)).iova, 2n * page);
      kernel.replace(unmapCall, () => pageSize);
    });

    test('the address is there as a number and in two halves, for descriptors', (t) => {
      const { device } = install(t, { iovaRanges: [[0n, 2n ** 64n - 1n]] });
      const iova = 0x12_8765_4321n * page;
      const mapping = device.dmaMap(allocBuffer(1), { iova });
      assert.equal(mapping.iovaNumber, Number(iova));
      assert.deepEqual([mapping.iovaLow, mapping.iovaHigh], [Number(iova % 2n ** 32n), Number(iova / 2n ** 32n)]);
      const far = device.dmaMap(allocBuffer(1), { iova: 2n ** 64n - page });
      assert.deepEqual([far.iovaLow, far.iovaHigh], [2 ** 32 - pageSize, 2 ** 32 - 1]);
      throwsCode(() => far.iovaNumber, RangeError, 'ERR_ISMIO_VALUE', { iova: far.iova });
    });
  });
}

test('the limit of the kernel on mappings is met, and room is made by unmapping', (t) => {
  const kernel = StandInKernel.install(t, { functions: [{ bdf }], mappings: 4 });
  using device = openVfio(bdf, kernel.paths);
  const mappings: DmaMapping[] = [];
  throwsCode(
    () => {
      for (;;) mappings.push(device.dmaMap(allocBuffer(1)));
    },
    IsmioError,
    'ERR_ISMIO_DMA_LIMIT',
    { errno: 'ENOSPC' },
  );
  assert.equal(mappings.length, 4);
  mappings[1]?.unmap();
  assert.equal(device.dmaMap(allocBuffer(1)).iova, mappings[1]?.iova);
});

/** Bytes of this process that are in memory of its own; the page of zeros is not counted. */
function resident(): number {
  return Number(readFileSync('/proc/self/status', 'utf8').match(/^RssAnon:\s+(\d+) kB$/m)?.[1]) * 1024;
}

test('a buffer that the device only reads has memory of its own before it is mapped, and the bytes it had', (t) => {
  const kernel = StandInKernel.install(t, { functions: [{ bdf }] });
  using device = openVfio(bdf, kernel.paths);
  const buffer = allocBuffer(64 * 2 ** 20);
  buffer[5 * pageSize] = 77;
  let before = 0;
  let grown = 0;
  kernel.replace('mapDma', () => {
    grown = resident() - before;
    return 0;
  });
  before = resident();
  device.dmaMap(buffer, { writable: false });
  assert.ok(grown > 32 * 2 ** 20, `${grown} bytes more`);
  assert.equal(buffer[5 * pageSize], 77);
  kernel.replace('unmapDma', () => buffer.length);
});

test('what is no whole page of allocBuffer memory is refused before the kernel is asked', (t) => {
  const kernel = StandInKernel.install(t, { functions: [{ bdf }] });
  using device = openVfio(bdf, kernel.paths);
  const buffer = allocBuffer(3 * pageSize);
  const detached = allocBuffer(pageSize);
  // Before Node.js 22 nothing can detach what an addon made; there it is the last of the buffers that are too short.
  const detach = (detached.buffer as { transfer?: () => ArrayBuffer }).transfer;
  detach?.call(detached.buffer);
  const refused: readonly (readonly [unknown, typeof RangeError | typeof TypeError])[] = [
    [buffer.subarray(1), RangeError],
    [buffer.subarray(0, pageSize + 1), RangeError],
    [buffer.subarray(0, 0), RangeError],
    [detach === undefined ? detached.subarray(1) : detached, RangeError],
    [new Uint8Array(pageSize), RangeError],
    [new Uint8Array(new SharedArrayBuffer(pageSize)), RangeError],
    [new Uint16Array(buffer.buffer), TypeError],
    [buffer.buffer, TypeError],
    [null, TypeError],
  ];
  for (const [given, type] of refused) {
    const code = type === TypeError ? 'ERR_ISMIO_ARGUMENT_TYPE' : 'ERR_ISMIO_OPTION';
    throwsCode(() => device.dmaMap(given as Uint8Array), type, code);
  }
  throwsCode(() => device.dmaMap(buffer, { iova: 1 as never }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => device.dmaMap(buffer, { iova: -1n }), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => device.dmaMap(buffer, { limit: 2n ** 64n }), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => device.dmaMap(buffer, { readable: false, writable: false }), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => device.dmaMap(buffer, { readable: 1 as never }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => device.dmaMap(buffer, { address: 0n } as never), RangeError, 'ERR_ISMIO_OPTION');
  assert.equal(kernel.calls.includes('mapDma'), false);
});

const collect = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

/** A look at what a reference holds keeps it until the turn ends, so each look has a turn of its own, behind a collection. */
async function collected(reference: WeakRef<object>): Promise<boolean> {
  for (let i = 0; i < 10; i++) {
    await setTimeout(1);
    collect();
    if (reference.deref() === undefined) return true;
  }
  return false;
}

test('a buffer is kept while it is mapped, and let go of afterwards', async (t) => {
  const kernel = StandInKernel.install(t, { functions: [{ bdf }] });
  using device = openVfio(bdf, kernel.paths);
  const map = () => {
    const buffer = allocBuffer(pageSize);
    const mapping = device.dmaMap(buffer);
    return { reference: new WeakRef(buffer), unmap: new WeakRef(mapping) };
  };
  const { reference, unmap } = map();
  assert.equal(await collected(reference), false);
  unmap.deref()?.unmap();
  assert.equal(await collected(reference), true);
});

test('a device that nobody holds is let go of, unless a region, a mapping or enabled interrupts of it hold it', async (t) => {
  const regions = [{ index: 0, size: 4096n }];
  const kernel = StandInKernel.install(t, { functions: [{ bdf, regions, irqs: [{ index: 1, count: 1 }] }] });
  const parts: Readonly<Record<string, (device: VfioDevice) => unknown>> = {
    mapping: (device) => device.dmaMap(allocBuffer(1)),
    region: (device) => device.region(0),
    interrupts: (device) => device.irq('msi').enable(),
  };
  const hold = (part: (device: VfioDevice) => unknown) => {
    const device = openVfio(bdf, kernel.paths);
    return { reference: new WeakRef(device), held: part(device) };
  };
  for (const [what, part] of Object.entries(parts)) {
    const { reference, held } = hold(part);
    assert.equal(await collected(reference), false, what);
    reference.deref()?.close();
    assert.notEqual(held, null);
  }
  assert.equal(await collected(hold(() => undefined).reference), true);
  for (let i = 0; i < 100 && kernel.open > 0; i++) await setTimeout(5);
  assert.equal(kernel.open, 0, 'its descriptors are closed');
});
