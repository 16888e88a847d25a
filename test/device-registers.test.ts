// A register map from both sides: what accesses do to a device's registers, and the registers of a region by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emulate, IsmioError } from 'ismio';
import { defineDevice, type RegisterDescription, registerMap, type Width } from 'ismio/device';
import { throwsCode } from './support/errors.js';

const map = registerMap({
  registers: {
    identity: { at: 0x00, width: 4, access: 'ro', reset: 0x010000ed },
    status: {
      at: 0x04,
      width: 4,
      bits: {
        computing: { at: 0, access: 'ro' },
        interrupt: 7,
        level: [8, 11],
        failed: { at: 16, access: 'w1c' },
        seen: { at: 17, access: 'rc' },
        secret: { at: 31, access: 'wo' },
      },
    },
    raise: { at: 0x08, width: 4, access: 'wo' },
    pending: { at: 0x0c, width: 2, access: 'w1c', reset: 0xffff },
    events: { at: 0x0e, width: 1, access: 'rc', reset: 0x81 },
    scratch: { at: 0x0f, width: 1 },
    address: { at: 0x10, width: 8, halves: true },
    received: { at: 0x18, width: 1, access: 'ro', reset: 7 },
    transmit: { at: 0x18, width: 1, access: 'wo' },
  },
});

test('a register that is read-only is loaded and not stored to', () => {
  const { load, store } = map.handlers();
  assert.equal(load(0, 4), 0x010000ed);
  const error = throwsCode(() => store(0, 1, 4), IsmioError, 'ERR_ISMIO_DEVICE', { offset: 0, length: 4 });
  assert.match(error.message, /identity has 4 bytes at 0x0/);
  assert.equal(load(0, 4), 0x010000ed);
});

test('a register that is write-only is stored to and not loaded; the device sees what was stored', () => {
  const values = map.values();
  const { load, store } = map.handlers({ values });
  store(8, 0xdeadbeef, 4);
  assert.equal(values.raise, 0xdeadbeef);
  throwsCode(() => load(8, 4), IsmioError, 'ERR_ISMIO_DEVICE', { offset: 8, length: 4 });
});

test('ones clear where a register is write-1-to-clear, zeros leave', () => {
  const { load, store } = map.handlers();
  store(0x0c, 0x00f1, 2);
  assert.equal(load(0x0c, 2), 0xff0e);
  store(0x0c, 0, 2);
  assert.equal(load(0x0c, 2), 0xff0e);
});

test('a load clears where a register is read-to-clear', () => {
  const { load } = map.handlers();
  assert.deepEqual([load(0x0e, 1), load(0x0e, 1)], [0x81, 0]);
});

test('bits of one register differ in access, and those without a name are reserved', () => {
  const values = map.values();
  const { load, store } = map.handlers({ values });
  values.status = map.bits.status.computing | map.bits.status.failed | map.bits.status.seen;
  assert.equal(values.status, 0x30001);
  store(4, 0x7fff_f0fe, 4); // of what has other accesses, it changes nothing but what a 1 clears
  assert.equal(values.status, 0x20081 | 0);
  assert.equal(load(4, 4), 0x20081);
  assert.equal(load(4, 4), 0x00081, 'seen was cleared by the load');
  store(4, 0x8000_0f00, 4);
  assert.equal(values.status, 0x8000_0f01, 'what is write-only is the device to see');
  assert.equal(load(4, 4), 0x0f01, 'and nobody else');
});

test('a device that uses bit operations gives signed numbers; loads are cut to the width', () => {
  const values = map.values();
  const { load } = map.handlers({ values, load: { identity: () => ~0x1234_5678 } });
  assert.equal(load(0, 4), 0xedcb_a987);
  values.scratch = -1;
  assert.equal(load(0x0f, 1), 0xff);
  values.address = -1n;
  assert.equal(load(0x10, 8), 2n ** 64n - 1n);
});

test('a value that is none is told by the name of its register', () => {
  const values = map.values();
  const { load, store } = map.handlers({ values, load: { identity: () => Number.NaN } });
  throwsCode(() => load(0, 4), RangeError, 'ERR_ISMIO_VALUE', { register: 'identity' });
  Object.assign(values, { scratch: undefined, address: 5 });
  throwsCode(() => store(0x0f, 1, 1), RangeError, 'ERR_ISMIO_VALUE', { register: 'scratch' });
  throwsCode(() => load(0x10, 8), RangeError, 'ERR_ISMIO_VALUE', { register: 'address' });
});

