// Structs of the kernel that make no sense: opening ends, with a device or with an error that has a code, and nothing stays open.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IsmioError } from '../src/support/errors.js';
import { openVfio } from '../src/vfio/open.js';
import { throwsCode } from './support/errors.js';
import { type StandInFunction, StandInKernel } from './support/kernel.js';
import {
  chained,
  deviceStruct,
  pairsCapability,
  regionFlags,
  regionStruct,
  struct,
  zpciCapabilities,
} from './support/kernel-structs.js';
import { scaled } from './support/scale.js';

const bdf = '0000:00:04.0';
const mappable = regionFlags.read | regionFlags.write | regionFlags.mmap;

const loop = () => {
  const bytes = deviceStruct(3, 8, 5, zpciCapabilities({ capabilityVersion: 2, maxStoreBlock: 128, functionType: 0 }));
  new Uint32Array(bytes.buffer, 24 + 4, 1)[0] = 24; // the first capability is followed by itself
  return bytes;
};
const misplaced = (at: number) => {
  const bytes = deviceStruct(131, 8, 5, []);
  new Uint32Array(bytes.buffer, 16, 1)[0] = at;
  return bytes;
};

test('a chain of capabilities that leads back, out of the struct or into its head ends there', (t) => {
  const structs = [loop(), ...[1, 8, 15, 20, 23, 24, 4096, 0xffff_ffff].map(misplaced)];
  for (const struct of structs) {
    const kernel = StandInKernel.install(t, { functions: [{ bdf, struct }] });
    using device = openVfio(bdf, kernel.paths);
    assert.equal(device.info.zpci, null);
  }
});

/** What of a struct cannot be: the error is the kernel's, with a code. */
const impossible: Readonly<Record<string, Partial<StandInFunction>>> = {
  'a capability that is cut off': {
    struct: chained(deviceStruct(131, 8, 5, []), 16, [struct(8, [[0, 2, 1n]]), struct(8, [[0, 2, 2n]])]),
  },
  'four thousand million regions': { struct: deviceStruct(3, 0xffff_ffff, 5, []) },
  'four thousand million kinds of interrupts': { struct: deviceStruct(3, 8, 0xffff_ffff, []) },
  'more sparse areas than the struct holds': {
    regionStructs: {
      0: chained(regionStruct({ index: 0, size: 8192n, flags: mappable | 8 }), 12, [
        pairsCapability(1, [[0n, 4096n]], 0xffff_ffff),
      ]),
    },
  },
  'a sparse area that is no whole page': {
    regions: [{ index: 0, size: 8192n, flags: mappable, sparse: [[0n, 100n]] }],
  },
  'a sparse area past the end': { regions: [{ index: 0, size: 8192n, flags: mappable, sparse: [[4096n, 8192n]] }] },
  'sparse areas that overlap': {
    regions: [
      {
        index: 0,
        size: 16384n,
        flags: mappable,
        sparse: [
          [0n, 8192n],
          [4096n, 4096n],
        ],
      },
    ],
  },
};

for (const [what, given] of Object.entries(impossible)) {
  test(`${what}: refused as a broken answer, and nothing stays open`, (t) => {
    const kernel = StandInKernel.install(t, { functions: [{ bdf, ...given }] });
    const error = throwsCode(() => openVfio(bdf, kernel.paths), IsmioError, 'ERR_ISMIO_VFIO');
    assert.match(error.message, /broken/);
    assert.equal(kernel.open, 0);
  });
}

test('a struct that would take gigabytes is not asked for', (t) => {
  const kernel = StandInKernel.install(t, { functions: [{ bdf }] });
  let asked = 0;
  kernel.replace('deviceInfo', (_, into) => {
    asked = Math.max(asked, into.length);
    return 0xffff_fff0;
  });
  throwsCode(() => openVfio(bdf, kernel.paths), IsmioError, 'ERR_ISMIO_VFIO');
  assert.ok(asked < 4096);
});

/** Bytes with small words in them, so that chains and counts are met by chance. */
const anyBytes = (least: number) =>
  fc
    .array(
      fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 80 }) }, { weight: 1, arbitrary: fc.nat(2 ** 31) }),
      {
        minLength: least / 4,
        maxLength: least / 4 + 24,
      },
    )
    .map((words) => new Uint8Array(Uint32Array.from(words).buffer));

test('whatever bytes the kernel answers, opening ends with a device or with a documented error', (t) => {
  const given: { device: Uint8Array; region: Uint8Array; irq: Uint8Array } = {
    device: new Uint8Array(24),
    region: new Uint8Array(32),
    irq: new Uint8Array(16),
  };
  const kernel = StandInKernel.install(t, { functions: [{ bdf }] });
  const fill = (bytes: Uint8Array, into: Uint8Array) => {
    into.set(bytes.subarray(0, into.length));
    return bytes.length;
  };
  kernel.replace('deviceInfo', (_, into) => fill(given.device, into));
  kernel.replace('regionInfo', (_device, _index, into) => fill(given.region, into));
  kernel.replace('irqInfo', (_device, _index, into) => fill(given.irq, into));
  let opened = 0;
  fc.assert(
    fc.property(anyBytes(24), anyBytes(32), anyBytes(16), (device, region, irq) => {
      Object.assign(given, { device, region, irq });
      try {
        const made = openVfio(bdf, kernel.paths);
        opened++;
        for (const { mappableAreas, size } of made.info.regions) {
          let end = 0n;
          for (const area of mappableAreas) {
            assert.ok(area.offset >= end && area.size > 0n && area.offset + area.size <= size, 'ascending, inside');
            end = area.offset + area.size;
          }
        }
        made.close();
      } catch (error) {
        assert.ok(error instanceof IsmioError && error.code === 'ERR_ISMIO_VFIO', String((error as Error).stack));
      }
      assert.equal(kernel.open, 0);
    }),
    { numRuns: scaled(1500) },
  );
  assert.ok(opened > 0, 'some of it makes sense');
});
