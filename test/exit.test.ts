// The one 'exit' listener of the package.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { execute } from '../bench/execute.js';
import { passingFolder } from '../bench/folders.js';
import { atExit } from '../src/support/exit.js';

const module = new URL('../src/support/exit.js', import.meta.url).href;

function said(body: string): { out: string; status: number | null } {
  const code = `import { atExit } from '${module}'; ${body}`;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  return { out: stdout, status };
}

test('any number of callbacks is one listener of the process, and none when all were taken back', () => {
  const before = process.listenerCount('exit');
  const back = Array.from({ length: 20 }, () => atExit(() => undefined));
  assert.equal(process.listenerCount('exit'), before + 1);
  for (const take of back) take();
  for (const take of back) take();
  assert.equal(process.listenerCount('exit'), before);
});

test('the last callback runs first, and one that was taken back does not run', () => {
  const { out } = said(`
    atExit(() => console.log('first'));
    const back = atExit(() => console.log('never'));
    atExit(() => console.log('last'));
    back();`);
  assert.equal(out, 'last\nfirst\n');
});

test('a callback that throws keeps none of the others from running, and its error is the process’s', () => {
  const { out, status } = said(`
    atExit(() => console.log('still'));
    atExit(() => { throw new Error('no'); });`);
  assert.equal(out, 'still\n');
  assert.notEqual(status, 0);
});

test('passing folders and programs that are run come by the same listener', async () => {
  const before = process.listenerCount('exit');
  const folders = Array.from({ length: 12 }, () => passingFolder(join(tmpdir(), 'ismio-exit-'), ''));
  const programs = Array.from({ length: 12 }, () => execute('true', []));
  assert.equal(process.listenerCount('exit'), before + 1);
  for (const { remove } of folders) remove();
  await Promise.all(programs);
  assert.equal(process.listenerCount('exit'), before);
});

test('a program that writes to a passing folder has ended when the folder is removed', () => {
  const bench = new URL('../bench/', import.meta.url).href;
  const { out } = said(`
    const { execute } = await import('${bench}execute.js');
    const { passingFolder } = await import('${bench}folders.js');
    const first = execute('sleep', ['60']);
    const { path } = passingFolder('${join(tmpdir(), 'ismio-exit-')}', '');
    execute('sh', ['-c', 'while : ; do mkdir -p "$0/a/b"; : > "$0/a/b/c"; done', path]);
    setTimeout(() => { console.log(path); process.exit(0); }, 300);`);
  assert.match(out, /ismio-exit-/);
  assert.equal(existsSync(out.trim()), false);
});
