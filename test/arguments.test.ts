// Every public method against every kind of wrong argument: a clear error, nothing stored, and the region usable after.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { emulate, type Queue, type Region } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { beyond, noBytes, noCounts, noNumberCounts, noOffsets, noValues, noValues64 } from './support/refused.js';

const size = 256;

/** Calls with one argument left open. */
type Call<Target> = (on: Target, argument: never) => unknown;
type Calls<Target> = Readonly<Record<string, Call<Target>>>;
/** The same, with the number of bits that the argument may have. */
type CallsWithBits<Target> = Readonly<Record<string, readonly [bits: number, call: Call<Target>]>>;

const offsetsOfRegion: Calls<Region> = {
  load8: (r, at) => r.load8(at),
  load16: (r, at) => r.load16(at),
  load32: (r, at) => r.load32(at),
  load64: (r, at) => r.load64(at),
  store8: (r, at) => r.store8(at, 0),
  store16: (r, at) => r.store16(at, 0),
  store32: (r, at) => r.store32(at, 0),
  store64: (r, at) => r.store64(at, 0n),
  read: (r, at) => r.read(at, new Uint8Array(16)),
  write: (r, at) => r.write(at, new Uint8Array(16)),
  storeBlock: (r, at) => r.storeBlock(at, new Uint8Array(16)),
  plan: (r, at) => r.plan(at, 16),
};

const offsetsOfQueue: Calls<Queue> = {
  storeWords: (q, at) => q.storeWords(at, 0, 0),
  store8: (q, at) => q.store8(at, 0),
  store16: (q, at) => q.store16(at, 0),
  store32: (q, at) => q.store32(at, 0),
  store64: (q, at) => q.store64(at, 0n),
  write: (q, at) => q.write(at, new Uint8Array(16)),
  load: (q, at) => q.load(at, new Uint8Array(16)),
};

const bytesOfRegion: Calls<Region> = {
  read: (r, bytes) => r.read(0, bytes),
  write: (r, bytes) => r.write(0, bytes),
  storeBlock: (r, bytes) => r.storeBlock(0, bytes),
};

const bytesOfQueue: Calls<Queue> = {
  write: (q, bytes) => q.write(0, bytes),
  'write of a part': (q, bytes) => q.write(0, bytes, 0, 4),
  load: (q, bytes) => q.load(0, bytes),
};

const valuesOfRegion: CallsWithBits<Region> = {
  store8: [8, (r, value) => r.store8(0, value)],
  store16: [16, (r, value) => r.store16(0, value)],
  store32: [32, (r, value) => r.store32(0, value)],
  store64: [64, (r, value) => r.store64(0, value)],
};

const valuesOfQueue: CallsWithBits<Queue> = {
  'storeWords, low': [32, (q, value) => q.storeWords(0, value, 0)],
  'storeWords, high': [32, (q, value) => q.storeWords(0, 0, value)],
  store8: [8, (q, value) => q.store8(0, value)],
  store16: [16, (q, value) => q.store16(0, value)],
  store32: [32, (q, value) => q.store32(0, value)],
  store64: [64, (q, value) => q.store64(0, value)],
};

function onRegion(name: string, body: (region: Region) => void): void {
  test(`region.${name}`, () => {
    using region = emulate({ size });
    region.write(0, pattern(size));
    body(region);
    assert.deepEqual(contents(region), pattern(size), 'nothing was stored');
    region.store64(0, 5n);
    assert.equal(region.load64(0), 5n, 'the region can be used');
  });
}

function onQueue(name: string, body: (queue: Queue) => void): void {
  test(`queue.${name}`, () => {
    using region = emulate({ size });
    region.write(0, pattern(size));
    const queue = region.queue();
    body(queue);
    assert.equal(queue.queued, 0, 'nothing was queued');
    assert.equal(queue.submit().issued, 0);
    assert.deepEqual(contents(region), pattern(size), 'nothing was stored');
    assert.equal(queue.store64(0, 5n), true);
    queue.submit();
    assert.equal(region.load64(0), 5n, 'the queue can be used');
  });
}

