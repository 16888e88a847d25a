// What the verdicts stand on: chance that can be repeated, the midmean, the bootstrap, Holm's correction.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bootstrap, intervalOf, midmean, pValueInside } from '../bench/statistics/bootstrap.js';
import { holmLevels } from '../bench/statistics/holm.js';
import { randomFrom } from '../bench/statistics/random.js';

const near = (found: number, expected: number, tolerance: number): void =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not within ${tolerance} of ${expected}`);

describe('random numbers', () => {
  test('are the same for the same seed, and others for another', () => {
    const draw = (seed: number): number[] => Array.from({ length: 5 }, randomFrom(seed));
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
  });

  test('fill [0, 1) evenly', () => {
    const random = randomFrom(1);
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < 20_000; i++) tenths[Math.floor(random() * 10)] += 1;
    for (const count of tenths) near(count, 2000, 200);
  });
});

describe('the midmean', () => {
  const known: [number[], number][] = [
    [[5], 5],
    [[1, 2, 3], 2], // three values have no quarter to leave out
    [[1, 2, 3, 1000], 2.5],
    [[1000, 1, 2, 3, 4, -1000, 5, 6], 3.5],
    [[12, 1, 11, 2, 10, 3, 9, 4, 8, 5, 7, 6], 6.5],
  ];
  for (const [values, middle] of known) {
    test(`of ${values.join(', ')} is ${middle}`, () => assert.equal(midmean(values), middle));
  }

  test('does not move when less than a quarter of the values go far away', () => {
    const values = Array.from({ length: 12 }, (_, i) => 1 + i / 100);
    const torn = values.map((value, i) => (i >= 9 ? value * 50 : value));
    assert.equal(midmean(torn), midmean(values));
  });
});

describe('the bootstrap', () => {
  test('draws the midmeans of 1, 2 and 3 as often as they can come up', () => {
    // Of 27 triples the sums 3 to 9 come up 1, 3, 6, 7, 6, 3, 1 times.
    const drawn = bootstrap([1, 2, 3], randomFrom(3));
    const ways = [1, 3, 6, 7, 6, 3, 1];
    for (const [i, count] of ways.entries()) {
      const value = (3 + i) / 3;
      const share = drawn.filter((one) => Math.abs(one - value) < 1e-9).length / drawn.length;
      near(share, count / 27, 0.015);
    }
  });

  test('gives the same interval for the same seed', () => {
    const values = [1.01, 0.99, 1.02, 1, 0.98, 1.03];
    const interval = () => intervalOf(bootstrap(values, randomFrom(11)), 0.95);
    assert.deepEqual(interval(), interval());
  });

  test('bounds the midmean of a normal sample about as often as it says', () => {
    const random = randomFrom(5);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    let inside = 0;
    const trials = 80;
    for (let i = 0; i < trials; i++) {
      const values = Array.from({ length: 24 }, () => 1 + 0.02 * normal());
      const { low, high } = intervalOf(bootstrap(values, random), 0.9);
      if (low <= 1 && 1 <= high) inside++;
    }
    near(inside / trials, 0.88, 0.08);
  });

  test('never lets a value stand outside of all values', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 2, maxLength: 15 }), (values) => {
        const { low, high } = intervalOf(bootstrap(values, randomFrom(1)).slice(), 0.99);
        assert.ok(low >= Math.min(...values) - 1e-12 && high <= Math.max(...values) + 1e-12 && low <= high);
      }),
      { numRuns: 20 },
    );
  });

  test('an interval leaves out as much below as above', () => {
    const drawn = Float64Array.from({ length: 1001 }, (_, i) => i);
    const { low, high } = intervalOf(drawn, 0.9);
    near(low, 50, 1);
    near(high, 950, 1);
  });

  test('a p-value is small only where all means lie on one side', () => {
    const around = (middle: number) => Float64Array.from({ length: 999 }, (_, i) => middle + (i - 499) / 100_000);
    assert.ok(pValueInside(around(1.05), 0.98, 1.02) < 0.01);
    assert.ok(pValueInside(around(0.9), 0.98, 1.02) < 0.01);
    assert.equal(pValueInside(around(1), 0.98, 1.02), 1);
    near(pValueInside(around(1.02), 0.98, 1.02), 1, 0.01);
  });
});

describe("Holm's correction", () => {
  test('holds the smallest p-value to the hardest test, and those behind the first failure to what that was held to', () => {
    // 0.005 <= 0.05/4 and 0.01 <= 0.05/3 are findings; 0.03 > 0.05/2 is none, and so is 0.04.
    const levels = holmLevels([0.01, 0.04, 0.03, 0.005], 0.95);
    const shares = [0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4];
    for (const [i, share] of shares.entries()) near(1 - (levels[i] as number), share, 1e-12);
  });

  test('asks nothing more of a single comparison', () => near(holmLevels([0.5], 0.95)[0] as number, 0.95, 1e-12));

  test('of nothing is nothing', () => assert.deepEqual(holmLevels([], 0.95), []));
});
