// ismio serve, and the targets and info of a device that is served, as their users meet them: processes, words, exit codes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { openVfioUser } from 'ismio';
import { packageRoot, said } from './support/child.js';
import { ismio, type Said, startIsmio } from './support/command.js';
import { temporaryFolder } from './support/files.js';

/** A device with a register that counts what is stored to it, and memory in BAR 2. */
const counter = `
import { allocBuffer } from 'ismio';
import { defineDevice } from 'ismio/device';
let stored = 0;
export const device = defineDevice({
  name: 'counter',
  vendor: 0x1af4,
  device: 0x4242,
  classCode: 0x088000,
  interrupts: { msix: 2 },
  regions: {
    0: {
      size: 4096,
      load: (offset, width) => {
        if (offset === 8) throw new Error('nothing\\u001b[31m here');
        return width === 8 ? BigInt(stored) : stored;
      },
      store: (offset) => {
        stored++;
        if (offset === 16) device.close();
        if (offset === 24) process.exit(5);
      },
    },
    2: { size: 4096, memory: allocBuffer(4096, { shared: true }) },
  },
});
`;

/** The file of a module beside an installation of the package, and where its socket may be. */
function written(t: TestContext, text: string): { file: string; socket: string } {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(packageRoot, join(folder, 'node_modules', 'ismio'));
  const file = join(folder, 'module.mjs');
  writeFileSync(file, text);
  return { file, socket: join(folder, 'socket') };
}

interface Event {
  readonly event: string;
  readonly [value: string]: unknown;
}

/** A command that serves, and what it tells as JSON. */
interface Serving {
  readonly child: ReturnType<typeof startIsmio>;
  readonly told: readonly Event[];
  readonly ended: Promise<Said>;
  endedBy(signal: NodeJS.Signals): Promise<Said>;
}

/** One that listens when the promise is fulfilled. */
async function serving(t: TestContext, words: readonly string[]): Promise<Serving> {
  const child = startIsmio(['serve', ...words, '--json']);
  t.after(() => child.kill('SIGKILL'));
  const ended = said(child);
  const lines = createInterface(child.stdout);
  const told: Event[] = [];
  lines.on('line', (line) => told.push(JSON.parse(line) as Event));
  const failed = ended.then(({ stderr }) => assert.fail(`it ended before it served: ${stderr}`));
  await Promise.race([once(lines, 'line'), failed]);
  failed.catch(() => undefined);
  const endedBy = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return { child, told, ended, endedBy };
}

/** Checks that it failed with one line on stderr, beginning with this code, and nothing on stdout. */
function checkRefused({ code, stdout, stderr }: Said, exitCode: number, start: string): void {
  assert.match(stderr, /^ismio: [^\n]+\n$/);
  assert.equal(stderr.slice('ismio: '.length, 'ismio: '.length + start.length), start);
  assert.deepEqual({ code, stdout }, { code: exitCode, stdout: '' });
}

/** Checks that it succeeded without a word on stderr. */
function outputOf({ code, stdout, stderr }: Said): string {
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return stdout;
}

