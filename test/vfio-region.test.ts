// Regions of a device: which rules they take, what they refuse, and what becomes of them when what is beneath goes away.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readdirSync, readlinkSync, truncateSync } from 'node:fs';
import { constants } from 'node:os';
import { after, type TestContext, test } from 'node:test';
import { native } from '../src/binding.js';
import { IsmioError } from '../src/errors.js';
import { Pool } from '../src/pool/pool.js';
import { emulate } from '../src/region/open.js';
import type { Region } from '../src/region/region.js';
import { defaultRules, type Rules } from '../src/region/rules.js';
import type { VfioDevice } from '../src/vfio/device.js';
import { openVfio } from '../src/vfio/open.js';
import { openRegion } from '../src/vfio/region.js';
import { rejectsCode, thrownBy, throwsCode } from './support/errors.js';
import { type StandInFunction, StandInKernel } from './support/kernel.js';
import { type RegionDescription, regionFlags, type ZpciDescription } from './support/kernel-structs.js';

const bdf = '0000:00:04.0';
const { read, write, mmap } = regionFlags;
const mappable = read | write | mmap;
const sparse = [[4096n, 4096n]] as const;

const pool = new Pool({ threads: 2, shardBytes: 4096 });
after(() => pool.close());

function open(t: TestContext, given: Partial<StandInFunction>): { kernel: StandInKernel; device: VfioDevice } {
  const kernel = StandInKernel.install(t, { functions: [{ bdf, ...given }] });
  return { kernel, device: kernel.closing(openVfio(bdf, kernel.paths)) };
}

const ism: readonly RegionDescription[] = [
  { index: 0, size: 2n ** 48n, offset: 0n },
  { index: 2, size: 4096n, offset: 2n << 48n },
];
const zpci = (functionType: number, maxStoreBlock: number): ZpciDescription => ({
  capabilityVersion: 2,
  functionType,
  maxStoreBlock,
});

const rules: readonly (readonly [
  what: string,
  given: Partial<StandInFunction>,
  bar: number,
  expected: Partial<Rules>,
])[] = [
  [
    'ISM, by the name of its driver',
    { driver: 'ism_vfio_pci', zpci: zpci(5, 4096), regions: [{ index: 0, size: 8192n }] },
    0,
    {},
  ],
  ['ISM, by offsets of 48 bits', { regions: ism, zpci: zpci(5, 4096) }, 0, {}],
  ['ISM with a smaller maxstbl', { regions: ism, zpci: zpci(5, 1024) }, 0, { maxStoreBlock: 1024 }],
  ['the command page of ISM', { regions: ism, zpci: zpci(5, 4096) }, 2, { merge: 'registers' }],
  [
    "QEMU's function under ism-vfio-pci",
    { regions: ism, zpci: zpci(0, 128) },
    0,
    { maxStoreBlock: 128, alignment: 'strict' },
  ],
  ['ism-vfio-pci without zPCI capabilities', { regions: ism }, 0, { alignment: 'strict' }],
  ['a function of another driver', { regions: [{ index: 0, size: 8192n }], zpci: zpci(5, 128) }, 0, {}],
];

for (const [what, given, bar, expected] of rules) {
  test(`${what}: the region's rules are ${JSON.stringify({ ...defaultRules, ...expected })}`, (t) => {
    using region = open(t, given).device.region(bar);
    assert.deepEqual(region.rules, { ...defaultRules, ...expected });
  });
}

test('rules that are given come before those of the function, each for itself', (t) => {
  const { device } = open(t, { regions: ism, zpci: zpci(0, 128) });
  using region = device.region(0, { rules: { maxStoreBlock: 64, merge: 'registers' } });
  assert.deepEqual(region.rules, { maxStoreBlock: 64, boundary: 4096, alignment: 'strict', merge: 'registers' });
});

function refusalOf(act: () => void): Record<string, unknown> | null {
  try {
    act();
    return null;
  } catch (error) {
    const { code, rule, errno, offset, length, bytesDone } = error as IsmioError;
    return { code, rule, errno, offset, length, bytesDone, type: (error as Error).constructor.name };
  }
}

for (const [what, of] of [
  ['ISM', { maxStoreBlock: 4096, alignment: 'relaxed' }],
  ["QEMU's function", { maxStoreBlock: 128, alignment: 'strict' }],
] as const) {
  test(`what ${what} refuses is refused as the emulated region refuses it, code by code`, (t) => {
    const { device } = open(t, {
      regions: [
        { index: 0, size: 8192n },
        { index: 1, size: 8192n, flags: mappable, sparse },
      ],
    });
    using emulated = emulate({ size: 8192, rules: of });
    using descriptor = device.region(0, { rules: of });
    using parts = device.region(1, { rules: of });
    let refused = 0;
    for (const length of [0, 1, 7, 8, 9, 15, 16, 20, 24, 120, 128, 129, 136, 256, 4095, 4096, 4097, 8192]) {
      for (const offset of [0, 1, 4, 8, 3968, 4000, 4088, 4089, 4095, 4096, 4100, 8000, 8128, 8184, 8192]) {
        for (const act of ['storeBlock', 'write', 'read'] as const) {
          const bytes = new Uint8Array(length);
          const expected = refusalOf(() => emulated[act](offset, bytes));
          if (expected !== null) refused++;
          for (const region of [descriptor, parts]) {
            const name = `${act} of ${length} at ${offset} of ${region.access}`;
            assert.deepEqual(
              refusalOf(() => region[act](offset, bytes)),
              expected,
              name,
            );
          }
        }
      }
    }
    assert.ok(refused > 100);
  });
}

