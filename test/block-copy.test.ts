// Copies of disks, by the library and by the command: bytes, holes, and what happens where something fails on the way.
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import { type BlockDevice, copyDisk, memoryDisk } from 'ismio/block';
import { packageRoot, said } from './support/child.js';
import { ismio, startIsmio } from './support/command.js';
import { until } from './support/console-line.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

const mebibyte = 2 ** 20;
const noTerminal = await import('@lydell/node-pty').then(
  () => false,
  (error: Error) => `no pseudo-terminals here: ${error.message}`,
);

/** 20 MiB and an odd end, of which two stretches are data. */
function image(path: string): Buffer {
  const bytes = Buffer.alloc(20 * mebibyte + 77);
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes.length);
  for (const [offset, length] of [
    [3 * mebibyte + 4096, 2 * mebibyte + 5],
    [bytes.length - 70, 70],
  ] as const) {
    bytes.fill(0x5c, offset, offset + length);
    writeSync(file, bytes, offset, length, offset);
  }
  closeSync(file);
  return bytes;
}

async function contents(disk: BlockDevice): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size);
  await disk.read(0, bytes);
  return bytes;
}

test('data is copied, zeros are made zeros, and what lies behind the end of the source stays', async () => {
  const [source, target] = [memoryDisk({ size: 5 * mebibyte + 3 }), memoryDisk({ size: 6 * mebibyte })];
  source.write(100, Buffer.alloc(70_000, 1));
  source.write(4 * mebibyte, Buffer.alloc(mebibyte + 3, 2));
  target.write(0, Buffer.alloc(target.size, 9));
  const told: number[] = [];
  const result = await copyDisk(source, target, { progress: (done) => told.push(done) });
  const copied = await contents(target);
  assert.ok(copied.subarray(0, source.size).equals(await contents(source)));
  assert.ok(copied.subarray(source.size).every((byte) => byte === 9));
  assert.equal(result.size, source.size);
  assert.equal(result.data + result.zeros, source.size);
  assert.ok(result.data < 2 * mebibyte, `${result.data}`);
  assert.equal(told.at(-1), source.size);
  assert.deepEqual(
    told,
    [...told].sort((one, other) => one - other),
  );
});

test('a target that is zero is not written where the source has holes: a TiB of them costs nothing', async () => {
  const [source, target] = [memoryDisk({ size: 2 ** 40 }), memoryDisk({ size: 2 ** 40 })];
  source.write(2 ** 39 + 1, Buffer.from('there'));
  await copyDisk(source, target, { targetIsZero: true });
  const there = Buffer.alloc(5);
  target.read(2 ** 39 + 1, there);
  assert.equal(there.toString(), 'there');
  assert.ok(target.allocated <= 65_536);
});

/** In memory, with another answer to some calls. */
function disk(size: number, own: Partial<BlockDevice>): BlockDevice {
  const memory = memoryDisk({ size });
  return {
    ...{ name: 'own', size, readOnly: false, blockSize: memory.blockSize, features: memory.features },
    read: (offset, target) => memory.read(offset, target),
    write: (offset, source) => memory.write(offset, source),
    flush: () => memory.flush(),
    trim: (offset, length) => memory.trim(offset, length),
    zero: (offset, length) => memory.zero(offset, length),
    cache: () => undefined,
    extents: (offset, length, most) => memory.extents(offset, length, most),
    close: () => memory.close(),
    ...own,
  };
}

const plain = { trim: false, zero: false, fastZero: false, extents: false, cache: false };

test('disks that know neither holes nor zeros are copied as well', async () => {
  const source = disk(3 * mebibyte, { features: plain });
  await source.write(5, Buffer.alloc(2 * mebibyte, 3));
  const target = disk(3 * mebibyte, { features: plain });
  await target.write(0, Buffer.alloc(3 * mebibyte, 7));
  await copyDisk(source, target);
  assert.ok((await contents(target)).equals(await contents(source)));
  const holes = memoryDisk({ size: 3 * mebibyte });
  await copyDisk(holes, target);
  assert.ok((await contents(target)).every((byte) => byte === 0));
});

