// What the benchmark makes of what it times, and what it knows of where it runs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import * as ismio from 'ismio';
import { commitOf } from '../bench/commit.js';
import { entryOf, loadEngine, versionOf } from '../bench/engine.js';
import { environment } from '../bench/environment.js';
import { floorsPaths, loadFloors } from '../bench/floors.js';
import { checkLength, measure, measuredFrom } from '../bench/measure.js';
import { duration } from '../bench/outputs/figures.js';
import { probes } from '../bench/probes/index.js';
import { withFigures } from '../bench/readme.js';
import type { BenchReport, BenchResult } from '../bench/results.js';
import { reached } from '../bench/target.js';
import { makeWindow } from '../bench/window.js';
import type { Running } from '../bench/workload.js';
import { packageRoot } from './support/child.js';
import { temporaryFolder } from './support/files.js';

function wait(): void {
  for (const end = process.hrtime.bigint() + 50_000n; process.hrtime.bigint() < end; );
}

/** Batches that count themselves. */
function counting(): { running: Running; batches: () => number } {
  let batches = 0;
  const batch = (): void => {
    batches++;
    wait();
  };
  return { running: { batch, close: () => undefined }, batches: () => batches };
}

test('medians of rounds become a median, its absolute deviation, and five numbers', () => {
  assert.deepEqual(measuredFrom([5, 1, 2, 4, 30], 70), {
    median: 4,
    mad: 2,
    samples: 70,
    distribution: { min: 1, q1: 2, median: 4, q3: 5, max: 30 },
  });
});

test('subject and floor take turns, and the first round counts for nothing', async () => {
  const order: string[] = [];
  const note = (name: string): Running => ({
    batch() {
      if (order.at(-1) !== name) order.push(name);
      wait();
    },
    close: () => undefined,
  });
  const turns = { rounds: 2, milliseconds: 1 };
  const timing = await measure(
    { operations: 1, running: note('subject') },
    { operations: 1, running: note('floor') },
    turns,
  );
  // Both are tried for their length first; then rounds -1, 0 and 1, each beginning with the one that ended the last.
  assert.deepEqual(order, ['subject', 'floor', 'subject', 'floor', 'subject']);
  assert.ok(timing.subject.median > 0 && (timing.floor?.median ?? 0) > 0 && (timing.ratio ?? 0) > 0);
});

test('a subject without a floor has no ratio, and its samples are batches', async () => {
  const { running, batches } = counting();
  const { subject, floor, ratio } = await measure({ operations: 10, running }, null, { rounds: 3, milliseconds: 1 });
  assert.deepEqual([floor, ratio], [null, null]);
  assert.ok(subject.samples >= 9 && subject.samples < batches(), 'at least three a round; the warm-up is not counted');
});

test('a batch that takes time is waited for, and its time is shared among its operations', async () => {
  const batch = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
  const running = { batch, close: () => undefined };
  const { subject } = await measure({ operations: 1000, running }, null, { rounds: 1, milliseconds: 1 });
  assert.ok(subject.median >= 15_000, `20 ms for 1000 operations are 20 us each, not ${subject.median} ns`);
});

test('what a batch throws ends the measurement', async () => {
  for (const batch of [() => assert.fail('at once'), () => Promise.reject(new Error('later'))]) {
    const running = { batch, close: () => undefined };
    await assert.rejects(measure({ operations: 1, running }, null, { rounds: 1, milliseconds: 1 }), /at once|later/);
  }
});

test('a batch of less than a microsecond is refused: it would measure the clock', () => {
  assert.throws(() => checkLength(999), /takes 999 ns, which is too short to be timed/);
  checkLength(1000);
});

test('a target is reached or missed only where there is one, and a figure', () => {
  assert.equal(reached({ atLeast: 2 }, 2), true);
  assert.equal(reached({ atLeast: 2 }, 1.99), false);
  assert.equal(reached({ atMost: 0 }, 0), true);
  assert.equal(reached({ atMost: 2 }, 2.01), false);
  assert.equal(reached(undefined, 1), null);
  assert.equal(reached({ atLeast: 2 }, null), null);
});

test('a time is shown in the unit in which it is short', () => {
  assert.deepEqual(
    [6.4182, 64.182, 641.82, 6418.2, 6.4e6, 6.4e9].map((one) => duration(one)),
    ['6.42 ns', '64.2 ns', '642 ns', '6.42 µs', '6.4 ms', '6.4 s'],
  );
});

test('the environment names the machine, and names it the same twice', () => {
  const { machine, ...first } = environment();
  assert.match(machine, /^[0-9a-f]{16}$/);
  assert.equal(environment().machine, machine);
  assert.deepEqual({ ...first.kernels }, { ...ismio.info().kernels });
  assert.equal(first.node, process.version);
  assert.ok(first.cpu.length > 0 && first.cores > 0 && first.timerResolution > 0);
});

test('the package is found by its folder', async () => {
  assert.match(versionOf(packageRoot), /^\d+\.\d+\.\d+/);
  assert.match(entryOf(packageRoot), /^file:.*\/dist\/ismio\.js$/);
  assert.equal((await loadEngine(packageRoot)).emulate, ismio.emulate);
});

