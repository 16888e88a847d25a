// The package from outside: both ways to load it, what it exports, and what it says when its addon does not fit.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
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
  'openVfioUser',
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

test('ismio/record is of the same package, however the two are loaded', async (t) => {
  const path = join(temporaryFolder(t), 'one.ismrec');
  const child = await runScript(`
    const { record, inspectRecording } = require('ismio/record');
    Promise.all([import('ismio'), import('ismio/record')]).then(async ([ismio, { replay }]) => {
      const region = ismio.emulate({ size: 8 });
      const recording = record(region, ${JSON.stringify(path)});
      region.store64(0, 1n);
      recording.close();
      const { operations } = await inspectRecording(${JSON.stringify(path)});
      const target = require('ismio').emulate({ size: 8 });
      await replay(${JSON.stringify(path)}, { region: target });
      console.log(operations, target.load64(0), await ismio.replay(${JSON.stringify(path)}).then(({ whole }) => whole));
    });
  `);
  assert.deepEqual([child.stdout, child.stderr], ['1 1n true\n', '']);
});

test('importing it changes nothing: no listener, no global, no file, whatever the environment asks for', async (t) => {
  const folder = temporaryFolder(t);
  const program = `
    const seen = () => JSON.stringify([
      process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
      Object.getOwnPropertyNames(globalThis),
    ]);
    const before = seen();
    await import('ismio');
    await import('ismio/record/auto');
    console.log(before === seen() ? 'the same' : before + seen());`;
  const child = await runModule(program, { env: { ISMIO_RECORD: folder } });
  assert.deepEqual([child.stdout, child.stderr, readdirSync(folder)], ['the same\n', '', []]);
});

test('the recorder of the environment that is loaded in the middle of a program goes on with the one recording', async (t) => {
  const folder = temporaryFolder(t);
  const program = `
    import { emulate } from 'ismio';
    emulate({ size: 8 }).store64(0, 1n);
    await import('ismio/record/auto');
    emulate({ size: 8 }).store64(0, 2n);`;
  const child = await runModule(program, { env: { ISMIO_RECORD: folder } });
  assert.deepEqual([child.code, child.stderr], [0, '']);
  const names = readdirSync(folder);
  assert.equal(names.length, 1, names.join());
  const { operations, regions } = await ismio.inspectRecording(join(folder, names[0] as string));
  assert.deepEqual([operations, regions.length], [2, 2]);
});

test('the rooms that the index loads late have the functions it calls', async () => {
  const child = await runScript(`
    const loaded = () => Object.keys(require.cache).filter((path) => /dist.[a-z-]+\\.cjs$/.test(path)).length;
    const { diagnose, inspectRecording, listFunctions, openVfio, openVfioUser } = require('ismio');
    const said = [loaded()];
    said.push(listFunctions({ sysfs: '/nowhere' }).length, loaded());
    for (const call of [() => openVfio('nothing'), () => openVfioUser(''), () => diagnose({ sysfs: '/nowhere' }), () => inspectRecording('/nowhere')]) {
      try { Promise.resolve(call()).catch(() => undefined); } catch ({ code }) { said.push(code); }
    }
    console.log(...said, loaded());
  `);
  assert.deepEqual([child.stdout, child.stderr], ['1 0 2 ERR_ISMIO_OPTION ERR_ISMIO_OPTION 5\n', '']);
});

test('its package.json can be asked for, and its insides cannot', () => {
  const require = createRequire(import.meta.url);
  assert.equal(require('ismio/package.json').name, 'ismio');
  assert.equal(
    (thrownBy(() => require('ismio/dist/src/addon/binding.js')) as { code: string }).code,
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
