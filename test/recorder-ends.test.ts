// Recorders that end before their time: what they leave, and who is told.
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { emulate, IsmioError, inspectRecording, type Region, record, replay } from 'ismio';
import { runModule } from './support/child.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

/** What a recorder takes of the process, and leaves in the folder. */
function holdings(folder: string): { descriptors: number; hooks: number; files: string[] } {
  const descriptors = readdirSync('/proc/self/fd').length;
  return { descriptors, hooks: process.listenerCount('exit'), files: readdirSync(folder) };
}

/** Regions of which one more is open than a recording has room for. */
function tooMany(test: TestContext): Region[] {
  const regions = Array.from({ length: 1025 }, () => emulate({ size: 8 }));
  test.after(() => {
    for (const region of regions) region.close();
  });
  return regions;
}

test('a record() that throws leaves no file, no descriptor, no hook at exit, and no region that is listened to', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'not');
  using region = emulate({ size: 4096 });
  const closed = emulate({ size: 4096 });
  closed.close();
  const before = holdings(folder);
  throwsCode(() => record([region, region], path), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => record([region, closed], path), IsmioError, 'ERR_ISMIO_CLOSED');
  throwsCode(() => record([region, ...tooMany(t)], path), IsmioError, 'ERR_ISMIO_WRITE_FILE', { regions: 1024 });
  assert.deepEqual(holdings(folder), before);
  record(region, path).close(); // nobody listens to it
});

test('what is no region, and what is no function, is told by its code', async (t) => {
  const path = join(temporaryFolder(t), 'not');
  for (const none of [{}, null, 5]) {
    throwsCode(() => record(none as unknown as Region, path), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  }
  using region = emulate({ size: 8 });
  record(region, path).close();
  const wrong = { region: () => 5 as unknown as Region, onProgress: 5 as unknown as () => void };
  await rejectsCode(replay(path, { region: wrong.region }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  await rejectsCode(replay(path, { onProgress: wrong.onProgress }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});

test('a record() that throws does not touch at exit what another has recorded in its file', async (t) => {
  const path = join(temporaryFolder(t), 'good');
  const { stdout } = await runModule(`
    import { emulate, record } from 'ismio';
    const region = emulate({ size: 4096 });
    const recorder = record(region, ${JSON.stringify(path)});
    try { record(region, ${JSON.stringify(path)}); } catch (error) { console.log(error.code); }
    region.store8(0, 1);
    recorder.close();`);
  assert.equal(stdout, 'ERR_ISMIO_OPTION\n');
  assert.equal((await inspectRecording(path)).operations, 1);
});

test('more regions than a recording has room for end it: add and close say so, and nothing is left', (t) => {
  const folder = temporaryFolder(t);
  const [first, ...more] = tooMany(t) as [Region, ...Region[]];
  const before = holdings(folder);
  const recorder = record(first, join(folder, 'many'));
  const addAll = (): void => {
    for (const region of more) recorder.add(region);
  };
  throwsCode(addAll, IsmioError, 'ERR_ISMIO_WRITE_FILE', { regions: 1024 });
  throwsCode(() => recorder.close(), IsmioError, 'ERR_ISMIO_WRITE_FILE', { regions: 1024 });
  assert.deepEqual(holdings(folder), before);
  record([first, more[1023] as Region], join(folder, 'again')).close(); // nobody listens to them
});

test('a recorder that is closed takes no more regions', (t) => {
  const path = join(temporaryFolder(t), 'closed');
  using region = emulate({ size: 4096 });
  const recorder = record([], path);
  recorder.close();
  throwsCode(() => recorder.add(region), IsmioError, 'ERR_ISMIO_CLOSED', { path });
  record(region, path).close(); // nobody listens to it
});

test('a folder in the place of the recording is told at once, and left alone', (t) => {
  const folder = temporaryFolder(t);
  using region = emulate({ size: 4096 });
  const before = holdings(folder);
  throwsCode(() => record(region, folder), IsmioError, 'ERR_ISMIO_WRITE_FILE', { errno: 'EISDIR', path: folder });
  throwsCode(() => record(region, join(folder, 'new/')), IsmioError, 'ERR_ISMIO_WRITE_FILE', { errno: 'EISDIR' });
  assert.deepEqual(holdings(folder), before);
});

test('what the path of a recording leads to is written, and never replaced by a file', async (t) => {
  const folder = temporaryFolder(t);
  const [link, device, target] = ['link', 'device', 'target'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  symlinkSync('target', link);
  symlinkSync('/dev/null', device);
  using region = emulate({ size: 4096 });
  const before = holdings(folder);
  for (const path of [link, device]) {
    const recorder = record(region, path);
    region.store8(0, 1);
    recorder.close();
    assert.ok(lstatSync(path).isSymbolicLink());
  }
  assert.equal((await inspectRecording(target)).operations, 1);
  assert.ok(statSync(device).isCharacterDevice());
  assert.deepEqual(holdings(folder), { ...before, files: ['device', 'link', 'target'] });
});

test('a recording is where its path led when it was begun, whatever becomes of the working folder', async (t) => {
  const folder = temporaryFolder(t);
  const { stderr } = await runModule(`
    import { emulate, record } from 'ismio';
    process.chdir(${JSON.stringify(folder)});
    const region = emulate({ size: 8 });
    const recorder = record(region, 'here');
    process.chdir('/');
    region.store8(0, 1);
    recorder.close();`);
  assert.equal(stderr, '');
  assert.equal((await inspectRecording(join(folder, 'here'))).operations, 1);
});

test('a recording that cannot have its name in the end stays where it is, and close says where', async (t) => {
  const path = join(temporaryFolder(t), 'name');
  using region = emulate({ size: 4096 });
  const recorder = record(region, path);
  region.store8(0, 1);
  mkdirSync(path);
  const { message } = throwsCode(() => recorder.close(), IsmioError, 'ERR_ISMIO_WRITE_FILE', { errno: 'EISDIR' });
  const kept = / it is whole, in (.*)$/.exec(message)?.[1] as string;
  assert.equal((await inspectRecording(kept)).operations, 1);
});

test('a disk that is full is told at exit where nobody has closed the recorder', async (t) => {
  const path = join(temporaryFolder(t), 'full');
  const source = `
    import { emulate, record } from 'ismio';
    const region = emulate({ size: 2 ** 20 });
    record(region, ${JSON.stringify(path)}, { compress: false });
    for (let at = 0; at < 9; at++) region.write(0, new Uint8Array(2 ** 20));`;
  // A limit on the length of files stands for the end of the disk.
  const through = ['/bin/bash', '-c', `trap '' XFSZ; ulimit -f 4096; exec "$0" "$@"`];
  const { stderr } = await runModule(source, { through });
  assert.match(stderr, /^ismio: ERR_ISMIO_WRITE_FILE: cannot write .*full: EFBIG; nothing of it is kept\n$/);
});

test('a drain in flight at close is recorded as handed over, all of it, whatever becomes of it', async (t) => {
  const path = join(temporaryFolder(t), 'flight');
  using region = emulate({ size: 4096, faults: [{ access: 'store', nth: 2, cc: 1 }] });
  const recorder = record(region, path);
  const queue = region.queue({ depth: 4 });
  for (let word = 0; word < 3; word++) queue.storeWords(word * 8, 1, 0);
  const drained = queue.drain();
  recorder.close();
  await rejectsCode(drained, IsmioError, 'ERR_ISMIO_DEVICE');
  assert.equal(region.stats().stores, 1);
  assert.equal((await replay(path)).regions[0]?.stores, 3);
  assert.equal((await inspectRecording(path)).failedBatches, 0);
});
