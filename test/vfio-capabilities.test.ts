// Capabilities of a function: found by name and id, listed in order, and never followed out of bounds or in a circle.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { IsmioError } from '../src/support/errors.js';
import { type ConfigReader, walkCapabilities } from '../src/vfio/capabilities.js';
import { openVfio } from '../src/vfio/open.js';
import { throwsCode } from './support/errors.js';
import { StandInKernel } from './support/kernel.js';

const bdf = '0000:00:04.0';

/** Bytes of a standard header, or of an extended one, at their offsets. */
type Placed = readonly (readonly [offset: number, header: number])[];

/** A function with these capabilities; `pointer` is what the byte at 0x34 says. */
function config(t: TestContext, pointer: number, standard: Placed, extended: Placed = [], size = 4096n) {
  const kernel = StandInKernel.install(t, { functions: [{ bdf, regions: [{ index: 7, size }] }] });
  const { config } = kernel.closing(openVfio(bdf, kernel.paths));
  config.write16(0x06, 1 << 4);
  config.write8(0x34, pointer);
  for (const [offset, header] of standard) config.write16(offset, header);
  for (const [offset, header] of extended) config.write32(offset, header);
  return config;
}

/** The header of a standard capability, and of an extended one. */
const entry = (id: number, next: number) => id | (next << 8);
const wide = (id: number, version: number, next: number) => ((next << 20) | (version << 16) | id) >>> 0;

const nvme = [
  [0x40, entry(0x11, 0x80)],
  [0x80, entry(0x10, 0x60)],
  [0x60, entry(0x01, 0)],
] as const;

test('capabilities are found by name, and by id in the standard list', (t) => {
  const space = config(t, 0x40, nvme, [[0x100, wide(0x01, 2, 0)]]);
  const msix = { id: 0x11, name: 'msix', extended: false, offset: 0x40, version: null, next: 0x80 };
  assert.deepEqual(space.capability('msix'), msix);
  assert.deepEqual(space.capability(0x11), msix);
  assert.equal(space.capability('pm')?.offset, 0x60);
  assert.equal(space.capability(0x01)?.name, 'pm', 'and not AER, which has this id in the other list');
  assert.deepEqual(space.capability('aer'), {
    id: 0x01,
    name: 'aer',
    extended: true,
    offset: 0x100,
    version: 2,
    next: 0,
  });
  assert.equal(space.capability('msi'), null);
  assert.equal(space.capability(0x33), null);
});

test('capabilities are listed in the order of their lists, several of one kind and unknown ones too', (t) => {
  const space = config(
    t,
    0x43, // the two lowest bits are reserved
    [
      [0x40, entry(0x09, 0x50)],
      [0x50, entry(0x09, 0x70)],
      [0x70, entry(0x77, 0xf8)],
      [0xf8, entry(0x05, 0)],
    ],
    [
      [0x100, wide(0x0b, 1, 0x200)],
      [0x200, wide(0x0b, 1, 0xffc)],
      [0xffc, wide(0x23, 1, 0)],
    ],
  );
  const told = space.capabilities().map(({ name, id, offset }) => `${name ?? id} at ${offset.toString(16)}`);
  assert.deepEqual(told, [
    'vendor at 40',
    'vendor at 50',
    '119 at 70',
    'msi at f8',
    'vendor-extended at 100',
    'vendor-extended at 200',
    'dvsec at ffc',
  ]);
});

test('a function without a list has no capabilities, and one of 256 bytes no extended ones', (t) => {
  const none = config(t, 0x40, nvme);
  none.write16(0x06, 0);
  assert.deepEqual(none.capabilities(), []);
  assert.equal(none.capability('msix'), null);
  const old = config(t, 0x40, nvme, [], 256n);
  assert.deepEqual(
    old.capabilities().map(({ name }) => name),
    ['msix', 'express', 'pm'],
  );
  assert.equal(old.capability('aer'), null);
});

