// Regions of a device: which rules they take, how they are opened, and what they refuse.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { defaultRules, type Rules } from '../src/access/rules.js';
import { native } from '../src/addon/binding.js';
import { emulate } from '../src/region/open.js';
import { IsmioError } from '../src/support/errors.js';
import type { VfioDevice } from '../src/vfio/device.js';
import { openVfio } from '../src/vfio/open.js';
import { throwsCode } from './support/errors.js';
import { noMapping, type StandInFunction, StandInKernel } from './support/kernel.js';
import { type RegionDescription, regionFlags, type ZpciDescription } from './support/kernel-structs.js';

const bdf = '0000:00:04.0';
const { read, write, mmap } = regionFlags;
const mappable = read | write | mmap;
const sparse = [[4096n, 4096n]] as const;

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
    { maxStoreBlock: 128, alignment: 'strict', singleStores: false },
  ],
  ['ism-vfio-pci without zPCI capabilities', { regions: ism }, 0, { alignment: 'strict', singleStores: false }],
  [
    'a function of another driver',
    { regions: [{ index: 0, size: 8192n }], zpci: zpci(5, 128) },
    0,
    { merge: 'registers' },
  ],
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
  assert.deepEqual(region.rules, {
    maxStoreBlock: 64,
    boundary: 4096,
    alignment: 'strict',
    merge: 'registers',
    singleStores: false,
  });
  const values = { maxStoreBlock: 256, most: 128 };
  throwsCode(() => device.region(0, { rules: { maxStoreBlock: 256 } }), RangeError, 'ERR_ISMIO_OPTION', values);
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
          for (const region of noMapping ? [descriptor] : [descriptor, parts]) {
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
    if (!noMapping || region.access === 'pread and pwrite') assert.equal(region.load8(0), 0);
  }
});

test('what the kernel refuses to map is told with its call and errno', (t) => {
  const { device } = open(t, { regions: [{ index: 0, size: 8192n, offset: 100n, flags: mappable }] });
  const descriptors = readdirSync('/proc/self/fd').length;
  throwsCode(() => device.region(0), IsmioError, 'ERR_ISMIO_VFIO', { call: 'mmap', errno: 'EINVAL', bdf });
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
});

test('a region of thousands of mapped areas is opened, accessed in each, and closed whole', {
  skip: noMapping,
}, (t) => {
  const many = Array.from({ length: 2000 }, (_, i): [bigint, bigint] => [BigInt(i) * 8192n, 4096n]);
  const { device } = open(t, { regions: [{ index: 0, size: 2000n * 8192n, flags: mappable, sparse: many }] });
  using region = device.region(0);
  for (const area of [0, 1024, 1999]) {
    region.store64(area * 8192, BigInt(area));
    assert.equal(region.load64(area * 8192), BigInt(area));
  }
});

test('a full table of descriptors refuses a region with EMFILE', (t) => {
  const { kernel, device } = open(t, { regions: [{ index: 0, size: 8192n }] });
  kernel.replace('region', () => ({ call: 'dup', errno: constants.errno.EMFILE }));
  throwsCode(() => device.region(0), IsmioError, 'ERR_ISMIO_VFIO', { call: 'dup', errno: 'EMFILE' });
});
