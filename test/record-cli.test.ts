// ismio record and ismio replay, as programs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { packageRoot } from './support/child.js';
import { temporaryFile, temporaryFolder } from './support/files.js';
import { recorded } from './support/recordings.js';

const main = join(packageRoot, 'dist/src/cli/main.js');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param first the first word, or flags of Node.js */
function ismio(first: string | readonly string[], ...words: readonly string[]): Promise<Ended> {
  const all = typeof first === 'string' ? [main, first, ...words] : [...first, main, ...words];
  const child = spawn(process.execPath, all, { cwd: packageRoot, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = { code: null as number | null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ ...ended, code }));
  });
}

/** A module in the package's own folder of tests, so that it finds 'ismio'. */
function program(test: TestContext, text: string): string[] {
  const path = join(temporaryFolder(test), 'program.mjs');
  const ismioPath = JSON.stringify(join(packageRoot, 'dist/ismio.js'));
  writeFileSync(path, `import { emulate } from ${ismioPath};\n${text}`);
  return [process.execPath, path];
}

test('a program is recorded without knowing, and its exit code is passed on', async (t) => {
  const file = join(temporaryFolder(t), 'program.ismrec');
  const words = program(t, `const region = emulate({ size: 64 }); region.store8(1, 2); process.exit(9);`);
  const { code, stderr } = await ismio('record', '-o', file, '--', ...words);
  assert.equal(code, 9);
  assert.match(stderr, /^ismio: recorded 1 operation on 1 region in .*program\.ismrec\n$/);
  const info = await ismio('replay', file, '--info', '--json');
  assert.deepEqual(JSON.parse(info.stdout).kinds, { 'direct store': 1 });
});

test('a command of ismio can be recorded, through a shell as well, and each process has its file', async (t) => {
  const folder = temporaryFolder(t);
  const line = `'${process.execPath}' '${main}' write emulated:4K 0 --text one; '${process.execPath}' '${main}' store emulated:4K 8 5 --width 4`;
  const { code } = await ismio('record', '-o', join(folder, 'all'), '--no-payload', '--', 'sh', '-c', line);
  assert.equal(code, 0);
  assert.deepEqual(readdirSync(folder).sort(), ['all', 'all.2']);
  const { stdout } = await ismio('replay', join(folder, 'all.2'), '--info');
  assert.match(stdout, /without payload/);
});

test('a program that opens no region leaves no file', async (t) => {
  const file = join(temporaryFolder(t), 'none');
  const { code, stderr } = await ismio('record', '-o', file, '--', process.execPath, '--eval', 'process.exitCode = 3');
  assert.deepEqual([code, stderr], [3, 'ismio: nothing was recorded: the program opened no region\n']);
  assert.equal(existsSync(file), false);
});

test('a program that is not there, or killed, has the exit code that a shell gives', async (t) => {
  const file = join(temporaryFolder(t), 'none');
  assert.equal((await ismio('record', '-o', file, '--', join(file, 'nothing'))).code, 127);
  const killed = await ismio(
    'record',
    '-o',
    file,
    '--',
    process.execPath,
    '--eval',
    "process.kill(process.pid, 'SIGTERM')",
  );
  assert.equal(killed.code, 128 + 15);
});