test('empty places, as the kernel leaves where it hides a capability, are passed over', (t) => {
  const space = config(
    t,
    0x40,
    [
      [0x40, entry(0, 0x60)],
      [0x60, entry(0x01, 0)],
    ],
    [
      [0x100, wide(0, 0, 0x140)],
      [0x140, wide(0x0d, 1, 0)],
    ],
  );
  assert.deepEqual(
    space.capabilities().map(({ name }) => name),
    ['pm', 'acs'],
  );
});

const astray: Readonly<Record<string, { pointer?: number; standard?: Placed; extended?: Placed; offset: number }>> = {
  'a list that begins in the header': { pointer: 0x3c, offset: 0x3c },
  'a capability that leads into the header': { standard: [[0x40, entry(0x05, 0x10)]], offset: 0x10 },
  'a capability that leads to itself': { standard: [[0x40, entry(0x05, 0x40)]], offset: 0x40 },
  'a circle of two': {
    standard: [
      [0x40, entry(0x05, 0x50)],
      [0x50, entry(0x11, 0x40)],
    ],
    offset: 0x40,
  },
  'a capability that reads all ones': {
    standard: [
      [0x40, entry(0x05, 0xf0)],
      [0xf0, 0xffff],
    ],
    offset: 0xf0,
  },
  'an extended one that leads to the standard ones': { extended: [[0x100, wide(0x0d, 1, 0x40)]], offset: 0x40 },
  'an extended circle': {
    extended: [
      [0x100, wide(0x0d, 1, 0x200)],
      [0x200, wide(0x0e, 1, 0x100)],
    ],
    offset: 0x100,
  },
};

const one: Placed = [[0x40, entry(0x05, 0)]];

for (const [what, { pointer = 0x40, standard = one, extended, offset }] of Object.entries(astray)) {
  test(`${what} is told, with what was found before it`, (t) => {
    const space = config(t, pointer, standard, extended);
    const error = throwsCode(() => space.capabilities(), IsmioError, 'ERR_ISMIO_VFIO', { bdf, offset });
    const before = error['capabilities'] as { name: string }[];
    assert.equal(before[0]?.name, pointer === 0x40 ? 'msi' : undefined);
    throwsCode(() => space.capability('ptm'), IsmioError, 'ERR_ISMIO_VFIO', { offset });
    if (pointer === 0x40) assert.equal(space.capability('msi')?.offset, 0x40, 'what comes before is found');
  });
}

test('what is no name and no id is refused before anything is read', (t) => {
  const space = config(t, 0x40, nvme);
  for (const key of ['MSI-X', 'toString', '', -1, 1.5, 0x100, null, undefined, 5n]) {
    throwsCode(() => space.capability(key as never), RangeError, 'ERR_ISMIO_OPTION');
  }
});

test('whatever configuration space holds, the lists end, and are read in bounds alone', () => {
  const spaces = fc.tuple(
    fc.constantFrom(256, 4096),
    fc.uint8Array({ minLength: 4096, maxLength: 4096 }),
    fc.boolean(),
  );
  fc.assert(
    fc.property(spaces, ([size, bytes, dense]) => {
      // Half of them with pointers that are likely to lead somewhere.
      if (dense) for (let at = 0; at < 4096; at += 4) bytes[at + 1] = ((bytes[at + 1] as number) | 0x40) & 0xfc;
      bytes[6] = 0x10;
      const view = new DataView(bytes.buffer, bytes.byteOffset, size);
      const reader: ConfigReader = {
        size,
        read8: (offset) => view.getUint8(offset),
        read16: (offset) => view.getUint16(offset, true),
        read32: (offset) => view.getUint32(offset, true),
      };
      let found = 0;
      try {
        for (const { offset } of walkCapabilities(reader, bdf)) {
          assert.ok(offset >= 0x40 && offset < size && offset % 4 === 0);
          found++;
        }
      } catch (error) {
        assert.equal((error as IsmioError).code, 'ERR_ISMIO_VFIO');
      }
      assert.ok(found <= 48 + 960, `${found} capabilities`);
    }),
  );
});
