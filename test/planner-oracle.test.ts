// The planner against an oracle that tries every legal way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emulate, type Region, type Rules } from 'ismio';
import { anyRules } from './support/arbitraries.js';
import { fewestStores, type Limits, legal } from './support/oracle.js';
import { oracleCases, scaled } from './support/scale.js';

const size = 2 ** 48;
const casesPerRun = 50;

interface Case {
  readonly offset: number;
  readonly length: number;
}

function checkPlan(region: Region, limits: Limits, { offset, length }: Case): void {
  const plan = region.plan(offset, length);
  let at = offset;
  for (const piece of plan) {
    assert.equal(piece.offset, at, 'every byte once, from the lowest offset up');
    assert.ok(legal(limits, piece), `legal: ${JSON.stringify(piece)}`);
    at += piece.length;
  }
  assert.equal(at, offset + length, 'up to the end');
  const fewest = fewestStores(limits, offset, length);
  assert.equal(plan.length, fewest, `${plan.length} stores where ${fewest} do for ${length} bytes at ${offset}`);
}

/** Short ranges, many of them around a boundary: at random offsets up to 2^48 one would rarely cross a large one. */
function caseFor(rules: Rules): fc.Arbitrary<Case> {
  const length = fc.oneof({ weight: 8, arbitrary: fc.nat(48) }, { weight: 1, arbitrary: fc.nat(300) });
  const window = fc.nat(Math.floor((size - 2 ** 21) / rules.boundary));
  const near = fc.integer({ min: -300, max: 300 });
  const around = fc.tuple(window, near).map(([n, by]) => Math.max(0, n * rules.boundary + by));
  const offset = fc.oneof(fc.nat(600), around, fc.nat(size - 1000));
  return fc.record({ offset, length });
}

const batch = anyRules().chain((rules) =>
  fc.record({
    rules: fc.constant(rules),
    cases: fc.array(caseFor(rules), { minLength: casesPerRun, maxLength: casesPerRun }),
  }),
);

test('every plan is legal and has the fewest stores that an exhaustive search finds', (t) => {
  let cases = 0;
  let strict = 0;
  fc.assert(
    fc.property(batch, ({ rules, cases: all }) => {
      using region = emulate({ size, rules });
      for (const each of all) checkPlan(region, rules, each);
      cases += all.length;
      if (rules.alignment === 'strict') strict += all.length;
    }),
    { numRuns: Math.ceil(oracleCases / casesPerRun) },
  );
  assert.ok(cases >= oracleCases);
  t.diagnostic(`oracle: ${cases} cases, ${strict} of them strict, all legal and minimal`);
});

test('long ranges under the rules of real functions have the fewest stores', (t) => {
  let cases = 0;
  const arbitrary = fc.record({
    offset: fc.nat(20_000),
    length: fc.nat(9000),
    maxStoreBlock: fc.constantFrom(128, 4096),
    alignment: fc.constantFrom('relaxed' as const, 'strict' as const),
  });
  fc.assert(
    fc.property(arbitrary, ({ offset, length, maxStoreBlock, alignment }) => {
      using region = emulate({ size, rules: { maxStoreBlock, alignment } });
      checkPlan(region, { maxStoreBlock, boundary: 4096, alignment }, { offset, length });
      cases++;
    }),
    { numRuns: scaled(16) },
  );
  t.diagnostic(`oracle: ${cases} long cases`);
});

test('the oracle itself finds what can be counted by hand', () => {
  const ism: Limits = { maxStoreBlock: 4096, boundary: 4096, alignment: 'relaxed' };
  assert.equal(fewestStores(ism, 0, 4096), 1);
  assert.equal(fewestStores(ism, 1, 4096), 2);
  assert.equal(fewestStores(ism, 4095, 2), 2);
  const strict: Limits = { maxStoreBlock: 24, boundary: 64, alignment: 'strict' };
  assert.equal(fewestStores(strict, 0, 8), 1, 'one store of 8');
  assert.equal(fewestStores(strict, 0, 16), 1, 'one block');
  assert.equal(fewestStores(strict, 0, 20), 2, 'a block of 16 and a store of 4');
  assert.equal(fewestStores(strict, 3, 5), 2, 'stores of 1 and 4 bytes');
  assert.equal(fewestStores(strict, 56, 16), 2, 'two stores, as no block crosses the boundary');
});
