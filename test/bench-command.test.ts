// ismio bench as its users meet it: a table, a document, one line when it could not run.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { BenchReport } from '../bench/results.js';
import { packageRoot } from './support/child.js';
import { ismio, type Said } from './support/command.js';
import { temporaryFolder } from './support/files.js';

function bench(...words: string[]): Promise<Said> {
  return benchIn({}, ...words);
}

function benchIn(env: Readonly<Record<string, string>>, ...words: string[]): Promise<Said> {
  return ismio(['bench', ...words], { env });
}

const wait = '() => { for (const end = process.hrtime.bigint() + 50_000n; process.hrtime.bigint() < end; ); }';

/** A suite with these workloads, given as the text of their fields; each is quick, and its batch waits a little. */
function suite(t: TestContext, ...workloads: string[]): string {
  const path = join(temporaryFolder(t), 'suite.mjs');
  const texts = workloads.map(
    (
      fields,
    ) => `{ name: 'own/batch/wait', title: 'a batch that waits', operations: 1, bytes: 0, windowBytes: 0, quick: true,
      open: () => ({ batch: wait, close() {} }), ${fields} }`,
  );
  writeFileSync(path, `const wait = ${wait};\nexport const workloads = [${texts.join(', ')}];\n`);
  return path;
}

/** Checks that it ended with 3 and one line, which it gives back. */
function couldNotRun({ code, stdout, stderr }: Said): string {
  assert.deepEqual([code, stdout], [3, ''], stderr);
  assert.match(stderr, /^ismio: ERR_ISMIO_[A-Z_]+: .+\n$/);
  assert.equal(stderr.indexOf('\n'), stderr.length - 1);
  return stderr;
}

test('lists names and titles, and marks the quick ones', async () => {
  const { code, stdout, stderr } = await bench('--list', '--filter', '^(queue/stores|process/start)');
  assert.deepEqual([code, stderr], [0, '']);
  const lines = stdout.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.slice(0, 26).trimEnd()),
    ['* queue/stores-8B/adjacent', '* queue/stores-8B/scattere', '  process/start-up/import'],
  );
});

test('lists them in a file as well', async (t) => {
  const json = join(temporaryFolder(t), 'list.json');
  const { code, stdout } = await bench('--list', '--filter', '^queue/stores-8B/adjacent$', '--json', json);
  assert.equal(code, 0);
  assert.match(stdout, /^\* queue\/stores-8B\/adjacent .*\nwrote .*list\.json\n$/);
  const [entry, ...others] = JSON.parse(readFileSync(json, 'utf8')) as { name: string; quick: boolean }[];
  assert.deepEqual([entry?.name, entry?.quick, others], ['queue/stores-8B/adjacent', true, []]);
  assert.match(couldNotRun(await bench('--list', '--report', 'none')), /ERR_ISMIO_USAGE: --list measures nothing/);
});

test('measures what it is told, in a table of at most 120 columns and a document', async (t) => {
  const json = join(temporaryFolder(t), 'results.json');
  const { code, stdout, stderr } = await bench('--quick', '--filter', '^queue/stores', '--json', json);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /QUEUE/);
  assert.match(stdout, /queue\/stores-8B\/adjacent +│ \d/);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 160, line);
  for (const line of stdout.split('\n')) if (/^[│┌├└]/.test(line)) assert.ok(line.length <= 120, line);

  const report = JSON.parse(readFileSync(json, 'utf8')) as BenchReport;
  assert.deepEqual([report.schema, report.quick, report.skipped], ['ismio-bench/1', true, []]);
  assert.ok(!Number.isNaN(Date.parse(report.started)) && report.seconds > 0);
  assert.match(report.environment.machine, /^[0-9a-f]{16}$/);
  assert.deepEqual(
    report.results.map(({ name, unit, operations, bytes, issued }) => [name, unit, operations, bytes, issued]),
    [
      ['queue/stores-8B/adjacent', 'ns/op', 4096, 32_768, 8],
      ['queue/stores-8B/scattered', 'ns/op', 4096, 32_768, 4096],
    ],
  );
  for (const { measured, floor, ratio, counters } of report.results) {
    const { min, q1, median, q3, max } = measured.distribution;
    assert.ok(0 < min && min <= q1 && q1 <= median && median <= q3 && q3 <= max);
    assert.ok(measured.median === median && measured.mad >= 0 && measured.samples >= 15);
    assert.ok(floor !== null && floor.title.length > 0 && floor.median > 0 && (ratio ?? 0) > 0);
    assert.equal(counters?.bytes, 32_768);
  }
});

