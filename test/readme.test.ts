// The example of the README is a program that runs.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot, runModule } from './support/child.js';

const path = join(packageRoot, 'README.md');
const missing = !existsSync(path) && 'there is no README.md yet';

test('the first example of the README runs, and prints what the README says', { skip: missing }, async () => {
  const readme = readFileSync(path, 'utf8');
  const [, example, rest] = readme.match(/^```js\n([\s\S]*?)^```$([\s\S]*)/m) ?? [];
  assert.ok(example !== undefined && rest !== undefined, 'README.md has a js block');
  assert.match(example, /from 'ismio'/);
  const child = await runModule(example);
  assert.deepEqual([child.code, child.signal, child.stderr], [0, null, ''], child.stdout);
  const printed = rest.match(/^It prints:\n\n((?: {4}.*\n)+)/m)?.[1];
  assert.ok(printed !== undefined, 'README.md says what it prints');
  assert.equal(child.stdout, printed.replaceAll(/^ {4}/gm, ''));
});
