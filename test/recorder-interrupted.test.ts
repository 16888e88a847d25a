// What of a recording there is when its program was ended before it: by a signal, by force, in its own handlers of 'exit'.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { allocBuffer, emulate, IsmioError, inspectRecording, readRecording, record, replay } from 'ismio';
import { packageRoot, runModule } from './support/child.js';
import { ismio } from './support/command.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFile, temporaryFolder } from './support/files.js';
import { recorded } from './support/recordings.js';

const node = (process.env['ISMIO_TEST_NODE'] ?? process.execPath).split(' ');
const built = JSON.stringify(join(packageRoot, 'dist', 'ismio.js'));

/** `ismio record` of this program. */
async function recordProgram(test: TestContext, text: string, output = 'recording') {
  const folder = temporaryFolder(test);
  const program = join(folder, 'program.mjs');
  writeFileSync(program, `import { emulate } from ${built};\n${text}`);
  const path = join(folder, output);
  return { path, folder, ...(await ismio(['record', '-o', path, '--', ...node, program], { cwd: folder })) };
}

async function offsetsIn(path: string, options = {}): Promise<number[]> {
  const offsets: number[] = [];
  for await (const { offset } of readRecording(path, options)) offsets.push(offset);
  return offsets;
}

test('what handlers of exit store is recorded, whether they were added before or after the recorder', async (t) => {
  const path = join(temporaryFolder(t), 'exit');
  const { stdout } = await runModule(`
    import { emulate, record } from 'ismio';
    const region = emulate({ size: 4096 });
    process.on('exit', () => region.store8(1, 1));
    const recorder = record(region, ${JSON.stringify(path)});
    region.store8(0, 1);
    process.on('exit', () => { const queue = region.queue(); queue.storeWords(8, 1, 1); queue.submit(); });
    process.on('exit', () => { region.store8(2, 1); console.log(recorder.close().operations); region.store8(3, 1); });`);
  assert.equal(stdout, '4\n');
  assert.deepEqual(await offsetsIn(path), [0, 1, 8, 0, 2]);
  assert.equal((await replay(path)).whole, true);
});

test('at a signal that the program does not handle its recording is whole, and the signal ends it all the same', async (t) => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const { path, ...said } = await recordProgram(
      t,
      `const region = emulate({ size: 8 });
       for (let at = 0; at < 5; at++) region.store8(at, 1);
       setInterval(() => process.kill(process.pid, '${signal}'), 10);`,
    );
    assert.equal(said.code, code);
    assert.deepEqual(await offsetsIn(path), [0, 1, 2, 3, 4]);
  }
});

test('a program that handles the signal decides itself, and two copies of the package do not wait for each other', async (t) => {
  const handled = await recordProgram(
    t,
    `const region = emulate({ size: 8 });
     process.once('SIGTERM', () => { region.store8(1, 1); process.exit(7); });
     region.store8(0, 1);
     setTimeout(() => process.kill(process.pid, 'SIGTERM'), 10).ref(); setTimeout(() => {}, 5000);`,
  );
  assert.equal(handled.code, 7);
  assert.deepEqual(await offsetsIn(handled.path), [0, 1]);
  const copies = await recordProgram(
    t,
    `import * as copy from ${JSON.stringify(join(packageRoot, 'dist', 'src', 'index.js'))};
     for (const one of [emulate, copy.emulate]) one({ size: 8 }).store8(0, 1);
     setTimeout(() => process.kill(process.pid, 'SIGTERM'), 10); setTimeout(() => {}, 5000);`,
  );
  assert.equal(copies.code, 143);
  for (const path of [copies.path, `${copies.path}.2`]) assert.deepEqual(await offsetsIn(path), [0]);
});

test('a program that is ended by force leaves what it did until a moment before; replay takes that, and says so', async (t) => {
  const { path, code, stderr } = await recordProgram(
    t,
    `const region = emulate({ size: 64, faults: [{ access: 'store', nth: 4, cc: 1 }] });
     for (let at = 0; at < 3; at++) region.store8(at, at);
     const queue = region.queue();
     for (let at = 8; at < 32; at += 8) queue.storeWords(at, at, 0);
     try { queue.submit(); } catch {}
     setTimeout(() => process.kill(process.pid, 'SIGKILL'), 400);`,
  );
  assert.equal(code, 137);
  assert.match(stderr, /^ismio: recorded in part: 6 operations on 1 region in .*; its process was ended before/m);
  await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING', { operations: 6 });
  const { whole, operations, regions } = await replay(path, { partial: true });
  assert.deepEqual([whole, operations, regions[0]?.stores], [false, 6, 3], 'the batch that failed stored nothing');
  const { failedBatches } = await inspectRecording(path, { partial: true });
  assert.equal(failedBatches, 1);
  const said = await ismio(['replay', path, '--json']);
  assert.equal(said.code, 0);
  assert.match(said.stderr, /^ismio: .* was recorded in part: 6 operations; replaying those\n$/);
  assert.equal(JSON.parse(said.stdout).whole, false);
});

