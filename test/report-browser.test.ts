// The HTML report, opened in a browser that has no network.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { writeHistory } from '../bench/history/page.js';
import { recordOf } from '../bench/history/record.js';
import { trendsOf } from '../bench/history/trends.js';
import type { Other } from '../bench/outputs/html/environment.js';
import { writeReport } from '../bench/outputs/html.js';
import { render } from '../bench/outputs/index.js';
import type { Report } from '../bench/outputs/report.js';
import type { Verdict } from '../bench/results.js';
import { Browser, noBrowser, type Visit } from './support/browser.js';
import { temporaryFolder } from './support/files.js';
import {
  benchReport,
  benchResult,
  comparedCount,
  comparedTime,
  compareReport,
  environment,
  hostile,
  measured,
} from './support/results.js';

const verdicts: readonly Verdict[] = ['pass', 'regressed', 'improved', 'inconclusive', 'contaminated'];

/** Every verdict, ratios from a fifth to eightfold, and a long name. */
const compared = compareReport({
  counters: [comparedCount(), comparedCount({ counter: 'stores', base: 0, head: 3, verdict: 'regressed' })],
  times: [
    ...verdicts.map((verdict) => comparedTime(verdict, 1.03, { name: verdict })),
    comparedTime('improved', 0.2, { name: 'improved/much' }),
    comparedTime('regressed', 8, { name: `regressed/${'very-'.repeat(30)}much` }),
  ],
});

const curve = [8, 64, 4096].map((at) =>
  benchResult({ name: `access/store-${at}B`, scale: { curve: 'store', at, unit: 'bytes' }, measured: measured(at) }),
);
const stages = { enqueue: 5, merge: 1, plan: 0.5, copy: 8, device: 20, completion: 2 };
const run = benchReport({
  results: [
    ...curve,
    benchResult({ stages }),
    benchResult({ name: 'process/memory', unit: 'MiB', floor: null, ratio: null, target: null, reached: null }),
  ],
});

/** As long as names, figures and floors get. */
const large = benchReport({
  results: [
    benchResult({
      name: 'drain/blocks-4KiB/device-mapping/from-allocBuffer',
      measured: measured(123_456_789_012),
      operations: 67_108_864,
      bytes: 1_099_511_627_776,
      issued: 268_435_456,
      floor: { ...measured(117_260), title: 'a C++ loop of the device-safe kernel to the same places of a mapping' },
      ratio: 0.949_812,
      target: { atLeast: 0.95 },
      note: 'a note of a sentence or two, which is as wide as it may be. '.repeat(4),
    }),
  ],
});

/** In the page: elements of figures that are wider than their place, or lie outside of what is seen. */
const cutFigures = `[...document.querySelectorAll('main *, header *')]
  .filter((element) => !element.closest('svg') && element.getClientRects().length > 0)
  .filter((element) => [...element.childNodes].some(({ nodeType, data }) => nodeType === 3 && /[0-9]/.test(data)))
  .filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    const overflows = element.clientWidth > 0 && element.scrollWidth > element.clientWidth; // 0: inline, as wide as its text
    return overflows || left < 0 || right > innerWidth;
  })
  .map((element) => element.textContent)`;

