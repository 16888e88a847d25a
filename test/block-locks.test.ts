// The lock of a disk's file: who may have it beside whom, also where the other is QEMU, and that it goes with its owner.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { native } from '../src/addon/binding.js';
import { openFileDisk } from '../src/block/file-disk.js';
import { lockFile } from '../src/block/file-lock.js';
import { IsmioError } from '../src/support/errors.js';
import { ismio, startIsmio } from './support/command.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { missing } from './support/terminal.js';

const size = 65_536;

function file(t: TestContext): string {
  const path = join(temporaryFolder(t), 'disk');
  writeFileSync(path, Buffer.alloc(size, 5));
  return path;
}

/** Serves it, and is killed when the test is over. */
async function serving(t: TestContext, path: string, ...words: string[]) {
  const child = startIsmio(['block', 'nbd', path, '--socket', `${path}.sock`, '--json', ...words]);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

/** qemu-nbd, which returns when it serves, and goes on by itself until the test is over. */
function qemuServing(t: TestContext, path: string, ...words: string[]): void {
  const pidFile = `${path}.pid`;
  const all = ['--fork', '--pid-file', pidFile, '-f', 'raw', '-t', '-k', `${path}.qemu`, ...words, path];
  const { status, stderr } = spawnSync('qemu-nbd', all, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  assert.equal(status, 0, stderr);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  t.after(() => process.kill(pid, 'SIGKILL'));
}

/** What qemu-io says, which has the file for as long as its command takes. */
function qemuIo(path: string, command: string, ...words: string[]): string {
  return spawnSync('qemu-io', ['-f', 'raw', ...words, '-c', command, path], { encoding: 'utf8' }).stderr;
}

test('readers have a file together; a writer has it alone, and nobody reads beside it', async (t) => {
  const path = file(t);
  const one = await openFileDisk(path, { readOnly: true });
  const other = await openFileDisk(path, { readOnly: true });
  assert.deepEqual([one.locked, other.locked], [true, true]);
  await rejectsCode(openFileDisk(path), IsmioError, 'ERR_ISMIO_IN_USE', { path, errno: 'EAGAIN' });
  await one.close();
  await rejectsCode(openFileDisk(path), IsmioError, 'ERR_ISMIO_IN_USE', { path });
  await other.close();
  const writer = await openFileDisk(path);
  assert.equal(writer.locked, true);
  await assert.rejects(
    openFileDisk(path),
    /disk is open in another program or disk, .*: end that, or write by the server/,
  );
  await assert.rejects(
    openFileDisk(path, { readOnly: true }),
    /being written by another .*: end that, or read by the server/,
  );
  await writer.write(0, Buffer.from('still its own'));
  await writer.close();
  await (await openFileDisk(path)).close();
});

test('of writers that open a file at a time no two get it', async (t) => {
  const path = file(t);
  for (let round = 0; round < 20; round++) {
    const all = await Promise.allSettled(Array.from({ length: 4 }, () => openFileDisk(path)));
    const opened = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.ok(opened.length <= 1, `${opened.length} writers`);
    await Promise.all(opened.map((disk) => disk.close()));
  }
});

test('a file that another process serves is served by nobody else, nor copied, nor overwritten; a kill leaves no lock', async (t) => {
  const path = file(t);
  const child = await serving(t, path);
  // Where there is no folder for a socket: a command that got the file would end there.
  const nbd = ['nbd', path, '--socket', `${path}.none/2.sock`];
  for (const words of [
    nbd,
    [...nbd, '--read-only'],
    [...nbd, '--snapshot'],
    ['copy', path, `${path}.copy`],
    ['bench', path],
  ]) {
    const { code, stderr } = await ismio(['block', ...words]);
    assert.match(stderr, /^ismio: ERR_ISMIO_IN_USE: .*disk is .* end that/, words.join(' '));
    assert.equal(code, 1, words.join(' '));
  }
  const from = `${path}.from`;
  writeFileSync(from, Buffer.alloc(10));
  const copied = await ismio(['block', 'copy', from, path, '--force']);
  assert.match(copied.stderr, /ERR_ISMIO_IN_USE/);
  assert.ok(readFileSync(path).equals(Buffer.alloc(size, 5)));
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await openFileDisk(path)).close();
});

test('the base of snapshots is shared by them, and written by nobody', async (t) => {
  const path = file(t);
  await serving(t, path, '--snapshot');
  await (await openFileDisk(path, { readOnly: true })).close();
  await rejectsCode(openFileDisk(path), IsmioError, 'ERR_ISMIO_IN_USE', { path });
});

test('QEMU neither writes what is written or read here, nor is its file written here', {
  skip: missing('qemu-nbd', 'qemu-io'),
}, async (t) => {
  const path = file(t);
  const reader = await openFileDisk(path, { readOnly: true });
  assert.match(qemuIo(path, 'write 0 512'), /Failed to get "write" lock/);
  assert.equal(qemuIo(path, 'read 0 512', '-r'), '');
  await reader.close();
  const writer = await openFileDisk(path);
  assert.match(qemuIo(path, 'write 0 512'), /Failed to get "write" lock/);
  const words = ['-f', 'raw', '-k', `${path}.qemu`, path];
  assert.match(spawnSync('qemu-nbd', words, { encoding: 'utf8' }).stderr, /Failed to get "write" lock/);
  await writer.close();
  assert.equal(qemuIo(path, 'write 0 512'), '');
  qemuServing(t, path);
  await rejectsCode(openFileDisk(path), IsmioError, 'ERR_ISMIO_IN_USE', { path });
  await rejectsCode(openFileDisk(path, { readOnly: true }), IsmioError, 'ERR_ISMIO_IN_USE', { path });
});

test('a file that QEMU only reads is read here as well', {
  skip: missing('qemu-nbd'),
}, async (t) => {
  const path = file(t);
  qemuServing(t, path, '-r');
  await (await openFileDisk(path, { readOnly: true })).close();
});

/** In place of the kernel's answer to one of the two calls. */
function answering(t: TestContext, call: 'lockShared' | 'testLock', errno: number): void {
  const own = native.space[call];
  native.space[call] = (_file, _offset, _length, done) => setImmediate(() => done(null, errno));
  t.after(() => {
    native.space[call] = own;
  });
}

const [EIO, EAGAIN, ENOLCK, EOPNOTSUPP] = [5, 11, 37, 95];

for (const [call, errno] of [
  ['lockShared', ENOLCK],
  ['lockShared', EOPNOTSUPP],
  ['testLock', ENOLCK],
] as const) {
  test(`where ${call} is answered by errno ${errno}, a file has no lock, which is no failure`, async (t) => {
    answering(t, call, errno);
    assert.equal(await lockFile({ fd: 0, path: 'x', writes: true }), false);
  });
}

test('a lock that another has for itself alone is in use, and what else goes wrong is told by its errno', async (t) => {
  answering(t, 'lockShared', EAGAIN);
  await rejectsCode(lockFile({ fd: 0, path: 'x', writes: false }), IsmioError, 'ERR_ISMIO_IN_USE', { path: 'x' });
  answering(t, 'lockShared', EIO);
  await rejectsCode(lockFile({ fd: 0, path: 'x', writes: false }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EIO' });
});

test('a file that a copy overwrites is locked when it is emptied', async (t) => {
  const target = file(t);
  const source = file(t);
  const hook = join(temporaryFolder(t), 'hook.mjs');
  const opening = `import { openFileDisk } from 'ismio/block'; await openFileDisk(${JSON.stringify(target)});`;
  writeFileSync(
    hook,
    `import { spawnSync } from 'node:child_process';
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { openSync } = fs;
    fs.openSync = (path, flags, ...rest) => {
      if (path === ${JSON.stringify(target)} && flags === 'w') {
        const words = ['--input-type=module', '--eval', ${JSON.stringify(opening)}];
        const { stderr } = spawnSync(process.execPath, words, { env: { ...process.env, NODE_OPTIONS: '' }, encoding: 'utf8' });
        console.log('another:', /ERR_\\w+/.exec(stderr)?.[0]);
      }
      return openSync(path, flags, ...rest);
    };
    syncBuiltinESMExports();`,
  );
  for (const [length, words] of [
    [size, []],
    [size + 1, ['--o-direct']],
  ] as const) {
    truncateSync(target, length);
    const env = { NODE_OPTIONS: `--import=${hook}` };
    const { code, stdout, stderr } = await ismio(['block', 'copy', source, target, '--force', ...words], { env });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^another: ERR_ISMIO_IN_USE\n/, words.join());
  }
});