describe('ismio serve', { concurrency: 2 }, () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`serves the device of a module until ${signal}, and leaves no socket`, async (t) => {
      const { file, socket } = written(t, `${counter} export default device;`);
      const server = await serving(t, [file, '--socket', socket]);
      assert.equal(statSync(socket).mode & 0o777, 0o600);
      outputOf(await ismio(['store', `vfio-user:${socket}/0`, '0', '1']));
      const { code, stderr } = await server.endedBy(signal);
      assert.deepEqual([code, stderr, existsSync(socket)], [0, '', false]);
      assert.deepEqual(
        server.told.map(({ event }) => event),
        ['serving', 'client', 'gone', 'ended'],
      );
      const [began, client, , ended] = server.told;
      assert.deepEqual(began, { event: 'serving', device: 'counter', path: socket });
      assert.deepEqual([typeof client?.['pid'], client?.['uid']], ['number', process.getuid?.()]);
      assert.deepEqual([ended?.['clients'], ended?.['refused']], [1, 0]);
    });
  }

  test('calls a function that makes the device, and gives the socket the rights that are asked for', async (t) => {
    const { file, socket } = written(t, `${counter} export default async () => device;`);
    const server = await serving(t, [file, '--socket', socket, '--mode', '660']);
    assert.equal(statSync(socket).mode & 0o777, 0o660);
    assert.equal((await server.endedBy('SIGTERM')).code, 0);
  });

  test('tells people on stderr what happens, also what a handler threw, and nothing that moves the cursor', async (t) => {
    const { file, socket } = written(t, `${counter} export default device;`);
    const child = startIsmio(['serve', file, '--socket', socket]);
    t.after(() => child.kill('SIGKILL'));
    const ended = said(child);
    await once(child.stderr, 'data');
    checkRefused(await ismio(['load', `vfio-user:${socket}/0`, '8', '--width', '4']), 1, 'ERR_ISMIO_DEVICE');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    assert.deepEqual([code, stdout], [0, '']);
    const lines = stderr.split('\n').map((line) => line.split('  ')[0]);
    assert.deepEqual(lines, ['serving', 'client', 'error', 'gone', 'ended', '']);
    assert.match(stderr, /^error {2}message nothing\\u001b\[31m here$/m);
  });

  test('ends when the device closes itself, whatever else its module keeps running', async (t) => {
    const { file, socket } = written(t, `${counter} setInterval(() => undefined, 1000); export default device;`);
    const server = await serving(t, [file, '--socket', socket]);
    checkRefused(await ismio(['store', `vfio-user:${socket}/0`, '16', '1']), 1, 'ERR_ISMIO_REGION_LOST');
    assert.deepEqual([(await server.ended).code, existsSync(socket)], [0, false]);
    assert.equal(server.told.at(-1)?.event, 'ended');
  });

  test('leaves no socket where the module ends the process, and keeps its exit code', async (t) => {
    const { file, socket } = written(t, `${counter} export default device;`);
    const server = await serving(t, [file, '--socket', socket]);
    checkRefused(await ismio(['store', `vfio-user:${socket}/0`, '24', '1']), 1, 'ERR_ISMIO_REGION_LOST');
    assert.deepEqual([(await server.ended).code, existsSync(socket)], [5, false]);
  });

  test('goes on where nobody reads any more what it tells, and says so once', async (t) => {
    const { file, socket } = written(t, `${counter} export default device;`);
    const server = await serving(t, [file, '--socket', socket]);
    server.child.stdout.destroy();
    for (let i = 0; i < 2; i++) outputOf(await ismio(['info', `vfio-user:${socket}`]));
    const { code, stderr } = await server.endedBy('SIGTERM');
    assert.deepEqual([code, existsSync(socket)], [0, false]);
    assert.match(stderr, /^ismio: what happens is told no more, and the rest goes on: [^\n]+EPIPE\n$/);
  });

  test('says what is wrong about a module, and makes no socket for it', async (t) => {
    const wrong: [string, RegExp][] = [
      ['throw new Error("my own mistake");', /gives no device: Error: my own mistake$/],
      ['export default () => { throw null; };', /gives no device: thrown: null$/],
      ['export default {', /gives no device: SyntaxError: /],
      ['import "no-such-package";', /gives no device: Error: Cannot find package 'no-such-package'/],
      [`${counter}`, /has no device as its default export, nor a function that makes one: undefined$/],
      ['export default 7;', /has no device as its default export, .*: 7$/],
      ['export default () => ({});', /has no device as its default export, /],
    ];
    for (const [text, problem] of wrong) {
      const { file, socket } = written(t, text);
      const told = await ismio(['serve', file, '--socket', socket]);
      checkRefused(told, 1, `ERR_ISMIO_MODULE: ${file} `);
      assert.match(told.stderr.trimEnd(), problem);
      assert.equal(existsSync(socket), false);
    }
  });

  test('takes a MODULE that is a file, or an example, one of both, and a socket', async (t) => {
    const { file, socket } = written(t, '');
    const usage = async (...words: string[]) => checkRefused(await ismio(['serve', ...words]), 2, 'ERR_ISMIO_USAGE');
    await usage('--socket', socket);
    await usage(file);
    await usage(file, '--example', 'edu', '--socket', socket);
    await usage('--example', 'no-such-example', '--socket', socket);
    await usage(`${file}.not`, '--socket', socket);
    await usage(packageRoot, '--socket', socket);
    await usage(file, '--socket', socket, '--mode', '9');
    checkRefused(await ismio(['serve', '--example', 'edu', '--socket', 'x'.repeat(108)]), 2, 'ERR_ISMIO_OPTION');
  });

  test('is refused a socket where another serves, or a file that is none; what a killed server left is replaced', async (t) => {
    const { socket } = written(t, '');
    const words = ['--example', 'edu', '--socket', socket];
    const first = await serving(t, words);
    const refused = await ismio(['serve', ...words]);
    checkRefused(refused, 1, 'ERR_ISMIO_OPEN');
    assert.match(refused.stderr, /a server listens there already/);
    assert.equal(existsSync(socket), true);
    await first.endedBy('SIGKILL');
    assert.equal(existsSync(socket), true);
    const second = await serving(t, words);
    assert.equal((await second.endedBy('SIGTERM')).code, 0);
    writeFileSync(socket, 'a file');
    checkRefused(await ismio(['serve', ...words]), 1, 'ERR_ISMIO_OPEN');
    assert.equal(statSync(socket).size, 6);
  });
});