test('a store tells the device what was stored where it counts, what was before, and when the register holds it', () => {
  const values = map.values();
  const told: unknown[] = [];
  const { store } = map.handlers({
    values,
    store: {
      status: (value, before) => void told.push(value, before, values.status),
      pending: (value, before) => void told.push(value, before, values.pending),
    },
  });
  store(4, 0xffff_ffff, 4);
  store(0x0c, 0x0f, 2);
  assert.deepEqual(told, [0x8001_0f80, 0, 0x8000_0f80, 0x0f, 0xffff, 0xfff0]);
});

test('handlers that answer by a promise are waited for', async () => {
  const { load, store } = map.handlers({
    load: { status: async () => -1, address: async () => 0x1_2345_6789n },
    store: { raise: async () => {} },
  });
  assert.equal(await load(4, 4), 0x7fff_ffff);
  assert.equal(await load(0x14, 4), 1);
  assert.ok(store(8, 1, 4) instanceof Promise);
});

test('8 bytes with halves are taken as two of 4 as well, in the order of the map', () => {
  for (const [order, low, high] of [
    ['le', 0, 4],
    ['be', 4, 0],
  ] as const) {
    const wide = registerMap({ order, registers: { address: { at: 0, width: 8, halves: true } } });
    const values = wide.values();
    const stored: bigint[] = [];
    const answers = wide.handlers({ values, store: { address: (value) => void stored.push(value) } });
    assert.equal(answers.order, order);
    answers.store(low, 0x89ab_cdef, 4);
    answers.store(high, 0x0123_4567, 4);
    assert.deepEqual(stored, [0x89ab_cdefn, 0x0123_4567_89ab_cdefn]);
    assert.equal(values.address, 0x0123_4567_89ab_cdefn);
    assert.deepEqual([answers.load(low, 4), answers.load(high, 4)], [0x89ab_cdef, 0x0123_4567]);
    assert.equal(answers.load(0, 8), 0x0123_4567_89ab_cdefn);
  }
});

test('half a store leaves what ones clear in the other half, and half a load what it clears', () => {
  const wide = registerMap({
    registers: {
      flags: { at: 0, width: 8, access: 'w1c', reset: 0xffff_ffff_ffff_ffffn, halves: true },
      events: { at: 8, width: 8, access: 'rc', reset: 0x1_0000_0001n, halves: true },
    },
  });
  const { load, store } = wide.handlers();
  store(4, 0xff, 4);
  assert.equal(load(0, 8), 0xffff_ff00_ffff_ffffn);
  assert.deepEqual([load(8, 4), load(8, 4), load(12, 4), load(12, 4)], [1, 0, 1, 0]);
});

test('two registers share a place where one is loaded and the other stored to', () => {
  const values = map.values();
  const { load, store } = map.handlers({ values });
  store(0x18, 0x41, 1);
  assert.deepEqual([load(0x18, 1), values.transmit], [7, 0x41]);
});

test('what no register takes is refused, or reads as told, or is answered by other handlers', () => {
  const strays: readonly (readonly [number, Width])[] = [
    [0x00, 2],
    [0x02, 2],
    [0x00, 8],
    [0x08, 4],
    [0x20, 1],
    [0x14, 8],
  ];
  const refusing = map.handlers();
  const zeros = map.handlers({ otherwise: 'zeros' });
  const ones = map.handlers({ otherwise: 'ones' });
  const seen: unknown[] = [];
  const others = map.handlers({
    otherwise: { load: (...access) => seen.push(access), store: (...access) => void seen.push(access) },
  });
  for (const [offset, width] of strays) {
    throwsCode(() => refusing.load(offset, width), IsmioError, 'ERR_ISMIO_DEVICE', { offset, length: width });
    assert.equal(zeros.load(offset, width), width === 8 ? 0n : 0);
    assert.equal(ones.load(offset, width), width === 8 ? 2n ** 64n - 1n : 2 ** (8 * width) - 1);
    others.load(offset, width);
  }
  assert.deepEqual(seen, strays);
  others.store(0, 1, 4);
  assert.deepEqual(seen.at(-1), [0, 1, 4]);
  zeros.store(0, 1, 4);
  assert.equal(zeros.load(0, 4), 0x010000ed);
  const half = map.handlers({ otherwise: { load: () => 5 } });
  assert.equal(half.load(0x20, 4), 5);
  throwsCode(() => half.store(0x20, 1, 4), IsmioError, 'ERR_ISMIO_DEVICE');
});

