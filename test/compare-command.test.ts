// ismio compare as its users meet it. How sure its verdicts are is shown by bench/checks, not here.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { CompareReport } from '../bench/results.js';
import { packageRoot } from './support/child.js';
import { ismio, ismioUnread, type Said } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { undescribed } from './support/schema.js';
import { ownSuite } from './support/suite.js';

function oneLine({ code, stderr }: Said, expected: RegExp): void {
  const complaints = stderr.split('\n').filter((line) => line.startsWith('ismio: '));
  assert.equal(complaints.length, 1, stderr);
  assert.match(complaints[0] as string, expected);
  assert.equal(code, 3);
}

/** A git repository with a package in it that is called ismio, and has this script to build it. */
function repository(t: TestContext, build: string): string {
  const folder = temporaryFolder(t);
  const manifest = { name: 'ismio', version: '0.0.1', scripts: { build } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const git = (...words: string[]) => execFileSync('git', ['-C', folder, ...words], { stdio: 'ignore' });
  git('init');
  git('add', '.');
  git('-c', 'user.name=test', '-c', 'user.email=test@localhost', 'commit', '-m', 'one');
  return folder;
}

/** A folder with a built package, which is this one but for what `change` does to its bundle. */
function build(t: TestContext, change?: (bundle: string) => string): string {
  const folder = temporaryFolder(t);
  cpSync(join(packageRoot, 'package.json'), join(folder, 'package.json'));
  const filter = (path: string) => !/\/dist\/(test|types)$|\.map$|\.d\.ts$/.test(path); // what nothing of it runs
  cpSync(join(packageRoot, 'dist'), join(folder, 'dist'), { recursive: true, filter });
  for (const part of ['build/Release/ismio.node', 'prebuilds']) {
    if (existsSync(join(packageRoot, part))) cpSync(join(packageRoot, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
  const bundle = join(folder, 'dist', 'ismio.cjs');
  if (change !== undefined) {
    const before = readFileSync(bundle, 'utf8');
    writeFileSync(bundle, change(before));
    assert.notEqual(readFileSync(bundle, 'utf8'), before, 'what it was to be patched at is there');
  }
  return folder;
}

const hasGit = (() => {
  try {
    execFileSync('git', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
const git = { skip: hasGit ? false : 'git is not installed' };

describe('what cannot be compared ends with 3 and one line', () => {
  test("a repository that git does not trust is told in git's words, with its advice", git, async (t) => {
    const cwd = repository(t, 'true');
    const said = await ismio(['compare', 'HEAD', '.', '--quick'], {
      cwd,
      env: { GIT_TEST_ASSUME_DIFFERENT_OWNER: '1' },
    });
    oneLine(said, /ERR_ISMIO_BASELINE: HEAD is no .* git says: fatal: detected dubious ownership .* safe\.directory/);
  });

  test('a commit that a shallow clone lacks is told with what gets it', git, async (t) => {
    const whole = repository(t, 'true');
    const shallow = join(temporaryFolder(t), 'clone');
    execFileSync('git', ['clone', '--quiet', '--depth', '1', `file://${whole}`, shallow]);
    oneLine(await ismio(['compare', 'HEAD~1', '.', '--quick'], { cwd: shallow }), /git says: fatal: .* --unshallow/);
  });

  test('a measured process that dies is told by the error it died of', async (t) => {
    const dying = build(
      t,
      (bundle) => `${bundle}\nglobalThis.setTimeout(() => { throw new Error('the real reason'); }, 50);\n`,
    );
    const words = ['compare', packageRoot, dying, '--quick', '--filter', '^drain', '--no-instructions'];
    oneLine(await ismio(words), /ERR_ISMIO_BENCH: \S+ could not be measured: Error: the real reason/);
  });

  test('an unknown ref', git, async () => {
    oneLine(await ismio(['compare', 'no-such-ref', '.', '--quick']), /ERR_ISMIO_BASELINE: no-such-ref is no directory/);
  });

  test('a ref that looks like an option', git, async () => {
    oneLine(await ismio(['compare', '--', '--output=x', '.']), /ERR_ISMIO_BASELINE: --output=x is no directory/);
  });

  test('a base that does not build', git, async (t) => {
    const cwd = repository(t, 'echo "error: it is broken" >&2; exit 7');
    const env = { XDG_CACHE_HOME: temporaryFolder(t) };
    oneLine(await ismio(['compare', 'HEAD', '.'], { cwd, env }), /HEAD does not build: .*run build.* ended with 7: /);
    assert.equal(existsSync(join(env.XDG_CACHE_HOME, 'ismio', 'builds', 'kept')), false);
  });

  test('an empty word, which a variable that is not set leaves', async () => {
    oneLine(await ismio(['compare', '', '.']), /ERR_ISMIO_BASELINE: an empty word names nothing to compare/);
  });

  test('a cache folder that cannot be made', git, async (t) => {
    const said = await ismio(['compare', 'HEAD', '.'], {
      cwd: repository(t, 'exit 0'),
      env: { XDG_CACHE_HOME: '/proc/none' },
    });
    oneLine(said, /ERR_ISMIO_WRITE_FILE: cannot write \/proc\/none\/ismio\/builds: E[A-Z]+; .*XDG_CACHE_HOME/);
  });

  test('a temporary folder that cannot be made', async () => {
    const said = await ismio(['compare', '.', '.'], { env: { TMPDIR: join(packageRoot, 'package.json') } });
    oneLine(said, /ERR_ISMIO_WRITE_FILE: .*ENOTDIR; .*TMPDIR/);
  });

  test('a directory with another package', async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'package.json'), '{"name":"other","version":"1.0.0"}');
    oneLine(await ismio(['compare', folder, '.']), /has no package ismio in it: package.json is that of other/);
  });

  test('an empty directory', async (t) => {
    oneLine(await ismio(['compare', temporaryFolder(t), '.']), /has no package ismio in it/);
  });

  test('a file that is no tarball', async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'results.json'), '{}');
    writeFileSync(join(folder, 'torn.tgz'), 'not a tarball');
    oneLine(await ismio(['compare', join(folder, 'results.json'), '.']), /is a file, but no tarball/);
    oneLine(await ismio(['compare', join(folder, 'torn.tgz'), '.']), /is no tarball that can be unpacked/);
  });

  test('a filter that nothing matches', async () => {
    oneLine(await ismio(['compare', '.', '.', '--filter', 'no/such']), /ERR_ISMIO_USAGE: no benchmark .* matches/);
  });

  test('a result file that could not be written, before anything is measured', async () => {
    oneLine(await ismio(['compare', '.', '.', '--json', '/proc/none/results.json']), /ERR_ISMIO_WRITE_FILE/);
  });

  for (const words of [
    ['--delta', '2'],
    ['--level', '0'],
    ['--processes', '5'],
    ['--seed', '-1'],
    ['--seed', ''],
    ['--unknown'],
  ]) {
    test(`the option ${words.join(' ')}`, async () => {
      oneLine(await ismio(['compare', '.', '.', ...words]), /ERR_ISMIO_USAGE/);
    });
  }

  test('a benchmark that throws with head', async (t) => {
    const head = build(t, (bundle) => `${bundle}\nRegion.prototype.store64 = undefined;`);
    const said = await ismio([
      'compare',
      '.',
      head,
      '--quick',
      '--filter',
      'access/store64',
      '--no-instructions',
      '--no-times',
    ]);
    oneLine(said, /ERR_ISMIO_BENCH: access\/store64\/device fails with head: .*store64 is not a function/);
  });
});

describe('a comparison of one benchmark', () => {
  test("that a module brings is one of both builds, and of nothing of the package's own", async (t) => {
    const suite = join(temporaryFolder(t), 'suite.mjs');
    writeFileSync(suite, ownSuite);
    const twice = build(t);
    const words = ['compare', packageRoot, twice, '--suite', suite, '--processes', '6', '--no-instructions', '--json'];
    const { code, stdout, stderr } = await ismio(words);
    assert.ok(code === 0 || code === 2, stderr);
    const { times, counters } = JSON.parse(stdout) as CompareReport;
    assert.deepEqual([...new Set([...times, ...counters].map(({ name }) => name))], ['mine/store/plain']);
    assert.ok(counters.every(({ verdict }) => verdict === 'pass') && counters.length > 0);
  });

  const few = ['--processes', '6', '--no-instructions'];
  const exact = ['--no-times', '--no-instructions'];

  test('that is start-up runs, and prints nothing but JSON where no file is named', async () => {
    const said = await ismio(['compare', '.', '.', ...few, '--filter', '^process/import$', '--json']);
    assert.ok(said.code === 0 || said.code === 2, said.stderr);
    const { times, exitCode } = JSON.parse(said.stdout) as CompareReport;
    assert.deepEqual([times.map(({ name }) => name), exitCode], [['process/import'], said.code]);
  });

  test('that cannot run on this machine says so, and is no pass', async (t) => {
    const none = (bundle: string) =>
      bundle.replace('kernels:native.kernels()', 'kernels:{...native.kernels(),burst:null}');
    const folder = build(t, none);
    const said = await ismio(['compare', folder, folder, ...exact, '--filter', '^access/block-4KiB/burst$']);
    oneLine(said, /ERR_ISMIO_BENCH: no benchmark could be compared: .*burst: this CPU has no 64-byte bursts/);
  });

  test('of whose wall time nothing is wanted passes by what is exact, and says what was left out', async () => {
    const { code, stdout } = await ismio(['compare', '.', '.', ...exact, '--filter', '^queue/writes-64B/staged$']);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^counters: 7 compared, 0 changed$/m);
    assert.match(stdout, /^skipped times: switched off$/m);
    assert.match(stdout, /^pass in \d+ s$/m);
    assert.doesNotMatch(stdout, /Ratios are head over base/);
  });

  test('of which neither time nor counters are wanted, or there, is no pass', async () => {
    oneLine(
      await ismio(['compare', '.', '.', ...exact, '--filter', '^process/import$']),
      /no benchmark could be compared/,
    );
  });
});

describe('a comparison', () => {
  const words = [
    '--filter',
    '^queue/writes-64B/staged$',
    '--quick',
    '--processes',
    '6',
    '--no-instructions',
    '--seed',
    '1',
  ];

  test('of a build with itself finds every counter the same, and says how it went', async (t) => {
    const json = join(temporaryFolder(t), 'results.json');
    const { code, stdout } = await ismio(['compare', '.', '.', ...words, '--json', json]);
    assert.ok(code === 0 || code === 2, stdout);
    const report = JSON.parse(readFileSync(json, 'utf8')) as CompareReport;
    assert.deepEqual(undescribed(report, 'ismio-compare-1.json'), []);
    assert.equal(report.seed, 1);
    assert.equal(report.exitCode, code);
    assert.equal(report.counters.length, 7);
    assert.ok(report.counters.every(({ verdict }) => verdict === 'pass'));
    const [time] = report.times;
    assert.equal(time?.name, 'queue/writes-64B/staged');
    assert.equal(time?.rounds[0]?.head.processes.length, 6);
    assert.ok(time.overall.low <= time.overall.ratio && time.overall.ratio <= time.overall.high);
    assert.match(stdout, /queue\/writes-64B\/staged/);
    assert.deepEqual(report.skipped, [{ name: 'instructions', reason: 'switched off' }]);
  });

  test('with a head that makes one copy more is regressed by the counters alone', async (t) => {
    // Every write goes by way of the staging memory, as if allocBuffer had made none of the buffers.
    const head = build(t, (bundle) => bundle.replace('let id=memoryId(buffer)', 'let id=void 0'));
    const json = join(temporaryFolder(t), 'results.json');
    const filter = '^queue/blocks-4KiB/memory$';
    const { code, stdout } = await ismio([
      'compare',
      '.',
      head,
      ...words,
      '--no-times',
      '--filter',
      filter,
      '--json',
      json,
    ]);
    assert.equal(code, 1, stdout);
    const { counters } = JSON.parse(readFileSync(json, 'utf8')) as CompareReport;
    const changed = counters
      .filter(({ verdict }) => verdict !== 'pass')
      .map(({ counter, verdict }) => `${counter} ${verdict}`);
    assert.deepEqual(changed, ['copies regressed']);
    assert.match(stdout, /REGRESSED queue\/blocks-4KiB\/memory: copies 0 -> \d+/);
  });

  test('with a head that stores every block twice is regressed: both sides run as many batches', async (t) => {
    const twice = `
      const stored = Region.prototype.storeBlock;
      Region.prototype.storeBlock = function (...all) { stored.apply(this, all); return stored.apply(this, all); };`;
    const head = build(t, (bundle) => bundle + twice);
    const filter = '^access/block-4KiB/emulated$';
    const json = join(temporaryFolder(t), 'results.json');
    // Nobody reads the table: the exit code and the file are none the worse for it.
    const { code, stderr } = await ismioUnread([
      'compare',
      '.',
      head,
      ...words,
      '--no-times',
      '--filter',
      filter,
      '--json',
      json,
    ]);
    assert.equal(code, 1, stderr);
    const { counters } = JSON.parse(readFileSync(json, 'utf8')) as CompareReport;
    const changed = counters.find(({ counter }) => counter === 'storeBlocks');
    assert.deepEqual([changed?.head, changed?.verdict], [2 * (changed?.base ?? 0), 'regressed']);
  });
});
