// Results that are read back: what is none is refused with its place; what is written is there whole or not at all.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { render } from '../bench/outputs/index.js';
import { readBench, readReport } from '../bench/outputs/read.js';
import { checkWritable, makeFolder, writeWhole } from '../bench/outputs/write.js';
import { temporaryFolder } from './support/files.js';
import { benchReport, benchResult, compareReport } from './support/results.js';
import { undescribed } from './support/schema.js';

function saved(t: TestContext, content: unknown): string {
  const path = join(temporaryFolder(t), 'results.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

/** A document with one part replaced; undefined takes it away. */
function changed(path: string, value: unknown): unknown {
  const document = JSON.parse(JSON.stringify(benchReport())) as Record<string, unknown>;
  const steps = path.split('.');
  const last = steps.pop() as string;
  const parent = steps.reduce<Record<string, unknown>>((at, step) => at[step] as Record<string, unknown>, document);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return document;
}

describe('reading results', () => {
  test('gives back what was written', (t) => {
    for (const report of [benchReport(), compareReport()]) {
      assert.deepEqual(readReport(saved(t, render('json', report))), report);
    }
  });

  test('takes fields that it does not know: a later release may add some within a version', (t) => {
    assert.ok(readReport(saved(t, changed('results.0.colour', 'blue'))));
  });

  test('refuses another schema, and says which', (t) => {
    for (const [document, told] of [
      [changed('schema', 'ismio-bench/2'), '"ismio-bench/2"'],
      [{}, 'undefined'],
      [[], 'undefined'],
      [null, 'undefined'],
      [7, 'undefined'],
      [changed('schema', ['ismio-bench/1']), '["ismio-bench/1"]'],
      [changed('schema', 'constructor'), '"constructor"'],
    ] as const) {
      const path = saved(t, document);
      assert.throws(() => readReport(path), {
        code: 'ERR_ISMIO_RESULTS',
        path,
        message: `${path} has no results that can be read: its schema is ${told}, not ismio-bench/1 or ismio-compare/1`,
      });
    }
  });

  test('refuses a comparison where only a run will do', (t) => {
    assert.throws(() => readBench(saved(t, compareReport())), { code: 'ERR_ISMIO_RESULTS', schema: 'ismio-compare/1' });
  });

  test('refuses what is not of the schema, and says where and what it found', (t) => {
    for (const [path, value, place, found] of [
      ['commit', undefined, 'the document', 'commit'],
      ['started', 'yesterday', 'started', '"yesterday"'],
      ['environment.cores', 0, 'environment.cores', '0'],
      ['environment.machine', '../x', 'environment.machine', '"../x"'],
      ['results', {}, 'results', '{}'],
      ['results.0.measured', null, 'results[0].measured', 'null'],
      ['results.0.measured.median', null, 'results[0].measured.median', 'null'],
      ['results.0.measured.distribution.q1', '3', 'results[0].measured.distribution.q1', '"3"'],
      ['results.0.floor.title', 3, 'results[0].floor.title', '3'],
      ['results.0.unit', 's', 'results[0].unit', '"s"'],
      ['results.0.name', '', 'results[0].name', '""'],
      ['results.0.scale', { curve: 'a' }, 'results[0].scale', 'at'],
      ['results.0.stages', { copy: -1 }, 'results[0].stages.copy', '-1'],
      ['skipped.0', 'all of it', 'skipped[0]', '"all of it"'],
    ] as const) {
      const file = saved(t, changed(path, value));
      assert.throws(
        () => readReport(file),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'ERR_ISMIO_RESULTS');
          assert.ok(error.message.startsWith(`${file} has no results that can be read: ${place} `), error.message);
          assert.ok(error.message.includes(found), error.message);
          return true;
        },
      );
    }
  });

  test('refuses a name that is there twice: formats that go by name would lose one', (t) => {
    const path = saved(t, benchReport({ results: [benchResult(), benchResult()] }));
    assert.throws(() => readReport(path), {
      code: 'ERR_ISMIO_RESULTS',
      message: /"queue\/stores-8B\/adjacent" is there twice/,
    });
  });

  test('refuses what is no JSON, such as a file that was cut off', (t) => {
    for (const text of ['', 'hello', render('json', benchReport()).slice(0, 500)]) {
      assert.throws(() => readReport(saved(t, text)), { code: 'ERR_ISMIO_RESULTS', message: /it is not JSON: / });
    }
  });

  test('says why a file cannot be read', (t) => {
    const folder = temporaryFolder(t);
    assert.throws(() => readReport(join(folder, 'none.json')), { code: 'ERR_ISMIO_OPEN', errno: 'ENOENT' });
    assert.throws(() => readReport(folder), { code: 'ERR_ISMIO_OPEN', errno: 'EISDIR' });
  });
});

describe('the schemas', () => {
  test('describe every field of the samples', () => {
    assert.deepEqual(undescribed(benchReport(), 'ismio-bench-1.json'), []);
    assert.deepEqual(undescribed(compareReport(), 'ismio-compare-1.json'), []);
    assert.deepEqual(undescribed({ ...benchReport(), colour: 1 }, 'ismio-bench-1.json'), ['.colour']);
  });
});

describe('writing whole files', () => {
  test('replaces what a link points to, and leaves nothing beside it', (t) => {
    const folder = temporaryFolder(t);
    const [file, link] = [join(folder, 'file'), join(folder, 'link')];
    writeWhole(file, 'old');
    symlinkSync(file, link);
    writeWhole(link, 'new');
    assert.equal(readFileSync(file, 'utf8'), 'new');
    assert.deepEqual(readdirSync(folder).sort(), ['file', 'link']);
  });

  test('writes to a device and leaves it one', () => {
    assert.throws(() => writeWhole('/dev/full', 'x'), {
      code: 'ERR_ISMIO_WRITE_FILE',
      path: '/dev/full',
      errno: 'ENOSPC',
    });
    assert.ok(statSync('/dev/full').isCharacterDevice());
    writeWhole('/dev/null', 'x');
    assert.ok(statSync('/dev/null').isCharacterDevice());
  });

  test('says why a place cannot be written to, and makes nothing', (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'file');
    writeFileSync(file, 'a file');
    mkdirSync(join(folder, 'sub'));
    for (const write of [(path: string) => writeWhole(path, 'x'), checkWritable]) {
      assert.throws(() => write(join(folder, 'none', 'file')), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'ENOENT' });
      assert.throws(() => write(join(file, 'below')), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'ENOTDIR' });
      assert.throws(() => write(join(folder, 'sub')), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'EISDIR' });
    }
    assert.throws(() => makeFolder(join(file, 'below')), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'ENOTDIR' });
    assert.throws(() => makeFolder('/proc/none/below'), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'ENOENT' });
    assert.deepEqual(readdirSync(folder).sort(), ['file', 'sub']);
    assert.ok(!existsSync(join(folder, 'none')));
  });
});