test('a reset gives back what registers hold at first, to whoever has the values', () => {
  const values = map.values();
  const { load, store } = map.handlers({ values });
  store(0x0f, 9, 1);
  store(0x0c, 0xffff, 2);
  map.reset(values);
  assert.deepEqual([load(0x0f, 1), load(0x0c, 2)], [0, 0xffff]);
  assert.deepEqual(values, map.values());
});

test('a driver has each register by its name, at its place, width and order', () => {
  for (const order of ['le', 'be'] as const) {
    using region = emulate({ size: 64, rules: { merge: 'registers' } });
    const registers = registerMap({
      order,
      registers: {
        one: { at: 0, width: 1 },
        two: { at: 2, width: 2 },
        four: { at: 4, width: 4 },
        eight: { at: 8, width: 8 },
      },
    }).on(region);
    registers.one.store(0x11);
    registers.two.store(0x2233);
    registers.four.store(0x4455_6677);
    registers.eight.store(0x8899_aabb_ccdd_eeffn);
    assert.deepEqual(
      [region.load8(0), region.load16(2, order), region.load32(4, order), region.load64(8, order)],
      [0x11, 0x2233, 0x4455_6677, 0x8899_aabb_ccdd_eeffn],
    );
    assert.deepEqual(
      [registers.one.load(), registers.two.load(), registers.four.load(), registers.eight.load()],
      [0x11, 0x2233, 0x4455_6677, 0x8899_aabb_ccdd_eeffn],
    );
  }
});

test('a driver has bits by their names: read, written alone, changed among others', () => {
  using region = emulate({ size: 64, rules: { merge: 'registers' } });
  const { status } = map.on(region);
  region.store32(4, 0x0003_0581);
  assert.deepEqual(status.read(), {
    computing: true,
    interrupt: true,
    level: 5,
    failed: true,
    seen: true,
    secret: false,
  });
  status.change({ level: 10 });
  assert.equal(region.load32(4), 0xa80, 'what a 1 would clear is stored as 0, and so is what is read-only');
  status.write({ failed: true });
  assert.equal(region.load32(4), 0x10000);
  status.write({ secret: true, interrupt: undefined as never });
  assert.equal(region.load32(4), 0x8000_0000);
});

test('bits of 8 bytes are bigints, one bit is true or false', () => {
  using region = emulate({ size: 64, rules: { merge: 'registers' } });
  const wide = registerMap({ registers: { capabilities: { at: 0, width: 8, bits: { stride: [32, 35], ready: 63 } } } });
  const { capabilities } = wide.on(region);
  capabilities.write({ stride: 9n, ready: true });
  assert.equal(region.load64(0), 0x8000_0009_0000_0000n);
  assert.deepEqual(capabilities.read(), { stride: 9n, ready: true });
  assert.deepEqual({ ...wide.bits.capabilities }, { stride: 0xf_0000_0000n, ready: 1n << 63n });
});

test('bits that do not fit, or are none, are refused before anything is stored', () => {
  using region = emulate({ size: 64, rules: { merge: 'registers' } });
  const { status } = map.on(region);
  for (const level of [16, -1, 1.5, 2 ** 40, true, 1n]) {
    throwsCode(() => status.write({ level: level as number }), RangeError, 'ERR_ISMIO_VALUE', { register: 'status' });
  }
  throwsCode(() => status.write({ interrupt: 1 as never }), RangeError, 'ERR_ISMIO_VALUE', { register: 'status' });
  const error = throwsCode(() => status.change({ levle: 1 } as object), RangeError, 'ERR_ISMIO_OPTION');
  assert.match(error.message, /no bits 'levle'; it has computing, interrupt, level/);
  assert.equal(region.stats().stores, 0);
});