test('a recording that is cut anywhere is replayed up to the block that is not whole', async (t) => {
  const made = await recorded(t, async (region) => {
    const queue = region.queue();
    for (let at = 0; at < 64; at++) {
      region.store8(at, at);
      queue.write(64 + at, allocBuffer(300).fill(at));
      await queue.drain();
    }
    region.load64(0);
  });
  const bytes = readFileSync(made);
  const path = temporaryFile(t, bytes);
  let known = 0;
  for (let length = 0; length < bytes.length; length += 7) {
    writeFileSync(path, bytes.subarray(0, length));
    const taken = await replay(path, { partial: true }).catch((error: { code: string }) => error);
    if ('code' in taken) {
      assert.equal(taken.code, 'ERR_ISMIO_RECORDING');
      assert.equal(known, 0, 'a longer part has no less');
      continue;
    }
    assert.ok(taken.operations >= known && !taken.whole);
    known = taken.operations;
  }
  assert.equal(known, 129);
  assert.equal((await replay(made, { partial: true })).whole, true);
});

test('operations of a batch that is cut off in the middle are not handed over', async (t) => {
  const path = await recorded(
    t,
    (region) => {
      region.store8(0, 1);
      const queue = region.queue({ depth: 4096, bytes: 2 ** 24 });
      for (let at = 0; at < 6; at++) queue.write(0, new Uint8Array(2 ** 20).fill(1));
      queue.submit();
    },
    { size: 2 ** 20, compress: false },
  );
  truncateSync(path, 5 * 2 ** 20);
  const { operations, batches, regions } = await replay(path, { partial: true });
  assert.deepEqual([operations, batches, regions[0]?.bytes], [1, 0, 1]);
});

test('a name is recorded as it is, printed harmless, and refused where it is longer than a recording has room for', async (t) => {
  const name = '\u001b[2Jgone\u0007\nsecond \u202e line';
  using region = emulate({ size: 8, name });
  const path = join(temporaryFolder(t), 'name');
  const recorder = record(region, path);
  region.store8(0, 1);
  recorder.close();
  const [{ name: read } = { name: '' }] = (await inspectRecording(path)).regions;
  assert.equal(read, name);
  for (const words of [['--info'], []]) {
    const { stdout } = await ismio(['replay', path, ...words]);
    assert.match(stdout, /\\u001b\[2Jgone\\u0007\\u000asecond \\u202e line/);
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Bidi_Control}]/u);
  }
  using most = emulate({ size: 8, name: 'ü'.repeat(512) });
  record(most, join(temporaryFolder(t), 'most')).close();
  using long = emulate({ size: 8, name: 'x'.repeat(1025) });
  throwsCode(() => record(long, path), RangeError, 'ERR_ISMIO_TOO_LONG', { length: 1025, longest: 1024 });
});

test('recordings of an earlier run do not pass for those of this one', async (t) => {
  const text = (processes: number): string => `
    import { spawnSync } from 'node:child_process';
    emulate({ size: 8 });
    const code = "import { emulate } from '" + ${built} + "'; emulate({ size: 8 })";
    for (let made = 1; made < ${processes}; made++) spawnSync(process.execPath, ['--input-type=module', '-e', code]);`;
  const { folder, path } = await recordProgram(t, text(4));
  const names = (): string[] =>
    readdirSync(folder)
      .filter((name) => name.startsWith('recording'))
      .sort();
  assert.deepEqual(names(), ['recording', 'recording.2', 'recording.3', 'recording.4']);
  writeFileSync(`${path}.4`, 'a file of somebody');
  const program = join(folder, 'one.mjs');
  writeFileSync(program, `import { emulate } from ${built}; emulate({ size: 8 });`);
  const { stderr } = await ismio(['record', '-o', path, '--', ...node, program]);
  assert.match(stderr, /removed .*recording\.2, which was of an earlier run/);
  assert.deepEqual(names(), ['recording', 'recording.4']);
  const none = await ismio(['record', '-o', path, '--', ...node, '-e', '0']);
  assert.match(none.stderr, /nothing was recorded.*\n.*recording is of an earlier run, not of this one/);
});

test('a Worker with an environment of its own is recorded; a process with one is told not to be', async (t) => {
  const { path, code, stderr } = await recordProgram(
    t,
    `import { spawnSync } from 'node:child_process';
     import { Worker } from 'node:worker_threads';
     const text = "import('" + ${built} + "').then(({ emulate }) => emulate({ size: 8 }).store8(3, 1))";
     await new Promise((ended) => new Worker(text, { eval: true, env: {} }).on('exit', ended));
     for (const env of [{}, { ISMIO_RECORD: '' }]) spawnSync(process.execPath, ['-e', text], { env, stdio: 'inherit' });`,
  );
  assert.equal(code, 1);
  assert.deepEqual(await offsetsIn(path), [3]);
  assert.equal(stderr.match(/a part of the program was not recorded: .*NOT recorded: process \d+/g)?.length, 1);
});