describe('the report in a browser', { skip: noBrowser }, () => {
  let browser: Browser;
  before(async () => {
    browser = await Browser.start();
  });
  after(() => browser.close());

  async function open(t: TestContext, report: Report, width = 1280, other: Other | null = null): Promise<Visit> {
    const [path] = writeReport(report, temporaryFolder(t), other);
    const visit = await browser.open(path as string, width);
    t.after(() => visit.page.close());
    return visit;
  }

  const count = (page: Page, selector: string) => page.locator(selector).count();

  test('of a comparison draws an interval and a mark for each benchmark, in the shape of its verdict', async (t) => {
    const { page, complaints } = await open(t, compared);
    assert.equal(await count(page, '[data-chart=ratios] .interval line'), 7);
    assert.equal(await count(page, '[data-chart=ratios] .null-interval line'), 7);
    assert.deepEqual(await marksByVerdict(page), {
      pass: 1,
      regressed: 2,
      improved: 2,
      inconclusive: 1,
      contaminated: 1,
    });
    assert.equal(await count(page, '[data-chart=processes] .process circle'), 7 * 12);
    assert.equal(await count(page, '[data-chart=processes] .null-process circle'), 7 * 12);
    assert.equal(await count(page, '[data-chart=boxes] .box-upper line'), 7);
    assert.deepEqual(complaints, []);
  });

  test('shows what lies far out at the edge when one looks closer', async (t) => {
    const { page, complaints } = await open(t, compared);
    await page.locator('[data-chart=ratios] input').check();
    assert.match(await page.locator('[data-chart=ratios] svg').innerHTML(), /8\.000 →[\s\S]*← 0\.200/);
    assert.equal(await count(page, '[data-chart=ratios] .interval line'), 7);
    assert.deepEqual(complaints, []);
  });

  test('of a run draws floors, distributions, curves and stages', async (t) => {
    const { page, complaints } = await open(t, run);
    assert.equal(await count(page, '[data-chart=floors] .speedup path, [data-chart=floors] .speedup circle'), 4);
    assert.equal(await count(page, '[data-chart=floors] .target path'), 4);
    assert.equal(await count(page, '[data-chart=spreads] svg'), 2, 'one for each unit');
    assert.equal(await count(page, '[data-chart=spreads] .box-upper line'), 5);
    assert.equal(await count(page, '[data-chart=scaling] .curve path'), 1);
    assert.equal(await count(page, '[data-chart=scaling] .point path, [data-chart=scaling] .point circle'), 3);
    assert.equal(await count(page, '[data-chart=stages] .stage line'), 6);
    assert.deepEqual(complaints, []);
  });

  test('sorts its tables by number and by text, both ways', async (t) => {
    const { page } = await open(t, compared);
    const table = page.locator('#ratios table');
    const ratios = () => table.locator('tbody td:nth-child(3)').allTextContents();
    await table.getByRole('button', { name: 'head/base' }).click();
    assert.deepEqual(await ratios(), ['0.200', '1.030', '1.030', '1.030', '1.030', '1.030', '8.000']);
    await table.getByRole('button', { name: 'head/base' }).click();
    assert.deepEqual(await ratios(), ['8.000', '1.030', '1.030', '1.030', '1.030', '1.030', '0.200']);
    assert.equal(await table.locator('th[aria-sort=descending]').textContent(), 'head/base');
    await table.getByRole('button', { name: 'benchmark' }).click();
    assert.match((await table.locator('tbody td:nth-child(2)').first().textContent()) ?? '', /^contaminated/);
  });

  test('marks the lines in which two environments differ, and warns of another machine', async (t) => {
    const other = { title: 'before', environment: { ...environment, node: '22.0.0', machine: '00ff' } };
    const { page, complaints } = await open(t, run, 1280, other);
    assert.deepEqual(await page.locator('#environment tr:has(.differs) td:first-child').allTextContents(), [
      'Node.js',
      'machine',
    ]);
    assert.match((await page.locator('#environment .warning').textContent()) ?? '', /^Another machine/);
    assert.deepEqual(complaints, []);
  });

  test('shows hostile texts as they are, and runs nothing of them', async (t) => {
    const times = hostile.map((text) => comparedTime('regressed', 1.1, { name: text, title: text, reason: text }));
    const skipped = hostile.map((text) => ({ name: text, reason: text }));
    const head = { ...compareReport().head, spec: hostile[0] };
    const { page, complaints } = await open(t, compareReport({ times, skipped, head }));
    assert.equal(await page.evaluate('globalThis.broken'), undefined);
    const shown = await page.locator('#ratios tbody .name').allTextContents();
    // What a file in UTF-8 cannot hold is replaced, and so is NUL in HTML.
    const held = hostile.map((text) => text.replace(/\ud800|\0/g, '\ufffd').replace(/\r\n?/g, '\n'));
    assert.deepEqual(shown.sort(), held.sort());
    assert.equal(await count(page, '[data-chart=ratios] .interval line'), hostile.length);
    assert.deepEqual(complaints, []);
  });

  test('lets no script in that is not its own', async (t) => {
    const [path] = writeReport(run, temporaryFolder(t)) as [string];
    writeFileSync(path, readFileSync(path, 'utf8').replace('</main>', '<script>globalThis.broken = 1</script></main>'));
    const { page, complaints } = await browser.open(path);
    t.after(() => page.close());
    assert.equal(await page.evaluate('globalThis.broken'), undefined);
    assert.match(complaints.join(), /Content Security Policy/);
  });

  for (const width of [400, 800, 1600]) {
    test(`fits into ${width} pixels, and every figure can be read there as it is`, async (t) => {
      for (const report of [compared, run, large]) {
        const { page, complaints } = await open(t, report, width);
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
        assert.deepEqual(await page.evaluate(cutFigures), []);
        assert.deepEqual(complaints, []);
      }
    });
  }

  test('has cards in place of rows where it is narrow: they say what each figure is, and can be sorted', async (t) => {
    const { page } = await open(t, compared, 400);
    const figure = '#ratios tbody tr:first-child td[data-column="head/base"]';
    const label = await page.evaluate(`getComputedStyle(document.querySelector('${figure}'), '::before').content`);
    assert.equal(label, '"head/base"');
    await page.locator('#ratios table').getByRole('button', { name: 'head/base' }).click();
    assert.equal(await page.locator(figure).textContent(), '0.200');
  });

  for (const width of [400, 1600]) {
    test(`names beside each bar what it is held against, at ${width} pixels`, async (t) => {
      const { page } = await open(t, run, width);
      const notes = await page.locator('[data-chart=floors] .note text').allTextContents();
      assert.deepEqual(notes, Array(4).fill('against one plain Node-API call per store'));
    });
  }

  test('of nothing, of one and of what has no place on its axes is a page all the same', async (t) => {
    const none = compareReport({ verdict: 'pass', exitCode: 0, counters: [], instructions: [], times: [] });
    const odd = comparedTime('pass', -1, { base: measured(-1).distribution });
    const nothing = benchResult({
      measured: measured(0),
      ratio: 0,
      stages: { copy: 0 },
      scale: { curve: 'a', at: 0, unit: 'x' },
    });
    for (const report of [
      none,
      compareReport(),
      compareReport({ times: [odd] }),
      benchReport({ results: [] }),
      benchReport({ results: [nothing] }),
    ]) {
      const { page, complaints } = await open(t, report);
      assert.equal(await count(page, 'h1'), 1);
      assert.deepEqual(complaints, []);
    }
  });

  test('of a history draws a chart for each benchmark and machine, and flags what is out of the ordinary', async (t) => {
    const runs = [6.4, 6.5, 6.3, 6.4, 6.5, 6.4, 6.3, 6.4, 6.6, 6.4, 6.5, 9.9].map((median, day) =>
      benchReport({
        started: `2026-03-${String(day + 1).padStart(2, '0')}T00:00:00.000Z`,
        results: [benchResult({ measured: measured(median) })],
      }),
    );
    const records = runs.map(recordOf);
    const [path] = writeHistory(trendsOf(records), records, temporaryFolder(t), 0.02) as [string];
    const { page, complaints } = await browser.open(path);
    t.after(() => page.close());
    assert.equal(await count(page, '[data-chart=trend] svg'), 1);
    assert.equal(await count(page, '[data-chart=trend] .run circle'), 11);
    assert.equal(await count(page, '[data-chart=trend] .flagged path'), 1);
    assert.deepEqual(complaints, []);
  });

  test('JUnit XML of hostile texts is XML to a parser, and has them as they were', async (t) => {
    const { page } = await open(t, run);
    const texts = hostile.filter((text) => !text.startsWith('control'));
    const xml = render(
      'junit',
      compareReport({ times: texts.map((text) => comparedTime('regressed', 1.1, { name: text, reason: text })) }),
    );
    const found = 'testcase[classname="ismio.time"], parsererror';
    const names = await page.evaluate<string[]>(
      `[...new DOMParser().parseFromString(${JSON.stringify(xml)}, 'text/xml').querySelectorAll('${found}')]
        .map((found) => found.getAttribute('name'))`,
    );
    assert.deepEqual(names.sort(), [...texts].sort());
  });

  async function marksByVerdict(page: Page): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const verdict of verdicts) {
      found[verdict] = await count(page, `[data-chart=ratios] .verdict-${verdict} :is(path, circle)`);
    }
    return found;
  }
});

test('a report is two files, and the same results give the same bytes', (t) => {
  const folders = [temporaryFolder(t), temporaryFolder(t)];
  const [first, second] = folders.map((folder) =>
    writeReport(compared, join(folder, 'new', 'report')).map((path) => readFileSync(path)),
  );
  assert.deepEqual(first, second);
  assert.deepEqual(readdirSync(join(folders[0] as string, 'new', 'report')).sort(), ['index.html', 'results.json']);
});