test('a region says what it is: kind, name, size, and how it is accessed', (t) => {
  const regions = [
    { index: 0, size: 8192n },
    { index: 1, size: 8192n, flags: mappable },
    { index: 2, size: 8192n, flags: mappable, sparse },
  ];
  const { device } = open(t, { regions });
  const mapped = native.kernels().resource;
  const access = [0, 1, 2].map((index) => device.region(index).access);
  assert.deepEqual(access, ['pread and pwrite', mapped, `${mapped}, pread and pwrite`]);
  using region = device.region(1, { access: 'pread', name: 'doorbells' });
  assert.deepEqual(
    [region.access, region.name, region.kind, region.size],
    ['pread and pwrite', 'doorbells', 'device', 8192],
  );
  assert.equal(device.region(1).name, `${bdf} bar1`);
});

test('options that cannot be are refused, and nothing is opened', (t) => {
  const regions = [
    { index: 0, size: 8192n },
    { index: 1, size: 8192n, flags: mappable, sparse },
  ];
  const { kernel, device } = open(t, { regions });
  const option = (index: number, options: object) =>
    throwsCode(() => device.region(index, options), RangeError, 'ERR_ISMIO_OPTION');
  assert.match(option(3, {}).message, /0 \(bar0\), 1 \(bar1\), 7 \(config\)/);
  assert.match(option(0, { access: 'mmap' }).message, /cannot be mapped/);
  assert.match(option(1, { rules: { boundary: 8192 } }).message, /at most 4096/);
  option('0' as never, {});
  option(0, { access: 'pwrite' });
  option(0, { rules: { maxStoreBlock: 4 } });
  option(0, { Writable: true });
  throwsCode(() => device.region(0, { writable: 1 as never }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => device.region(0, { name: 7 as never }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  assert.equal(kernel.calls.includes('region'), false);
  device.region(1, { access: 'pread', rules: { boundary: 8192 } }).close();
});

test('a region that the kernel offers for reading, or that is opened so, refuses every store', (t) => {
  const regions = [
    { index: 0, size: 8192n, flags: read },
    { index: 1, size: 8192n, flags: mappable },
  ];
  const { device } = open(t, { regions });
  for (const region of [
    device.region(0),
    device.region(1, { writable: false }),
    device.region(1, { writable: false, access: 'pread' }),
  ]) {
    assert.equal(region.writable, false);
    throwsCode(() => region.store8(0, 1), IsmioError, 'ERR_ISMIO_READ_ONLY');
    throwsCode(() => region.write(0, new Uint8Array(64)), IsmioError, 'ERR_ISMIO_READ_ONLY');
    throwsCode(() => region.storeBlock(0, new Uint8Array(64)), IsmioError, 'ERR_ISMIO_READ_ONLY');
    assert.equal(region.load8(0), 0);
  }
});

test('what the kernel refuses to map is told with its call and errno', (t) => {
  const { device } = open(t, { regions: [{ index: 0, size: 8192n, offset: 100n, flags: mappable }] });
  const descriptors = readdirSync('/proc/self/fd').length;
  throwsCode(() => device.region(0), IsmioError, 'ERR_ISMIO_VFIO', { call: 'mmap', errno: 'EINVAL', bdf });
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
});

test('more mappings than can be watched are refused with what to do, and those made for it are gone', (t) => {
  const many = Array.from({ length: 600 }, (_, i): [bigint, bigint] => [BigInt(i) * 8192n, 4096n]);
  const { device } = open(t, { regions: [{ index: 0, size: 600n * 8192n, flags: mappable, sparse: many }] });
  using first = device.region(0);
  const error = throwsCode(() => device.region(0), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EMFILE' });
  assert.match(error.message, /1024/);
  first.close();
  device.region(0).close();
});

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

test('a region has a descriptor of its own, and says EBADF when that is closed beneath it', (t) => {
  const { kernel, device } = open(t, { regions: [{ index: 0, size: 8192n }] });
  const before = leadingTo(kernel.file);
  using region = device.region(0);
  const [own] = leadingTo(kernel.file).filter((descriptor) => !before.includes(descriptor)) as [number];
  for (const descriptor of before) closeSync(descriptor);
  region.store64(8, 5n);
  assert.equal(region.load64(8), 5n, 'that of the device is another one');
  closeSync(own);
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
});

test('an EIO of the kernel is the answer of the device, without a condition code, and is not repeated', () => {
  // /proc/self/mem answers EIO where nothing is mapped, as page 0 is not.
  const memory = openSync('/proc/self/mem', 'r+');
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
  using region = openRegion(memory, bdf, served, 0, {});
  closeSync(memory);
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
  test(`memory that goes from under a region that is ${what} loses the region, and the process lives`, (t) => {
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
  test(`region ${index} can be moved by the workers of a pool, and by a drain`, async (t) => {
    const { device } = open(t, { regions });
    using region: Region = device.region(index);
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

  test(`region ${index} that is closed with its device ends what workers and a drain do with it`, async (t) => {
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
    assert.equal((thrownBy(() => region.load8(0)) as IsmioError).code, 'ERR_ISMIO_CLOSED');
    for (let i = 0; i < 100 && leadingTo(kernel.file).length > 0; i++) await new Promise((done) => setTimeout(done, 5));
    assert.deepEqual(leadingTo(kernel.file), [], 'no descriptor of the device is left');
  });
}

test('a full table of descriptors refuses a region with EMFILE', (t) => {
  const { kernel, device } = open(t, { regions: [{ index: 0, size: 8192n }] });
  kernel.replace('region', () => ({ call: 'dup', errno: constants.errno.EMFILE }));
  throwsCode(() => device.region(0), IsmioError, 'ERR_ISMIO_VFIO', { call: 'dup', errno: 'EMFILE' });
});
