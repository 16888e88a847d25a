// What `ismio record` says, and how it exits, where it could not record everything.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspectRecording } from 'ismio';
import { packageRoot } from './support/child.js';
import { ismio, type Said, type Where } from './support/command.js';
import { temporaryFolder } from './support/files.js';

const node = (process.env['ISMIO_TEST_NODE'] ?? process.execPath).split(' ');
const built = join(packageRoot, 'dist');

/** Words that run this module, which has `emulate`. */
function program(test: TestContext, text: string): string[] {
  const path = join(temporaryFolder(test), 'program.mjs');
  writeFileSync(path, `import { emulate } from ${JSON.stringify(join(built, 'ismio.js'))};\n${text}`);
  return [...node, path];
}

function recordInto(output: string, words: readonly string[], where?: Where): Promise<Said> {
  return ismio(['record', '-o', output, '--', ...words], where);
}

test('a disk that is full is told with its reason, and makes the exit code 1', async (t) => {
  const folder = temporaryFolder(t);
  const words = program(
    t,
    `import { randomBytes } from 'node:crypto';
     const region = emulate({ size: 2 ** 20 });
     for (let at = 0; at < 9; at++) region.write(0, randomBytes(2 ** 20));`,
  );
  const { code, stderr } = await recordInto(join(folder, 'full'), words, { fileLimit: 4096 });
  assert.match(stderr, /^ismio: a part of the program was not recorded: ERR_ISMIO_WRITE_FILE: .* EFBIG; nothing/m);
  assert.doesNotMatch(stderr, /opened no region/);
  assert.equal(code, 1);
  assert.deepEqual(readdirSync(folder), []);
});

test('more regions than a recording has room for are told; the exit code of a program that failed stays', async (t) => {
  const folder = temporaryFolder(t);
  const words = program(
    t,
    `const regions = Array.from({ length: 1025 }, () => emulate({ size: 8 }));
     process.exitCode = 9;`,
  );
  const { code, stderr } = await recordInto(join(folder, 'many'), words);
  assert.match(stderr, /^ismio: a part of the program was not recorded: .* more than 1024 regions are open at once/m);
  assert.equal(code, 9);
  assert.deepEqual(readdirSync(folder), []);
});

test('where a folder is in the place of the recording, the program is not started', async (t) => {
  const folder = temporaryFolder(t);
  const started = join(folder, 'started');
  const { code, stderr } = await recordInto(folder, [...node, '--eval', `fs.writeFileSync('${started}', '')`]);
  assert.match(stderr, /^ismio: ERR_ISMIO_WRITE_FILE: .*folder[^\n]*\n$/);
  assert.equal(code, 1);
  assert.equal(existsSync(started), false);
});

test('a recording that cannot have its name is kept, and it is told where', async (t) => {
  const output = join(temporaryFolder(t), 'taken');
  const words = program(
    t,
    `import { mkdirSync } from 'node:fs';
     emulate({ size: 8 }).store8(0, 1);
     mkdirSync(${JSON.stringify(output)});`,
  );
  const { code, stderr } = await recordInto(output, words);
  const kept = /^ismio: recorded 1 operation on 1 region in (.*): it cannot be renamed to .*: EISDIR$/m.exec(stderr);
  assert.equal((await inspectRecording(kept?.[1] as string)).operations, 1);
  assert.equal(code, 1);
});

test('a process that was ended by force makes the exit code 1, though the program says 0', async (t) => {
  const output = join(temporaryFolder(t), 'killed');
  const words = program(t, `emulate({ size: 8 }); process.kill(process.pid, 'SIGKILL');`);
  const { code, stderr } = await recordInto(output, ['sh', '-c', '"$@"; exit 0', 'sh', ...words]);
  assert.match(stderr, /^ismio: recorded in part: .*killed/m);
  assert.equal(code, 1);
});

test('two copies of the package in one thread have a recording each', async (t) => {
  const output = join(temporaryFolder(t), 'two');
  const words = program(
    t,
    `import * as copy from ${JSON.stringify(join(built, 'src', 'index.js'))};
     const regions = [emulate({ size: 8 }), copy.emulate({ size: 8 })];
     for (let at = 0; at < 5; at++) regions.forEach((region) => region.store8(at, 1));`,
  );
  const { code } = await recordInto(output, words);
  assert.equal(code, 0);
  for (const file of [output, `${output}.2`]) assert.equal((await inspectRecording(file)).operations, 5);
});
