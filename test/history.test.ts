// The history of results: a file that only grows, and trends that mix nothing.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { appendRecord, readHistory } from '../bench/history/file.js';
import { type HistoryRecord, recordOf } from '../bench/history/record.js';
import { sparkline, trendTables } from '../bench/history/table.js';
import { flaggedAgain, newestFlagged, pastMedian, trendsOf } from '../bench/history/trends.js';
import type { Trend } from '../bench/outputs/html/data.js';
import { randomFrom } from '../bench/statistics/random.js';
import { temporaryFolder } from './support/files.js';
import { benchReport, benchResult, environment, measured } from './support/results.js';

interface Given {
  readonly day?: number;
  readonly median?: number;
  readonly machine?: string;
  readonly quick?: boolean;
  readonly name?: string;
}

function run({
  day = 1,
  median = 6.4,
  machine = '8f3c',
  quick = false,
  name = 'queue/one',
}: Given = {}): HistoryRecord {
  return recordOf(
    benchReport({
      started: `2026-03-${String(day).padStart(2, '0')}T00:00:00.000Z`,
      quick,
      environment: { ...environment, machine },
      results: [benchResult({ name, measured: measured(median) })],
    }),
  );
}

/** The trend of these medians. */
function trendOf(...medians: number[]): Trend {
  return trendsOf(days(...medians))[0] as Trend;
}

/** Runs of one benchmark on consecutive days. */
function days(...medians: number[]): HistoryRecord[] {
  return medians.map((median, index) => run({ day: index + 1, median }));
}

function historyFile(t: TestContext, ...records: HistoryRecord[]): string {
  const path = join(temporaryFolder(t), 'history.jsonl');
  for (const record of records) appendRecord(path, record);
  return path;
}

describe('the file of a history', () => {
  test('has a line for each run, and gives them back by time, whatever order they came in', (t) => {
    const [first, second, third] = days(1, 2, 3) as [HistoryRecord, HistoryRecord, HistoryRecord];
    const path = historyFile(t, third, first, second);
    assert.equal(readFileSync(path, 'utf8').trimEnd().split('\n').length, 3);
    assert.deepEqual(readHistory(path), { records: [first, second, third], ignored: [] });
  });

  test('takes a run once: the same commit, machine and time are the same run', (t) => {
    const path = historyFile(t, run());
    const before = readFileSync(path);
    assert.equal(appendRecord(path, run()), false);
    assert.deepEqual(readFileSync(path), before);
    assert.equal(appendRecord(path, run({ machine: 'ffff' })), true);
    assert.equal(appendRecord(path, run({ day: 2 })), true);
  });

  test('keeps a last line that was cut off, ignores it aloud, and begins the next on a line of its own', (t) => {
    const path = historyFile(t, run({ day: 1 }));
    const half = JSON.stringify(run({ day: 2 })).slice(0, 100);
    appendFileSync(path, half);
    assert.deepEqual(readHistory(path), { records: [run({ day: 1 })], ignored: ['line 2 is no whole line of JSON'] });
    appendRecord(path, run({ day: 3 }));
    assert.deepEqual(readHistory(path), {
      records: [run({ day: 1 }), run({ day: 3 })],
      ignored: ['line 2 is no whole line of JSON'],
    });
    assert.equal(readFileSync(path, 'utf8').split('\n')[1], half);
  });

  test('goes on behind a first line that was cut off', (t) => {
    const path = join(temporaryFolder(t), 'history.jsonl');
    writeFileSync(path, JSON.stringify(run()).slice(0, 100));
    assert.equal(appendRecord(path, run()), true);
    assert.deepEqual(readHistory(path).records, [run()]);
  });

  test('ignores lines of other schemas and lines that lack something, aloud', (t) => {
    const path = historyFile(t, run());
    const { commit, ...withoutCommit } = run();
    const lines = [
      { ...run(), schema: 'ismio-history/2' },
      withoutCommit,
      { ...run(), environment: {} },
      { ...run(), environment: { ...environment, cores: 'four' } },
      { ...run(), results: [{ name: 'a', unit: 'ms', median: null, mad: 0 }] },
      7,
      run(),
    ];
    for (const line of lines) appendFileSync(path, `${JSON.stringify(line)}\n`);
    assert.deepEqual(readHistory(path).ignored, [
      'line 2 is of the schema "ismio-history/2", not ismio-history/1',
      'line 3 lacks a part of a run',
      'line 4 lacks a part of a run',
      'line 5 lacks a part of a run',
      'line 6 lacks a part of a run',
      'line 7 is of the schema none, not ismio-history/1',
      'line 8 is a run that is there already',
    ]);
    assert.ok(commit);
  });

  test('is not made of a file that holds something else', (t) => {
    const path = join(temporaryFolder(t), 'results.json');
    writeFileSync(path, JSON.stringify(benchReport()));
    const before = readFileSync(path);
    for (const use of [() => appendRecord(path, run()), () => readHistory(path)]) {
      assert.throws(use, { code: 'ERR_ISMIO_RESULTS', path });
    }
    assert.deepEqual(readFileSync(path), before);
  });

  test('is a regular file: a device is neither read nor written', () => {
    assert.throws(() => readHistory('/dev/zero'), { code: 'ERR_ISMIO_OPEN', path: '/dev/zero' });
    assert.throws(() => appendRecord('/dev/full', run()), { code: 'ERR_ISMIO_WRITE_FILE', path: '/dev/full' });
  });
});

