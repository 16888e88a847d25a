// What a comparison builds from a git ref: kept for the next one, and whole without what made it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { prepareSide } from '../bench/compare/sides.js';
import { said } from './support/child.js';
import { startIsmio } from './support/command.js';
import { temporaryFolder } from './support/files.js';

const hasGit = (() => {
  try {
    execFileSync('git', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
const git = { skip: hasGit ? false : 'git is not installed' };

const lock = JSON.stringify({ name: 'ismio', lockfileVersion: 3, packages: {} });

/** package.json of a package that needs something to be built. */
function manifestWith(tool: string): string {
  return JSON.stringify({ name: 'ismio', version: '0.0.1', devDependencies: { [tool]: '1.0.0' } });
}

/** A repository of a package that is called ismio, with its dependencies installed. */
function repository(t: TestContext): string {
  const folder = temporaryFolder(t);
  const inIt = (...words: string[]) => execFileSync('git', ['-C', folder, ...words], { stdio: 'ignore' });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'ismio', version: '0.0.1' }));
  writeFileSync(join(folder, 'package-lock.json'), lock);
  inIt('init');
  inIt('add', '.');
  inIt('-c', 'user.name=test', '-c', 'user.email=test@localhost', 'commit', '-m', 'one');
  mkdirSync(join(folder, 'node_modules', 'piscina'), { recursive: true });
  return folder;
}

/** Puts a program in the place of npm, as long as the test lasts; what `XDG_CACHE_HOME` names goes with it. */
function standInForNpm(t: TestContext, script: string): { PATH: string; XDG_CACHE_HOME: string } {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'npm'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'npm'), 0o755);
  return { PATH: `${folder}:${process.env['PATH']}`, XDG_CACHE_HOME: join(folder, 'cache') };
}

/** What `npm run build` and `npm ci` leave behind. */
const quickNpm = `case $1 in
  run) mkdir -p dist build/Release && touch dist/ismio.js build/Release/ismio.node ;;
  ci) mkdir -p node_modules/piscina && touch node_modules/.package-lock.json ;;
esac`;

/** Prepares HEAD of the repository, as a command that is started there does. */
async function prepareIn(repository: string, scratch: string, said: string[] = []) {
  const before = process.cwd();
  process.chdir(repository);
  try {
    return await prepareSide('HEAD', scratch, (what) => void said.push(what));
  } finally {
    process.chdir(before);
  }
}

test('a kept build needs no clone but the one that asks', git, async (t) => {
  const before = { ...process.env };
  t.after(() => Object.assign(process.env, before));
  Object.assign(process.env, standInForNpm(t, quickNpm));
  const scratch = temporaryFolder(t);
  const first = repository(t);
  const second = temporaryFolder(t);
  cpSync(first, second, { recursive: true });

  const { folder, nodeModules } = await prepareIn(first, scratch);
  assert.equal(nodeModules, join(first, 'node_modules'));
  assert.ok(!existsSync(join(folder, 'node_modules')));

  rmSync(first, { recursive: true });
  const steps: string[] = [];
  const again = await prepareIn(second, scratch, steps);
  assert.deepEqual([again.folder, again.nodeModules, steps], [folder, join(second, 'node_modules'), []]);

  writeFileSync(join(second, 'package-lock.json'), `${lock}\n`);
  const own = await prepareIn(second, scratch, steps);
  assert.equal(own.nodeModules, join(folder, 'node_modules'), 'where the clone has other dependencies, it has its own');
  assert.equal(steps.length, 1);
  assert.match(steps[0] as string, /npm ci --omit=dev/);
  await prepareIn(second, scratch, steps);
  assert.equal(steps.length, 1, 'they are installed once');
});

/** Whether it still runs: what ended and was not waited for has no command line any more. */
function runs(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
  } catch {
    return false;
  }
}

test('a build that is interrupted leaves neither its folder nor its processes behind', git, async (t) => {
  const marker = join(temporaryFolder(t), 'pid');
  const env = standInForNpm(t, `sleep 100 & echo $! > ${marker}.new; mv ${marker}.new ${marker}; wait`);
  const child = startIsmio(['compare', 'HEAD', '.', '--quick'], { cwd: repository(t), env });
  const ended = said(child);
  while (!existsSync(marker) && child.exitCode === null) await sleep(20);
  const builder = readFileSync(marker, 'utf8').trim();
  assert.ok(runs(builder));
  child.kill('SIGTERM');
  assert.equal((await ended).code, 143);
  assert.deepEqual(readdirSync(join(env.XDG_CACHE_HOME, 'ismio', 'builds')), []);
  for (let turn = 0; turn < 100 && runs(builder); turn++) await sleep(10);
  assert.ok(!runs(builder));
});

test('a build takes what npm leaves out where NODE_ENV is production', git, async (t) => {
  const before = { ...process.env };
  t.after(() => Object.assign(process.env, before));
  const words = join(temporaryFolder(t), 'words');
  Object.assign(process.env, standInForNpm(t, `echo "$@" >> ${words}; ${quickNpm}`));
  const cwd = repository(t);
  writeFileSync(join(cwd, 'package.json'), manifestWith('a-compiler'));
  execFileSync('git', ['-C', cwd, '-c', 'user.name=test', '-c', 'user.email=test@localhost', 'commit', '-qam', 'two']);
  await prepareIn(cwd, temporaryFolder(t));
  assert.match(
    readFileSync(words, 'utf8'),
    /^ci --include=dev --include=optional .*\nrun build\n/,
    'half of it is installed',
  );
});

test('a build that is started in a hook sees nothing of the repository that the hook is of', git, async (t) => {
  const before = { ...process.env };
  t.after(() => {
    delete process.env['GIT_DIR'];
    Object.assign(process.env, before);
  });
  const seen = join(temporaryFolder(t), 'seen');
  Object.assign(process.env, standInForNpm(t, `echo "[$GIT_DIR]" > ${seen}; ${quickNpm}`));
  const cwd = repository(t);
  const head = execFileSync('git', ['-C', cwd, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  process.env['GIT_DIR'] = join(repository(t), '.git', 'elsewhere');
  const { commit } = await prepareIn(cwd, temporaryFolder(t));
  assert.equal(commit, head);
  assert.equal(readFileSync(seen, 'utf8'), '[]\n');
});