function refuses(act: () => unknown, each: { shown: string; type: typeof RangeError; code: never }): void {
  try {
    throwsCode(act, each.type, each.code);
  } catch (error) {
    throw new Error(`with ${each.shown}: ${(error as Error).message}`, { cause: error });
  }
}

describe('what is no offset is refused by', () => {
  for (const [name, call] of Object.entries(offsetsOfRegion)) {
    onRegion(name, (region) => {
      for (const each of [...noOffsets, ...beyond(size)]) refuses(() => call(region, each.value), each as never);
    });
  }
  for (const [name, call] of Object.entries(offsetsOfQueue)) {
    onQueue(name, (queue) => {
      for (const each of [...noOffsets, ...beyond(size)]) refuses(() => call(queue, each.value), each as never);
    });
  }
});

describe('what has no bytes is refused by', () => {
  for (const [name, call] of Object.entries(bytesOfRegion)) {
    onRegion(name, (region) => {
      for (const each of noBytes) refuses(() => call(region, each.value), each as never);
    });
  }
  for (const [name, call] of Object.entries(bytesOfQueue)) {
    onQueue(name, (queue) => {
      for (const each of noBytes) refuses(() => call(queue, each.value), each as never);
    });
  }
});

describe('a value that does not fit is refused by', () => {
  const valuesFor = (bits: number) => (bits === 64 ? noValues64 : noValues(bits as 8 | 16 | 32));
  for (const [name, [bits, call]] of Object.entries(valuesOfRegion)) {
    onRegion(name, (region) => {
      for (const each of valuesFor(bits)) refuses(() => call(region, each.value), each as never);
    });
  }
  for (const [name, [bits, call]] of Object.entries(valuesOfQueue)) {
    onQueue(name, (queue) => {
      for (const each of valuesFor(bits)) refuses(() => call(queue, each.value), each as never);
    });
  }
});

