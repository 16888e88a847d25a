// Options that are wrong are refused: a misspelt or mistyped one must not be quietly something else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, emulate, mapFile, openResource } from 'ismio';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';
import { noCounts } from './support/refused.js';

const optionCode = 'ERR_ISMIO_OPTION';
const typeCode = 'ERR_ISMIO_ARGUMENT_TYPE';
const noObjects = [null, 5, 'options', true, Symbol('options'), () => ({})] as never[];

function refusesValues(open: (value: never) => unknown, values: readonly unknown[]): void {
  for (const value of values) {
    assert.throws(
      () => open(value as never),
      (error: Error & { code?: string }) =>
        (error instanceof RangeError && error.code === optionCode) ||
        (error instanceof TypeError && error.code === typeCode),
      `with ${String(value)}`,
    );
  }
}

test('options that are no object are refused', async (t) => {
  const path = temporaryFile(t, 4096);
  using region = emulate({ size: 64 });
  const queue = region.queue();
  for (const options of [...noObjects, undefined] as never[]) throwsCode(() => emulate(options), TypeError, typeCode);
  for (const options of noObjects) {
    throwsCode(() => mapFile(path, options), TypeError, typeCode);
    throwsCode(() => openResource('0000:00:04.0', 0, options), TypeError, typeCode);
    throwsCode(() => region.queue(options), TypeError, typeCode);
    throwsCode(() => emulate({ size: 8, rules: options }), TypeError, typeCode);
    throwsCode(() => emulate({ size: 8, cost: options }), TypeError, typeCode);
    throwsCode(() => emulate({ size: 8, faults: options }), TypeError, typeCode);
    throwsCode(() => emulate({ size: 8, faults: [options] }), TypeError, typeCode);
    throwsCode(() => region.queue({ flush: options }), TypeError, typeCode);
    await rejectsCode(queue.drain(options), TypeError, typeCode);
  }
});

test('a misspelt option is refused by its name', async (t) => {
  const path = temporaryFile(t, 4096);
  using region = emulate({ size: 64 });
  const misspelt = { sise: 1 } as never;
  const values = { option: 'sise' };
  throwsCode(() => emulate({ size: 8, ...(misspelt as object) }), RangeError, optionCode, values);
  throwsCode(() => mapFile(path, misspelt), RangeError, optionCode, values);
  throwsCode(() => openResource('0000:00:04.0', 0, misspelt), RangeError, optionCode, values);
  throwsCode(() => region.queue(misspelt), RangeError, optionCode, values);
  throwsCode(() => region.queue({ flush: misspelt }), RangeError, optionCode, values);
  throwsCode(() => emulate({ size: 8, rules: misspelt }), RangeError, optionCode, values);
  throwsCode(() => emulate({ size: 8, cost: misspelt }), RangeError, optionCode, values);
  throwsCode(() => emulate({ size: 8, faults: [{ cc: 1, ...(misspelt as object) }] }), RangeError, optionCode, values);
  throwsCode(
    () => emulate({ size: 8, faults: { script: [], ...(misspelt as object) } }),
    RangeError,
    optionCode,
    values,
  );
  await rejectsCode(region.queue().drain(misspelt), RangeError, optionCode, values);
});

test('rules that no function has are refused', () => {
  const open = (rules: object) => () => emulate({ size: 64, rules });
  for (const maxStoreBlock of [0, 7, -8, 2 ** 20 + 1, 2 ** 32, 8.5, Number.NaN, 2 ** 53]) {
    throwsCode(open({ maxStoreBlock }), RangeError, optionCode);
  }
  for (const boundary of [0, 4, 9, 4095, 4097, 2 ** 21, 2 ** 32, 2 ** 32 + 8, -8, Number.NaN]) {
    throwsCode(open({ boundary }), RangeError, optionCode);
  }
  for (const value of ['128', null, {}]) {
    throwsCode(open({ maxStoreBlock: value }), TypeError, typeCode);
    throwsCode(open({ boundary: value }), TypeError, typeCode);
  }
  for (const alignment of ['Strict', '', 8, null, true]) throwsCode(open({ alignment }), RangeError, optionCode);
  for (const merge of ['any', '', null, true]) throwsCode(open({ merge }), RangeError, optionCode);
});