test('what fails on either side is told, once nothing is in flight any more', async () => {
  let inFlight = 0;
  let written = 0;
  const write = async () => {
    inFlight++;
    await new Promise((resolve) => setTimeout(resolve, 2));
    inFlight--;
    if (++written === 5) throw Object.assign(new Error('the medium'), { code: 'ENOSPC' });
  };
  const source = disk(20 * mebibyte, { features: plain });
  await assert.rejects(copyDisk(source, disk(20 * mebibyte, { write })), { code: 'ENOSPC' });
  assert.equal(inFlight, 0);
  assert.ok(written < 12, `${written}`);
  const read = () => Promise.reject(Object.assign(new Error('the medium'), { code: 'EIO' }));
  await assert.rejects(copyDisk(disk(mebibyte, { read, features: plain }), memoryDisk({ size: mebibyte })), {
    code: 'EIO',
  });
  await rejectsCode(copyDisk(disk(5, { extents: () => [] }), memoryDisk({ size: 5 })), IsmioError, 'ERR_ISMIO_DISK');
  const flush = () => Promise.reject(Object.assign(new Error('the medium'), { code: 'EIO' }));
  await assert.rejects(copyDisk(memoryDisk({ size: 5 }), disk(5, { flush })), { code: 'EIO' });
});

test('a copy that is aborted ends with its reason, and one into a smaller disk does not begin', async () => {
  const ending = new AbortController();
  const source = disk(20 * mebibyte, { features: plain });
  const aborted = copyDisk(source, memoryDisk({ size: source.size }), {
    signal: ending.signal,
    progress: () => ending.abort(new Error('enough')),
  });
  const error = await rejectsCode(aborted, IsmioError, 'ERR_ISMIO_ABORTED');
  assert.equal((error.cause as Error).message, 'enough');
  await rejectsCode(copyDisk(source, memoryDisk({ size: 5 })), RangeError, 'ERR_ISMIO_OPTION', { size: source.size });
});

test('ismio block copy makes a file with the holes of the source, and overwrites with --force alone', async (t) => {
  const folder = temporaryFolder(t);
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  const bytes = image(from);
  const { code, stdout, stderr } = await ismio(['block', 'copy', from, to, '--json']);
  assert.equal(code, 0, stderr);
  const { data, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, { source: from, target: to, size: bytes.length, zeros: bytes.length - data });
  assert.ok(data < 3 * mebibyte, `${data}`);
  assert.ok(readFileSync(to).equals(bytes));
  assert.ok(statSync(to).blocks * 512 < 3 * mebibyte, `${statSync(to).blocks}`);

  writeFileSync(to, Buffer.alloc(30 * mebibyte, 1));
  const refused = await ismio(['block', 'copy', from, to]);
  assert.deepEqual([refused.code, /ERR_ISMIO_OPEN: .*EEXIST.*--force/.test(refused.stderr)], [1, true], refused.stderr);
  assert.equal(statSync(to).size, 30 * mebibyte);
  for (const [other, why] of [
    [folder, /EISDIR/],
    ['/dev/full', /ENOTBLK: it is neither a file nor a block device/],
  ] as const) {
    const { code, stderr } = await ismio(['block', 'copy', from, other]);
    assert.match(stderr, why);
    assert.deepEqual([code, stderr.includes('--force')], [1, false], stderr);
  }
  const forced = await ismio(['block', 'copy', from, to, '--force']);
  assert.match(forced.stdout, /^copied 20971597 bytes of /);
  assert.ok(readFileSync(to).equals(bytes));
});

/** Waits for the first bytes: the file has its length before them, and blocks of its own behind them. */
function begun(target: string, size: number): Promise<void> {
  return until(() => {
    const there = statSync(target, { throwIfNoEntry: false });
    return there?.size === size && there.blocks > 0;
  }, 'the beginning of the copy');
}

test('a copy that cannot have the length of its source leaves no file', async (t) => {
  const folder = temporaryFolder(t);
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  writeFileSync(from, '');
  truncateSync(from, 64 * mebibyte);
  const { code, stderr } = await ismio(['block', 'copy', from, to], { fileLimit: 1024 });
  assert.equal(code, 1);
  assert.match(stderr, /^ismio: ERR_ISMIO_OPEN: cannot open \S+to: EFBIG/);
  assert.equal(existsSync(to), false);
});

