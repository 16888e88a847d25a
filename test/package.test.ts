// The package from outside: both ways to load it, what it exports, and what it says when its addon does not fit.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import * as ismio from 'ismio';
import { runModule, runScript } from './support/child.js';
import { thrownBy } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

const functions = [
  'allocBuffer',
  'diagnose',
  'emulate',
  'freeBuffer',
  'info',
  'inspectRecording',
  'isIsmioError',
  'listFunctions',
  'mapFile',
  'openResource',
  'openVfio',
  'readRecording',
  'record',
  'replay',
];
const classes = ['IsmioError', 'Pool'];

test('exports its functions and classes, and nothing by accident', () => {
  assert.deepEqual(Object.keys(ismio).sort(), [...classes, ...functions].sort());
});

test('require gives the same package as import, with the same state', async () => {
  const child = await runScript(`
    const required = require('ismio');
    import('ismio').then((imported) => {
      const names = (of) => Object.keys(of).filter((name) => !['default', 'module.exports'].includes(name)).sort();
      console.log(JSON.stringify({
        required: names(required),
        imported: names(imported),
        same: required.IsmioError === imported.IsmioError && required.emulate === imported.emulate,
        loads: required.emulate({ size: 8 }).load64(0) === 0n,
      }));
    });
  `);
  assert.equal(child.code, 0, child.stderr);
  const { required, imported, same, loads } = JSON.parse(child.stdout);
  assert.deepEqual(required, imported);
  assert.deepEqual(required, [...classes, ...functions].sort());
  assert.equal(loads, true);
  assert.equal(same, true, 'one package, not two');
});

test('its package.json can be asked for, and its insides cannot', () => {
  const require = createRequire(import.meta.url);
  assert.equal(require('ismio/package.json').name, 'ismio');
  assert.equal(
    (thrownBy(() => require('ismio/dist/src/binding.js')) as { code: string }).code,
    'ERR_PACKAGE_PATH_NOT_EXPORTED',
  );
});

test('loading it warns of nothing and prints nothing', async () => {
  const imported = await runModule(`import 'ismio';`);
  assert.deepEqual([imported.code, imported.stdout, imported.stderr], [0, '', '']);
});

test('errors are told apart by class and by code', () => {
  const region = ismio.emulate({ size: 64, faults: [{ access: 'load', cc: 1 }] });
  const device = thrownBy(() => region.load8(0));
  assert.ok(device instanceof ismio.IsmioError && device instanceof Error);
  assert.equal(device.name, 'IsmioError');
  assert.equal(device.code, 'ERR_ISMIO_DEVICE');
  const range = thrownBy(() => region.load8(64));
  assert.ok(range instanceof RangeError && !(range instanceof ismio.IsmioError));
  const type = thrownBy(() => region.load8('0' as never));
  assert.ok(type instanceof TypeError);
  region.close();
  assert.ok(thrownBy(() => region.load8(0)) instanceof ismio.IsmioError);
});

test('info says what was loaded', () => {
  const { node, platform, arch, binary, kernels } = ismio.info();
  assert.deepEqual([node, platform, arch], [process.version, process.platform, process.arch]);
  assert.match(binary, /\.node$/);
  const names: Readonly<Record<string, string>> = { x64: 'x86-64', arm64: 'aarch64', s390x: 's390x' };
  assert.equal(kernels.cpu, names[process.arch] ?? 'portable');
});

const tellError = `
  try {
    await import('ismio');
    console.log('loaded');
  } catch ({ name, code, message, ...values }) {
    console.log(JSON.stringify({ name, code, message, values }));
  }`;

test('without an addon the error says where it looked and what to run', async (t) => {
  const missing = join(temporaryFolder(t), 'missing.node');
  const { stdout } = await runModule(tellError, { env: { ISMIO_BINARY: missing } });
  const { name, code, message, values } = JSON.parse(stdout);
  assert.deepEqual([name, code], ['IsmioError', 'ERR_ISMIO_NO_BINARY']);
  assert.match(message, /npx ismio build/);
  assert.ok(message.includes(missing));
  assert.equal(values.arch, process.arch);
});

test('what is no addon is refused with the reason the system gives', async (t) => {
  const broken = join(temporaryFolder(t), 'broken.node');
  writeFileSync(broken, 'no addon');
  const { stdout } = await runModule(tellError, { env: { ISMIO_BINARY: broken } });
  const { code, values } = JSON.parse(stdout);
  assert.equal(code, 'ERR_ISMIO_NO_BINARY');
  assert.match(String(values.looked), /broken\.node: ./);
});

test('an addon of another build is refused with the words that differ', async (t) => {
  const other = join(temporaryFolder(t), 'other.cjs');
  writeFileSync(
    other,
    `module.exports = { ...require(${JSON.stringify(ismio.info().binary)}) };
    module.exports.layout = { ...module.exports.layout, entryBytes: 48, surprise: 1 };`,
  );
  const { stdout } = await runModule(tellError, { env: { ISMIO_BINARY: other } });
  const { name, code, message, values } = JSON.parse(stdout);
  assert.deepEqual([name, code], ['IsmioError', 'ERR_ISMIO_LAYOUT']);
  assert.match(message, /entryBytes: 32 here, 48 in the addon/);
  assert.equal(values.differences.length, 2);
  assert.equal(values.path, other);
});