test('rules given as bigints are the same rules', () => {
  using region = emulate({ size: 64, rules: { maxStoreBlock: 16n, boundary: 32n } as never });
  assert.equal(region.rules.maxStoreBlock, 16);
  assert.equal(region.rules.boundary, 32);
});

test('sizes, depths and other counts that are none are refused', () => {
  using region = emulate({ size: 64 });
  for (const { value } of noCounts.filter((each) => (each.value as unknown) !== null)) {
    refusesValues((size) => emulate({ size }), [value]);
    refusesValues((depth) => region.queue({ depth }), [value]);
    refusesValues((bytes) => region.queue({ bytes }), [value]);
    refusesValues((ops) => region.queue({ flush: { ops } }), [value]);
    refusesValues((bytes) => region.queue({ flush: { bytes } }), [value]);
    refusesValues((bytes) => allocBuffer(bytes), [value]);
    refusesValues((nth) => emulate({ size: 8, faults: [{ cc: 1, nth }] }), [value]);
    refusesValues((status) => emulate({ size: 8, faults: [{ cc: 1, status }] }), [value]);
    refusesValues((tries) => emulate({ size: 8, faults: [{ cc: 2, tries }] }), [value]);
    refusesValues((times) => emulate({ size: 8, faults: [{ cc: 1, times }] }), [value]);
    refusesValues((seed) => emulate({ size: 8, faults: { seed, script: [] } }), [value]);
    refusesValues((from) => emulate({ size: 8, faults: [{ cc: 1, range: [from, 8] }] }), [value]);
  }
});

test('queues of no depth, no memory or too much are refused', () => {
  using region = emulate({ size: 64 });
  for (const depth of [0, 2 ** 20 + 1, 2 ** 32])
    throwsCode(() => region.queue({ depth }), RangeError, optionCode, { depth });
  for (const bytes of [0, 7, 2 ** 32 + 1]) throwsCode(() => region.queue({ bytes }), RangeError, optionCode, { bytes });
  for (const merge of ['all', 'None', '', 1] as never[]) {
    throwsCode(() => region.queue({ merge }), RangeError, optionCode);
  }
  throwsCode(() => region.queue({ order: 'weak' as never }), RangeError, optionCode);
  throwsCode(() => region.queue({ onFlush: 'log' as never }), TypeError, typeCode);
  throwsCode(() => region.queue({ flush: { ops: 0 } }), RangeError, optionCode);
  throwsCode(() => region.queue({ flush: { bytes: 0 } }), RangeError, optionCode);
});

test('undefined is the default, wherever an option stands', () => {
  const { rules } = emulate({ size: 64 });
  using region = emulate({
    size: 64,
    name: undefined as never,
    rules: { maxStoreBlock: undefined, boundary: undefined, alignment: undefined, merge: undefined } as never,
    cost: { load: undefined, store: 5, storeBlock: undefined, perByte: undefined } as never,
    faults: [{ cc: 1, nth: 9, access: undefined, range: undefined, chance: undefined, status: undefined }] as never,
  });
  assert.deepEqual(region.rules, rules);
  const flush = { ops: undefined, bytes: undefined, turn: undefined } as never;
  const queue = region.queue({ depth: undefined as never, flush, onFlush: undefined as never });
  assert.equal(queue.depth, 1024);
  assert.equal(queue.storeMany({ first: 8, stride: undefined }, new Uint32Array(2)), 1);
  queue.submit();
});

test('null is no default', () => {
  for (const name of ['maxStoreBlock', 'boundary', 'alignment', 'merge']) {
    refusesValues((value) => emulate({ size: 64, rules: { [name]: value } }), [null]);
  }
});

test('costs that are no time are refused', () => {
  const values = [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e13, '5', null, 5n, {}];
  for (const name of ['load', 'store', 'storeBlock', 'perByte']) {
    refusesValues((cost) => emulate({ size: 8, cost: { [name]: cost } }), values);
  }
});