test('SIGINT in the middle of a copy: it says so, takes away what it made, and leaves what was there before', async (t) => {
  const folder = temporaryFolder(t);
  const [from, to, old] = ['from', 'to', 'old'].map((name) => join(folder, name)) as [string, string, string];
  const bytes = Buffer.alloc(64 * mebibyte, 5);
  const source = openSync(from, 'w');
  for (let i = 0; i < 4; i++) writeSync(source, bytes);
  closeSync(source);
  const size = 4 * bytes.length;
  writeFileSync(old, 'old');
  for (const [target, words] of [
    [to, []],
    [old, ['--force']],
  ] as const) {
    const child = startIsmio(['block', 'copy', from, target, ...words]);
    const over = said(child);
    await begun(target, size);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await over;
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^ismio: ERR_ISMIO_ABORTED: [^\n]*\n$/);
    assert.equal(stderr.includes('old has a part of it'), target === old);
    assert.equal(existsSync(target), target === old, 'a file that was made is taken away, one that was there stays');
  }
  // It got the length of the source, and data as far as the copy came.
  const left = statSync(old);
  assert.equal(left.size, size);
  assert.ok(left.blocks * 512 < size, `${left.blocks} blocks`);
  assert.equal(statSync(from).size, size);
});

test('Ctrl-C while a terminal shows the bar: it is taken away, and the error is the last line', {
  skip: noTerminal,
}, async (t) => {
  const folder = temporaryFolder(t);
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  const source = openSync(from, 'w');
  for (let i = 0; i < 4; i++) writeSync(source, Buffer.alloc(64 * mebibyte, 5));
  closeSync(source);
  const { spawn } = await import('@lydell/node-pty');
  const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');
  const terminal = spawn(process.execPath, [main, 'block', 'copy', from, to], { cols: 100, rows: 24 });
  let shown = '';
  terminal.onData((text) => {
    shown += text;
    // It waits while Ctrl-C is typed: it has to come while there is something to copy.
    if (shown.includes('░') && !isTyped) {
      isTyped = true;
      process.kill(terminal.pid, 'SIGSTOP');
      terminal.write('\x03');
      process.kill(terminal.pid, 'SIGCONT');
    }
  });
  let isTyped = false;
  const over = new Promise<number>((resolve) => void terminal.onExit(({ exitCode }) => resolve(exitCode)));
  await begun(to, 4 * 64 * mebibyte);
  // Nobody waits for less than a second: the bar comes after that.
  process.kill(terminal.pid, 'SIGSTOP');
  await sleep(1100);
  process.kill(terminal.pid, 'SIGCONT');
  assert.equal(await over, 1, shown);
  await until(() => shown.includes('ERR_ISMIO_ABORTED'), 'the error');
  const last = shown.slice(shown.lastIndexOf('░'));
  assert.ok(
    ['\x1b[K', '\x1b[0K', '\x1b[2K', '\x1b[J', '\x1b[0J'].some((clears) => last.includes(clears)),
    JSON.stringify(last),
  );
  assert.match(last, /ismio: ERR_ISMIO_ABORTED: [^\r\n]*\r\n$/);
  assert.equal(existsSync(to), false);
});

test('a copy of what is not there, to itself, or to nowhere', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'disk');
  writeFileSync(path, Buffer.alloc(512, 1));
  const tried = async (...words: string[]) => {
    const { code, stderr } = await ismio(['block', 'copy', ...words]);
    return [code, /^ismio: (ERR_\w+)/.exec(stderr)?.[1]];
  };
  assert.deepEqual(await tried(join(folder, 'none'), join(folder, 'to')), [1, 'ERR_ISMIO_OPEN']);
  assert.deepEqual(await tried(path, path, '--force'), [2, 'ERR_ISMIO_USAGE']);
  assert.deepEqual(await tried(path, join(folder, 'no', 'to')), [1, 'ERR_ISMIO_OPEN']);
  assert.ok(readFileSync(path).equals(Buffer.alloc(512, 1)));
  assert.equal(existsSync(join(folder, 'to')), false);
});
