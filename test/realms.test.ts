// Values of another realm, such as Jest and jsdom make, and environments that lack globals of Node.js.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { emulate, mapFile } from 'ismio';
import { contents } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';

const made = <Value>(code: string): Value => vm.runInNewContext(code) as Value;

test('typed arrays and views of another realm are as good as those of this one', () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  const each: [offsets: string, place: number][] = [
    ['new Float64Array([0])', 0],
    ['new Uint32Array([8])', 8],
    ['new Int32Array([16])', 16],
  ];
  for (const [offsets, place] of each) {
    assert.equal(queue.storeMany(made(offsets), made('new BigUint64Array([5n])')), 1);
    assert.equal(queue.storeMany(made(offsets), made('new Uint32Array([5, 0])')), 1);
    assert.equal(queue.writeMany(made(offsets), made('new Uint16Array([1])'), made('new Uint8Array([6])')), 1);
    assert.equal(queue.writeMany(made(offsets), made('new Uint32Array([1])'), made('new Uint8Array([7])')), 1);
    queue.submit();
    assert.equal(region.load8(place), 7);
  }
  region.write(32, made('new Uint8Array([1, 2])'));
  region.write(34, made('new DataView(new Uint8Array([3]).buffer)'));
  region.write(35, made('new Uint8Array([4]).buffer'));
  region.write(36, made('new SharedArrayBuffer(1)'));
  assert.deepEqual(contents(region, 32, 4), Uint8Array.of(1, 2, 3, 4));
  for (const empty of ['DataView(new ArrayBuffer(0))', 'Uint8Array(0)', 'Float64Array(0)', 'ArrayBuffer(0)']) {
    region.write(0, made(`new ${empty}`));
    region.write(0, vm.runInThisContext(`new ${empty}`) as Uint8Array);
  }
});

test('a view of another realm whose buffer was taken away is told as such', () => {
  using region = emulate({ size: 4096 });
  for (const type of ['Uint8Array', 'Float32Array', 'DataView']) {
    const view = made<Uint8Array>(`new ${type}(new ArrayBuffer(8))`);
    structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
    throwsCode(() => region.write(0, view), TypeError, 'ERR_ISMIO_DETACHED');
  }
});

test('what only has the name of a typed array is refused', () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  const posing = { [Symbol.toStringTag]: 'Float64Array', length: 1, 0: 0 } as never;
  throwsCode(() => queue.storeMany(posing, new Uint32Array(2)), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => queue.writeMany(posing, 8, new Uint8Array(8)), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(
    () => queue.writeMany(new Float64Array(1), posing, new Uint8Array(8)),
    TypeError,
    'ERR_ISMIO_ARGUMENT_TYPE',
  );
});

test('a file is mapped by its path or by a file: URL, whoever made the URL', (t) => {
  const path = temporaryFile(t, 4096);
  writeFileSync(path, new Uint8Array(4096).fill(9));
  const url = pathToFileURL(path);
  const foreign = { href: url.href, protocol: 'file:' } as URL;
  for (const file of [path, url, foreign]) {
    using region = mapFile(file);
    assert.equal(region.load8(5), 9);
    assert.equal(region.name, path);
  }
  throwsCode(() => mapFile(new URL('https://example.org/file')), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => mapFile(new URL('file:///tmp/%00')), RangeError, 'ERR_ISMIO_OPTION');
  for (const none of [null, undefined, 5, {}, Buffer.from(path)]) {
    throwsCode(() => mapFile(none as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  }
});

test('the package loads and works where the globals are few: no TextDecoder, setImmediate, URL or AbortSignal', async () => {
  const require = createRequire(import.meta.url);
  const file = require.resolve('ismio');
  const text = readFileSync(file.replace(/\.js$/, '.cjs'), 'utf8');
  const context = vm.createContext({ process });
  const load = vm.runInContext(`(function (exports, require, module, __filename) {${text}\n})`, context) as (
    ...given: unknown[]
  ) => void;
  const module = { exports: {} as typeof import('ismio') };
  load(module.exports, require, module, file);
  const { exports } = module;
  const region = exports.emulate({ size: 4096 });
  const queue = region.queue({ flush: { turn: true } });
  queue.storeWords(0, 5, 0);
  await queue.flushed;
  queue.write(8, exports.allocBuffer(8).fill(3));
  await queue.drain({ signal: new AbortController().signal });
  assert.deepEqual([region.load8(0), region.load8(8)], [5, 3]);
  region.close();
});
