// What openVfio makes of the structs in which the kernel describes a device: whole ones, and ones that make no sense.
import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { IsmioError } from '../src/support/errors.js';
import type { VfioDeviceInfo, VfioRegionInfo } from '../src/vfio/info.js';
import { openVfio } from '../src/vfio/open.js';
import { thrownBy } from './support/errors.js';
import { type StandInFunction, StandInKernel, type StandInOptions } from './support/kernel.js';
import {
  chained,
  deviceStruct,
  irqFlags,
  pairsCapability,
  type RegionDescription,
  regionFlags,
  struct,
  zpciCapabilities,
} from './support/kernel-structs.js';

const bdf = '0000:00:04.0';
const { read, write, mmap } = regionFlags;
const mappable = read | write | mmap;

function infoOf(
  t: TestContext,
  given: Partial<StandInFunction>,
  options: Partial<StandInOptions> = {},
): VfioDeviceInfo {
  const kernel = StandInKernel.install(t, { ...options, functions: [{ bdf, ...given }] });
  using device = openVfio(bdf, kernel.paths);
  return device.info;
}

function regionOf(t: TestContext, region: RegionDescription): VfioRegionInfo {
  return infoOf(t, { regions: [region] }).regions.find(({ index }) => index === region.index) as VfioRegionInfo;
}

for (const capabilityVersion of [1, 2, 3] as const) {
  test(`zPCI capabilities of version ${capabilityVersion} are read, whatever else is in the chain`, (t) => {
    const zpci = {
      capabilityVersion,
      maxStoreBlock: 4096,
      functionType: 5,
      functionHandle: 0x8000_0377,
      utility: [0xc9, 0xe2],
    };
    const unknown = struct(24, [[0, 2, 77n]]);
    const [base, ...rest] = zpciCapabilities(zpci) as [Uint8Array, ...Uint8Array[]];
    const info = infoOf(t, { struct: deviceStruct(3, 8, 5, [unknown, base, unknown, ...rest]) });
    assert.deepEqual(info.zpci, {
      maxStoreBlock: 4096,
      functionHandle: capabilityVersion === 1 ? null : 0x8000_0377,
      functionType: 5,
      physicalChannel: 0x1c0,
      virtualFunction: 7,
      groupId: 9,
      startDma: 0x1_0000_0000n,
      endDma: 0x1_ffff_ffffn,
      version: 1,
      maxInterrupts: 16,
      utility: 'c9e2',
      errorBytes: capabilityVersion === 3 ? 32 : null,
    });
  });
}

test('a device without zPCI capabilities has none, and one without a utility string has null', (t) => {
  assert.equal(infoOf(t, {}).zpci, null);
  assert.equal(infoOf(t, { zpci: { capabilityVersion: 2, maxStoreBlock: 128, functionType: 0 } }).zpci?.utility, null);
});

test('flags say whether the device has a reset and is on PCI', (t) => {
  assert.deepEqual(infoOf(t, { flags: 2 }).flags, { reset: false, pci: true });
  assert.deepEqual(infoOf(t, { flags: 3 }).flags, { reset: true, pci: true });
});

test('regions are listed with their names, and those of size 0 or unknown to the driver are not', (t) => {
  const regions = [
    { index: 0, size: 4096n },
    { index: 2, size: 0n },
    { index: 5, size: 2n ** 40n },
    { index: 6, size: 65536n, flags: read },
    { index: 8, size: 0xc_0000n },
    { index: 11, size: 4096n },
  ];
  const info = infoOf(t, { regions });
  assert.deepEqual(
    info.regions.map(({ index, name, size, readable, writable }) => [index, name, size, readable, writable]),
    [
      [0, 'bar0', 4096n, true, true],
      [5, 'bar5', 2n ** 40n, true, true],
      [6, 'rom', 65536n, true, false],
      [7, 'config', 256n, true, true],
      [8, 'vga', 0xc_0000n, true, true],
      [11, 'region11', 4096n, true, true],
    ],
  );
  assert.ok(Object.isFrozen(info) && Object.isFrozen(info.regions) && Object.isFrozen(info.regions[0]));
});