test('the commit is the one checked out, and dirty once a file has changed', (t) => {
  const folder = temporaryFolder(t);
  const commitIn = (where: string) => commitOf(where, assert.fail);
  assert.equal(commitIn(folder), null, 'no checkout');
  const git = (...words: string[]): string => {
    const identity = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost'];
    return execFileSync('git', ['-C', folder, ...identity, ...words], { encoding: 'utf8' }).trim();
  };
  git('init', '--quiet');
  writeFileSync(join(folder, 'file'), 'one');
  git('add', 'file');
  git('commit', '--quiet', '--message', 'one');
  assert.equal(commitIn(folder), git('rev-parse', 'HEAD'));
  writeFileSync(join(folder, 'file'), 'two');
  assert.equal(commitIn(folder), `${git('rev-parse', 'HEAD')}-dirty`);
  const installed = join(folder, 'node_modules', 'ismio');
  mkdirSync(installed, { recursive: true });
  assert.equal(commitIn(installed), null, "the project's commit is not that of a package in it");
});

test('a repository that the environment names, as in a hook, is not the one that is measured', (t) => {
  const [measured, hooked] = [committed(t, 'measured'), committed(t, 'hooked')];
  const inHook = { GIT_DIR: join(hooked.folder, '.git'), GIT_WORK_TREE: hooked.folder, GIT_INDEX_FILE: '/nonexistent' };
  t.after(() => {
    for (const name of Object.keys(inHook)) delete process.env[name];
  });
  Object.assign(process.env, inHook);
  assert.equal(commitOf(measured.folder, assert.fail), measured.commit);
  const plain = temporaryFolder(t);
  assert.equal(commitOf(plain, assert.fail), null);
});

test('a checkout that git does not speak of has no commit, and git is quoted', (t) => {
  const { folder } = committed(t, 'one');
  t.after(() => delete process.env['GIT_TEST_ASSUME_DIFFERENT_OWNER']);
  process.env['GIT_TEST_ASSUME_DIFFERENT_OWNER'] = '1'; // what git's own tests use
  const told: string[] = [];
  assert.equal(
    commitOf(folder, (why) => told.push(why)),
    null,
  );
  assert.match(told.join(), /git says .*dubious ownership[\s\S]*safe\.directory/);
});

/** A repository with one commit. */
function committed(t: TestContext, message: string): { folder: string; commit: string } {
  const folder = temporaryFolder(t);
  const git = (...words: string[]): string =>
    execFileSync('git', ['-C', folder, ...words], { encoding: 'utf8' }).trim();
  git('init', '--quiet');
  const identity = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost'];
  git(...identity, 'commit', '--quiet', '--allow-empty', '--message', message);
  return { folder, commit: git('rev-parse', 'HEAD') };
}

test("without the floors' addon there is a reason, and how to get it", (t) => {
  assert.match(
    String(loadFloors([join(temporaryFolder(t), 'floors.node')])),
    /no floors' addon .* npm run build:native/,
  );
  const broken = join(temporaryFolder(t), 'floors.node');
  writeFileSync(broken, 'no addon');
  assert.match(String(loadFloors([broken])), /floors\.node: ./);
  assert.ok(floorsPaths().length > 1);
});

test('a window is zeros of the size asked for, and is removed with its folder', () => {
  const window = makeWindow(8192);
  const region = ismio.mapFile(window.path);
  assert.equal(region.size, 8192);
  assert.equal(region.load64(8184), 0n);
  region.close();
  assert.equal(window.ordinary.length, 65_536);
  assert.ok(window.ordinary.every((byte) => byte === 0x5a));
  window.remove();
  assert.equal(existsSync(window.path), false);
});

test('every probe gives figures of the package that it is told', async () => {
  for (const probe of probes) {
    const figures = await probe.run(packageRoot, { rounds: 1, share: 0.0001 });
    assert.ok(figures.length > 0 && figures.every(Number.isFinite), `${probe.name}: ${figures}`);
    if (probe.unit === 'operations') assert.equal(Math.max(...figures), 0);
  }
});

test('a probe of a folder without the package fails with what was wrong', async (t) => {
  const folder = temporaryFolder(t);
  for (const probe of probes)
    await assert.rejects(probe.run(folder, { rounds: 1, share: 0.0001 }), /package\.json|ENOENT/);
});

test("the README's table takes the figures that have targets, and nothing else of it changes", () => {
  const before =
    'before\n\n| subject | floor | measured | target |\n|---|---|---|---|\n| old | old | old | old |\n\nafter\n';
  const measured = measuredFrom([1.5]);
  const none = { operations: 1, bytes: 0, issued: null, counters: null, scale: null, stages: null, note: null };
  const floor = { ...measured, title: 'the floor' };
  const results: BenchResult[] = [
    {
      ...none,
      name: 'a/b/c',
      title: 'one',
      unit: 'ns/op',
      measured,
      floor,
      ratio: 5.421,
      target: { atLeast: 8 },
      reached: false,
    },
    {
      ...none,
      name: 'a/b/d',
      title: 'no target',
      unit: 'ns/op',
      measured,
      floor,
      ratio: 2,
      target: null,
      reached: null,
    },
    {
      ...none,
      name: 'a/b/e',
      title: 'two, against it',
      unit: 'ms',
      measured,
      floor: null,
      ratio: null,
      target: { atMost: 2 },
      reached: true,
    },
  ];
  const after = withFigures(before, { results } as unknown as BenchReport);
  const rows = '| one | the floor | 5.42x (missed) | at least 8 |\n| two | it | 1.5 ms | at most 2 |\n';
  assert.equal(after, before.replace('| old | old | old | old |\n', rows));
  assert.throws(() => withFigures('no table', { results } as unknown as BenchReport), { code: 'ERR_ISMIO_RESULTS' });
});
