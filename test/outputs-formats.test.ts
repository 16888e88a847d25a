// Results in the formats of others: samples that are known to be good, written by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formats, render } from '../bench/outputs/index.js';
import {
  benchReport,
  benchResult,
  comparedCount,
  comparedInstructions,
  comparedTime,
  compareReport,
  distribution,
  hostile,
  measured,
} from './support/results.js';

/** One result whose figures have few digits. */
const oneRun = benchReport({
  results: [
    benchResult({
      name: 'queue/one',
      title: 'one store',
      measured: { median: 8, mad: 0.5, samples: 480, distribution: { min: 6, q1: 7, median: 8, q3: 9, max: 12 } },
      floor: { ...measured(32), title: 'a plain call' },
      ratio: 4,
      target: { atLeast: 8 },
      reached: false,
    }),
    benchResult({
      name: 'process/start',
      title: 'start-up',
      unit: 'ms',
      measured: { median: 16, mad: 1, samples: 20, distribution: { min: 14, q1: 15, median: 16, q3: 17, max: 30 } },
      issued: null,
      floor: null,
      ratio: null,
      target: null,
      reached: null,
    }),
  ],
  skipped: [{ name: 'access/burst', reason: 'no bursts on this CPU' }],
});

const comparison = compareReport({
  counters: [comparedCount({ name: 'queue/one', base: 8, head: 9, verdict: 'regressed' })],
  instructions: [comparedInstructions({ name: 'queue/one', base: 40, head: 40.2 })],
  times: [
    comparedTime('inconclusive', 1.06, {
      name: 'queue/one',
      base: { min: 6, q1: 7, median: 8, q3: 9, max: 12 },
      head: { min: 6, q1: 7.5, median: 8.5, q3: 9.5, max: 12 },
      overall: { ratio: 1.06, low: 0.99, high: 1.125, level: 0.99, processes: [1.06] },
    }),
  ],
});

describe('Bencher Metric Format', () => {
  test('has a run by name and measure, the median between the quartiles, every time in nanoseconds', () => {
    assert.deepEqual(JSON.parse(render('bencher', oneRun)), {
      'queue/one': {
        latency: { value: 8, lower_value: 7, upper_value: 9 },
        speedup: { value: 4 },
        issued: { value: 8 },
      },
      'process/start': { latency: { value: 16e6, lower_value: 15e6, upper_value: 17e6 } },
    });
  });

  test('has a comparison with its ratio and interval, and the counts of head', () => {
    assert.deepEqual(JSON.parse(render('bencher', comparison)), {
      'queue/one': {
        latency: { value: 8.5, lower_value: 7.5, upper_value: 9.5 },
        ratio: { value: 1.06, lower_value: 0.99, upper_value: 1.125 },
        'store-blocks': { value: 9 },
        instructions: { value: 40.2 },
      },
    });
  });

  test('loses no benchmark, whatever it is called', () => {
    const results = hostile.map((name) => benchResult({ name }));
    const benchmarks = JSON.parse(render('bencher', benchReport({ results }))) as object;
    assert.deepEqual(Object.keys(benchmarks).sort(), [...hostile].map((name) => name).sort());
  });
});

describe('customSmallerIsBetter', () => {
  test('has name, unit, value, range and what else is known of a run', () => {
    assert.deepEqual(JSON.parse(render('smaller-is-better', oneRun)), [
      {
        name: 'queue/one',
        unit: 'ns/op',
        value: 8,
        range: '± 0.5',
        extra: 'one store\n480 batches timed\nfloor: 32 ns, a plain call\n4x the speed of its floor',
      },
      { name: 'process/start', unit: 'ms', value: 16, range: '± 1', extra: 'start-up\n20 batches timed' },
    ]);
  });

  test('has the ratios of a comparison, which another machine would have seen as well', () => {
    const [time, count, instructions] = JSON.parse(render('smaller-is-better', comparison)) as Record<
      string,
      unknown
    >[];
    const { name, unit, value, range } = time ?? {};
    assert.deepEqual(
      { name, unit, value, range },
      { name: 'queue/one', unit: 'head/base', value: 1.06, range: '0.990 to 1.125' },
    );
    assert.deepEqual(count, { name: 'queue/one storeBlocks', unit: 'storeBlocks', value: 9, extra: 'regressed' });
    assert.deepEqual(instructions, {
      name: 'queue/one instructions',
      unit: 'instructions/op',
      value: 40.2,
      extra: 'pass',
    });
  });
});

test('customSmallerIsBetter has no count of which more is better', () => {
  const { counters } = comparison;
  const merged = counters.map((one) => ({ ...one, counter: 'merged' }));
  const entries = JSON.parse(render('smaller-is-better', { ...comparison, counters: [...counters, ...merged] }));
  assert.deepEqual(entries, JSON.parse(render('smaller-is-better', comparison)));
});

