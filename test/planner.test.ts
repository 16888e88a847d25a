// Properties that every plan has, whatever the rules.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emulate, type PlannedStore } from 'ismio';
import { anyRules } from './support/arbitraries.js';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { legal } from './support/oracle.js';
import { scaled } from './support/scale.js';

const numRuns = scaled(1000);
const size = 2 ** 40;
const offset = fc.oneof(fc.nat(100), fc.nat(2 ** 21), fc.nat(size - 2 ** 21));
const length = fc.oneof(fc.nat(100), fc.nat(20_000));

test('a plan carries every byte once, in ascending order, and breaks no rule', () => {
  fc.assert(
    fc.property(anyRules(), offset, length, (rules, from, count) => {
      using region = emulate({ size, rules });
      let at = from;
      for (const piece of region.plan(from, count)) {
        assert.equal(piece.offset, at);
        assert.ok(piece.length > 0);
        assert.ok(legal(rules, piece), JSON.stringify(piece));
        at += piece.length;
      }
      assert.equal(at, from + count);
    }),
    { numRuns },
  );
});

test('a longer range is cut in the same places: only its last stores differ', () => {
  // From a strict store block at most four stores can follow it: the words up to a boundary, then 4, 2 and 1 bytes.
  const tail = 5;
  fc.assert(
    fc.property(anyRules(), offset, length, length, (rules, from, count, more) => {
      using region = emulate({ size, rules });
      const short = region.plan(from, count);
      const long = region.plan(from, count + more);
      const same = short.slice(0, -tail);
      assert.deepEqual(long.slice(0, same.length), same);
    }),
    { numRuns },
  );
});

test('a part that ends where a store ends is planned as it is in the whole', () => {
  fc.assert(
    fc.property(anyRules(), offset, length, fc.nat(), (rules, from, count, pick) => {
      using region = emulate({ size, rules });
      const whole = region.plan(from, count);
      if (whole.length === 0) return;
      const cut = pick % whole.length;
      const last = whole[cut] as PlannedStore;
      const first = region.plan(from, last.offset + last.length - from);
      assert.deepEqual(first, whole.slice(0, cut + 1));
    }),
    { numRuns },
  );
});

test('no bytes need no stores', () => {
  fc.assert(
    fc.property(anyRules(), offset, (rules, from) => {
      using region = emulate({ size, rules });
      assert.deepEqual(region.plan(from, 0), []);
      assert.deepEqual(region.plan(size, 0n), []);
    }),
    { numRuns },
  );
});

test('write issues what plan tells, and every byte arrives', () => {
  fc.assert(
    fc.property(anyRules(12), fc.nat(300), fc.nat(2000), (rules, from, count) => {
      using region = emulate({ size: 8192, rules });
      const plan = region.plan(from, count);
      const bytes = pattern(count);
      region.write(from, bytes);
      const { stores, storeBlocks, bytes: moved } = region.stats();
      assert.equal(stores, plan.filter((piece) => piece.kind === 'store').length);
      assert.equal(storeBlocks, plan.filter((piece) => piece.kind === 'storeBlock').length);
      assert.equal(moved, count);
      const expected = new Uint8Array(8192);
      expected.set(bytes, from);
      assert.deepEqual(contents(region), expected);
    }),
    { numRuns: scaled(300) },
  );
});

test('a plan issues nothing', () => {
  using region = emulate({ size: 8192 });
  region.plan(1, 8000);
  assert.deepEqual(region.stats(), emulate({ size: 1 }).stats());
});

test('a plan with more stores than can be listed is refused, and says so', () => {
  using region = emulate({ size: 2 ** 48, rules: { maxStoreBlock: 8 } });
  throwsCode(() => region.plan(0, 2 ** 26), RangeError, 'ERR_ISMIO_TOO_LONG', { length: 2 ** 26 });
  assert.equal(region.plan(0, 2 ** 16).length, 2 ** 13);
});