test('workloads of a module are measured instead; a missed target is shown, and is no failure', async (t) => {
  const empty = "{ title: 'the same', operations: 1, open: () => ({ batch: wait, close() {} }) }";
  const file = suite(
    t,
    `name: 'own/batch/missed', floor: ${empty}, target: { atLeast: 1000 }`,
    `name: 'own/batch/skipped', missing: () => 'not on a Sunday'`,
  );
  const { code, stdout, stderr } = await bench('--quick', '--suite', file);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /own\/batch\/missed.*>= 1000 missed/s);
  assert.match(stdout, /^skipped own\/batch\/skipped: not on a Sunday$/m);
  assert.doesNotMatch(stdout, /process\//);
});

test('the workload that the docs show runs, and issues what one expects', async (t) => {
  const [, example = ''] =
    readFileSync(join(packageRoot, 'docs', 'bench.md'), 'utf8').match(/^```js suite\n([\s\S]*?)^```$/m) ?? [];
  const file = join(temporaryFolder(t), 'own.mjs');
  writeFileSync(file, example);
  const { code, stdout, stderr } = await bench('--suite', file, '--json');
  assert.deepEqual([code, stderr], [0, '']);
  const { results } = JSON.parse(stdout) as BenchReport;
  assert.deepEqual(
    results.map(({ name, issued, counters }) => [name, issued, counters?.bytes]),
    [['own/records-24B/merged', (512 * 24) / 4096, 512 * 24]],
  );
});

