// From ratios to verdicts, and from counts to gates.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { overall } from '../bench/compare/compare.js';
import { countedByOne, gateCounters, gateInstructions, scenariosOfOne } from '../bench/compare/gates.js';
import { judge, percent, type Round } from '../bench/compare/verdict.js';
import type { Verdict } from '../bench/results.js';
import { randomFrom } from '../bench/statistics/random.js';

const rules = { delta: 0.02, level: 0.95 };

/** Twelve processes with the times of three arms: of base about 1, of its copy about `still`, of head about `middle`. */
function round(middle: number, seed: number, still = 1, spread = 0.007): Round {
  const random = randomFrom(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const arm = (about: number): number[] => Array.from({ length: 12 }, () => about * Math.exp(spread * normal()));
  const [base, copy, head] = [arm(1), arm(still), arm(middle)];
  const over = (one: number[], other: number[]): number[] => one.map((time, at) => time / (other[at] as number));
  return { overBase: over(head, base), overCopy: over(head, copy), null: over(copy, base) };
}

function verdictOf(...rounds: Round[]): Verdict {
  return (judge([rounds], rules, randomFrom(1))[0] as { verdict: Verdict }).verdict;
}

test('a change is shown on the side of the limit that it lies on', () => {
  assert.equal(percent(1.021), '+2.1 %');
  assert.equal(percent(1.0398, [1.02, 1.04]), '+3.98 %');
  assert.equal(percent(1.0401, [1.02, 1.04]), '+4.01 %');
  assert.equal(percent(0.9804, [1 / 1.02]), '-1.96 %');
});

describe('the verdict', () => {
  test('of nothing changed is pass', () => assert.equal(verdictOf(round(1, 1)), 'pass'));

  test('of 10 % slower in one round is not yet regressed', () =>
    assert.equal(verdictOf(round(1.1, 1)), 'inconclusive'));

  test('of 10 % slower in two rounds is regressed', () => {
    assert.equal(verdictOf(round(1.1, 1), round(1.1, 2)), 'regressed');
  });

  test('of a slowdown that the second round does not see is inconclusive, however large it was', () => {
    assert.equal(verdictOf(round(1.5, 1, 1, 0.0007), round(1, 2)), 'inconclusive');
  });

  test('of 10 % faster in two rounds is improved', () => {
    assert.equal(verdictOf(round(0.9, 1), round(0.9, 2)), 'improved');
  });

  test('of a slowdown below delta is never regressed', () => {
    for (let seed = 0; seed < 20; seed++) {
      assert.notEqual(verdictOf(round(1.015, seed), round(1.015, seed + 100)), 'regressed');
    }
  });

  test('of what swings too much to tell is inconclusive', () => {
    assert.equal(verdictOf(round(1.03, 1, 1, 0.07), round(1.03, 2, 1, 0.07)), 'inconclusive');
  });

  test('of head that is slower than base and not than a copy of base is inconclusive: base was lucky', () => {
    // Base is 1.8 % faster than its copy, which is not enough to be contaminated.
    const lucky = [round(1.033, 1, 1.018, 0.001), round(1.033, 2, 1.018, 0.001)];
    assert.equal(verdictOf(...lucky), 'inconclusive');
    const [judged] = judge([lucky], rules, randomFrom(1));
    assert.match((judged as { reason: string }).reason, /^changed by \+3\..* base, and by \+1\..* a copy of base/);
  });

  test('of head that is slower than the copy of base and not than base is inconclusive: the copy was lucky', () => {
    assert.equal(verdictOf(round(1.013, 1, 0.983, 0.001), round(1.013, 2, 0.983, 0.001)), 'inconclusive');
  });

  test('of head that is slower than either by more than delta is regressed, however the two differ', () => {
    assert.equal(verdictOf(round(1.045, 1, 1.018, 0.001), round(1.045, 2, 1.018, 0.001)), 'regressed');
  });

  test('of a base that differs from itself is contaminated, whatever head does', () => {
    for (const head of [0.8, 1, 1.2]) {
      assert.equal(verdictOf(round(head, 1, 1.1), round(head, 2, 1.1)), 'contaminated');
    }
  });

  test('of a speed-up that is not certain is a pass: no slowdown is left', () => {
    assert.equal(verdictOf(round(0.975, 1, 1, 0.014)), 'pass');
  });

  test('names the range it was drawn from', () => {
    const [judged] = judge([[round(1.1, 1), round(1.1, 2)]], rules, randomFrom(1));
    assert.match(judged?.reason ?? '', /^slower by \+\d+\.\d % to \+\d+\.\d % in all/);
  });

  test('is the same for the same seed', () => {
    const told = () => judge([[round(1.02, 1)], [round(1, 5)]], rules, randomFrom(9));
    assert.deepEqual(told(), told());
  });

  test('asks more of each benchmark, the more there are', () => {
    const one = judge([[round(1.1, 1)]], rules, randomFrom(1))[0]?.overall.level ?? 0;
    const many =
      judge(
        Array.from({ length: 20 }, (_, i) => [round(1, i)]),
        rules,
        randomFrom(1),
      )[0]?.overall.level ?? 0;
    assert.ok(many > one);
  });

  test('of eight suites of a build against itself finds nothing', () => {
    for (let suite = 0; suite < 8; suite++) {
      const rounds = Array.from({ length: 12 }, (_, i) => [
        round(1, suite * 100 + i, 1, 0.02),
        round(1, suite * 100 + i + 50, 1, 0.02),
      ]);
      const found = judge(rounds, rules, randomFrom(suite)).map(({ verdict }) => verdict);
      assert.ok(!found.includes('regressed') && !found.includes('improved'), found.join());
    }
  });
});

describe('the verdict over all', () => {
  const cases: [Verdict[], Verdict, number][] = [
    [[], 'pass', 0],
    [['pass', 'improved', 'pass'], 'improved', 0],
    [['pass', 'inconclusive', 'improved'], 'inconclusive', 2],
    [['inconclusive', 'contaminated'], 'contaminated', 2],
    [['contaminated', 'regressed', 'inconclusive'], 'regressed', 1],
  ];
  for (const [parts, verdict, exitCode] of cases) {
    test(`of ${parts.join(', ') || 'nothing'} is ${verdict}, exit code ${exitCode}`, () => {
      assert.deepEqual(overall(parts.map((one) => ({ verdict: one }))), { verdict, exitCode });
    });
  }
});

describe('the gate of the counters', () => {
  const counters = { loads: 0, stores: 1000, storeBlocks: 8, bytes: 8000, merged: 992, crossings: 1, copies: 992 };
  const gate = (head: object, tolerance = 0) =>
    gateCounters([{ name: 'one', base: counters, head: { ...counters, ...head } }], tolerance)
      .filter(({ verdict }) => verdict !== 'pass')
      .map(({ counter, verdict }) => `${counter} ${verdict}`);

  test('lets the same counts through', () => assert.deepEqual(gate({}), []));
  test('finds one store more of a thousand', () => assert.deepEqual(gate({ stores: 1001 }), ['stores regressed']));
  test('finds one copy more', () => assert.deepEqual(gate({ copies: 993 }), ['copies regressed']));
  test('calls one crossing less an improvement', () =>
    assert.deepEqual(gate({ crossings: 0 }), ['crossings improved']));
  test('calls fewer merges a regression', () => assert.deepEqual(gate({ merged: 991 }), ['merged regressed']));
  test('lets through what the tolerance allows', () => assert.deepEqual(gate({ stores: 1001 }, 0.001), []));
  test('finds a first load where there was none, whatever the tolerance', () => {
    assert.deepEqual(gate({ loads: 1 }, 0.5), ['loads regressed']);
  });

  test('passes over what only one side counts', () => {
    const { crossings: _crossings, copies: _copies, ...older } = counters;
    const compared = gateCounters([{ name: 'one', base: older, head: counters }], 0);
    assert.deepEqual(
      compared.map(({ counter }) => counter),
      ['loads', 'stores', 'storeBlocks', 'bytes', 'merged'],
    );
  });

  test('tells what only one side counts, once for each counter', () => {
    const { crossings: _crossings, ...without } = counters;
    const four = ['one', 'two', 'three', 'four'];
    const told = countedByOne([
      ...four.map((name) => ({ name, base: counters, head: without })),
      { name: 'five', base: without, head: counters },
      { name: 'six', base: counters, head: counters },
    ]);
    assert.deepEqual(told, [
      { name: 'counters', reason: 'base alone counts crossings, of 4 benchmarks' },
      { name: 'counters', reason: 'head alone counts crossings, of five' },
    ]);
  });
});

describe('the gate of the instructions', () => {
  const count = (name: string, instructions: number) => ({ name, operations: 100, instructions });

  test('compares instructions for one operation, within the tolerance', () => {
    const base = [count('a', 1000), count('b', 1000), count('c', 1000), count('gone', 5)];
    const head = [count('a', 1009), count('b', 1011), count('c', 900), count('new', 5)];
    const compared = gateInstructions(base, head, 0.01).map(({ name, verdict }) => `${name} ${verdict}`);
    assert.deepEqual(compared, ['a pass', 'b regressed', 'c improved']);
    assert.deepEqual(scenariosOfOne(base, head), [
      { name: 'instructions', reason: 'base alone has the scenario gone' },
      { name: 'instructions', reason: 'head alone has the scenario new' },
    ]);
  });
});

test('a ratio is told in percent', () => {
  assert.equal(percent(1.0214), '+2.1 %');
  assert.equal(percent(0.95), '-5.0 %');
});
