// Disks of NBD servers on the command line: copied from and to, measured, and served on.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryDisk, openNbd } from 'ismio/block';
import { said } from './support/child.js';
import { ismio, startIsmio } from './support/command.js';
import { until } from './support/console-line.js';
import { temporaryFolder } from './support/files.js';
import { served } from './support/nbd.js';
import { handMade } from './support/nbd-hand.js';

const mebibyte = 2 ** 20;

test('ismio block copy from an export and to one, which it overwrites with --force alone', async (t) => {
  const [source, target] = [memoryDisk({ size: 3 * mebibyte }), memoryDisk({ size: 4 * mebibyte })];
  source.write(mebibyte, Buffer.alloc(70_000, 3));
  target.write(0, Buffer.alloc(4 * mebibyte, 9));
  const [{ uri: from }, { uri: to }] = [await served(t, source), await served(t, target)];
  const file = join(temporaryFolder(t), 'copy.img');
  const read = await ismio(['block', 'copy', from, file, '--json']);
  assert.equal(read.code, 0, read.stderr);
  const { data, zeros, ...rest } = JSON.parse(read.stdout);
  assert.deepEqual(rest, { source: from, target: file, size: 3 * mebibyte });
  assert.ok(data >= 70_000 && data < 200_000 && data + zeros === 3 * mebibyte, read.stdout);
  assert.ok(
    readFileSync(file)
      .subarray(mebibyte, mebibyte + 70_000)
      .equals(Buffer.alloc(70_000, 3)),
  );

  const refused = await ismio(['block', 'copy', file, to]);
  assert.deepEqual([refused.code, /ERR_ISMIO_OPEN: .*EEXIST.*--force/.test(refused.stderr)], [1, true], refused.stderr);
  const found = Buffer.alloc(4 * mebibyte);
  target.read(0, found);
  assert.ok(found.every((byte) => byte === 9));

  const forced = await ismio(['block', 'copy', file, to, '--force']);
  assert.equal(forced.code, 0, forced.stderr);
  target.read(0, found);
  assert.ok(found.subarray(0, 3 * mebibyte).equals(readFileSync(file)));
  assert.ok(
    found.subarray(3 * mebibyte).every((byte) => byte === 9),
    'what lies behind it stays',
  );
});

test('ismio block copy refuses an export that it cannot write, that is too small, or that is the source', async (t) => {
  const { uri: small } = await served(t, memoryDisk({ size: 512 }));
  const { uri: readOnly } = await served(t, memoryDisk({ size: mebibyte }), { readOnly: true });
  const { uri } = await served(t, memoryDisk({ size: mebibyte }));
  const runs = await Promise.all([
    ismio(['block', 'copy', uri, readOnly, '--force']),
    ismio(['block', 'copy', uri, small, '--force']),
    ismio(['block', 'copy', uri, uri, '--force']),
    ismio(['block', 'copy', uri, `${small}2`, '--force']),
  ]);
  for (const [i, [code, words]] of (
    [
      [1, /ERR_ISMIO_OPEN: .*EROFS/],
      [2, /ERR_ISMIO_OPTION: .*512 bytes, which is less/],
      [2, /ERR_ISMIO_USAGE: .*is the source/],
      [1, /ERR_ISMIO_NBD: .*ENOENT/],
    ] as const
  ).entries()) {
    assert.deepEqual([runs[i]?.code, words.test(runs[i]?.stderr ?? '')], [code, true], runs[i]?.stderr);
  }
});

test('a copy from a server that stops answering is ended by SIGINT, and takes away what it has made', async (t) => {
  let asked = 0;
  const uri = await handMade(t, {}, () => asked++);
  const file = join(temporaryFolder(t), 'copy.img');
  const child = startIsmio(['block', 'copy', uri, file]);
  const ended = said(child);
  await until(() => asked > 0 && existsSync(file), 'the first request');
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.deepEqual([code, /ERR_ISMIO_ABORTED/.test(stderr)], [1, true], stderr);
  assert.equal(existsSync(file), false);
});

test('ismio block bench measures an export, and writes to it with --write alone', async (t) => {
  const { uri, server } = await served(t, memoryDisk({ size: mebibyte }));
  const quick = ['--seconds', '0.02', '--rounds', '1', '--only'];
  const refused = await ismio(['block', 'bench', uri, ...quick, 'random-write']);
  assert.deepEqual([refused.code, /--write/.test(refused.stderr)], [2, true], refused.stderr);
  assert.equal(server.stats().bytesWritten, 0);
  const run = await ismio(['block', 'bench', uri, '--write', '--json', ...quick, 'random-read', 'random-write']);
  assert.equal(run.code, 0, run.stderr);
  const { disk, results } = JSON.parse(run.stdout);
  assert.match(disk, /^nbd\+unix:/);
  assert.equal(results.length, 2);
  assert.ok(server.stats().bytesWritten > 0);
});

test('ismio block nbd serves what another server exports, as a snapshot as well', async (t) => {
  const memory = memoryDisk({ size: mebibyte });
  memory.write(5, Buffer.from('below'));
  const { uri } = await served(t, memory);
  const path = join(temporaryFolder(t), 'on.sock');
  const child = startIsmio(['block', 'nbd', uri, '--snapshot', '--socket', path]);
  const ended = said(child);
  await until(() => existsSync(path), 'the socket');
  const disk = await openNbd({ path });
  const bytes = Buffer.alloc(10);
  await disk.write(0, Buffer.from('above'));
  await disk.read(0, bytes);
  assert.equal(bytes.toString(), 'abovebelow');
  memory.read(0, bytes);
  assert.equal(bytes.toString('latin1', 5), 'below');
  assert.equal(bytes[0], 0);
  await disk.close();
  child.kill('SIGTERM');
  assert.equal((await ended).code, 0);
});
