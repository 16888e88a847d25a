// What becomes of a region when what is beneath it goes away: its descriptor, the file, the memory, the device; and what workers and
// drains do with it meanwhile.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readdirSync, readlinkSync, truncateSync } from 'node:fs';
import { after, type TestContext, test } from 'node:test';
import { native } from '../src/addon/binding.js';
import { Pool } from '../src/pool/pool.js';
import { IsmioError } from '../src/support/errors.js';
import { KernelCalls } from '../src/vfio/access.js';
import type { VfioDevice } from '../src/vfio/device.js';
import { openVfio } from '../src/vfio/open.js';
import { openRegion } from '../src/vfio/region.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { noMapping, type StandInFunction, StandInKernel } from './support/kernel.js';
import { type RegionDescription, regionFlags } from './support/kernel-structs.js';

const bdf = '0000:00:04.0';
const mappable = regionFlags.read | regionFlags.write | regionFlags.mmap;

const pool = new Pool({ threads: 2, shardBytes: 4096 });
after(() => pool.close());

function open(t: TestContext, given: Partial<StandInFunction>): { kernel: StandInKernel; device: VfioDevice } {
  const kernel = StandInKernel.install(t, { functions: [{ bdf, ...given }] });
  return { kernel, device: kernel.closing(openVfio(bdf, kernel.paths)) };
}

