// The example of the README is a program that runs.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot, runModule } from './support/child.js';

const path = join(packageRoot, 'README.md');
const missing = !existsSync(path) && 'there is no README.md yet';

test('the first example of the README runs without an error', { skip: missing }, async () => {
  const example = readFileSync(path, 'utf8').match(/^```js\n([\s\S]*?)^```$/m)?.[1];
  assert.ok(example !== undefined, 'README.md has a js block');
  assert.match(example, /from 'ismio'/);
  const child = await runModule(example);
  assert.deepEqual([child.code, child.signal, child.stderr], [0, null, ''], child.stdout);
});
