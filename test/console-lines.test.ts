// The lines of consoles: what a command gets and does not get, without a package for terminals, and under a storm of sizes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachConsole, commandLine, type OpenLine, serveConsoles } from 'ismio/console';
import { fromClient, fromServer } from '../src/console/wire.js';
import { encode } from '../src/ism/talk/messages.js';
import { runModule } from './support/child.js';
import { heardOf, until } from './support/console-line.js';
import { pairOn } from './support/ism.js';

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

test('a storm of sizes at a viewer that never reads: few wait for it, the last one counts, and the command has it', {
  skip,
}, async () => {
  await using pair = await pairOn('device.open()');
  using server = await serveConsoles(pair.a, { consoles: [{ line: commandLine(['sh']) }] });
  using client = await attachConsole(pair.b, pair.a.gid, { replay: 'none', size, reconnect: 0 });
  const { output } = heardOf(client);
  const viewer = await pair.b.connect(pair.a.gid, 23, { mode: 'messages', ring: 4096 });
  viewer.on('error', () => undefined);
  const nonce = Buffer.alloc(32);
  const hello = {
    version: 1,
    role: 0,
    replay: 0,
    reserved: 0,
    life: 0n,
    offset: 0n,
    ...size,
    nonce,
    attachment: nonce,
  };
  viewer.write(encode(fromClient, 'hello', { ...hello, name: '', reason: '' }));
  await until(() => server.consoles[0]?.viewers === 1, 'it looks on');
  for (let i = 0; i < 2000; i++) {
    client.resize({ columns: 20 + (i % 300), rows: 10 + (i % 50) });
    if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  client.resize({ columns: 77, rows: 33 });
  client.write('stty size\r');
  await until(() => output().includes('33 77\r\n'), 'the command has the last size');
  const sizes: string[] = [];
  viewer.on('data', (record: Buffer) => {
    if (record[0] === fromServer.size.number) sizes.push(record.toString('hex'));
  });
  const last = encode(fromServer, 'size', { columns: 77, rows: 33, xPixels: 0, yPixels: 0 }).toString('hex');
  await until(() => sizes.at(-1) === last, 'the last size');
  // As many as a ring of 4096 bytes and a stream's 16 records are, and one.
  assert.ok(sizes.length < 500, `${sizes.length} sizes waited for whoever did not read`);
});

test('a storm of sizes at a server that does not read leaves room for keys, which come behind the size that was said before them', async () => {
  await using pair = await pairOn('device.open()');
  const came: string[] = [];
  let drained = (): void => undefined;
  const line: OpenLine = (listener) => {
    drained = () => listener.drained();
    return {
      title: 'it takes no keys',
      write: (bytes) => {
        came.push(Buffer.from(bytes).toString());
        return came.length > 2;
      },
      resize: ({ columns }) => void came.push(`${columns}`),
      close: () => undefined,
    };
  };
  using server = await serveConsoles(pair.a, { consoles: [{ line }] });
  using client = await attachConsole(pair.b, pair.a.gid, { replay: 'none', reconnect: 0 });
  client.write('first');
  await until(() => came.length === 1, 'it is full');
  for (let i = 0; i < 20_000; i++) {
    client.resize({ columns: 20 + (i % 300), rows: 24 });
  }
  client.resize({ columns: 555, rows: 24 });
  assert.equal(client.write('second'), true);
  drained();
  await until(() => came.includes('second'), 'the keys');
  assert.equal(came.at(came.indexOf('second') - 1), '555');
  assert.equal(server.consoles[0]?.writer, pair.b.gid);
});
