// Figures as people read them: never one that contradicts the verdict beside it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { digitsBeside, figure, limitsOf, times } from '../bench/outputs/figures.js';
import { render } from '../bench/outputs/index.js';
import { withFigures } from '../bench/readme.js';
import { benchTable } from '../bench/table.js';
import { reached } from '../bench/target.js';
import { benchReport, benchResult, measured } from './support/results.js';

describe('a figure', () => {
  test('has three digits that count', () => {
    const shown = [0.012345, 0.949, 1.234, 12.34, 123.4, 1234.5, 1234567].map((one) => figure(one));
    assert.deepEqual(shown, ['0.0123', '0.949', '1.23', '12.3', '123', '1,235', '1,234,567']);
  });

  test('has more where three would put it on the other side of its target, or onto it', () => {
    assert.deepEqual(
      [0.9498, 0.9502, 0.95, 0.94, 0.96].map((one) => times(one, { atLeast: 0.95 })),
      ['0.9498x', '0.9502x', '0.95x', '0.94x', '0.96x'],
    );
    assert.equal(times(486.41, { atLeast: 486.4 }), '486.41x');
    assert.equal(figure(25.04, digitsBeside(25.04, [25])), '25.04');
  });

  test('is on the side of its target that its value is on', () => {
    const value = fc.double({ min: 1e-3, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(value, fc.integer({ min: -50, max: 50 }), fc.boolean(), (aim, steps, least) => {
        const found = aim * (1 + steps * 1e-5);
        const target = least ? { atLeast: aim } : { atMost: aim };
        const shown = Number(figure(found, digitsBeside(found, limitsOf(target))).replaceAll(',', ''));
        assert.equal(reached(target, shown), reached(target, found), `${found} shown as ${shown}, aimed at ${aim}`);
      }),
    );
  });
});

describe('a result that has missed its target by little', () => {
  const justMissed = benchReport({
    results: [
      benchResult({ name: 'queue/blocks', ratio: 0.9498, target: { atLeast: 0.95 }, reached: false }),
      benchResult({
        name: 'process/start-up',
        unit: 'ms',
        measured: measured(25.04),
        floor: null,
        ratio: null,
        target: { atMost: 25 },
        reached: false,
      }),
    ],
  });

  test('is told by a figure that has missed it, wherever it is shown', () => {
    for (const text of [benchTable(justMissed), render('markdown', justMissed)]) {
      assert.match(text, /0\.9498x/);
      assert.match(text, /25\.04 ms/);
    }
    const head = '| subject | floor | measured | target |\n|---|---|---|---|\n';
    const readme = withFigures(`${head}| old |\n\nrest`, justMissed);
    assert.match(readme, /0\.9498x \(missed\) \| at least 0\.95/);
    assert.match(readme, /25\.04 ms \(missed\) \| at most 25/);
  });
});

describe('the table that bench prints', () => {
  test('names the floor of every benchmark, and of a curve once', () => {
    const at = (curve: string, at: number) => benchResult({ target: null, scale: { curve, at, unit: 'bytes' } });
    const text = benchTable(benchReport({ results: [benchResult(), at('a', 8), at('a', 64), at('b', 8)] }));
    assert.equal(text.match(/floor: one plain Node-API call per store/g)?.length, 3);
  });
});
