// Why the addon or the pool's threads cannot be had: the reason told is the reason.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { info } from 'ismio';
import { packageRoot, runModule, runScript } from './support/child.js';
import { temporaryFolder } from './support/files.js';

const tellError = `
  import('ismio').then(() => console.log('loaded'), ({ code, message }) => console.log(code, message));`;

const permission = Number(process.versions.node.split('.')[0]) >= 24 ? '--permission' : '--experimental-permission';
const canForbid = process.allowedNodeEnvironmentFlags.has(permission);

test('a part of an addon is told as that, in the words of the dynamic linker', async (t) => {
  const part = join(temporaryFolder(t), 'part.node');
  copyFileSync(info().binary, part);
  truncateSync(part, 100);
  const { stdout } = await runModule(tellError, { env: { ISMIO_BINARY: part } });
  assert.match(stdout, /^ERR_ISMIO_NO_BINARY .*part\.node: .+\(no addon, or a part of one\)/);
});

test('a file that may not be read is told as that', {
  skip: process.getuid?.() === 0 && 'root reads all',
}, async (t) => {
  const path = join(temporaryFolder(t), 'secret.node');
  copyFileSync(info().binary, path);
  chmodSync(path, 0);
  const { stdout } = await runModule(tellError, { env: { ISMIO_BINARY: path } });
  assert.match(stdout, /cannot be read: EACCES/);
  assert.doesNotMatch(stdout, /ismio build/);
});

test('a permission that is missing is told by its flag', { skip: !canForbid && 'no permission model' }, async () => {
  const flags = [permission, '--allow-fs-read=*'];
  const addons = await runModule(tellError, { flags });
  assert.match(addons.stdout, /^ERR_ISMIO_NO_BINARY .*--allow-addons/);
  assert.doesNotMatch(addons.stdout, /ismio build/);
  const start = `import('ismio').then(({ Pool }) => new Pool({ threads: 1 })).then(
    () => console.log('started'), ({ code, message }) => console.log(code, message));`;
  const threads = await runModule(start, { flags: [...flags, '--allow-addons'] });
  assert.match(threads.stdout, /^ERR_ISMIO_NO_WORKER .*--allow-worker/);
});

for (const format of ['esm', 'cjs']) {
  test(`a bundle (${format}) says that the package has to be left out of it`, async (t) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(packageRoot, join(folder, 'node_modules', 'ismio'));
    const source = `import { Pool } from 'ismio';
      try { new Pool({ threads: 1 }); } catch ({ code, message }) { console.log(code, message); }`;
    writeFileSync(join(folder, 'app.mjs'), source);
    const out = join(folder, format === 'esm' ? 'out.mjs' : 'out.cjs');
    const { build } = await import('esbuild');
    const entryPoints = [join(folder, 'app.mjs')];
    await build({
      entryPoints,
      bundle: true,
      platform: 'node',
      format: format as 'esm',
      outfile: out,
      logLevel: 'silent',
    });
    assert.ok(existsSync(out));
    const load = `import(${JSON.stringify(out)}).catch(({ code, message }) => console.log(code, message));`;
    assert.match((await runScript(load)).stdout, /^ERR_ISMIO_NO_BINARY .*--external:ismio/);
    const { stdout } = await runScript(load, { env: { ISMIO_BINARY: info().binary } });
    assert.match(stdout, /^ERR_ISMIO_NO_WORKER .*--external:ismio/);
  });
}
