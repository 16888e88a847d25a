// Regions of a device against a plain array of bytes: through the descriptor, mapped, and mapped in parts, all are the same.
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Rules } from '../src/access/rules.js';
import type { Queue } from '../src/queue/queue.js';
import type { Region, RegionStats } from '../src/region/region.js';
import { openVfio } from '../src/vfio/open.js';
import { anyRules } from './support/arbitraries.js';
import { throwsCode } from './support/errors.js';
import { noMapping, StandInKernel } from './support/kernel.js';
import { type RegionDescription, regionFlags } from './support/kernel-structs.js';
import { legalStoreBlock, loadsOf } from './support/oracle.js';
import { scaled } from './support/scale.js';

const bdf = '0000:00:04.0';
const size = 48 * 1024;
const { read, write, mmap } = regionFlags;

const whole = { index: 0, size: BigInt(size), flags: read | write | mmap, msixMappable: true } as const;
const backends: Readonly<Record<string, { readonly region: RegionDescription; readonly access: 'auto' | 'pread' }>> = {
  'through the descriptor': { region: whole, access: 'pread' },
  'through the descriptor, as far out as ism-vfio-pci': {
    region: { index: 5, size: BigInt(size), offset: 5n << 48n },
    access: 'auto',
  },
  mapped: { region: whole, access: 'auto' },
  'mapped in parts': {
    region: {
      ...whole,
      sparse: [
        [4096n, 8192n],
        [20480n, 4096n],
        [45056n, 4096n],
      ],
    },
    access: 'auto',
  },
};

/** Around these lie the borders between what is mapped and what is not, and of pages. */
const borders = [4096, 8192, 12288, 20480, 24576, 45056];

const anyPlace = (most: number) =>
  fc.nat(most).chain((length) =>
    fc
      .oneof(
        fc.nat(size - length),
        fc.tuple(fc.constantFrom(...borders), fc.integer({ min: -most, max: 16 })).map(([border, by]) => border + by),
      )
      .map((offset) => ({ length, offset: Math.min(Math.max(offset, 0), size - length) })),
  );

type Width = 1 | 2 | 4 | 8;
type Operation =
  | { readonly kind: 'load' | 'store'; readonly offset: number; readonly length: Width }
  | { readonly kind: 'read' | 'write' | 'storeBlock'; readonly offset: number; readonly length: number };

const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  fc
    .tuple(fc.constantFrom('load' as const, 'store' as const), fc.constantFrom<Width[]>(1, 2, 4, 8), anyPlace(8))
    .map(([kind, length, { offset }]) => ({
      kind,
      length,
      offset: Math.min(offset - (offset % length), size - length),
    })),
  fc
    .tuple(fc.constantFrom('read' as const, 'write' as const, 'storeBlock' as const), anyPlace(200))
    .map(([kind, place]) => ({ kind, ...place })),
);

/** What went through so far, worked out without the engine. */
class Model {
  readonly bytes = new Uint8Array(size);
  readonly counts = { loads: 0, stores: 0, storeBlocks: 0, bytes: 0, errors: 0 };
  #number = 0;