test('a device answers its driver by the same map, in either order of bytes; what no register takes is told to both', () => {
  for (const order of ['le', 'be'] as const) {
    const shared = registerMap({
      order,
      registers: { two: { at: 2, width: 2 }, four: { at: 4, width: 4, access: 'ro' }, eight: { at: 8, width: 8 } },
    });
    const stored: unknown[] = [];
    const answers = shared.handlers({
      load: { four: () => 0x4455_6677 },
      store: { two: (value) => void stored.push(value), eight: (value) => void stored.push(value) },
    });
    const device = defineDevice({ vendor: 1, device: 2, classCode: 0, regions: { 0: { size: 16, ...answers } } });
    const errors: Error[] = [];
    device.on('error', (error) => errors.push(error));
    using open = device.open();
    open.enableMemory();
    const bar = open.region(0);
    const { two, four, eight } = shared.on(bar);
    two.store(0x2233);
    eight.store(0x8899_aabb_ccdd_eeffn);
    assert.deepEqual(stored, [0x2233, 0x8899_aabb_ccdd_eeffn]);
    assert.deepEqual([two.load(), four.load(), eight.load()], [0x2233, 0x4455_6677, 0x8899_aabb_ccdd_eeffn]);
    assert.equal(bar.load32(4, order), 0x4455_6677);
    assert.equal(errors.length, 0);
    throwsCode(() => bar.store32(4, 1), IsmioError, 'ERR_ISMIO_DEVICE', { offset: 4, conditionCode: 1 });
    assert.match(String(errors[0]?.message), /no register takes a store of 4 bytes at 0x4: four has 4 bytes at 0x4/);
  }
});

test('a driver cannot ask what the access forbids', () => {
  using region = emulate({ size: 64 });
  const registers = map.on(region);
  assert.deepEqual(Object.keys(registers.identity), ['load', 'read']);
  assert.deepEqual(Object.keys(registers.raise), ['store', 'write']);
  assert.deepEqual(Object.keys(registers.status), ['load', 'read', 'store', 'write', 'change']);
});

test('what is misspelt does not compile', () => {
  using region = emulate({ size: 64 });
  const registers = map.on(region);
  const wrong = () => {
    // @ts-expect-error there is no such register
    registers.statsu.load();
    // @ts-expect-error it is read-only
    registers.identity.store(1);
    // @ts-expect-error it is write-only
    registers.raise.load();
    // @ts-expect-error 8 bytes are a bigint
    registers.address.store(1);
    // @ts-expect-error there are no such bits
    registers.status.write({ levle: 1 });
    // @ts-expect-error one bit is true or false
    registers.status.write({ interrupt: 1 });
    // @ts-expect-error nobody stores to it
    map.handlers({ store: { identity: () => {} } });
    // @ts-expect-error it holds a bigint
    map.handlers({ load: { address: () => 1 } });
    // @ts-expect-error there is no such register
    map.values().statsu;
    // @ts-expect-error there are no such bits
    map.bits.status.levle;
  };
  assert.equal(typeof wrong, 'function');
});

const four: RegisterDescription = { at: 0, width: 4 };
const refused: Readonly<Record<string, readonly [Record<string, object>, RegExp]>> = {
  'registers that overlap': [
    { a: { at: 0, width: 8 }, b: { ...four, at: 4 } },
    /b: it has 4 bytes at 0x4, and a has 8 at 0x0/,
  ],
  'two that are loaded from one place': [{ a: { ...four, access: 'ro' }, b: four }, /b: it has 4 bytes at 0x0/],
  'one that is misaligned': [{ a: { at: 2, width: 4 } }, /a: 0x2 is not a multiple of its width, 4/],
  'a width that there is not': [{ a: { at: 0, width: 3 } }, /a: its width must be 1, 2, 4 or 8, not 3/],
  'no width': [{ a: { at: 0 } }, /its width must be 1, 2, 4 or 8, not undefined/],
  'an access that there is not': [{ a: { ...four, access: 'r' } }, /access of register a must be one of 'rw'/],
  'bits outside': [{ a: { at: 0, width: 1, bits: { high: 8 } } }, /a: its high is bits 8 to 8, and it has bits 0 to 7/],
  'bits that run past the end': [{ a: { ...four, bits: { high: [30, 32] } } }, /bits 30 to 32/],
  'bits the wrong way round': [{ a: { ...four, bits: { high: [7, 6] } } }, /bits 7 to 6/],
  'bits that overlap': [{ a: { ...four, bits: { low: [0, 3], high: 3 } } }, /its high has bits that another name has/],
  'bits that cannot be stored in a register that cannot': [
    { a: { ...four, access: 'ro', bits: { go: { at: 0, access: 'rw' } } } },
    /it is 'ro', so its go cannot be 'rw'/,
  ],
  'a reset that does not fit': [
    { a: { at: 0, width: 1, reset: 256 } },
    /its reset must be a whole number from 0 to 0xff/,
  ],
  'a reset below zero': [{ a: { ...four, reset: -1 } }, /from 0 to 0xffffffff, not -1/],
  'a bigint where a number is due': [{ a: { ...four, reset: 1n } }, /not 1n/],
  'halves of 4 bytes': [{ a: { ...four, halves: true } }, /only 8 bytes have halves/],
  'a misspelt property': [{ a: { ...four, acces: 'ro' } }, /register a has no option 'acces'/],
};

