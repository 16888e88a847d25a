// The Markdown summary: the verdict first, and nothing in it that its texts did not say.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { render } from '../bench/outputs/index.js';
import { summarize } from '../bench/outputs/summary.js';
import { temporaryFolder } from './support/files.js';
import { benchReport, benchResult, comparedTime, compareReport, hostile } from './support/results.js';

/** Cells of a row as GitHub sees them: a bar ends one, unless a backslash stands before it. */
function cells(line: string): string[] {
  return line.split(/(?<!\\)\|/).slice(1, -1);
}

describe('the Markdown summary', () => {
  test('begins with the verdict', () => {
    assert.match(render('markdown', compareReport()), /^## ismio compare: ❌ regressed\n/);
    const passed = compareReport({ verdict: 'pass', exitCode: 0, times: [comparedTime('pass', 1)] });
    assert.match(render('markdown', passed), /^## ismio compare: ✅ pass\n/);
    assert.match(render('markdown', benchReport()), /^## ismio bench: 1 of 1 targets missed\n/);
  });

  test('shows what was found before what passed, which is folded away', () => {
    const times = [comparedTime('pass', 1, { name: 'a' }), comparedTime('regressed', 1.2, { name: 'b' })];
    const text = render('markdown', compareReport({ times }));
    const found = text.indexOf('| ❌ regressed | `b` | **1.200** (+20 %) |');
    const folded = text.indexOf('<details><summary>1 passed</summary>', found);
    const passed = text.indexOf('| ✅ pass | `a` |', folded);
    assert.ok(found > 0 && folded > found && passed > folded, text);
  });

  test('keeps its columns and makes no markup of names, titles and reasons, whatever they hold', () => {
    for (const text of hostile) {
      const time = comparedTime('regressed', 1.1, { name: text, title: text, reason: text });
      const head = { ...compareReport().head, spec: text };
      const summary = render(
        'markdown',
        compareReport({ times: [time], head, skipped: [{ name: text, reason: text }] }),
      );
      const [row] = summary.split('\n').filter((line) => line.startsWith('| ❌ regressed |'));
      assert.equal(cells(row ?? '').length, 8, text);
      const elements = [...summary.matchAll(/<\/?([a-z]+)/g)].map(([, name]) => name);
      assert.deepEqual(
        [...new Set(elements)].sort(),
        ['code', 'details', 'sub', 'summary'].filter((name) => elements.includes(name)),
        text,
      );
      assert.doesNotMatch(summary, /(?<!`[^`\n]*)@[a-z]/, 'nobody is called');
      assert.doesNotMatch(summary, /\]\(|\u2028|\r/);
    }
  });

  test('of very many benchmarks says how many it left out, and stays below what GitHub takes', () => {
    const results = Array.from({ length: 5000 }, (_, i) => benchResult({ name: `${i}/${'|'.repeat(500)}` }));
    const text = render('markdown', benchReport({ results }));
    assert.match(text, /\nand 4,900 more\n/);
    assert.ok(Buffer.byteLength(text) < 2 ** 20);
  });
});

describe('summarize', () => {
  test('appends to the file that GITHUB_STEP_SUMMARY names', (t) => {
    const path = join(temporaryFolder(t), 'summary.md');
    writeFileSync(path, '# before\n');
    assert.equal(summarize(benchReport(), path), true);
    assert.equal(readFileSync(path, 'utf8'), `# before\n${render('markdown', benchReport())}`);
  });

  test('does nothing where it names none', () => {
    assert.equal(summarize(benchReport(), ''), false);
  });

  test('says which file could not be written', () => {
    assert.throws(() => summarize(benchReport(), '/dev/full'), {
      code: 'ERR_ISMIO_WRITE_FILE',
      path: '/dev/full',
      errno: 'ENOSPC',
    });
  });
});
