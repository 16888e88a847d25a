// Regions over files: which part of them, who may store, and what is refused.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { IsmioError, info, mapFile, type Region } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { runModule, runScript } from './support/child.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile, temporaryFolder } from './support/files.js';

test('what is stored is in the file, and what is in the file is loaded', (t) => {
  const path = temporaryFile(t, pattern(5000));
  using region = mapFile(path);
  assert.equal(region.size, 5000);
  assert.equal(region.name, path);
  assert.equal(region.kind, 'memory');
  assert.deepEqual(contents(region), pattern(5000));
  region.write(4990, Uint8Array.of(1, 2, 3));
  assert.deepEqual([...readFileSync(path).subarray(4990, 4993)], [1, 2, 3]);
});

test('two regions over one file see the same bytes', (t) => {
  const path = temporaryFile(t, 8192);
  using one = mapFile(path);
  using other = mapFile(path, { kind: 'device' });
  one.store64(16, 0x0102030405060708n);
  assert.equal(other.load64(16), 0x0102030405060708n);
});

test('offset and length choose a part of the file', (t) => {
  const model = pattern(20_000);
  const path = temporaryFile(t, model);
  using part = mapFile(path, { offset: 4096n, length: 5001 });
  assert.equal(part.size, 5001);
  assert.deepEqual(contents(part), model.subarray(4096, 9097));
  throwsCode(() => part.load8(5001), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', { size: 5001 });
  part.store8(5000, 0);
  using rest = mapFile(path, { offset: 8192 });
  assert.equal(rest.size, 20_000 - 8192);
  assert.equal(rest.load8(904), 0, 'byte 5000 of the part');
});

test('a region opened for reading loads, and refuses every store', (t) => {
  const path = temporaryFile(t, pattern(4096));
  using region = mapFile(path, { writable: false });
  assert.equal(region.writable, false);
  const stores: readonly ((region: Region) => unknown)[] = [
    (r) => r.store8(0, 0),
    (r) => r.store16(0, 0),
    (r) => r.store32(0, 0),
    (r) => r.store64(0, 0n),
    (r) => r.storeBlock(0, new Uint8Array(64)),
    (r) => r.write(0, new Uint8Array(64)),
  ];
  for (const store of stores) throwsCode(() => store(region), IsmioError, 'ERR_ISMIO_READ_ONLY', { offset: 0 });
  const queue = region.queue();
  queue.storeWords(0, 1, 2);
  throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_READ_ONLY', { index: 0 });
  region.write(0, new Uint8Array(0));
  assert.deepEqual(contents(region), pattern(4096));
  assert.deepEqual(new Uint8Array(readFileSync(path)), pattern(4096));
});

test('a file without the right to write is refused, with the advice to open it for reading', async (t) => {
  const path = temporaryFile(t, pattern(4096));
  chmodSync(dirname(path), 0o755);
  chmodSync(path, 0o444);
  const child = await runModule(`
    import { mapFile } from 'ismio';
    if (process.getuid() === 0) process.seteuid(65534); // root may write to any file
    try { mapFile(${JSON.stringify(path)}); } catch ({ code, errno, message }) {
      console.log(code, errno, message.includes('writable: false'));
    }
    console.log(mapFile(${JSON.stringify(path)}, { writable: false }).load8(0));
  `);
  assert.equal(child.stdout, `ERR_ISMIO_OPEN EACCES true\n${pattern(1)[0]}\n`, child.stderr);
});

test('an empty file is refused', (t) => {
  const path = temporaryFile(t, 0);
  throwsCode(() => mapFile(path), IsmioError, 'ERR_ISMIO_FILE_EMPTY', { path });
  throwsCode(() => mapFile(path, { length: 8 }), IsmioError, 'ERR_ISMIO_FILE_EMPTY', { path });
});

test('a file shorter than asked is refused with its size', (t) => {
  const path = temporaryFile(t, 5000);
  const values = { path, fileSize: 5000 };
  throwsCode(() => mapFile(path, { length: 5001 }), IsmioError, 'ERR_ISMIO_FILE_TOO_SHORT', values);
  throwsCode(() => mapFile(path, { offset: 4096, length: 905 }), IsmioError, 'ERR_ISMIO_FILE_TOO_SHORT', values);
  throwsCode(() => mapFile(path, { offset: 8192 }), IsmioError, 'ERR_ISMIO_FILE_TOO_SHORT', values);
  throwsCode(() => mapFile(path, { length: 2 ** 53 - 1 }), IsmioError, 'ERR_ISMIO_FILE_TOO_SHORT', values);
  const last = 2 ** 53 - 4096;
  throwsCode(() => mapFile(path, { offset: last, length: last }), IsmioError, 'ERR_ISMIO_FILE_TOO_SHORT', values);
  assert.equal(mapFile(path, { offset: 4096, length: 904 }).size, 904);
});

test('an offset inside a page and a length of 0 are refused', (t) => {
  const path = temporaryFile(t, 8192);
  throwsCode(() => mapFile(path, { offset: 8 }), RangeError, 'ERR_ISMIO_OPTION', { offset: 8 });
  throwsCode(() => mapFile(path, { length: 0 }), RangeError, 'ERR_ISMIO_OPTION', { length: 0 });
});

test('what is no file is refused, with the errno and its cause', (t) => {
  const folder = temporaryFolder(t);
  const missing = join(folder, 'missing');
  const error = throwsCode(() => mapFile(missing), IsmioError, 'ERR_ISMIO_OPEN', { path: missing, errno: 'ENOENT' });
  assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOENT');
  assert.equal((error.cause as NodeJS.ErrnoException).syscall, 'open');
  mkdirSync(join(folder, 'folder'));
  throwsCode(() => mapFile(join(folder, 'folder')), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EISDIR' });
  throwsCode(() => mapFile(join(folder, 'folder'), { writable: false }), IsmioError, 'ERR_ISMIO_OPEN');
  throwsCode(() => mapFile('/dev/zero'), IsmioError, 'ERR_ISMIO_OPEN', { path: '/dev/zero' });
  throwsCode(() => mapFile('x\0y'), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => mapFile(''), RangeError, 'ERR_ISMIO_OPTION');
});

test('a pipe that nobody writes to is refused, and not waited for', async (t) => {
  const pipe = join(temporaryFolder(t), 'pipe');
  const made = await runScript(`require('node:child_process').execFileSync('mkfifo', [${JSON.stringify(pipe)}])`);
  assert.equal(made.code, 0, made.stderr);
  const child = await runModule(`
    import { mapFile } from 'ismio';
    import { Worker } from 'node:worker_threads';
    new Worker('setTimeout(() => process.kill(process.pid, "SIGKILL"), 10_000)', { eval: true }).unref();
    try { mapFile(${JSON.stringify(pipe)}, { writable: false }); } catch (error) { console.log(error.code); }
    process.exit();
  `);
  assert.equal(child.stdout.trim(), 'ERR_ISMIO_OPEN', `ended with ${child.signal}`);
});

test('64-byte bursts are for regions of kind device', (t) => {
  const path = temporaryFile(t, 8192);
  throwsCode(() => mapFile(path, { burst: true }), RangeError, 'ERR_ISMIO_OPTION', { burst: true });
  const open = (): Region => mapFile(path, { kind: 'device', burst: true });
  if (info().kernels.burst === null) {
    throwsCode(open, RangeError, 'ERR_ISMIO_OPTION', { burst: true });
    return;
  }
  using region = open();
  assert.equal(region.access, info().kernels.burst);
  for (const [offset, length] of [
    [0, 4096],
    [1, 300],
    [63, 66],
    [64, 64],
    [100, 3],
  ] as const) {
    region.write(0, new Uint8Array(8192));
    region.write(offset, pattern(length));
    const expected = new Uint8Array(8192);
    expected.set(pattern(length), offset);
    assert.deepEqual(contents(region), expected, `${length} bytes at ${offset}`);
  }
});

test('thousands of mapped regions can be open at once, and each is lost for itself', (t) => {
  const path = temporaryFile(t, 4096);
  const other = temporaryFile(t, 4096);
  const open: Region[] = [];
  t.after(() => {
    for (const region of open) region.close();
  });
  while (open.length < 3000) open.push(mapFile(open.length === 2500 ? other : path));
  truncateSync(other, 0);
  throwsCode(() => open[2500]?.load8(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'truncated' });
  for (const i of [0, 1023, 1024, 2499, 2501, 2999]) assert.equal(open[i]?.load8(0), 0);
});

test('a file that is larger than the address space is refused with what the system said, and what that means', {
  skip: !['x64', 'arm64'].includes(process.arch) && 'this machine has more address space than files have bytes',
}, (t) => {
  const path = `/dev/shm/ismio-test-${process.pid}`;
  writeFileSync(path, '');
  t.after(() => rmSync(path));
  truncateSync(path, 2 ** 52);
  const values = { call: 'mmap', errno: 'ENOMEM', path };
  const error = throwsCode(() => mapFile(path), IsmioError, 'ERR_ISMIO_OPEN', values);
  assert.match(error.message, /address space/);
});
