// The examples run, and say what they did.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot, said } from './support/child.js';
import { patience } from './support/scale.js';

const expected: Readonly<Record<string, RegExp>> = {
  faults: /^# pass 2$|^ℹ pass 2$/m,
  backpressure: /^640000 bytes went out as \d+ store blocks; the producer waited [1-9]\d* times\n$/,
  mailbox: /^100 messages from another process; the last one: message 99\n$/,
};

for (const [name, output] of Object.entries(expected)) {
  test(`examples/${name} runs`, async () => {
    const program = join(packageRoot, 'dist', 'examples', `${name}.js`);
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: patience(60_000),
      killSignal: 'SIGKILL',
    });
    const { code, stdout, stderr } = await said(child);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, output);
  });
}
