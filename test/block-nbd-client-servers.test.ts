// The NBD client on servers that nobody here wrote: nbdkit and qemu-nbd, with all that they offer and with less of it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import { copyDisk, memoryDisk, type NbdDisk, openNbd } from 'ismio/block';
import { until } from './support/console-line.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { patience } from './support/scale.js';
import { missing } from './support/terminal.js';

const mebibyte = 2 ** 20;

interface Server {
  readonly child: ChildProcess;
  readonly socket: string;
}

/** Starts a server in the foreground; it ends with the test. */
async function started(t: TestContext, program: string, words: (socket: string) => string[]): Promise<Server> {
  const socket = join(temporaryFolder(t), 'server.sock');
  const child = spawn(program, words(socket), { stdio: 'ignore' });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await until(() => existsSync(socket), `the socket of ${program}`);
  return { child, socket };
}

const nbdkit = (t: TestContext, ...words: string[]) => started(t, 'nbdkit', (socket) => ['-f', '-U', socket, ...words]);

/** A socket is there a moment before its server listens to it. */
async function opened(t: TestContext, { socket }: Server, name = ''): Promise<NbdDisk> {
  const end = performance.now() + patience(20_000);
  for (;;) {
    try {
      const disk = await openNbd(`nbd+unix:///${name}?socket=${encodeURIComponent(socket)}`);
      t.after(() => disk.close());
      return disk;
    } catch (error) {
      if ((error as IsmioError).errno !== 'ECONNREFUSED' || performance.now() > end) throw error;
      await sleep(2);
    }
  }
}

/** Whatever the server offers, bytes are kept, zeros are zeros, and extents cover the disk. */
async function used(disk: NbdDisk, fill: number): Promise<void> {
  const { size, features } = disk;
  const all = Buffer.alloc(size);
  await disk.write(0, all);
  const writes = Array.from({ length: 64 }, (_, i) => {
    const offset = i * 40_960 + 512;
    all.fill(fill + i, offset, offset + 8192);
    return disk.write(offset, all.subarray(offset, offset + 8192), { fua: i % 8 === 0 });
  });
  await Promise.all(writes);
  if (features.zero) {
    await disk.zero(4096, mebibyte, { mayTrim: true });
    all.fill(0, 4096, 4096 + mebibyte);
  }
  await disk.trim(3 * mebibyte, 4096);
  await disk.cache(0, 65_536);
  await disk.flush();
  const found = Buffer.alloc(size, 0xee);
  await disk.read(0, found);
  assert.ok(found.equals(all));
  let told = 0;
  while (told < size) for (const { length } of await disk.extents(told, size - told, 16)) told += length;
  assert.equal(told, size);
}

describe('nbdkit', { skip: missing('nbdkit') }, () => {
  test('structured replies, extents, zeros and FUA', async (t) => {
    const disk = await opened(t, await nbdkit(t, 'memory', '4M'));
    assert.deepEqual([disk.size, disk.features.extents, disk.features.zero], [4 * mebibyte, true, true]);
    await used(disk, 1);
  });

  test('its own block sizes, and parts of a block that it refuses', async (t) => {
    const policy = [
      'blocksize-minimum=512',
      'blocksize-preferred=64K',
      'blocksize-maximum=1M',
      'blocksize-error-policy=error',
    ];
    const disk = await opened(t, await nbdkit(t, '--filter=blocksize-policy', 'memory', '4M', ...policy));
    assert.deepEqual(disk.blockSize, { minimum: 512, preferred: 65_536, maximum: mebibyte });
    await used(disk, 2);
  });

  for (const [what, ...words] of [
    ['plain newstyle', '--mask-handshake=0'],
    ['plain newstyle without zeroes behind the size', '--mask-handshake=2'],
    ['no structured replies', '--no-sr'],
  ] as const) {
    test(`${what}: the same bytes, without extents`, async (t) => {
      const disk = await opened(t, await nbdkit(t, ...words, 'memory', '4M'));
      assert.equal(disk.features.extents, false);
      await used(disk, 3);
    });
  }

  test('a server that cannot make zeros, and one that cannot write', async (t) => {
    const bare = await opened(t, await nbdkit(t, '--filter=nozero', 'memory', '4M'));
    assert.deepEqual([bare.features.zero, bare.features.fastZero], [false, false]);
    await used(bare, 4);
    const readOnly = await opened(t, await nbdkit(t, '-r', 'memory', '4M'));
    assert.equal(readOnly.readOnly, true);
  });

  test('errors of its disk have their errno', async (t) => {
    const disk = await opened(
      t,
      await nbdkit(t, '--filter=error', 'memory', '4M', 'error=ENOSPC', 'error-pwrite-rate=1'),
    );
    await rejectsCode(disk.write(0, Buffer.alloc(512)), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC', offset: 0 });
    await disk.read(0, Buffer.alloc(512));
  });

  test('a disk of a TiB with data in two places is copied in a moment', async (t) => {
    const data = 'data=0x12 @0x8000000000 0x34';
    const disk = await opened(t, await nbdkit(t, 'data', data, 'size=1T'));
    const copy = memoryDisk({ size: disk.size });
    const { zeros } = await copyDisk(disk, copy, { targetIsZero: true });
    assert.ok(disk.size - zeros < mebibyte);
    const bytes = Buffer.alloc(1);
    copy.read(2 ** 39, bytes);
    assert.equal(bytes[0], 0x34);
  });

  test('killed with requests in flight: they fail, and the next', async (t) => {
    const server = await nbdkit(t, '--filter=delay', 'memory', '4M', 'rdelay=60');
    const disk = await opened(t, server);
    const reads = Array.from({ length: 8 }, (_, i) => disk.read(i * 512, Buffer.alloc(512)));
    server.child.kill('SIGKILL');
    for (const one of reads) await rejectsCode(one, IsmioError, 'ERR_ISMIO_NBD', { reason: 'lost' });
    await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_NBD', { reason: 'lost' });
  });
});

describe('qemu-nbd', { skip: missing('qemu-nbd') }, () => {
  test('a raw file by the name of its export', async (t) => {
    const file = join(temporaryFolder(t), 'disk.img');
    writeFileSync(file, Buffer.alloc(4 * mebibyte));
    const words = ['-f', 'raw', '-x', 'one', '--discard=unmap', '--detect-zeroes=off', '--shared=4'];
    const server = await started(t, 'qemu-nbd', (socket) => ['-k', socket, ...words, '-t', file]);
    const disk = await opened(t, server, 'one');
    assert.deepEqual([disk.size, disk.readOnly, disk.features.extents], [4 * mebibyte, false, true]);
    await used(disk, 5);
    await rejectsCode(opened(t, server, 'two'), IsmioError, 'ERR_ISMIO_NBD', { reason: 'refused' });
  });
});