test('offsets in the device file are exact, also past 2^53', (t) => {
  const offset = 2n ** 53n + 1n;
  assert.equal(regionOf(t, { index: 5, size: 4096n, offset }).offset, offset);
});

test('a region that can be mapped is mapped whole', (t) => {
  const { mappable: can, mappableAreas, msixMappable } = regionOf(t, { index: 0, size: 100n, flags: mappable });
  assert.deepEqual([can, mappableAreas, msixMappable], [true, [{ offset: 0n, size: 100n }], false]);
});

test('a region that cannot be mapped has no areas, also where it lists some', (t) => {
  const region = regionOf(t, { index: 0, size: 8192n, flags: read | write, sparse: [[0n, 4096n]] });
  assert.deepEqual([region.mappable, region.mappableAreas], [false, []]);
});

test('sparse areas are listed ascending, without the empty ones; none at all means none can be mapped', (t) => {
  const sparse = [
    [12288n, 4096n],
    [4096n, 0n],
    [0n, 8192n],
  ] as const;
  const { mappableAreas } = regionOf(t, { index: 0, size: 16384n, flags: mappable, sparse });
  assert.deepEqual(mappableAreas, [
    { offset: 0n, size: 8192n },
    { offset: 12288n, size: 4096n },
  ]);
  const none = regionOf(t, { index: 0, size: 16384n, flags: mappable, sparse: [] });
  assert.deepEqual([none.mappable, none.mappableAreas], [false, []]);
});

/** Configuration space with an MSI-X capability behind another one: a table of `entries` at `offset` of BAR `bar`. */
function withMsix(kernel: StandInKernel, bar: number, offset: number, entries: number): void {
  const space = new Uint8Array(256);
  const view = new DataView(space.buffer);
  view.setUint16(6, 0x10, true);
  space.set([0x40], 0x34);
  space.set([0x05, 0x70], 0x40);
  space.set([0x11, 0x00], 0x70);
  view.setUint16(0x72, entries - 1, true);
  view.setUint32(0x74, offset | bar, true);
  const file = openSync(kernel.file, 'r+');
  writeSync(file, space, 0, 256, 7 * 2 ** 40);
  closeSync(file);
}

const tables = [
  {
    what: 'in the middle',
    offset: 8192,
    entries: 16,
    areas: [
      [0n, 8192n],
      [12288n, 4096n],
    ],
  },
  { what: 'at the start', offset: 0, entries: 1, areas: [[4096n, 12288n]] },
  { what: 'at the end', offset: 12288, entries: 256, areas: [[0n, 12288n]] },
  {
    what: 'across two pages',
    offset: 4096 + 2048,
    entries: 256,
    areas: [
      [0n, 4096n],
      [12288n, 4096n],
    ],
  },
  { what: 'past the end of the region', offset: 65536, entries: 4, areas: [[0n, 16384n]] },
] as const;

for (const { what, offset, entries, areas } of tables) {
  test(`pages of an MSI-X table ${what} are left out where the kernel does not say they can be mapped`, (t) => {
    const regions = [
      { index: 1, size: 16384n, flags: mappable },
      { index: 2, size: 16384n, flags: mappable },
    ];
    const kernel = StandInKernel.install(t, { functions: [{ bdf, regions }] });
    withMsix(kernel, 1, offset, entries);
    using device = openVfio(bdf, kernel.paths);
    const [table, other] = device.info.regions as [VfioRegionInfo, VfioRegionInfo];
    assert.deepEqual(
      table.mappableAreas.map(({ offset, size }) => [offset, size]),
      areas,
    );
    assert.deepEqual(other.mappableAreas, [{ offset: 0n, size: 16384n }], 'the table is in the other BAR');
  });
}

