// The lines of consoles: what a command gets and does not get, without a package for terminals, and under a storm of sizes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLine } from 'ismio/console';
import { until } from './support/console-line.js';

const skip = await import('@lydell/node-pty').then(
  () => false,
  (error: Error) => `no pseudo-terminals here: ${error.message}`,
);
const size = { columns: 80, rows: 24, xPixels: 0, yPixels: 0 };

/** A command, and what it says until it has ended. */
async function run(words: string[], options: Parameters<typeof commandLine>[1] = {}) {
  const pieces: Buffer[] = [];
  let isOver = false;
  const line = await commandLine(words, options)(
    {
      output: (bytes) => void pieces.push(Buffer.from(bytes)),
      drained: () => undefined,
      ended: () => (isOver = true),
    },
    size,
  );
  return { line, output: () => Buffer.concat(pieces).toString('latin1'), isOver: () => isOver };
}

test('a command has its own terminal and no other: not that of a command which was started before it', {
  skip,
}, async (t) => {
  const first = await run(['sleep', '600']);
  t.after(() => first.line.close());
  const second = await run(['sh', '-c', 'ls -l /proc/$$/fd']);
  await until(second.isOver, 'it has looked');
  assert.match(second.output(), /\/dev\/pts\//);
  assert.doesNotMatch(second.output(), /ptmx/);
});

test('a variable of the environment that is undefined is not there', { skip }, async () => {
  const env = { PATH: process.env['PATH'], GONE: undefined, HERE: '' };
  const { isOver, output } = await run(['sh', '-c', 'env'], { env });
  await until(isOver, 'it has said it');
  assert.match(output(), /^HERE=\r$/m);
  assert.doesNotMatch(output(), /^GONE/m);
});
