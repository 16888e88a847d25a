// A standard output that takes nothing: nobody reads it, or the disk is full.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { appendRecord } from '../bench/history/file.js';
import { recordOf } from '../bench/history/record.js';
import type { BenchReport } from '../bench/results.js';
import { packageRoot, said } from './support/child.js';
import { ismio, ismioUnread, startIsmio } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { benchReport, benchResult, measured } from './support/results.js';

const recording = join(packageRoot, 'bench', 'recordings', 'terminal.ismrec');

/** A history whose newest runs are flagged. */
function flaggedHistory(t: TestContext): string {
  const path = join(temporaryFolder(t), 'history.jsonl');
  for (const [index, median] of [...Array<number>(10).fill(6.4), 9, 9].entries()) {
    const started = `2026-03-${String(index + 1).padStart(2, '0')}T00:00:00.000Z`;
    appendRecord(path, recordOf(benchReport({ started, results: [benchResult({ measured: measured(median) })] })));
  }
  return path;
}

/** Words that save results, and measure a batch which does nothing for a while. */
function quickBench(t: TestContext): { words: string[]; json: string } {
  const folder = temporaryFolder(t);
  const [suite, json] = [join(folder, 'suite.mjs'), join(folder, 'results.json')];
  const batch = '() => { for (const end = process.hrtime.bigint() + 50_000n; process.hrtime.bigint() < end; ); }';
  const fields =
    "name: 'own/batch/wait', title: 'a batch that waits', operations: 1, bytes: 0, windowBytes: 0, quick: true";
  writeFileSync(suite, `export const workloads = [{ ${fields}, open: () => ({ batch: ${batch}, close() {} }) }];`);
  return { words: ['bench', '--quick', '--suite', suite, '--json', json], json };
}

describe('a standard output that is full', { concurrency: 2 }, () => {
  async function checkFull(words: readonly string[], exitCode: number): Promise<void> {
    const { code, stderr } = await ismio(words, { stdoutTo: '/dev/full' });
    assert.match(stderr, /^ismio: ERR_ISMIO_WRITE_FILE: cannot write to the standard output: ENOSPC\n$/);
    assert.equal(code, exitCode, words.join(' '));
  }

  test('is no finding of a command that has some to tell: it ends with 3', async (t) => {
    const history = flaggedHistory(t);
    const folder = temporaryFolder(t);
    const results = join(folder, 'results.json');
    writeFileSync(results, JSON.stringify(benchReport()));
    await checkFull(['history', 'show', '--file', history], 3);
    await checkFull(['report', results, '--format', 'json'], 3);
    await checkFull(['replay', recording], 3);
    await checkFull(['bench', '--list'], 3);
  });

  test('costs no file of results', async (t) => {
    const { words, json } = quickBench(t);
    await checkFull(words, 3);
    assert.equal((JSON.parse(readFileSync(json, 'utf8')) as BenchReport).results.length, 1);
  });

  test('makes any other command fail', async () => {
    await checkFull(['plan', '0', '64'], 1);
  });
});

describe('a reader that has gone', { concurrency: 2 }, () => {
  test('changes nothing of what was found', async (t) => {
    const { code, stderr } = await ismioUnread(['history', 'show', '--file', flaggedHistory(t)]);
    assert.deepEqual({ code, stderr }, { code: 1, stderr: '' });
  });

  test('costs no file of results', async (t) => {
    const { words, json } = quickBench(t);
    const { code, stderr } = await ismioUnread(words);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.equal((JSON.parse(readFileSync(json, 'utf8')) as BenchReport).results.length, 1);
  });

  test('of stderr keeps no command from its work', async (t) => {
    const history = flaggedHistory(t);
    appendFileSync(history, '{"schema":'); // something to say on stderr, before the work
    const child = startIsmio(['history', 'show', '--file', history]);
    child.stderr.destroy();
    const { code, stdout } = await said(child);
    assert.equal(code, 1);
    assert.match(stdout, /outside its past/);
  });
});

test('results that cannot be saved are shown all the same', async (t) => {
  const { words } = quickBench(t);
  const { code, stdout, stderr } = await ismio(words, { fileLimit: 1 });
  assert.match(stderr, /^ismio: ERR_ISMIO_WRITE_FILE: cannot write /);
  assert.match(stdout, /own\/batch\/wait/);
  assert.equal(code, 3);
});