for (const [what, [registers, words]] of Object.entries(refused)) {
  test(`a map with ${what} is refused`, () => {
    const error = throwsCode(() => registerMap({ registers } as never), RangeError, 'ERR_ISMIO_OPTION');
    assert.match(error.message, words);
  });
}

test('a map of what is none is refused, and so are handlers of names that are none', () => {
  for (const registers of [undefined, null, 5, [four]]) {
    throwsCode(() => registerMap({ registers } as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  }
  throwsCode(() => registerMap({ registers: { a: 5 } } as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(
    () => registerMap({ registers: { a: { at: '0', width: 4 } } } as never),
    TypeError,
    'ERR_ISMIO_ARGUMENT_TYPE',
  );
  throwsCode(() => registerMap({ registers: {}, order: 'big' } as never), RangeError, 'ERR_ISMIO_OPTION');
  const misspelt = { load: { identiy: () => 1 } } as object;
  const error = throwsCode(() => map.handlers(misspelt), RangeError, 'ERR_ISMIO_OPTION', { option: 'identiy' });
  assert.match(error.message, /load of handlers has no option 'identiy'; it has identity, status, pending/);
  throwsCode(() => map.handlers({ store: { identity: () => {} } } as object), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => map.handlers({ store: { raise: 5 } } as object), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => map.handlers({ load: null } as object), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  for (const otherwise of ['nothing', null, 5]) {
    throwsCode(() => map.handlers({ otherwise } as object), RangeError, 'ERR_ISMIO_OPTION');
  }
});

test('any series of stores and loads leaves what a model of single bits has', () => {
  const kinds = ['rw', 'ro', 'wo', 'w1c', 'rc'] as const;
  const anyBits = fc.array(fc.constantFrom(...kinds, 'reserved'), { minLength: 64, maxLength: 64 });
  const anyAccess = fc.record({ store: fc.boolean(), value: fc.bigInt(0n, 2n ** 64n - 1n) });
  fc.assert(
    fc.property(
      fc.constantFrom<Width>(1, 2, 4, 8),
      anyBits,
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.array(anyAccess),
      (width, all, seed, accesses) => {
        const places = all.slice(0, 8 * width);
        const bits = Object.fromEntries(
          places.flatMap((access, at) => (access === 'reserved' ? [] : [[`bit${at}`, { at, access }]])),
        );
        const value = (whole: bigint) => (width === 8 ? whole : Number(BigInt.asUintN(8 * width, whole)));
        fc.pre(Object.keys(bits).length > 0);
        const one = registerMap({ registers: { any: { at: 0, width, reset: value(seed), bits } } });
        const { load, store } = one.handlers();
        const model = places.map((_, at) => (seed >> BigInt(at)) & 1n);
        for (const access of accesses) {
          if (access.store) {
            store(0, value(access.value), width);
            for (const [at, kind] of places.entries()) {
              const bit = (access.value >> BigInt(at)) & 1n;
              if (kind === 'rw' || kind === 'wo') model[at] = bit;
              if (kind === 'w1c' && bit === 1n) model[at] = 0n;
            }
            continue;
          }
          const expected = model.reduce((sum, bit, at) => sum | (places[at] === 'wo' ? 0n : bit << BigInt(at)), 0n);
          assert.equal(BigInt(load(0, width) as number), expected);
          for (const [at, kind] of places.entries()) if (kind === 'rc') model[at] = 0n;
        }
      },
    ),
  );
});