test('where the kernel says that the MSI-X table can be mapped, or lists areas, its word counts', (t) => {
  const regions = [
    { index: 1, size: 16384n, flags: mappable, msixMappable: true },
    { index: 2, size: 16384n, flags: mappable, sparse: [[4096n, 4096n]] as const },
  ];
  for (const bar of [1, 2]) {
    const kernel = StandInKernel.install(t, { functions: [{ bdf, regions }] });
    withMsix(kernel, bar, 0, 16);
    using device = openVfio(bdf, kernel.paths);
    const [whole, sparse] = device.info.regions as [VfioRegionInfo, VfioRegionInfo];
    assert.equal(whole.msixMappable, true);
    assert.deepEqual(whole.mappableAreas, [{ offset: 0n, size: 16384n }]);
    assert.deepEqual(sparse.mappableAreas, [{ offset: 4096n, size: 4096n }]);
  }
});

test('a chain of capabilities in configuration space that leads back ends', (t) => {
  const kernel = StandInKernel.install(t, {
    functions: [{ bdf, regions: [{ index: 0, size: 4096n, flags: mappable }] }],
  });
  const file = openSync(kernel.file, 'r+');
  writeSync(file, Uint8Array.of(0x10, 0), 0, 2, 7 * 2 ** 40 + 6);
  writeSync(file, Uint8Array.of(0x40), 0, 1, 7 * 2 ** 40 + 0x34);
  writeSync(file, Uint8Array.of(5, 0x50), 0, 2, 7 * 2 ** 40 + 0x40);
  writeSync(file, Uint8Array.of(5, 0x40), 0, 2, 7 * 2 ** 40 + 0x50);
  closeSync(file);
  using device = openVfio(bdf, kernel.paths);
  assert.equal(device.info.regions[0]?.mappableAreas.length, 1);
});

test('interrupts are listed with their names and flags, and those without a vector are not', (t) => {
  const irqs = [
    { index: 0, count: 1, flags: irqFlags.eventfd | irqFlags.maskable | irqFlags.autoMasked },
    { index: 1, count: 32, flags: irqFlags.eventfd | irqFlags.noResize },
    { index: 2, count: 0 },
    { index: 4, count: 1 },
  ];
  assert.deepEqual(infoOf(t, { irqs }).irqs, [
    { index: 0, name: 'intx', count: 1, maskable: true, autoMasked: true, resizable: true },
    { index: 1, name: 'msi', count: 32, maskable: false, autoMasked: false, resizable: false },
    { index: 4, name: 'req', count: 1, maskable: false, autoMasked: false, resizable: true },
  ]);
});

test('bus addresses are those of the kernel; without a list 39 bits; broken lists have a code', (t) => {
  const ranges = [
    [0n, 0xfedf_ffffn],
    [0xfef0_0000n, 2n ** 48n - 1n],
  ] as const;
  const many = Array.from({ length: 40 }, (_, i): [bigint, bigint] => [BigInt(i) << 20n, (BigInt(i) << 20n) + 4095n]);
  for (const api of ['group', 'cdev'] as const) {
    for (const iovaRanges of [ranges, many]) {
      const kernel = StandInKernel.install(t, { functions: [{ bdf, cdev: 'vfio0' }], iovaRanges });
      using device = openVfio(bdf, { ...kernel.paths, api });
      assert.deepEqual(
        device.iovaRanges,
        iovaRanges.map(([first, last]) => ({ first, last })),
      );
    }
  }
  const old = StandInKernel.install(t, { functions: [{ bdf }], iovaRanges: [] });
  using device = openVfio(bdf, old.paths);
  assert.deepEqual(device.iovaRanges, [{ first: 0n, last: 2n ** 39n - 1n }]);
  const lying = chained(struct(24, [[4, 4, 2n]]), 16, [pairsCapability(1, [[0n, 1n]], 0xffff_ffff)]);
  const broken = StandInKernel.install(t, { functions: [{ bdf, cdev: 'vfio0' }], iommuStruct: lying });
  for (const api of ['group', 'cdev'] as const) {
    if (api === 'cdev') broken.replace('iovaRanges', () => 0x7fff_ffff);
    using device = openVfio(bdf, { ...broken.paths, api });
    assert.equal((thrownBy(() => device.iovaRanges) as IsmioError).code, 'ERR_ISMIO_VFIO');
  }
});
