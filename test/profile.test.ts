// The profile of a workload: stages and latency that fit together, files that other programs open, mistakes told in a line.
// Nothing here depends on how fast the machine is.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Schema, Validator } from '@cfworker/json-schema';
import { distance, near } from '../bench/profile/near.js';
import { profile } from '../bench/profile/profile.js';
import { type ProfileReport, stageNames } from '../bench/profile/report.js';
import { subjectFor } from '../bench/profile/subject.js';
import { profileTable } from '../bench/profile/table.js';
import { Trace, type TraceEvent, type TraceFile } from '../bench/profile/trace.js';
import { packageRoot } from './support/child.js';
import { ismio } from './support/command.js';
import { loadSchema, undescribed } from './support/schema.js';
import { ownSuite } from './support/suite.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-profile-'));
after(() => rmSync(folder, { recursive: true }));

const validator = new Validator(loadSchema('ismio-profile-1.json') as Schema, '2020-12', false);
validator.addSchema(loadSchema('ismio-bench-1.json') as Schema);

async function profiled(name: string, out?: string): Promise<ProfileReport> {
  const { report } = await profile(await subjectFor(name), { seconds: 0.1, out });
  return report;
}

function sumOfStages({ stages }: ProfileReport): number {
  return stageNames.reduce((sum, name) => sum + stages[name], 0);
}

test('the stages of a batch on one thread add up to the wall time, with what is elsewhere', async () => {
  const report = await profiled('queue/stores-8B/adjacent');
  assert.ok(Math.abs(sumOfStages(report) + report.elsewhere - report.timed) < report.timed * 0.01);
  for (const name of ['enqueue', 'merge', 'copy', 'device', 'completion'] as const) assert.ok(report.stages[name] > 0);
  assert.ok(report.stamps > 0 && report.plain > 0);
  const { latency } = report;
  const ascending = [latency.min, ...Object.values(latency.percentiles), latency.max];
  assert.deepEqual(Object.keys(latency.percentiles), ['p50', 'p90', 'p99', 'p99.9', 'p99.99']);
  for (const [i, value] of ascending.entries()) assert.ok(value >= (ascending[i - 1] ?? 0), ascending.join(' '));
});

test('a drain, a direct access and a recording have their stages timed as well', async () => {
  const drained = await profiled('drain/blocks-4KiB/memory');
  assert.ok(drained.stages.device > 0 && drained.stages.completion > 0);
  const direct = await profiled('access/store64/device');
  assert.ok(direct.stages.device > 0 && direct.stages.enqueue === 0);
  const recording = join(import.meta.dirname, '../../bench/recordings/terminal.ismrec');
  const replayed = await profiled(recording);
  assert.ok(replayed.stages.device > 0 && replayed.stages.enqueue > 0);
});

/** What Perfetto needs: threads with names, slices that lie within each other or apart, arrows with two ends. */
function checkTrace({ traceEvents }: TraceFile): void {
  const named = new Set(traceEvents.filter(({ name }) => name === 'thread_name').map(({ tid }) => tid));
  for (const event of traceEvents) {
    assert.equal(event.pid, 1);
    if (event.ph === 'M') continue;
    assert.ok(named.has(event.tid), JSON.stringify(event));
    assert.ok((event.ts as number) >= 0);
    if (event.ph === 'X') assert.ok((event.dur as number) >= 0);
  }
  const ends = (ph: TraceEvent['ph']) => traceEvents.filter((event) => event.ph === ph).map(({ id }) => id);
  assert.deepEqual(ends('s'), ends('f'));
  for (const tid of named) {
    const open: number[] = [];
    for (const event of traceEvents.filter((one) => one.ph === 'X' && one.tid === tid)) {
      const [from, to] = [event.ts as number, (event.ts as number) + (event.dur as number)];
      while (open.length > 0 && (open.at(-1) as number) <= from + 0.002) open.pop();
      assert.ok(open.length === 0 || to <= (open.at(-1) as number) + 0.002, `${event.name} reaches out of its slice`);
      open.push(to);
    }
  }
}

test('the files are a trace whose slices nest, a CPU profile, and the numbers', async () => {
  const out = join(folder, 'drained');
  const report = await profiled('drain/blocks-4KiB/memory', out);
  assert.deepEqual(readdirSync(out).sort(), ['profile.cpuprofile', 'profile.json', 'trace.json']);
  const read = (file: string): unknown => JSON.parse(readFileSync(join(out, file), 'utf8'));
  const numbers = read('profile.json');
  assert.deepEqual(numbers, report);
  assert.deepEqual(undescribed(numbers, 'ismio-profile-1.json'), []);
  assert.deepEqual(validator.validate(numbers).errors, []);
  assert.equal(validator.validate({ ...report, latency: {} }).valid, false);
  const trace = read('trace.json') as TraceFile;
  checkTrace(trace);
  const names = new Set(trace.traceEvents.map(({ name }) => name));
  for (const name of ['enqueue', 'drain', 'device', 'completion', 'handed over']) assert.ok(names.has(name), name);
  const threads = trace.traceEvents.filter(({ name }) => name === 'thread_name').map(({ args }) => args?.['name']);
  assert.equal(threads[0], 'main');
  assert.ok(threads.some((name) => /^main drain \d+$/.test(String(name))));
  const cpu = read('profile.cpuprofile') as { nodes: unknown[]; samples: unknown[]; timeDeltas: unknown[] };
  assert.ok(cpu.nodes.length > 0 && cpu.samples.length === cpu.timeDeltas.length);
});