test('a replay tells what it did, and its bytes', async (t) => {
  const path = await recorded(t, (region) => region.write(1, Uint8Array.of(104, 105)));
  const { code, stdout } = await ismio('replay', path);
  assert.equal(code, 0);
  assert.match(stdout, /replayed 1 operation \(2 bytes/);
  assert.match(stdout, /SHA-256 8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4/); // 'hi'
});

test('a replay goes onto a file, with the rules that were recorded', async (t) => {
  const path = await recorded(t, (region) => region.write(0, new Uint8Array(4096).fill(1)));
  const file = temporaryFile(t, 8192);
  const { stdout } = await ismio('replay', path, '--target', `file:${file}`, '--max-store-block', '128', '--json');
  assert.equal(JSON.parse(stdout).regions[0].storeBlocks, 32);
});

test('a target for a region that the recording does not have is an error, not a replay on something else', async (t) => {
  const path = await recorded(t, (region) => region.store8(0, 1));
  for (const words of [
    ['--target', `file:${temporaryFile(t, 4096)}`, '--region', '7'],
    ['--region', '0'],
  ]) {
    const { code, stdout, stderr } = await ismio('replay', path, ...words);
    assert.deepEqual([code, stdout], [3, '']);
    assert.match(
      stderr,
      /^ismio: ERR_ISMIO_USAGE: (the recording has no region 7, .*--info|--region is for a --target)/,
    );
  }
});

test('the recording itself is no target, by whatever name', async (t) => {
  const path = await recorded(t, (region) => region.store8(0, 1));
  const link = `${path}.link`;
  symlinkSync(path, link);
  const before = readFileSync(path);
  for (const target of [path, link]) {
    const { code, stderr } = await ismio('replay', path, '--target', `file:${target}`);
    assert.equal(code, 3);
    assert.match(stderr, /^ismio: ERR_ISMIO_USAGE: .* is the recording/);
  }
  assert.deepEqual(readFileSync(path), before);
});

test('bytes that are not right are told with their place: exit code 1', async (t) => {
  const path = await recorded(t, (region) => region.store8(77, 5));
  // A region that stores something else than it is told.
  const spoiler = join(temporaryFolder(t), 'spoiler.mjs');
  const region = JSON.stringify(join(packageRoot, 'dist/src/region/region.js'));
  writeFileSync(
    spoiler,
    `import { Region } from ${region};
     const { store8 } = Region.prototype;
     Region.prototype.store8 = function (offset, value) { store8.call(this, offset, value + 1); };`,
  );
  const { code, stdout, stderr } = await ismio(['--import', spoiler], 'replay', path);
  assert.equal(code, 1);
  assert.match(stderr, /^ismio: ERR_ISMIO_MISMATCH: window has 0x6 at offset 0x4d; .* 0x5\n$/);
  assert.match(stdout, /replayed 1 operation/);
  const unseen = await ismio(['--import', spoiler], 'replay', path, '--no-verify');
  assert.deepEqual([unseen.code, unseen.stderr], [0, '']);
});

test('what a program loads is recorded when it is asked for, in its Workers as well, and compared by a replay', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'loads.ismrec');
  const words = program(
    t,
    `import { isMainThread, Worker } from 'node:worker_threads';
     const region = emulate({ size: 64 });
     region.load8(7);
     const queue = region.queue();
     queue.load(4, new Uint8Array(8));
     queue.submit();
     if (isMainThread) new Worker(new URL(import.meta.url), { env: {} });`,
  );
  const { code, stderr } = await ismio('record', '--loads', '-o', file, '--', ...words);
  assert.equal(code, 0, stderr);
  for (const one of [file, `${file}.2`]) {
    const { stdout } = await ismio('replay', one, '--info');
    assert.match(stdout, /with payload, and what was loaded/);
    const same = await ismio('replay', one, '--verify-loads');
    assert.match(same.stdout, /compared 9 loaded bytes with those that were recorded\n/);
    assert.deepEqual([same.code, same.stderr], [0, '']);
  }
  const target = `file:${temporaryFile(t, new Uint8Array(64).fill(3))}`;
  const other = await ismio('replay', file, '--verify-loads', '--target', target, '--json');
  assert.match(
    other.stderr,
    /^ismio: ERR_ISMIO_MISMATCH: a load from .* gave 0x3 at offset 0x7; when it was recorded it gave 0x0\n$/,
  );
  assert.equal(other.code, 1);
  assert.deepEqual(JSON.parse(other.stdout).regions[0].recalled, { bytes: 9, unknown: 0 });
});

test('loads that were not recorded are not compared, and are not recorded without payload: both are told', async (t) => {
  const path = await recorded(t, (region) => void region.load8(7));
  const replayed = await ismio('replay', path, '--verify-loads');
  assert.equal(replayed.code, 3);
  assert.match(replayed.stderr, /^ismio: ERR_ISMIO_OPTION: .* does not have what was loaded.*ismio record --loads/);
  const words = [process.execPath, '--eval', ''];
  const refused = await ismio('record', '--loads', '--no-payload', '-o', path, '--', ...words);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /^ismio: ERR_ISMIO_USAGE: .*'--loads' cannot be used with option '--no-payload'/);
});

test('a store block that the rules do not allow cannot be replayed', async (t) => {
  const path = await recorded(t, (region) => region.storeBlock(0, new Uint8Array(64)));
  const { code, stderr } = await ismio('replay', path, '--max-store-block', '32');
  assert.equal(code, 3);
  assert.match(stderr, /ERR_ISMIO_RULE/);
});

test('what cannot be replayed is one line, and exit code 3', async (t) => {
  const cut = await recorded(t, (region) => region.store8(0, 1));
  truncateSync(cut, 100);
  for (const words of [
    ['replay', cut],
    ['replay', join(cut, 'nothing')],
    ['replay', cut, '--pace', 'slow'],
    ['replay'],
    ['replay', cut, '--target', 'file:/not/there'],
    ['replay', cut, '--kind', 'memory'],
  ]) {
    const { code, stdout, stderr } = await ismio(words[0] as string, ...words.slice(1));
    assert.equal(code, 3, words.join(' '));
    assert.match(stderr, /^ismio: ERR_ISMIO_[A-Z_]+: [^\n]+\n$/);
    assert.equal(stdout, '');
  }
});
