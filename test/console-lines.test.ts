// The lines of consoles: what a command gets and does not get, without a package for terminals, and under a storm of sizes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLine } from 'ismio/console';
import { runModule } from './support/child.js';
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

/** Opens a command where modules are found otherwise: each name of `places` is at that URL, or throws that. */
async function opened(places: string): Promise<string> {
  const hooks = `export async function resolve(name, context, next) {
    const place = (${places})[name];
    if (place instanceof Error) throw place;
    return place === undefined ? next(name, context) : { url: place, shortCircuit: true };
  }`;
  const child = await runModule(`
    import { register } from 'node:module';
    import { commandLine } from 'ismio/console';
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}));
    const listener = { output: () => undefined, drained: () => undefined, ended: () => undefined };
    const size = { columns: 80, rows: 24, xPixels: 0, yPixels: 0 };
    await commandLine(['true'])(listener, size).then(
      (line) => console.log('opened', line.title),
      ({ code, message, arch }) => console.log(code, arch, message),
    );
    process.exit();
  `);
  assert.equal(child.code, 0, child.stderr);
  return child.stdout;
}

const missing = "Object.assign(new Error('there is none'), { code: 'ERR_MODULE_NOT_FOUND' })";

test('without a package for pseudo-terminals the error says which to install', async () => {
  const said = await opened(`{ '@lydell/node-pty': ${missing}, 'node-pty': ${missing} }`);
  assert.match(said, new RegExp(`^ERR_ISMIO_CONSOLE_LINE ${process.arch} `));
  assert.match(said, /npm install @lydell\/node-pty \(.*\), or node-pty \(.*\)/);
});

test('a package that does not load here leaves it to the other one, and is told where there is none', {
  skip,
}, async () => {
  const broken = "new Error('no build for this machine')";
  const there = JSON.stringify(import.meta.resolve('@lydell/node-pty'));
  assert.equal(await opened(`{ '@lydell/node-pty': ${broken}, 'node-pty': ${there} }`), 'opened true\n');
  const said = await opened(`{ '@lydell/node-pty': ${broken}, 'node-pty': ${missing} }`);
  assert.match(said, /^ERR_ISMIO_CONSOLE_LINE .*npm install.*no build for this machine/s);
});
