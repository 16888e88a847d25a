// Bus addresses against a model that tries every page, one after the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IsmioError } from '../src/support/errors.js';
import { type IovaRange, IovaSpace } from '../src/vfio/iova.js';
import { throwsCode } from './support/errors.js';
import { patience, scaled } from './support/scale.js';

const page = 4096;
const noLimit = 2n ** 64n - 1n;

/** Pages are numbers; what is taken is a set of them. Slow on purpose. */
class Model {
  readonly #ranges: readonly IovaRange[];
  readonly #taken = new Map<number, number>();

  constructor(ranges: readonly IovaRange[]) {
    this.#ranges = ranges;
  }

  fits(first: number, pages: number, limit: bigint): boolean {
    const start = BigInt(first * page);
    const last = start + BigInt(pages * page) - 1n;
    if (last > limit || !this.#ranges.some((range) => start >= range.first && last <= range.last)) return false;
    for (let i = first; i < first + pages; i++) if (this.#holder(i) !== undefined) return false;
    return true;
  }

  /** The lowest place that crosses no multiple of so many pages; page 0 is not given away. */
  lowest(pages: number, limit: bigint, end: number, boundary: number): number | undefined {
    for (let first = 1; first < end; first++) {
      if ((first % boundary) + pages <= boundary && this.fits(first, pages, limit)) return first;
    }
    return undefined;
  }

  take(first: number, pages: number): void {
    this.#taken.set(first, pages);
  }

  release(first: number): void {
    this.#taken.delete(first);
  }

  get taken(): number[] {
    return [...this.#taken.keys()];
  }

  #holder(at: number): number | undefined {
    return [...this.#taken].find(([first, pages]) => at >= first && at < first + pages)?.[0];
  }
}

/** Up to four ranges below page 80, ascending and apart, whose ends need not lie at pages. */
const anyRanges = fc
  .uniqueArray(fc.nat(80 * page), { minLength: 2, maxLength: 8 })
  .map((ends) => ends.sort((one, other) => one - other))
  .map((ends) =>
    Array.from({ length: Math.floor(ends.length / 2) }, (_, i) => ({
      first: BigInt(ends[i * 2] as number),
      last: BigInt(ends[i * 2 + 1] as number),
    })),
  );

const anyStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('take' as const), bytes: fc.integer({ min: 1, max: 12 * page }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('limited' as const),
      bytes: fc.integer({ min: 1, max: 6 * page }),
      limit: fc.nat(80 * page),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('bounded' as const),
      bytes: fc.integer({ min: 1, max: 8 * page }),
      boundary: fc.constantFrom(8, 16, 32),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('claim' as const),
      at: fc.nat(80),
      bytes: fc.integer({ min: 1, max: 6 * page }),
      limit: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat(80 * page)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), nth: fc.nat(20) }) },
);

test('addresses are the lowest that are free, inside the ranges and the limit; what is released is free again', (t) => {
  let full = 0;
  let given = 0;
  fc.assert(
    fc.property(anyRanges, fc.array(anyStep, { maxLength: 40 }), (ranges, steps) => {
      const space = new IovaSpace(ranges, page);
      const model = new Model(ranges);
      for (const step of steps) {
        if (step.kind === 'release') {
          const first = model.taken[step.nth % Math.max(1, model.taken.length)];
          if (first === undefined) continue;
          space.release(BigInt(first * page));
          model.release(first);
          continue;
        }
        const pages = Math.ceil(step.bytes / page);
        if (step.kind === 'claim') {
          const limit = step.limit === Number.POSITIVE_INFINITY ? noLimit : BigInt(step.limit);
          const claim = () => space.claim(BigInt(step.at * page), BigInt(step.bytes), limit);
          if (model.fits(step.at, pages, limit)) {
            assert.equal(claim(), BigInt(step.at * page));
            model.take(step.at, pages);
          } else {
            throwsCode(claim, RangeError, 'ERR_ISMIO_OPTION');
          }
          continue;
        }
        const limit = step.kind === 'limited' ? BigInt(step.limit) : noLimit;
        const boundary = step.kind === 'bounded' ? step.boundary : Number.POSITIVE_INFINITY;
        const lowest = model.lowest(pages, limit, 80, boundary);
        const bytes = BigInt(step.bytes);
        const take = () => space.take(bytes, limit, step.kind === 'bounded' ? BigInt(boundary * page) : undefined);
        if (lowest === undefined) {
          throwsCode(take, IsmioError, 'ERR_ISMIO_DMA_LIMIT', { length: BigInt(step.bytes), limit });
          full++;
        } else {
          assert.equal(take(), BigInt(lowest * page));
          model.take(lowest, pages);
          given++;
        }
      }
    }),
    { numRuns: scaled(1000) },
  );
  assert.ok(full > 0 && given > full / 10);
  t.diagnostic(`${given} places given, ${full} times there was none`);
});

test('a range up to the last of 64 bits is used to its end and not beyond', () => {
  const top = 2n ** 64n - 1n;
  const space = new IovaSpace([{ first: top - 8191n, last: top }], page);
  assert.equal(space.take(8192n, noLimit), top - 8191n);
  throwsCode(() => space.take(1n, noLimit), IsmioError, 'ERR_ISMIO_DMA_LIMIT');
  throwsCode(() => space.claim(top - 4095n, 8192n, noLimit), RangeError, 'ERR_ISMIO_OPTION');
  space.release(top - 8191n);
  assert.equal(space.claim(top - 4095n, 4096n, noLimit), top - 4095n);
});

test('a place the caller has chosen is refused with the reason', () => {
  const space = new IovaSpace(
    [
      { first: 0n, last: 0xffffn },
      { first: 0x2_0000n, last: 0x2_ffffn },
    ],
    page,
  );
  space.claim(0x3000n, 4096n, noLimit);
  const reasons: readonly [bigint, bigint, bigint, RegExp][] = [
    [0x1001n, 4096n, noLimit, /multiple of the page size, 4096/],
    [0xf000n, 8192n, noLimit, /translates 0x0 to 0xffff, 0x20000 to 0x2ffff/],
    [0x1_8000n, 4096n, noLimit, /translates/],
    [0x2000n, 8192n, noLimit, /0x3000 to 0x3fff are mapped already/],
    [0x5000n, 8192n, 0x6ffen, /limit is 0x6ffe/],
  ];
  for (const [iova, length, limit, reason] of reasons) {
    const error = throwsCode(() => space.claim(iova, length, limit), RangeError, 'ERR_ISMIO_OPTION', { iova, length });
    assert.match(error.message, reason);
  }
  assert.equal(space.claim(0n, 4096n, noLimit), 0n, 'page 0 can be chosen');
});

test('as many buffers as the kernel maps are placed without a search through all of them', () => {
  const space = new IovaSpace([{ first: 0n, last: 2n ** 48n - 1n }], page);
  const count = 65_535;
  const began = performance.now();
  for (let i = 1; i <= count; i++) assert.equal(space.take(4096n, noLimit), BigInt(i * page));
  for (let i = 1; i <= count; i++) space.release(BigInt(i * page));
  const milliseconds = performance.now() - began;
  assert.ok(milliseconds < patience(5000), `${milliseconds} ms; by searching it would be minutes`);
  assert.equal(space.take(BigInt(count * page), noLimit), BigInt(page), 'all of it is one piece again');
});
