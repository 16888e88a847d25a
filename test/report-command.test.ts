// ismio report and ismio history as their users meet them.
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { appendRecord } from '../bench/history/file.js';
import { recordOf } from '../bench/history/record.js';
import { formats, render } from '../bench/outputs/index.js';
import type { BenchReport } from '../bench/results.js';
import { ismio, type Said } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { benchReport, benchResult, compareReport, measured } from './support/results.js';
import { undescribed } from './support/schema.js';

/** Checks that it ended with 3, one line on stderr that begins with this code, and nothing on stdout. */
function checkCouldNotRun({ code, stdout, stderr }: Said, errorCode: string): void {
  assert.match(stderr, new RegExp(`^ismio: ${errorCode}: [^\\n]+\\n$`));
  assert.deepEqual({ code, stdout }, { code: 3, stdout: '' });
}

function day(number: number, median = 6.4 + number / 100): BenchReport {
  const started = `2026-03-${String(number).padStart(2, '0')}T00:00:00.000Z`;
  return benchReport({ started, results: [benchResult({ measured: measured(median) })] });
}

function save(folder: string, name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

describe('ismio report', { concurrency: 2 }, () => {
  test('turns saved results into every format, on stdout or in a file', async (t) => {
    const folder = temporaryFolder(t);
    const path = save(folder, 'results.json', compareReport());
    const out = join(folder, 'out');
    assert.deepEqual(await ismio(['report', path, '--format', 'junit']), {
      code: 0,
      stdout: render('junit', compareReport()),
      stderr: '',
    });
    assert.deepEqual(await ismio(['report', path, '--format', 'bencher', '--out', out]), {
      code: 0,
      stdout: `wrote ${out}\n`,
      stderr: '',
    });
    assert.equal(readFileSync(out, 'utf8'), render('bencher', compareReport()));
  });

  test('knows every format that can be rendered', async () => {
    const { stdout } = await ismio(['report', '--help']);
    for (const format of ['html', ...formats]) assert.match(stdout, new RegExp(`^  ${format} `, 'm'));
  });

  test('writes a page and the results into a folder', async (t) => {
    const folder = temporaryFolder(t);
    const path = save(folder, 'results.json', benchReport());
    const out = join(folder, 'report');
    const { code, stdout } = await ismio(['report', path, '--out', out, '--against', path]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: `wrote ${out}/index.html\nwrote ${out}/results.json\n` });
    assert.deepEqual(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')), benchReport());
  });

  test('that cannot be made ends with 3 and one line', async (t) => {
    const folder = temporaryFolder(t);
    const path = save(folder, 'results.json', benchReport());
    checkCouldNotRun(await ismio(['report', path]), 'ERR_ISMIO_USAGE');
    checkCouldNotRun(await ismio(['report', path, '--format', 'csv']), 'ERR_ISMIO_USAGE');
    checkCouldNotRun(await ismio(['report', join(folder, 'none'), '--out', folder]), 'ERR_ISMIO_OPEN');
    checkCouldNotRun(await ismio(['report', save(folder, 'bad', {}), '--out', folder]), 'ERR_ISMIO_RESULTS');
    checkCouldNotRun(await ismio(['report', path, '--format', 'json', '--out', '/dev/full']), 'ERR_ISMIO_WRITE_FILE');
    checkCouldNotRun(await ismio(['report', path, '--out', join(path, 'below')]), 'ERR_ISMIO_WRITE_FILE');
    assert.ok(statSync('/dev/full').isCharacterDevice());
  });

  test('on a disk that is full leaves no empty folder behind', async (t) => {
    const folder = temporaryFolder(t);
    const path = save(folder, 'results.json', benchReport());
    const told = await ismio(['report', path, '--out', join(folder, 'a', 'report')], { fileLimit: 1 });
    checkCouldNotRun(told, 'ERR_ISMIO_WRITE_FILE');
    assert.deepEqual(readdirSync(folder), ['results.json']);
  });

  test('on a disk that is full leaves the file that was there, and nothing half-written', async (t) => {
    const folder = temporaryFolder(t);
    const path = save(folder, 'results.json', benchReport());
    const out = join(folder, 'out.json');
    writeFileSync(out, 'what was there');
    const told = await ismio(['report', path, '--format', 'json', '--out', out], { fileLimit: 1 });
    checkCouldNotRun(told, 'ERR_ISMIO_WRITE_FILE');
    assert.equal(readFileSync(out, 'utf8'), 'what was there');
    assert.deepEqual(readdirSync(folder).sort(), ['out.json', 'results.json']);
  });
});

describe('ismio history', { concurrency: 2 }, () => {
  /** A folder with a history of these. */
  function filled(t: TestContext, ...reports: BenchReport[]): string {
    const folder = temporaryFolder(t);
    for (const report of reports) appendRecord(join(folder, 'history.jsonl'), recordOf(report));
    return folder;
  }

  test('adds runs, says which it has already, and shows their trend', async (t) => {
    const folder = filled(t, day(1));
    const results = save(folder, 'results.json', day(2));
    const added = await ismio(['history', 'add', results], { cwd: folder });
    assert.equal(added.code, 0);
    assert.match(added.stdout, /^added the run of 2026-03-02T00:00:00\.000Z at \w+ to history\.jsonl: 1 benchmark\n$/);
    const again = await ismio(['history', 'add', results], { cwd: folder });
    assert.equal(again.code, 0);
    assert.match(
      again.stdout,
      /^history\.jsonl has the run of 2026-03-02T00:00:00\.000Z at \w+ already: nothing was added\n$/,
    );
    const { code, stdout, stderr } = await ismio(['history', 'show'], { cwd: folder });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(
      stdout,
      /queue\/stores-8B\/adjacent │ ▁█ +│ +2 │ 6\.42 ns │ +6\.41 ns │ \+0\.2 % │ 1 before it; 10 are needed/,
    );
  });

  test('ends with 1 when the two newest runs are out of the ordinary, and writes a page of it', async (t) => {
    const usual = Array.from({ length: 10 }, (_, number) => day(number + 1));
    const folder = filled(t, ...usual, day(11, 9));
    const first = await ismio(['history', 'show'], { cwd: folder });
    assert.equal(first.code, 0);
    assert.match(first.stdout, /▲ outside its past/);
    await ismio(['history', 'add', save(folder, 'results.json', day(12, 9))], { cwd: folder });
    const { code, stdout } = await ismio(['history', 'show', '--json', '--report', 'report'], { cwd: folder });
    assert.equal(code, 1);
    const [trend] = JSON.parse(stdout) as { points: { flagged: boolean }[] }[];
    assert.deepEqual(
      trend?.points.map(({ flagged }) => flagged),
      [...Array(10).fill(false), true, true],
    );
    assert.deepEqual(readdirSync(join(folder, 'report')).sort(), ['history.json', 'index.html']);
  });

  test('tells of a line that was cut off, and goes on', async (t) => {
    const folder = filled(t, day(1));
    appendFileSync(join(folder, 'history.jsonl'), '{"schema":"ismio-hist');
    const { code, stderr } = await ismio(['history', 'show'], { cwd: folder });
    assert.deepEqual(
      { code, stderr },
      { code: 0, stderr: 'ismio: history.jsonl: line 2 is no whole line of JSON; it was ignored\n' },
    );
  });

  test('takes runs from two writers at once', async (t) => {
    const folder = temporaryFolder(t);
    const paths = [1, 2, 3, 4].map((number) => save(folder, `${number}.json`, day(number)));
    const told = await Promise.all(paths.map((path) => ismio(['history', 'add', path], { cwd: folder })));
    assert.deepEqual(
      told.map(({ code }) => code),
      [0, 0, 0, 0],
    );
    const shown = await ismio(['history', 'show', '--json'], { cwd: folder });
    assert.equal((JSON.parse(shown.stdout) as { points: unknown[] }[])[0]?.points.length, 4);
    assert.equal(shown.stderr, '');
  });

  test('on a disk that is full keeps what was there; the next run begins on a line of its own', async (t) => {
    const folder = filled(t, day(1));
    const path = join(folder, 'history.jsonl');
    const before = readFileSync(path, 'utf8');
    const results = save(folder, 'next.json', day(2));
    const told = await ismio(['history', 'add', results], { cwd: folder, fileLimit: 1 });
    checkCouldNotRun(told, 'ERR_ISMIO_WRITE_FILE');
    assert.ok(readFileSync(path, 'utf8').startsWith(before));
    assert.equal((await ismio(['history', 'add', results], { cwd: folder })).code, 0);
    const shown = await ismio(['history', 'show', '--json'], { cwd: folder });
    assert.equal((JSON.parse(shown.stdout) as { points: unknown[] }[])[0]?.points.length, 2);
  });

  test('that cannot be kept or shown ends with 3 and one line', async (t) => {
    const folder = filled(t, day(1));
    const cwd = folder;
    save(folder, '0.json', day(1));
    checkCouldNotRun(await ismio(['history'], { cwd }), 'ERR_ISMIO_USAGE');
    checkCouldNotRun(await ismio(['history', 'forget'], { cwd }), 'ERR_ISMIO_USAGE');
    checkCouldNotRun(
      await ismio(['history', 'add', save(folder, 'other.json', compareReport())], { cwd }),
      'ERR_ISMIO_RESULTS',
    );
    checkCouldNotRun(
      await ismio(['history', 'add', save(folder, 'future.json', { schema: 'ismio-bench/2' })], { cwd }),
      'ERR_ISMIO_RESULTS',
    );
    checkCouldNotRun(await ismio(['history', 'show', '--file', 'none'], { cwd }), 'ERR_ISMIO_OPEN');
    checkCouldNotRun(await ismio(['history', 'show', '--file', '0.json'], { cwd }), 'ERR_ISMIO_RESULTS');
    checkCouldNotRun(await ismio(['history', 'show', '--filter', 'nothing'], { cwd }), 'ERR_ISMIO_USAGE');
    checkCouldNotRun(await ismio(['history', 'show', '--filter', '('], { cwd }), 'ERR_ISMIO_USAGE');
    checkCouldNotRun(await ismio(['history', 'show', '--report', '0.json/below'], { cwd }), 'ERR_ISMIO_WRITE_FILE');
  });
});

/** A point of a curve with a floor, a target and counters: a result with all that the schema knows. */
const suite = `
function stores(ismio) {
  const region = ismio.emulate({ size: 65536 });
  const queue = region.queue({ depth: 1024, merge: 'adjacent' });
  const batch = () => {
    for (let word = 0; word < 1024; word++) queue.storeWords(word * 8, word, 0);
    queue.submit();
  };
  return { batch, counters: () => region.stats(), close: () => region.close() };
}
const size = { operations: 1024, bytes: 8192 };
export const workloads = [{
  name: 'own/stores/merged', title: 'stores', quick: true, windowBytes: 4096, ...size, open: stores,
  scale: { curve: 'stores', at: 1024, unit: 'stores' }, target: { atLeast: 0.1 },
  floor: { title: 'the same', ...size, open: (window, floors, ismio) => stores(ismio) },
}];
`;

test('what ismio bench writes is of the schema, and every field of it is described', async (t) => {
  const folder = temporaryFolder(t);
  const [module, path] = [join(folder, 'suite.mjs'), join(folder, 'results.json')];
  writeFileSync(module, suite);
  const told = await ismio(['bench', '--quick', '--suite', module, '--json', path]);
  assert.equal(told.code, 0, told.stderr);
  const { code, stdout } = await ismio(['report', path, '--format', 'json']);
  assert.equal(code, 0);
  const report = JSON.parse(stdout) as BenchReport;
  assert.deepEqual(undescribed(report, 'ismio-bench-1.json'), []);
  const [result] = report.results;
  assert.ok(result?.counters && result.floor && result.scale && result.target, stdout);
});