test('fault lines that could never strike, or have values that mean nothing beside each other, are refused', () => {
  const lines: Record<string, object> = {
    'a status with cc 2': { cc: 2, status: 1 },
    'a status with cc 3': { cc: 3, status: 9 },
    'a status with lost': { lost: true, status: 1 },
    'tries with cc 1': { cc: 1, tries: 2 },
    'tries with lost': { lost: true, tries: 2 },
    'tries and times': { cc: 2, tries: 3, times: 2 },
    'no tries': { cc: 2, tries: 0 },
    'no times': { cc: 1, times: 0 },
    'lost twice': { lost: true, times: 2 },
    'the third access, twice': { cc: 1, nth: 3, times: 2 },
    'no chance': { cc: 1, chance: 0 },
    'an empty range': { cc: 1, range: [4, 4] },
    'a range that ends before it begins': { cc: 1, range: [6, 2] },
    'a range behind the region': { cc: 1, range: [8, 16] },
  };
  for (const [what, line] of Object.entries(lines)) {
    throwsCode(() => emulate({ size: 8, faults: [{ cc: 1 }, line] }), RangeError, optionCode);
    assert.throws(() => emulate({ size: 8, faults: [line] }), /faults\[0\]/, what);
  }
  for (const line of [
    { cc: 2, nth: 1, times: 3 },
    { lost: true, times: 1 },
    { cc: 1, nth: 2, times: 1 },
  ] as const) {
    emulate({ size: 8, faults: [line] }).close();
  }
});

test('fault lines that say nothing, or nonsense, are refused', () => {
  const open = (line: object) => () => emulate({ size: 8, faults: [line] });
  throwsCode(open({}), RangeError, optionCode);
  throwsCode(open({ cc: 1, lost: true }), RangeError, optionCode);
  throwsCode(open({ lost: false }), RangeError, optionCode);
  throwsCode(open({ cc: 1, nth: 0 }), RangeError, optionCode);
  throwsCode(open({ cc: 1, status: 256 }), RangeError, optionCode);
  throwsCode(open({ cc: 1, access: 'stores' }), RangeError, optionCode);
  refusesValues((cc) => emulate({ size: 8, faults: [{ cc }] }), [0, 4, '1', null, 1n]);
  refusesValues((chance) => emulate({ size: 8, faults: [{ cc: 1, chance }] }), [-0.1, 0, 1.1, Number.NaN, '0.5', {}]);
  refusesValues((range) => emulate({ size: 8, faults: [{ cc: 1, range }] }), [5, 'ab', [], [1], [1, 2, 3], {}]);
  refusesValues((lost) => emulate({ size: 8, faults: [{ lost }] }), ['yes', 1, {}]);
  refusesValues((script) => emulate({ size: 8, faults: { script } }), [undefined, null, {}, 'x', 5]);
});

test('names and paths that are no text are refused', () => {
  const noTexts = [5, 5n, true, {}, [], Symbol('name'), () => 'name'];
  refusesValues((name) => emulate({ size: 8, name }), noTexts);
  refusesValues((path) => mapFile(path), [...noTexts, undefined, null, '', 'a\0b']);
  refusesValues((bdf) => openResource(bdf, 0), [...noTexts, undefined, null, '', '0000:00:04.0\0']);
  refusesValues((sysfs) => openResource('0000:00:04.0', 0, { sysfs }), noTexts);
});

test('yes and no are true and false, and nothing else', (t) => {
  const path = temporaryFile(t, 4096);
  using region = emulate({ size: 8 });
  const noFlags = [1, 0, 'yes', '', {}, []];
  refusesValues((writable) => mapFile(path, { writable }), noFlags);
  refusesValues((burst) => mapFile(path, { kind: 'device', burst }), noFlags);
  refusesValues((burst) => mapFile(path, { kind: 'memory', burst }), noFlags);
  refusesValues((burst) => openResource('0000:00:04.0', 0, { burst }), noFlags);
  refusesValues((turn) => region.queue({ flush: { turn } }), noFlags);
});

test('kinds there are not are refused', (t) => {
  const path = temporaryFile(t, 4096);
  refusesValues((kind) => emulate({ size: 8, kind }), ['Memory', '', 1, {}]);
  refusesValues((kind) => mapFile(path, { kind }), ['Memory', '', 1, {}]);
});

test('what is no AbortSignal is refused', async () => {
  using region = emulate({ size: 8 });
  const queue = region.queue();
  queue.store8(0, 1);
  for (const signal of [null, 5, {}, { aborted: true }, new AbortController()] as never[]) {
    await rejectsCode(queue.drain({ signal }), TypeError, typeCode);
  }
  assert.equal(queue.queued, 1, 'what was queued still is');
  await queue.drain({ signal: undefined });
  assert.equal(region.load8(0), 1);
});
