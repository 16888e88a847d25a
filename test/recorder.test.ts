// The recorder: what it hears, how it ends, and that the program it listens to does not mind.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { emulate, IsmioError, inspectRecording, record, replay } from 'ismio';
import { packageRoot, runModule } from './support/child.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { listOf, recorded } from './support/recordings.js';

const run = promisify(execFile);

test('operations are listed as they were asked for, with their bytes as the region has them', async (t) => {
  const path = await recorded(t, (region) => {
    region.store32(8, 0x01020304, 'be');
    region.write(100, Uint8Array.of(1, 2, 3));
    const queue = region.queue({ depth: 16, merge: 'any', order: 'relaxed' });
    queue.storeWords(16, 5, 6);
    queue.store64(24, 0x0807060504030201n);
    queue.fence();
    queue.load(0, new Uint8Array(20));
    queue.submit();
  });
  const [store, write, words, bigint, fence, load, submit] = await listOf(path);
  assert.deepEqual(store?.payload, Uint8Array.of(1, 2, 3, 4));
  assert.deepEqual([store?.kind, store?.origin, store?.offset, store?.length], ['store', 'direct', 8, 4]);
  assert.deepEqual(write?.payload, Uint8Array.of(1, 2, 3));
  assert.deepEqual(words?.payload, Uint8Array.of(5, 0, 0, 0, 6, 0, 0, 0));
  assert.deepEqual(bigint?.payload, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  assert.deepEqual(
    [fence?.kind, load?.kind, load?.length, submit?.kind, submit?.queue],
    ['fence', 'load', 20, 'submit', 0],
  );
});

test('what is in a recording is told in sum', async (t) => {
  const path = await recorded(t, async (region) => {
    const queue = region.queue();
    for (let at = 0; at < 10; at++) queue.write(at * 100, new Uint8Array(at * 10));
    await queue.drain();
    region.store8(0, 1);
  });
  const { operations, bytes, batches, kinds, lengths, regions, queues, payload } = await inspectRecording(path);
  assert.deepEqual(
    { operations, bytes, batches, queues, payload },
    { operations: 11, bytes: 451, batches: 1, queues: 1, payload: true },
  );
  assert.deepEqual(kinds, { 'queued write': 10, 'direct store': 1 });
  assert.deepEqual(lengths, [
    [0, 1],
    [1, 1],
    [16, 1],
    [32, 2],
    [64, 3],
    [128, 3],
  ]);
  assert.deepEqual(
    regions.map(({ name, size }) => [name, size]),
    [['window', 4096]],
  );
});

test('queues that were there before are recorded, with what they had queued', async (t) => {
  const path = join(temporaryFolder(t), 'late');
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  queue.storeWords(0, 1, 1);
  const inFlight = queue.drain();
  queue.storeWords(8, 2, 2);
  const recorder = record(region, path);
  await inFlight;
  await queue.drain();
  assert.equal(recorder.close().operations, 1);
  assert.deepEqual(
    (await listOf(path)).map(({ kind, offset }) => [kind, offset]),
    [
      ['store', 8],
      ['drain', 0],
      ['settled', 0],
    ],
  );
});

test('nothing is recorded after close, and close answers the same again', async (t) => {
  const path = join(temporaryFolder(t), 'closed');
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  const recorder = record(region, path);
  region.store8(0, 1);
  queue.storeWords(8, 1, 1);
  const drained = queue.drain();
  const first = recorder.close();
  await drained;
  region.store8(1, 1);
  queue.storeWords(8, 1, 1);
  queue.submit();
  assert.deepEqual(recorder.close(), first);
  assert.equal((await inspectRecording(path)).operations, 2);
  record(region, path).close(); // and it can be recorded again
});

test('a region is recorded once at a time', (t) => {
  using region = emulate({ size: 4096 });
  const recorder = record(region, join(temporaryFolder(t), 'one'));
  const other = join(temporaryFolder(t), 'two');
  throwsCode(() => record(region, other), RangeError, 'ERR_ISMIO_OPTION');
  recorder.close();
});

test('there is no file before close, and nothing else afterwards', (t) => {
  const folder = temporaryFolder(t);
  using region = emulate({ size: 4096 });
  const recorder = record(region, join(folder, 'file'));
  assert.equal(existsSync(join(folder, 'file')), false);
  recorder.close();
  assert.deepEqual(readdirSync(folder), ['file']);
});

test('a file that cannot be made is told at once', (t) => {
  using region = emulate({ size: 4096 });
  const path = join(temporaryFolder(t), 'not', 'there');
  throwsCode(() => record(region, path), IsmioError, 'ERR_ISMIO_WRITE_FILE', { errno: 'ENOENT', path });
  region.store8(0, 1);
});

test('a disk that is full is told by close; the program went on, and nothing is left', async (t) => {
  const folder = temporaryFolder(t);
  const source = `
    import { emulate, record } from 'ismio';
    const region = emulate({ size: 2 ** 20 });
    const recorder = record(region, ${JSON.stringify(join(folder, 'full'))}, { compress: false });
    for (let at = 0; at < 40; at++) region.write(0, new Uint8Array(2 ** 20).fill(at));
    console.log(region.load8(5));
    try { recorder.close(); } catch (error) { console.log(error.code, error.errno); }`;
  // A limit on the length of files stands for the end of the disk.
  const limited = `trap '' XFSZ; ulimit -f 4096; exec "$0" --input-type=module --eval "$1"`;
  const { stdout } = await run('/bin/bash', ['-c', limited, process.execPath, source], { cwd: packageRoot });
  assert.equal(stdout, '39\nERR_ISMIO_WRITE_FILE EFBIG\n');
  assert.deepEqual(readdirSync(folder), []);
});

test('a program that exits without close has its recording', async (t) => {
  const path = join(temporaryFolder(t), 'exit');
  const { code } = await runModule(`
    import { emulate, record } from 'ismio';
    const region = emulate({ size: 4096 });
    record(region, ${JSON.stringify(path)});
    region.store8(0, 1);
    process.exit(5);`);
  assert.equal(code, 5);
  assert.equal((await replay(path)).operations, 1);
});

test('a program that is ended by force leaves what the reader calls cut, with what is whole', async (t) => {
  const folder = temporaryFolder(t);
  await runModule(`
    import { emulate, record } from 'ismio';
    const region = emulate({ size: 2 ** 20 });
    record(region, ${JSON.stringify(join(folder, 'killed'))}, { compress: false });
    for (let at = 0; at < 9; at++) region.write(at, new Uint8Array(2 ** 19));
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 500);`);
  const [left] = readdirSync(folder);
  const path = join(folder, left as string);
  await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING', { operations: 9 });
  assert.ok(readFileSync(path).length > 9 * 2 ** 19);
});

test('an operation that failed is in the list, with what went through', async (t) => {
  const path = join(temporaryFolder(t), 'failed');
  using region = emulate({ size: 2 ** 16, faults: [{ access: 'storeBlock', nth: 2, cc: 1 }] });
  const recorder = record(region, path);
  throwsCode(() => region.write(0, new Uint8Array(8192).fill(1)), IsmioError, 'ERR_ISMIO_DEVICE');
  recorder.close();
  const [write] = await listOf(path);
  assert.deepEqual([write?.length, write?.bytesDone], [8192, 4096]);
  assert.equal((await replay(path)).regions[0]?.storeBlocks, 1);
});

test('a fence is recorded with what it is for, and replayed so', async (t) => {
  const purposes = ['full', 'full', 'beforeDoorbell', 'beforeDoorbell', 'afterStatus', 'full'] as const;
  const first = await recorded(t, async (region) => {
    for (const purpose of purposes) region.fence(purpose);
    const queue = region.queue();
    for (const purpose of purposes) queue.fence(purpose);
    await queue.drain();
  });
  const again = join(temporaryFolder(t), 'again');
  using region = emulate({ size: 4096 });
  const recorder = record(region, again);
  await replay(first, { region, verify: false });
  recorder.close();
  for (const path of [first, again]) {
    const fences = (await listOf(path)).filter(({ kind }) => kind === 'fence');
    const seen = (origin: string) => fences.filter((fence) => fence.origin === origin).map(({ purpose }) => purpose);
    assert.deepEqual(seen('queued'), purposes);
    assert.deepEqual(seen('direct').slice(0, purposes.length), purposes); // a replay ends with one of its own
  }
});