  /** Bytes unlike those that the operations before it stored. */
  fresh(length: number): Uint8Array {
    this.#number++;
    return Uint8Array.from({ length }, (_, i) => 1 + ((this.#number * 31 + i) % 255));
  }

  stored(region: Region, offset: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, offset);
    this.counts.bytes += bytes.length;
    for (const { kind } of region.plan(offset, bytes.length))
      this.counts[kind === 'store' ? 'stores' : 'storeBlocks']++;
  }
}

const numbers = { 1: 'getUint8', 2: 'getUint16', 4: 'getUint32' } as const;

function load(region: Region, model: Model, offset: number, length: Width): void {
  const view = new DataView(model.bytes.buffer);
  model.counts.loads++;
  model.counts.bytes += length;
  if (length === 8) {
    assert.equal(region.load64(offset), view.getBigUint64(offset, true));
    assert.equal(region.load64(offset, 'be'), view.getBigUint64(offset));
  } else {
    const name = `load${(length * 8) as 8 | 16 | 32}` as const;
    assert.equal(region[name](offset), view[numbers[length]](offset, true), `${name} at ${offset}`);
    assert.equal(region[name](offset, 'be'), view[numbers[length]](offset), `${name} at ${offset}, big-endian`);
  }
  model.counts.loads++;
  model.counts.bytes += length;
}

function store(target: Region | Queue, offset: number, bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer);
  if (bytes.length === 1) return target.store8(offset, view.getUint8(0));
  if (bytes.length === 2) return target.store16(offset, view.getUint16(0, true));
  if (bytes.length === 4) return target.store32(offset, view.getUint32(0, true));
  return target.store64(offset, view.getBigUint64(0, true));
}

function apply(region: Region, model: Model, { kind, offset, length }: Operation): void {
  const { counts } = model;
  const bytes = model.fresh(length);
  if (kind === 'load') load(region, model, offset, length as Width);
  else if (kind === 'read') {
    region.read(offset, bytes);
    assert.deepEqual(bytes, model.bytes.slice(offset, offset + length), `${length} bytes at ${offset}`);
    counts.loads += loadsOf(offset, length);
    counts.bytes += length;
  } else if (kind === 'write') {
    region.write(offset, bytes);
    model.stored(region, offset, bytes);
  } else if (kind === 'storeBlock' && !legalStoreBlock(region.rules, offset, length)) {
    throwsCode(() => region.storeBlock(offset, bytes), RangeError, 'ERR_ISMIO_RULE', { offset, length });
    counts.errors++;
  } else {
    model.bytes.set(bytes, offset);
    counts.bytes += length;
    counts[kind === 'store' ? 'stores' : 'storeBlocks']++;
    if (kind === 'store') store(region, offset, bytes);
    else region.storeBlock(offset, bytes);
  }
}

function contents(region: Region): Uint8Array {
  const bytes = new Uint8Array(size);
  region.read(0, bytes);
  return bytes;
}

const counted = ({ loads, stores, storeBlocks, bytes, errors }: RegionStats) => ({
  loads,
  stores,
  storeBlocks,
  bytes,
  errors,
});

for (const [how, { region: description, access }] of Object.entries(backends)) {
  const skip = how.startsWith('mapped') && noMapping;
  describe(`a region ${how}`, { skip }, () => {
    const opener = (t: TestContext) => {
      const kernel = StandInKernel.install(t, { functions: [{ bdf, regions: [description] }] });
      const device = kernel.closing(openVfio(bdf, kernel.paths));
      return (rules: Partial<Rules>) => device.region(description.index, { access, rules });
    };

    test('holds what was stored, and counts each access, whatever is done to it', (t) => {
      const open = opener(t);
      fc.assert(
        fc.property(anyRules(12), fc.array(anyOperation, { maxLength: 40 }), (rules, operations) => {
          using region = open(rules);
          region.write(0, new Uint8Array(size));
          const before = counted(region.stats());
          const model = new Model();
          for (const operation of operations) apply(region, model, operation);
          const after = counted(region.stats());
          for (const name of Object.keys(after) as (keyof typeof after)[]) {
            assert.equal(after[name] - before[name], model.counts[name], name);
          }
          assert.deepEqual(contents(region), model.bytes);
        }),
        { numRuns: scaled(150) },
      );
    });

    for (const merge of ['none', 'adjacent', 'any'] as const) {
      test(`holds what a queue with merge '${merge}' stored, by submit and by drain`, async (t) => {
        const open = opener(t);
        const step = anyOperation.filter(({ kind }) => kind !== 'storeBlock');
        await fc.assert(
          fc.asyncProperty(
            anyRules(12),
            fc.array(step, { maxLength: 40 }),
            fc.boolean(),
            async (rules, steps, drain) => {
              using region = open(rules);
              region.write(0, new Uint8Array(size));
              using queue = region.queue({ merge, depth: 64, bytes: 16384 });
              const model = new Model();
              const loaded: [Uint8Array, Uint8Array][] = [];
              for (const { kind, offset, length } of steps) {
                const bytes = model.fresh(length);
                if (kind === 'store' || kind === 'write') {
                  assert.ok(kind === 'store' ? store(queue, offset, bytes) : queue.write(offset, bytes));
                  model.bytes.set(bytes, offset);
                } else {
                  assert.ok(queue.load(offset, bytes));
                  loaded.push([bytes, model.bytes.slice(offset, offset + length)]);
                }
              }
              const before = counted(region.stats());
              const told = drain ? await queue.drain() : queue.submit();
              const after = counted(region.stats());
              assert.equal(told.loads, after.loads - before.loads);
              assert.equal(told.stores, after.stores - before.stores);
              assert.equal(told.storeBlocks, after.storeBlocks - before.storeBlocks);
              for (const [bytes, expected] of loaded) assert.deepEqual(bytes, expected);
              assert.deepEqual(contents(region), model.bytes);
            },
          ),
          { numRuns: scaled(60) },
        );
      });
    }

    test('answers loads of every width at every place around the borders', (t) => {
      using region = opener(t)({});
      const model = new Model();
      model.bytes.set(model.fresh(size));
      region.write(0, model.bytes);
      for (const border of borders) {
        for (const length of [1, 2, 4, 8] as const) {
          for (let offset = border - 16; offset < border + 16; offset += length) load(region, model, offset, length);
        }
      }
      for (const border of borders) {
        for (let offset = border - 9; offset <= border + 9; offset++) {
          const bytes = new Uint8Array(13);
          region.read(offset, bytes);
          assert.deepEqual(bytes, model.bytes.slice(offset, offset + 13), `13 bytes at ${offset}`);
        }
      }
    });
  });
}