describe('the command line and a device that is served', { concurrency: 2 }, () => {
  const examples = { edu: '1234:11e8', nvme: '1234:11f0', serial: '1d0f:8250', timer: '1234:7133' };
  for (const [name, ids] of Object.entries(examples)) {
    test(`info shows the example ${name}, in words and as JSON`, async (t) => {
      const { socket } = written(t, '');
      const server = await serving(t, ['--example', name, '--socket', socket]);
      const shown = outputOf(await ismio(['info', `vfio-user:${socket}`]));
      assert.ok(shown.startsWith(`${socket}  ${ids}\n`), shown);
      const bar0 = Number(/^ {2}bar0 +(\d+) bytes/m.exec(shown)?.[1]);
      const told = JSON.parse(outputOf(await ismio(['info', `vfio-user:${socket}`, '--json'])));
      const hex = (id: number) => id.toString(16).padStart(4, '0');
      assert.equal(`${hex(told.vendor)}:${hex(told.device)}`, ids);
      assert.deepEqual([told.regions[0].name, told.regions[0].size], ['bar0', bar0]);
      assert.equal((await server.endedBy('SIGTERM')).code, 0);
    });
  }

  test('load, store, write and dump take its regions as targets, and enable memory decode', async (t) => {
    const { file, socket } = written(t, `${counter} export default device;`);
    const server = await serving(t, [file, '--socket', socket]);
    const on = async (...words: string[]) => outputOf(await ismio(words));
    await on('store', `vfio-user:${socket}/0`, '0', '1');
    await on('store', `vfio-user:${socket}/0`, '0', '1', '--width', '4');
    assert.equal(await on('load', `vfio-user:${socket}/0`, '0', '--width', '4'), '0x00000002\n');
    await on('write', `vfio-user:${socket}/2`, '0x20', '--text', 'kept by the server');
    assert.match(await on('dump', `vfio-user:${socket}/2`, '0x20', '18'), /\|kept by the serv\|\n.*\|er\|/);
    assert.equal(await on('load', `vfio-user:${socket}/7`, '0', '--width', '4'), '0x42421af4\n');
    assert.equal((await server.endedBy('SIGTERM')).code, 0);
  });

  test('what is no such region, socket or server is told apart', async (t) => {
    const { file, socket } = written(t, `${counter} export default device;`);
    const load = (target: string) => ismio(['load', target, '0']);
    checkRefused(await load(`vfio-user:${socket}/0`), 1, 'ERR_ISMIO_VFIO_USER');
    checkRefused(await ismio(['info', `vfio-user:${socket}`]), 1, 'ERR_ISMIO_VFIO_USER');
    checkRefused(await load(`vfio-user:${socket}`), 2, 'ERR_ISMIO_USAGE');
    const server = await serving(t, [file, '--socket', socket]);
    const none = await load(`vfio-user:${socket}/5`);
    checkRefused(none, 2, 'ERR_ISMIO_OPTION');
    assert.match(none.stderr, /has no region 5; it has 0 \(bar0\), 1 \(bar1\), 2 \(bar2\), 7 \(config\)/);
    checkRefused(await ismio(['load', `vfio-user:${socket}/0`, '0', '--kind', 'memory']), 2, 'ERR_ISMIO_USAGE');
    checkRefused(await load(`vfio-user:${socket}/0/0`), 1, 'ERR_ISMIO_VFIO_USER');
    assert.equal((await server.endedBy('SIGTERM')).code, 0);
  });

  test('another driver is told that the device is busy', async (t) => {
    const { file, socket } = written(t, `${counter} export default device;`);
    const server = await serving(t, [file, '--socket', socket]);
    const driver = openVfioUser(socket);
    checkRefused(await ismio(['info', `vfio-user:${socket}`]), 1, 'ERR_ISMIO_DEVICE_BUSY');
    driver.close();
    outputOf(await ismio(['info', `vfio-user:${socket}`]));
    assert.equal((await server.endedBy('SIGTERM')).code, 0);
  });
});