describe('what is no count is refused by', () => {
  onRegion('plan, as its length', (region) => {
    for (const each of noCounts) refuses(() => region.plan(0, each.value), each as never);
    throwsCode(() => region.plan(0, undefined as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
    for (const length of [size + 1, 2 ** 53 - 1, BigInt(size + 1)]) {
      throwsCode(() => region.plan(0, length), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', { size });
    }
    throwsCode(() => region.plan(size, 1), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', { offset: size });
  });
  onQueue('write, as its start', (queue) => {
    for (const each of noNumberCounts) refuses(() => queue.write(0, new Uint8Array(8), each.value), each as never);
    throwsCode(() => queue.write(0, new Uint8Array(8), 9), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  });
  onQueue('write, as its length', (queue) => {
    for (const each of noNumberCounts) refuses(() => queue.write(0, new Uint8Array(8), 0, each.value), each as never);
    throwsCode(() => queue.write(0, new Uint8Array(8), 0, 9), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
    throwsCode(() => queue.write(0, new Uint8Array(8), 4, 5), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
    throwsCode(() => queue.write(0, new Uint8Array(8), 1, 2 ** 53 - 1), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  });
});

describe('what is no byte order is refused by', () => {
  const orders = ['LE', '', 'xe', 1, null, true, {}, Symbol('le')] as never[];
  for (const [name, call] of Object.entries<(region: Region, order: never) => unknown>({
    load16: (r, order) => r.load16(0, order),
    load32: (r, order) => r.load32(0, order),
    load64: (r, order) => r.load64(0, order),
    store16: (r, order) => r.store16(0, 0, order),
    store32: (r, order) => r.store32(0, 0, order),
    store64: (r, order) => r.store64(0, 0n, order),
  })) {
    onRegion(name, (region) => {
      for (const order of orders) throwsCode(() => call(region, order), RangeError, 'ERR_ISMIO_OPTION');
    });
  }
});

describe('ranges at the very end', () => {
  onRegion('read and write of 0 bytes do nothing, at the end too', (region) => {
    const { loads, bytes } = region.stats();
    for (const at of [0, 3, size, BigInt(size), -0]) {
      region.read(at, new Uint8Array(0));
      region.write(at, new ArrayBuffer(0));
    }
    assert.deepEqual({ loads: region.stats().loads, bytes: region.stats().bytes }, { loads, bytes });
    throwsCode(() => region.read(size + 1, new Uint8Array(0)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
    throwsCode(() => region.write(size + 1, new Uint8Array(0)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  });
  onRegion('read and write one byte too far do nothing at all', (region) => {
    const target = new Uint8Array(9).fill(0xaa);
    throwsCode(() => region.read(size - 8, target), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', {
      offset: size - 8,
      length: 9,
      size,
    });
    assert.deepEqual(target, new Uint8Array(9).fill(0xaa));
    throwsCode(() => region.write(size - 8, target), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
    throwsCode(() => region.write(0, new Uint8Array(size + 1)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
  });
  test('queued operations of 0 bytes issue nothing', () => {
    using region = emulate({ size });
    for (const merge of ['none', 'adjacent', 'any'] as const) {
      for (const order of ['strict', 'relaxed'] as const) {
        const queue = region.queue({ merge, order });
        queue.write(size, new Uint8Array(0));
        queue.load(size, new Uint8Array(0));
        queue.write(0, new Uint8Array(8), 8);
        queue.write(0, new Uint8Array(8), 3, 0);
        const { operations, issued, bytes } = queue.submit();
        assert.deepEqual({ operations, issued, bytes }, { operations: 4, issued: 0, bytes: 0 });
      }
    }
  });
});

describe('a negative number, as bit operations give it, is refused with the words for its unsigned one by', () => {
  const advice = (bits: number) =>
    bits === 64
      ? 'BigInt.asUintN(64, value)'
      : bits === 32
        ? 'value >>> 0'
        : `value & 0x${(2 ** bits - 1).toString(16)}`;
  const negatives = (bits: number) => (bits === 64 ? [-1n, -(2n ** 63n)] : [-1, 1 << 31]) as never[];
  const advises = (bits: number, value: never, act: () => unknown) => {
    const error = throwsCode(act, RangeError, 'ERR_ISMIO_VALUE', { value });
    assert.ok(error.message.includes(advice(bits)), error.message);
  };
  for (const [name, [bits, call]] of Object.entries(valuesOfRegion)) {
    onRegion(name, (region) => {
      for (const value of negatives(bits)) advises(bits, value, () => call(region, value));
    });
  }
  for (const [name, [bits, call]] of Object.entries(valuesOfQueue)) {
    onQueue(name, (queue) => {
      for (const value of negatives(bits)) advises(bits, value, () => call(queue, value));
    });
  }
  test('what no bit operation gives has no such words', () => {
    using region = emulate({ size });
    for (const value of [2 ** 32, -(2 ** 31) - 1, -0.5]) {
      const error = throwsCode(() => region.store32(0, value), RangeError, 'ERR_ISMIO_VALUE', { value });
      assert.doesNotMatch(error.message, />>>/);
    }
  });
});

test('an error names the value as it was given', () => {
  using region = emulate({ size, name: 'window' });
  throwsCode(() => region.load8(-5), RangeError, 'ERR_ISMIO_OFFSET', { offset: -5 });
  throwsCode(() => region.load8(2n ** 70n), RangeError, 'ERR_ISMIO_OFFSET', { offset: 2n ** 70n });
  throwsCode(() => region.store8(0, 300), RangeError, 'ERR_ISMIO_VALUE', { value: 300 });
  const error = throwsCode(() => region.load64(256n), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', {
    offset: 256,
    length: 8,
    size,
    region: 'window',
  });
  assert.match(error.message, /0x100/);
  assert.match(error.message, /window/);
});
