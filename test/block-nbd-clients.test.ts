// The NBD server under clients that nobody here wrote: qemu's, libnbd's, fio, nbdkit; of a disk as it is, and of the same disk over
// ISM. What none of them notices, such as a wrong length, is compared by contents.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type BlockDevice, memoryDisk, type NbdOptions, openFileDisk } from 'ismio/block';
import { exported, type Way } from './support/block.js';
import { temporaryFolder } from './support/files.js';
import { nbdPython, ran, saidBy } from './support/nbd.js';
import { missing } from './support/terminal.js';

const mebibyte = 2 ** 20;
const python = nbdPython();

/** An image of so many MiB and an odd end, mostly holes. */
function image(folder: string, { name = 'image', mebibytes = 40 } = {}): { path: string; bytes: Buffer } {
  const path = join(folder, name);
  const bytes = Buffer.alloc(mebibytes * mebibyte + 512 * 3);
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes.length);
  for (const [offset, length] of [
    [0, 70_000],
    [10 * mebibyte + 4096, 3 * mebibyte],
    [bytes.length - 6 * mebibyte, 5 * mebibyte],
    [bytes.length - 700, 700],
  ] as const) {
    const part = randomBytes(length);
    part.copy(bytes, offset);
    writeSync(file, part, 0, length, offset);
  }
  closeSync(file);
  return { path, bytes };
}

function contents(disk: BlockDevice): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size);
  return Promise.resolve(disk.read(0, bytes)).then(() => bytes);
}