test('shards of a pool have the tracks of their workers', async () => {
  const out = join(folder, 'pool');
  await profiled('pool/threads-2/emulated', out);
  const trace = JSON.parse(readFileSync(join(out, 'trace.json'), 'utf8')) as TraceFile;
  checkTrace(trace);
  const workers = trace.traceEvents.filter(({ args }) => /^worker \d+$/.test(String(args?.['name'])));
  assert.equal(workers.length, 2);
});

test('a slice that two clocks make end before it begins is left out, as is an arrow', () => {
  const trace = new Trace('test', 'main');
  trace.slice({ thread: 'main', name: 'good', from: 1000, to: 3000 });
  trace.slice({ thread: 'main', name: 'bad', from: 3000, to: 2000 });
  trace.arrow({ thread: 'main', at: 2000 }, { thread: 'other', at: 1000 });
  const { traceEvents } = trace.file();
  assert.deepEqual(
    traceEvents.filter(({ ph }) => ph !== 'M').map(({ name, ts, dur }) => [name, ts, dur]),
    [['good', 0, 2]],
  );
});

test('the table has a row for each stage and a bar as long as its share', () => {
  const stages = { enqueue: 50, merge: 25, plan: 0, copy: 0, device: 25, completion: 0 };
  const percentiles = { p50: 200, p90: 400, p99: 400, 'p99.9': 400, 'p99.99': 400 };
  const report = {
    workload: { name: 'a/b', title: 'title', operations: 4096, bytes: 32768 },
    ...{ plain: 98, timed: 100, cost: 0.02, stages, stamps: 1, elsewhere: 0 },
    latency: { batches: 10, min: 100, mean: 210, max: 400, percentiles },
  } as unknown as ProfileReport;
  const text = profileTable(report);
  assert.match(text, /enqueue +│ +50 │ +50\.0 % │ █{20} /);
  assert.match(text, /plan +│ +0 │ +0\.0 % │ +│/);
  assert.match(text, /98 ns\/op, 100 with stages timed \(\+2\.0 %\)/);
  assert.match(text, /p50 +200 ns/);
  assert.ok(text.split('\n').every((line) => line.length <= 120));
});

test('names that are near: those with the word in them, then by letters', () => {
  assert.equal(distance('kitten', 'sitting'), 3);
  assert.equal(distance('', 'abc'), 3);
  assert.deepEqual(near('stores', ['planner', 'stoes', 'a/stores/b']), ['a/stores/b', 'stoes', 'planner']);
});

test('what cannot be profiled is told in one line, and ends with 3', async () => {
  const wrong: [string[], RegExp][] = [
    [['profile', 'queue/stores-8B/adjacen'], /no workload .* Near it: queue\/stores-8B\/adjacent,/],
    [['profile'], /a workload is missing/],
    [['profile', 'x', '--instructions'], /takes no workload/],
    [['profile', '--instructions', '--seconds', '3'], /--seconds .*cannot be used with .*--instructions/],
    [['profile', '--instructions', '--out', 'x'], /--out .*cannot be used with .*--instructions/],
    [['profile', 'queue/stores-8B/adjacent', '--filter', 'x'], /--filter is for --instructions/],
    [['profile', 'queue/stores-8B/adjacent', '--seconds', '0'], /above 0/],
    [['profile', 'queue/stores-8B/adjacent', '--out', join(import.meta.filename, 'x')], /ERR_ISMIO_WRITE_FILE/],
    [['profile', import.meta.filename], /ERR_ISMIO_RECORDING/],
  ];
  for (const [words, message] of wrong) {
    const { code, stdout, stderr } = await ismio(words);
    assert.deepEqual([code, stdout], [3, ''], `${words.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  }
});

test('another build is profiled by its ref, folder or tarball, and the report says which', async () => {
  const words = ['profile', 'access/store64/device', '--of', packageRoot, '--seconds', '0.1', '--json'];
  const { code, stdout, stderr } = await ismio(words);
  assert.equal(code, 0, stderr);
  const { of } = JSON.parse(stdout) as ProfileReport;
  assert.deepEqual([of?.spec, of?.kind], [packageRoot, 'directory']);
  const missing = await ismio(['profile', 'access/store64/device', '--of', 'no-such-build']);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /ERR_ISMIO_BASELINE: no-such-build is no directory and no tarball/);
});

test("a module's workloads are profiled as the package's own are", async () => {
  const suite = join(folder, 'suite.mjs');
  writeFileSync(suite, ownSuite);
  const { code, stdout, stderr } = await ismio([
    'profile',
    'mine/store/plain',
    '--suite',
    suite,
    '--seconds',
    '0.1',
    '--json',
  ]);
  assert.equal(code, 0, stderr);
  const { workload, stages, of } = JSON.parse(stdout) as ProfileReport;
  assert.equal(workload.name, 'mine/store/plain');
  assert.ok(stages.device > 0);
  assert.equal(of, null);
  const unknown = await ismio(['profile', 'access/store64/device', '--suite', suite]);
  assert.match(unknown.stderr, /Near it: mine\/store/);
});