test('a filter that nothing matches is refused', async () => {
  assert.match(couldNotRun(await bench('--filter', 'nonesuch')), /ERR_ISMIO_USAGE: no benchmark matches \/nonesuch\//);
  assert.match(couldNotRun(await bench('--quick', '--filter', '^peers/')), /no quick benchmark matches/);
});

test('a filter that is no pattern, and a suite that is not there, are refused', async () => {
  assert.match(couldNotRun(await bench('--filter', '(')), /ERR_ISMIO_USAGE: .*--filter.*Unterminated group/);
  assert.match(
    couldNotRun(await bench('--suite', '/nonesuch.mjs')),
    /ERR_ISMIO_USAGE: there is no file \/nonesuch\.mjs/,
  );
  assert.match(couldNotRun(await bench('nonesuch')), /ERR_ISMIO_USAGE/);
});

for (const [what, content, told] of [
  ['exports nothing', '', /suite\.mjs: exports no array 'workloads', but undefined$/m],
  ['is no JavaScript', 'export const = 7;', /suite\.mjs: cannot be loaded: SyntaxError: Unexpected token/m],
  ['throws', "throw new RangeError('no luck')", /suite\.mjs: cannot be loaded: RangeError: no luck$/m],
] as const) {
  test(`a suite that ${what} is told as such`, async (t) => {
    const path = join(temporaryFolder(t), 'suite.mjs');
    writeFileSync(path, content);
    const line = couldNotRun(await bench('--quick', '--suite', path));
    assert.match(line, /^ismio: ERR_ISMIO_SUITE: /);
    assert.match(line, told);
  });
}

test('a suite that is a folder is refused', async (t) => {
  assert.match(couldNotRun(await bench('--suite', temporaryFolder(t))), /ERR_ISMIO_USAGE: .* is a folder/);
});

test('a workload that is not whole is told before any is measured', async (t) => {
  const measured = "name: 'own/batch/first', open() { throw new Error('measured') }";
  const line = couldNotRun(await bench('--quick', '--suite', suite(t, measured, "name: 'own/batch'")));
  assert.match(line, /ERR_ISMIO_SUITE: .*workload own\/batch has the name "own\/batch"; it has to be suite\/what\/how/);
});

test('a benchmark that fails after others have been measured leaves no document', async (t) => {
  const folder = temporaryFolder(t);
  const file = suite(t, "name: 'own/batch/good'", "name: 'own/batch/bad', open() { throw new Error('no luck') }");
  const told = couldNotRun(await bench('--quick', '--suite', file, '--json', join(folder, 'results.json')));
  assert.match(told, /^ismio: ERR_ISMIO_BENCH: own\/batch\/bad could not be measured: no luck\n$/);
  assert.deepEqual(readdirSync(folder), []);
});

for (const [how, fields, said] of [
  ['throws in a batch', "open: () => ({ batch() { throw new Error('no luck') }, close() {} })", /: no luck$/m],
  ['rejects in a batch', "open: () => ({ batch: async () => { throw 'no luck' }, close() {} })", /: no luck$/m],
  ['cannot be opened', "open() { throw new Error('no luck') }", /: no luck$/m],
  [
    'ends its process',
    'open: () => ({ batch() { process.exit(7) }, close() {} })',
    /its process ended with exit code 7$/m,
  ],
  [
    'is killed',
    "open: () => ({ batch() { process.kill(process.pid, 'SIGKILL') }, close() {} })",
    /ended with SIGKILL$/m,
  ],
] as const) {
  test(`a benchmark that ${how} is told by its name`, async (t) => {
    const told = couldNotRun(await bench('--quick', '--suite', suite(t, fields)));
    assert.match(told, /^ismio: ERR_ISMIO_BENCH: own\/batch\/wait could not be measured: /);
    assert.match(told, said);
  });
}

test('a document that cannot be written is told before anything is measured', async (t) => {
  const folder = temporaryFolder(t);
  const file = suite(t, 'open() { throw new Error("measured") }');
  const nowhere = join(folder, 'nonesuch', 'results.json');
  assert.match(couldNotRun(await bench('--suite', file, '--json', nowhere)), /ERR_ISMIO_WRITE_FILE: .*ENOENT/);
  const unwritable = join(nowhere, 'report');
  writeFileSync(join(folder, 'nonesuch'), '');
  assert.match(couldNotRun(await bench('--suite', file, '--report', unwritable)), /ERR_ISMIO_WRITE_FILE: .*ENOTDIR/);
  rmSync(join(folder, 'nonesuch'));
  mkdirSync(join(folder, 'directory'));
  assert.match(couldNotRun(await bench('--suite', file, '--json', join(folder, 'directory'))), /EISDIR/);
  assert.deepEqual(readdirSync(folder), ['directory']);
});

test('one run writes every form that is asked for, and the summary of a job', async (t) => {
  const folder = temporaryFolder(t);
  const [xml, report, summary] = ['results.xml', 'a/report', 'summary.md'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const words = ['--quick', '--suite', suite(t, ''), '--format', 'junit', '--out', xml, '--report', report];
  const { code, stdout, stderr } = await benchIn({ GITHUB_STEP_SUMMARY: summary }, ...words);
  assert.deepEqual([code, stderr], [0, '']);
  for (const file of [xml, join(report, 'index.html'), join(report, 'results.json')]) {
    assert.ok(stdout.includes(`\nwrote ${file}\n`), file);
    assert.match(readFileSync(file, 'utf8'), /own\/batch\/wait/);
  }
  assert.match(readFileSync(summary, 'utf8'), /own\/batch\/wait/);
});

test('a form without a file for it is refused, and so is one that is not known', async () => {
  assert.match(couldNotRun(await bench('--format', 'junit')), /--format and --out belong together/);
  assert.match(couldNotRun(await bench('--format', 'nonesuch', '--out', 'x')), /ERR_ISMIO_USAGE: .*nonesuch/);
});

test('what a workload prints does not get into the table', async (t) => {
  const file = suite(t, "open() { console.log('chatter'); return { batch: wait, close() {} } }");
  const { code, stdout, stderr } = await bench('--quick', '--suite', file);
  assert.equal(code, 0);
  assert.match(stderr, /^(chatter\n)+$/); // once for each opening
  assert.doesNotMatch(stdout, /chatter/);
});