for (const way of ['itself', 'vfio-user, by lanes'] satisfies Way[])
  describe(way === 'itself' ? 'a disk itself' : `a disk over ISM (${way})`, () => {
    const served = (t: TestContext, disk: BlockDevice, options: NbdOptions = {}) => exported(way, t, disk, options);

    describe('qemu', { skip: missing('qemu-img', 'qemu-io') }, () => {
      test('qemu-img copies an image in and out, and holes stay holes', async (t) => {
        const folder = temporaryFolder(t);
        const { path, bytes } = image(folder);
        const disk = memoryDisk({ size: bytes.length });
        const { uri, server } = await served(t, disk);
        await saidBy('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', path, uri);
        assert.ok((await contents(disk)).equals(bytes));
        assert.ok(disk.allocated < 10 * mebibyte, `${disk.allocated}`);
        const back = join(folder, 'back');
        await saidBy('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri, back);
        assert.ok(readFileSync(back).subarray(0, bytes.length).equals(bytes));
        assert.ok(statSync(back).blocks * 512 < 11 * mebibyte);
        assert.match(await saidBy('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', path, uri), /identical/);
        assert.deepEqual([server.stats().failed, server.stats().broken], [0, 0]);
      });

      test('qemu-img map shows the extents of a sparse file, and a copy to a sparse file stays one', async (t) => {
        const folder = temporaryFolder(t);
        const { path, bytes } = image(folder);
        const disk = await openFileDisk(path, { readOnly: true });
        const { uri } = await served(t, disk);
        const map = JSON.parse(await saidBy('qemu-img', 'map', '--output=json', '-f', 'raw', uri));
        const zeros = map.filter(({ zero }: { zero: boolean }) => zero).map(({ length }: { length: number }) => length);
        assert.ok(zeros.reduce((all: number, one: number) => all + one, 0) > 31 * mebibyte, JSON.stringify(map));

        const copy = join(folder, 'copy');
        ftruncateSync(openSync(copy, 'w'), bytes.length);
        const target = await openFileDisk(copy);
        const { uri: to } = await served(t, target);
        await saidBy('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', uri, to);
        assert.ok(readFileSync(copy).equals(bytes));
        assert.ok(statSync(copy).blocks * 512 < 10 * mebibyte, `${statSync(copy).blocks}`);
        await Promise.all([disk.close(), target.close()]);
      });

      test('qemu-io writes, reads, discards, zeroes and flushes', async (t) => {
        const disk = memoryDisk({ size: 8 * mebibyte });
        const { uri } = await served(t, disk);
        const commands = [
          'write -P 7 1000 70000',
          'write -f -P 8 4M 512',
          'read -P 7 1000 70000',
          'aio_write -P 9 1M 1M',
          'aio_flush',
          'read -P 9 1M 1M',
          'write -z -u 1M 512k',
          'write -z -n 1536k 64k',
          'read -P 0 1M 576k',
          'discard 0 1M',
          'flush',
        ].flatMap((line) => ['-c', line]);
        const said = await saidBy('qemu-io', '-f', 'raw', ...commands, uri);
        assert.doesNotMatch(said, /failed|error/i);
        const bytes = await contents(disk);
        assert.deepEqual([bytes[4 * mebibyte], bytes[2 * mebibyte - 1], bytes[mebibyte]], [8, 9, 0]);
      });

      test('qemu-io meets a read-only export, a full medium and a failing one, and goes on', async (t) => {
        const memory = memoryDisk({ size: 8 * mebibyte });
        const failing: BlockDevice = new Proxy(memory, {
          get: (target, name) => {
            if (name === 'write') {
              return (offset: number, source: Uint8Array) => {
                if (offset >= mebibyte) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
                return target.write(offset, source);
              };
            }
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        const { uri } = await served(t, failing);
        const commands = ['write 2M 4k', 'write -P 3 0 4k', 'read -P 3 0 4k'].flatMap((line) => ['-c', line]);
        const { out, err } = await ran('qemu-io', '-f', 'raw', ...commands, uri);
        assert.match(out + err, /No space left on device/);
        assert.match(out, /read 4096\/4096 bytes at offset 0/);
        assert.doesNotMatch(out, /verification failed/);
        const { uri: fixed } = await served(t, memory, { readOnly: true });
        assert.notEqual((await ran('qemu-io', '-f', 'raw', '-c', 'write 0 4k', fixed)).code, 0);
        await saidBy('qemu-io', '-r', '-f', 'raw', '-c', 'read -P 3 0 4k', fixed);
      });
    });

    describe('libnbd', { skip: missing('nbdinfo', 'nbdcopy') }, () => {
      test('nbdinfo shows what there is', async (t) => {
        const { uri } = await served(t, memoryDisk({ size: mebibyte }), { name: 'one', description: 'scratch' });
        const { exports } = JSON.parse(await saidBy('nbdinfo', '--json', uri));
        const [about] = exports;
        assert.deepEqual(
          [about['export-name'], about.description, about['export-size'], about.contexts],
          ['one', 'scratch', mebibyte, ['base:allocation']],
        );
        const offered = ['cache', 'df', 'fast_zero', 'flush', 'fua', 'multi_conn', 'trim', 'zero'];
        for (const name of offered) assert.equal(about[`can_${name}`], true, name);
        assert.equal(about.block_size_preferred, 4096);
        const list = JSON.parse(await saidBy('nbdinfo', '--json', '--list', uri));
        assert.equal(list.exports[0]['export-name'], 'one');
        assert.match((await ran('nbdinfo', uri.replace('/one', '/two'))).err, /server/);
      });

      test('nbdinfo --map tells data and holes of a file', async (t) => {
        const { path } = image(temporaryFolder(t));
        const disk = await openFileDisk(path, { readOnly: true });
        const { uri } = await served(t, disk);
        const map = JSON.parse(await saidBy('nbdinfo', '--json', '--map', uri));
        const end = map.at(-1).offset + map.at(-1).length;
        assert.equal(end, disk.size);
        assert.deepEqual([...new Set(map.map(({ type }: { type: number }) => type))].sort(), [0, 3]);
        await disk.close();
      });

      // Up to 128 MiB nbdcopy works by the first connection alone, however many it has opened.
      for (const [connections, mebibytes] of [
        [1, 40],
        [4, 132],
      ] as const) {
        test(`nbdcopy in and out by ${connections} connections`, async (t) => {
          const folder = temporaryFolder(t);
          const { path, bytes } = image(folder, { mebibytes });
          const disk = memoryDisk({ size: bytes.length });
          const { uri, server } = await served(t, disk);
          await saidBy('nbdcopy', `--connections=${connections}`, '--flush', path, uri);
          assert.ok((await contents(disk)).equals(bytes));
          const back = join(folder, 'back');
          await saidBy('nbdcopy', `--connections=${connections}`, uri, back);
          assert.ok(readFileSync(back).equals(bytes));
          assert.deepEqual([server.stats().failed, server.stats().broken], [0, 0]);
        });
      }

      test('nbdsh asks one by one', { skip: python === undefined && 'not installed: python3-libnbd' }, async (t) => {
        const disk = memoryDisk({ size: mebibyte });
        const { uri } = await served(t, disk);
        const program = `
h.connect_uri("${uri}")
h.pwrite(b"hello" * 100, 4093, nbd.CMD_FLAG_FUA)
assert h.pread(500, 4093) == b"hello" * 100
h.zero(100, 4093, nbd.CMD_FLAG_FAST_ZERO)
h.trim(65536, 0)
h.cache(4096, 0)
h.flush()
h.set_strict_mode(0)
try:
    h.pread(2, h.get_size() - 1)
    assert False
except nbd.Error as error:
    assert error.errno == "EINVAL", error.errno
try:
    h.pwrite(b"xx", h.get_size() - 1)
    assert False
except nbd.Error as error:
    assert error.errno == "ENOSPC", error.errno
assert h.pread(1, 0) == b"\\0"
`;
        await saidBy(python as string, '-m', 'nbd', '-c', program);
        const { uri: old } = await served(t, disk);
        const simple = `
h.set_request_structured_replies(False)
h.connect_uri("${old}")
assert not h.can_df()
h.pwrite(b"x" * 512, 512)
assert h.pread(1024, 0) == b"\\0" * 512 + b"x" * 512
`;
        await saidBy(python as string, '-m', 'nbd', '-c', simple);
      });
    });

    describe('fio', { skip: missing('fio') }, () => {
      for (const [kind, when, backlog] of [
        ['memory', 'at its end', []],
        ['file', 'as it goes', ['--verify_backlog=64']],
      ] as const) {
        test(`verifies what it wrote to a disk in ${kind === 'memory' ? 'memory' : 'a file'}, ${when}`, async (t) => {
          const folder = temporaryFolder(t);
          const path = join(folder, 'file');
          writeFileSync(path, '');
          ftruncateSync(openSync(path, 'r+'), 32 * mebibyte);
          const disk = kind === 'memory' ? memoryDisk({ size: 32 * mebibyte }) : await openFileDisk(path);
          const { uri, server } = await served(t, disk);
          const words = ['--name=verify', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bsrange=512-128k'];
          const more = ['--size=24M', '--iodepth=16', '--verify=crc32c', ...backlog, '--randseed=7', '--fsync=32'];
          const { code, out, err } = await ran('fio', ...words, ...more, `--aux-path=${folder}`);
          assert.equal(code, 0, out + err);
          assert.match(out, /err= 0/);
          assert.ok(server.stats().bytesRead > 20 * mebibyte);
          assert.deepEqual([server.stats().failed, server.stats().broken], [0, 0]);
          await server.close();
          await disk.close();
        });
      }
    });

    test("nbdkit's nbd plugin stands between", { skip: missing('nbdkit', 'nbdcopy') }, async (t) => {
      const folder = temporaryFolder(t);
      const { path, bytes } = image(folder);
      const disk = memoryDisk({ size: bytes.length });
      const { path: socket } = await served(t, disk);
      const near = join(folder, 'near.sock');
      const child = spawn('nbdkit', ['-f', '-U', near, 'nbd', `socket=${socket}`], { stdio: 'ignore' });
      t.after(() => child.kill());
      while (!existsSync(near)) await setTimeout(10);
      await saidBy('nbdcopy', path, `nbd+unix:///?socket=${near}`);
      assert.ok((await contents(disk)).equals(bytes));
      assert.ok(disk.allocated < 10 * mebibyte);
    });
  });