describe('trends', () => {
  // Of these eleven the quartiles are 11 and 13: the fence is at 19.
  const eleven = [12, 10, 13, 11, 12, 14, 11, 13, 12, 10, 14];
  const equal = Array<number>(10).fill(8);

  test('flag what lies beyond Q3 + 3 IQR of the runs before it, and nothing with fewer than ten before it', () => {
    const { points } = trendOf(...eleven, 19, 19.001);
    assert.deepEqual(
      points.slice(0, 10).map(({ fence, flagged }) => ({ fence, flagged })),
      Array(10).fill({ fence: null, flagged: false }),
    );
    assert.deepEqual([points[11]?.fence, points[11]?.flagged], [19, false]);
    assert.equal(points[12]?.flagged, false, 'the twelfth run belongs to its past');
    assert.equal(newestFlagged(trendOf(...eleven, 19.001)), true);
    assert.equal(newestFlagged(trendOf(...eleven.slice(2), 1000)), false, 'nine are too few');
  });

  test('flag no improvement, and no value that has always been the same', () => {
    assert.equal(newestFlagged(trendOf(...eleven, 0.001)), false);
    assert.equal(newestFlagged(trendOf(...equal, 8)), false);
    assert.equal(newestFlagged(trendOf(...equal, 9)), true, 'a count that was exact');
  });

  test('flag no run that is slower by less than the least share, however alike the runs before it were', () => {
    const alike = [...equal, 8.0000001];
    assert.equal(newestFlagged(trendOf(...alike)), false);
    assert.equal(newestFlagged(trendOf(...equal, 8.15)), false);
    assert.equal(newestFlagged(trendOf(...equal, 8.17)), true);
    const growth = [-2, -2, -2, -2, -2, -2, -2, -2, -2, -2]; // of memory: it may be negative
    assert.deepEqual(
      [-1.97, -1.95].map((one) => newestFlagged(trendOf(...growth, one))),
      [false, true],
    );
    const strict = trendsOf(days(...alike), /(?:)/, 0)[0] as Trend;
    assert.equal(newestFlagged(strict), true);
  });

  test('are flagged again where the two newest are, and not for one that passed', () => {
    assert.equal(flaggedAgain(trendOf(...eleven, 30)), false);
    assert.equal(flaggedAgain(trendOf(...eleven, 30, 12)), false);
    assert.equal(flaggedAgain(trendOf(...eleven, 30, 30)), true);
  });

  test('of noise without a change are hardly ever flagged again, of a suite of 120 benchmarks', () => {
    const random = randomFrom(1);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    let again = 0;
    for (let benchmark = 0; benchmark < 40 * 120; benchmark++) {
      if (flaggedAgain(trendOf(...Array.from({ length: 12 }, () => 100 + 2 * normal())))) again++;
    }
    assert.ok(again <= 2, `${again} in forty runs of the suite`);
  });

  test('are kept apart by machine, by quickness and by unit', () => {
    const slow = [1, 2, 3, 4, 5].map((day) => run({ day, median: 1000, machine: 'aaaa' }));
    const quick = [1, 2, 3, 4, 5].map((day) => run({ day, median: 500, quick: true }));
    const trends = trendsOf([...slow, ...quick, run({ day: 6, median: 5000 })]);
    assert.deepEqual(
      trends.map(({ machine, quick, points }) => [machine, quick, points.length]),
      [
        ['aaaa', false, 5],
        ['8f3c', true, 5],
        ['8f3c', false, 1],
      ],
    );
    assert.ok(!trends.some(newestFlagged));
  });

  test('can be chosen by name', () => {
    const records = [run({ name: 'queue/one' }), run({ name: 'pool/one' })];
    assert.deepEqual(
      trendsOf(records, /^pool/).map(({ name }) => name),
      ['pool/one'],
    );
  });

  test('compare the newest with the median of all before it', () => {
    assert.equal(pastMedian(trendOf(10, 12, 100)), 11);
    assert.equal(pastMedian(trendOf(10)), null);
  });
});

describe('the table of trends', () => {
  test('draws the newest twenty runs as bars', () => {
    assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7]), '▁▂▃▄▅▆▇█');
    assert.equal(sparkline([5, 5]), '▄▄');
    assert.equal(sparkline(Array.from({ length: 100 }, (_, i) => i)).length, 20);
  });

  test('says what is outside its past, and how many runs are missing for a judgement', () => {
    const flagged = days(...Array<number>(10).fill(10), 1000);
    assert.match(trendTables(trendsOf(flagged), flagged), /queue\/one .* ▲ outside its past *│?\n/);
    const again = days(...Array<number>(10).fill(10), 1000, 1000);
    assert.match(trendTables(trendsOf(again), again), /queue\/one .* ▲ outside its past again/);
    const few = days(10, 12);
    assert.match(trendTables(trendsOf(few), few), /1 before it; 10 are needed/);
  });

  test('puts the machine of the newest run last, and sends no control characters to the terminal', () => {
    const records = [
      run({ day: 1, machine: 'aaaa' }),
      run({ day: 2, machine: 'bbbb' }),
      run({ day: 3, machine: 'aaaa' }),
    ];
    const text = trendTables(trendsOf(records), records);
    assert.ok(text.indexOf('machine bbbb') < text.indexOf('machine aaaa'));
    const hostile = [run({ name: 'a\u001b[31mb\u0007' })];
    assert.doesNotMatch(trendTables(trendsOf(hostile), hostile), /\p{Cc}(?<!\n)/u);
  });
});
