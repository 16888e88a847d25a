// The planner against an oracle that tries every legal way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emulate, type Region, type Rules } from 'ismio';
import { anyBlockRules, anyRules } from './support/arbitraries.js';
import { throwsCode } from './support/errors.js';
import { fewestStores, type Limits, legal } from './support/oracle.js';
import { oracleCases, scaled } from './support/scale.js';

const size = 2 ** 48;
const casesPerRun = 50;

interface Case {
  readonly offset: number;
  readonly length: number;
}

/** Whether there is a plan. */
function checkPlan(region: Region, limits: Limits, { offset, length }: Case): boolean {
  const fewest = fewestStores(limits, offset, length);
  if (fewest === Number.POSITIVE_INFINITY) {
    const values = { rule: 'singleStores', offset, length, bytesDone: 0, errno: 'ENXIO' };
    throwsCode(() => region.plan(offset, length), RangeError, 'ERR_ISMIO_RULE', values);
    return false;
  }
  const plan = region.plan(offset, length);
  let at = offset;
  for (const piece of plan) {
    assert.equal(piece.offset, at, 'every byte once, from the lowest offset up');
    assert.ok(legal(limits, piece), `legal: ${JSON.stringify(piece)}`);
    at += piece.length;
  }
  assert.equal(at, offset + length, 'up to the end');
  assert.equal(plan.length, fewest, `${plan.length} stores where ${fewest} do for ${length} bytes at ${offset}`);
  return true;
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

test('without single stores every plan is legal and has the fewest blocks there can be, and what has none is refused', (t) => {
  let cases = 0;
  let impossible = 0;
  // Of random offsets hardly any are multiples of 8.
  const aligned = ({ offset, length }: Case): Case => {
    const from = Math.min(offset, size - 4096);
    return { offset: from - (from % 8), length: length * 8 };
  };
  const blocks = anyBlockRules().chain((rules) =>
    fc.record({
      rules: fc.constant(rules),
      cases: fc.array(fc.oneof(caseFor(rules), { weight: 3, arbitrary: caseFor(rules).map(aligned) }), {
        minLength: casesPerRun,
        maxLength: casesPerRun,
      }),
    }),
  );
  fc.assert(
    fc.property(blocks, ({ rules, cases: all }) => {
      using region = emulate({ size, rules });
      for (const each of all) {
        cases++;
        if (!checkPlan(region, rules, each)) impossible++;
      }
    }),
    { numRuns: Math.ceil(oracleCases / casesPerRun / 4) },
  );
  assert.ok(impossible > cases / 20 && impossible < cases, `${impossible} of ${cases}`);
  t.diagnostic(`oracle: ${cases} cases without single stores, ${impossible} of them impossible`);
});

test('long ranges under the rules of real functions have the fewest stores', (t) => {
  let cases = 0;
  const arbitrary = fc.record({
    offset: fc.nat(20_000),
    length: fc.nat(9000),
    maxStoreBlock: fc.constantFrom(128, 4096),
    alignment: fc.constantFrom('relaxed' as const, 'strict' as const),
    singleStores: fc.boolean(),
  });
  fc.assert(
    fc.property(arbitrary, ({ offset, length, ...rules }) => {
      using region = emulate({ size, rules });
      const aligned = rules.singleStores ? 1 : 8;
      checkPlan(region, { ...rules, boundary: 4096 }, { offset: offset - (offset % aligned), length });
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
  const blocks: Limits = { ...strict, singleStores: false };
  assert.equal(fewestStores(blocks, 0, 32), 2, 'blocks of 16 bytes');
  assert.equal(fewestStores(blocks, 0, 40), 2, 'blocks of 24 and 16 bytes');
  assert.equal(fewestStores(blocks, 0, 8), Number.POSITIVE_INFINITY, 'no block has 8 bytes');
  assert.equal(fewestStores(blocks, 56, 24), Number.POSITIVE_INFINITY, '8 bytes before the boundary');
});