/** The descriptors of this process that lead to `path`, ascending. */
function leadingTo(path: string): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`) === path;
      } catch {
        return false;
      }
    })
    .sort((one, other) => one - other);
}

/** Of Linux; Node.js does not name it. Such a descriptor can neither be read nor written. */
const O_PATH = 0o10000000;

/** In place of `descriptor` there is one that answers EBADF, so that nothing else gets its number. */
function spoil(descriptor: number): void {
  closeSync(descriptor);
  const others: number[] = [];
  for (let opened = openSync('/', O_PATH); opened !== descriptor; opened = openSync('/', O_PATH)) others.push(opened);
  for (const other of others) closeSync(other);
}

test('a region has a descriptor of its own, and says EBADF when that is lost', (t) => {
  const { kernel, device } = open(t, { regions: [{ index: 0, size: 8192n }] });
  const before = leadingTo(kernel.file);
  using region = device.region(0);
  const own = leadingTo(kernel.file).filter((descriptor) => !before.includes(descriptor));
  assert.equal(own.length, 1);
  spoil(own[0] as number);
  const values = { errno: 'EBADF', region: region.name, bytesDone: 0 };
  const error = throwsCode(() => region.load64(0), IsmioError, 'ERR_ISMIO_SYSTEM', values);
  assert.equal((error.cause as NodeJS.ErrnoException).code, 'EBADF');
  throwsCode(() => region.store8(0, 1), IsmioError, 'ERR_ISMIO_SYSTEM', values);
  throwsCode(() => region.storeBlock(0, new Uint8Array(64)), IsmioError, 'ERR_ISMIO_SYSTEM', values);
  throwsCode(() => region.read(0, new Uint8Array(64)), IsmioError, 'ERR_ISMIO_SYSTEM', values);
  const queue = region.queue();
  for (let i = 0; i < 3; i++) queue.storeWords(i * 8, 1, 1);
  throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_SYSTEM', { ...values, index: 0 });
  assert.equal(region.stats().errors, 5);
  assert.equal(device.memory, false, 'the device goes on');
  using again = device.region(0);
  assert.equal(again.load64(0), 0n);
});

test('an EIO of the kernel is the answer of the device, without a condition code, and is not repeated', () => {
  // /proc/self/mem answers EIO where nothing is mapped, as page 0 is not.
  const memory = native.vfio.open('/proc/self/mem', true);
  const served = {
    driver: 'vfio-pci',
    zpci: null,
    regions: [
      {
        index: 0,
        name: 'bar0',
        offset: 0n,
        size: 4096n,
        readable: true,
        writable: true,
        mappable: false,
        mappableAreas: [],
        msixMappable: false,
      },
    ],
  };
  using region = openRegion(new KernelCalls(memory), bdf, served, 0, {});
  assert.equal(native.vfio.close(memory), 0);
  const accesses: readonly (() => unknown)[] = [
    () => region.load8(0),
    () => region.load64(8),
    () => region.store32(8, 1),
    () => region.storeBlock(0, new Uint8Array(64)),
    () => region.read(0, new Uint8Array(100)),
    () => region.write(3, new Uint8Array(100)),
  ];
  for (const access of accesses) {
    const error = throwsCode(access, IsmioError, 'ERR_ISMIO_DEVICE', { errno: 'EIO', bytesDone: 0 });
    assert.equal('conditionCode' in error, false);
    assert.equal('deviceStatus' in error, false);
    assert.match(error.message, /memory decode/);
  }
  const { errors, retries, loads, stores, storeBlocks } = region.stats();
  assert.deepEqual(
    { errors, retries, loads, stores, storeBlocks },
    { errors: 6, retries: 0, loads: 0, stores: 0, storeBlocks: 0 },
  );
});

test('a device whose file ends too early answers EIO, with the bytes that came before', (t) => {
  const { kernel, device } = open(t, { regions: [{ index: 0, size: 8192n }] });
  using region = device.region(0);
  truncateSync(kernel.file, 1004);
  throwsCode(() => region.load64(1000), IsmioError, 'ERR_ISMIO_DEVICE', { errno: 'EIO', bytesDone: 0 });
  assert.equal(region.load32(1000), 0);
  throwsCode(() => region.load8(4096), IsmioError, 'ERR_ISMIO_DEVICE', { errno: 'EIO' });
  const before = region.stats().loads;
  const bytes = new Uint8Array(2048);
  throwsCode(() => region.read(0, bytes), IsmioError, 'ERR_ISMIO_DEVICE', { bytesDone: 1000, length: 2048 });
  assert.equal(region.stats().loads - before, 125, 'each whole word was a load');
});

for (const [what, region] of [
  ['mapped', { index: 0, size: 8192n, flags: mappable }],
  ['mapped in parts', { index: 0, size: 8192n, flags: mappable, sparse: [[0n, 8192n - 4096n]] }],
] as const) {
  test(`memory that goes from under a region that is ${what} loses the region, and the process lives`, {
    skip: noMapping,
  }, (t) => {
    const { kernel, device } = open(t, { regions: [region] });
    using lost = device.region(0);
    using again = device.region(0, { access: 'pread' });
    lost.store64(0, 1n);
    truncateSync(kernel.file, 0);
    throwsCode(() => lost.load64(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { region: lost.name });
    throwsCode(() => lost.store8(64, 1), IsmioError, 'ERR_ISMIO_REGION_LOST');
    throwsCode(() => lost.read(0, new Uint8Array(256)), IsmioError, 'ERR_ISMIO_REGION_LOST', { bytesDone: 0 });
    throwsCode(() => again.load8(0), IsmioError, 'ERR_ISMIO_DEVICE', { errno: 'EIO' });
    const file = openSync(kernel.file, 'r+');
    ftruncateSync(file, 2 ** 52);
    closeSync(file);
    throwsCode(() => lost.load64(0), IsmioError, 'ERR_ISMIO_REGION_LOST', {});
    assert.equal(again.load64(0), 0n);
    using anew = device.region(0);
    assert.equal(anew.load64(0), 0n);
  });
}

const regions: readonly RegionDescription[] = [
  { index: 0, size: 2n ** 20n },
  { index: 1, size: 2n ** 20n, flags: mappable },
  {
    index: 2,
    size: 2n ** 20n,
    flags: mappable,
    sparse: [
      [65536n, 65536n],
      [2n ** 19n, 2n ** 18n],
    ],
  },
];

for (const { index } of regions) {
  const skip = index > 0 && noMapping;
  test(`region ${index} can be moved by the workers of a pool, and by a drain`, { skip }, async (t) => {
    const { device } = open(t, { regions });
    using region = device.region(index);
    const source = Uint8Array.from({ length: 300_001 }, (_, i) => (i * 7) ^ (i >> 8));
    await pool.write(region, 65_001, source);
    const target = new Uint8Array(source.length);
    await pool.read(region, 65_001, target);
    assert.deepEqual(target, source);
    const queue = region.queue({ bytes: 2 ** 20 });
    queue.write(500_003, source);
    const loaded = new Uint8Array(source.length);
    queue.load(500_003, loaded);
    await queue.drain();
    assert.deepEqual(loaded, source);
  });

  test(`region ${index} that is closed with its device ends what workers and a drain do with it`, {
    skip,
  }, async (t) => {
    const { kernel, device } = open(t, { regions });
    const region = device.region(index);
    const queue = region.queue({ bytes: 2 ** 20, depth: 4096 });
    for (let i = 0; i < 4000; i++) queue.write((i % 4) * 2 ** 18, new Uint8Array(200));
    const drained = queue.drain();
    const moved = pool.write(region, 0, new Uint8Array(2 ** 20));
    device.close();
    for (const result of await Promise.allSettled([drained, moved])) {
      if (result.status === 'rejected') assert.equal(result.reason.code, 'ERR_ISMIO_CLOSED');
    }
    await rejectsCode(pool.write(region, 0, new Uint8Array(8)), IsmioError, 'ERR_ISMIO_CLOSED');
    throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_CLOSED');
    for (let i = 0; i < 100 && leadingTo(kernel.file).length > 0; i++) await new Promise((done) => setTimeout(done, 5));
    assert.deepEqual(leadingTo(kernel.file), [], 'no descriptor of the device is left');
  });
}