describe('JUnit XML', () => {
  test('of a run has a case for each benchmark, and what did not run is skipped', () => {
    const lines = render('junit', oneRun).split('\n');
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('<propert') && !line.startsWith('</propert')),
      [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<testsuites name="ismio bench" tests="3" failures="0" errors="0" skipped="1" time="61.500">',
        '<testsuite name="benchmarks" tests="2" failures="0" errors="0" skipped="0" timestamp="2026-03-01T12:34:56">',
        '<testcase name="queue/one" classname="ismio.bench"><system-out>target missed, at least 8: 8 ns, 4x the speed of: a plain call</system-out></testcase>',
        '<testcase name="process/start" classname="ismio.bench"><system-out>16 ms</system-out></testcase>',
        '</testsuite>',
        '<testsuite name="skipped" tests="1" failures="0" errors="0" skipped="1" timestamp="2026-03-01T12:34:56">',
        '<testcase name="access/burst" classname="ismio.bench"><skipped message="no bursts on this CPU">no bursts on this CPU</skipped></testcase>',
        '</testsuite>',
        '</testsuites>',
        '',
      ],
    );
  });

  test('fails what regressed, passes what passed or improved, and skips what is not certain', () => {
    const verdicts = ['pass', 'improved', 'regressed', 'inconclusive', 'contaminated'] as const;
    const times = verdicts.map((verdict) => comparedTime(verdict, 1.06, { name: verdict }));
    const text = render('junit', compareReport({ counters: [], instructions: [], times }));
    assert.match(text, /<testsuites [^>]*tests="5" failures="1" errors="0" skipped="2"/);
    const elements = verdicts.map((verdict) => {
      return new RegExp(`<testcase name="${verdict}" classname="ismio.time"><([a-z-]+)`).exec(text)?.[1];
    });
    assert.deepEqual(elements, ['system-out', 'system-out', 'failure', 'skipped', 'skipped']);
  });

  test('says in the text what the message says: not every CI shows messages', () => {
    const text = render('junit', comparison);
    const [, message, body] = /<failure message="([^"]*)" type="regressed">([^<]*)</.exec(text) ?? [];
    assert.equal(message, 'regressed: 8 before, 9 now (+13 %); tolerance 0 %');
    assert.equal(body, message);
  });

  test('is XML whatever names, titles and reasons hold', () => {
    for (const text of hostile) {
      const time = comparedTime('regressed', 1.1, { name: text, title: text, reason: text });
      const xml = render('junit', compareReport({ times: [time], skipped: [{ name: text, reason: text }] }));
      // Nothing but its own elements, and no character that XML 1.0 lacks.
      const elements = [...xml.matchAll(/<(\/?[\w?-]+)/g)].map(([, name]) => name?.replace('/', ''));
      const known = [
        '?xml',
        'testsuites',
        'testsuite',
        'properties',
        'property',
        'testcase',
        'failure',
        'skipped',
        'system-out',
      ];
      assert.deepEqual(
        elements.filter((name) => !known.includes(name ?? '')),
        [],
        text,
      );
      assert.doesNotMatch(xml, /&(?!(amp|lt|gt|quot|#\d+);)/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
      assert.doesNotMatch(xml, /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/);
      assert.ok(Buffer.from(xml).toString() === xml, 'no half of a pair is left');
    }
  });
});

describe('every format', () => {
  test('can be had of a run and a comparison without a single result', () => {
    const empty = compareReport({ verdict: 'pass', exitCode: 0, counters: [], instructions: [], times: [] });
    for (const format of formats) {
      for (const report of [benchReport({ results: [] }), empty]) {
        assert.match(render(format, report), /^\S[\s\S]*\n$/, format);
      }
    }
  });

  test('takes negative values and values of 0: memory may shrink, and a difference of times may be negative', () => {
    const less = { ...measured(-2), mad: 0.1, distribution: distribution(-2, -0.02) };
    const results = [benchResult({ unit: 'MiB', measured: less, ratio: 0, floor: measured0() })];
    const gone = comparedCount({ base: 0, head: 0 });
    for (const format of formats) {
      assert.match(render(format, benchReport({ results })), /-2/, format);
      render(format, compareReport({ counters: [gone], times: [comparedTime('pass', 0)] }));
    }
  });

  test('refuses a number that JSON does not have, and says where it is', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const report = benchReport({ results: [benchResult({ ratio: value })] });
      for (const format of formats) {
        assert.throws(() => render(format, report), {
          code: 'ERR_ISMIO_RESULTS',
          message: `the report has no results that can be read: results[0].ratio is ${value}`,
        });
      }
    }
  });
});

function measured0() {
  return { ...measured(0), title: 'nothing at all' };
}
