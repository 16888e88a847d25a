// ismio console attach as a process: into a pipe that nobody reads, and in a terminal.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConsoleOptions, serveConsoles } from 'ismio/console';
import { serve } from 'ismio/device';
import { createFabric, openIsm } from 'ismio/ism';
import { packageRoot } from './support/child.js';
import { TestLine, until } from './support/console-line.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-console-attach-'));
const socket = join(folder, '0.sock');
const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');
const fabric = createFabric();
const far = await openIsm(fabric.function({ gid: 0x11n }).open());
const near = await serve(fabric.function({ gid: 0x22n }), { path: socket });
const children = new Set<ChildProcess>();
const env = { ...process.env, NODE_TEST_CONTEXT: undefined };

after(async () => {
  for (const child of [...children]) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  far.close();
  await near[Symbol.asyncDispose]();
  fabric.close();
  rmSync(folder, { recursive: true });
});

const attach = (...words: string[]): string[] => [
  ...[main, 'console', 'attach', '--device', `vfio-user:${socket}`, '--peer', '0x11'],
  ...words,
];

function attached(...words: string[]) {
  const child = spawn(process.execPath, attach(...words), { env, stdio: ['pipe', 'pipe', 'pipe'] });
  children.add(child);
  child.once('close', () => children.delete(child));
  let told = '';
  child.stderr.on('data', (bytes) => (told += String(bytes)));
  return { child, told: () => told };
}

/** A console of this test, to which somebody has attached. */
async function served(line: ConsoleOptions['line'], more: Partial<ConsoleOptions> = {}) {
  const server = await serveConsoles(far, { consoles: [{ line, ...more }] });
  return {
    server,
    async [Symbol.asyncDispose]() {
      const over = once(server, 'close');
      server.close();
      await over;
    },
  };
}

test('a pipe that is not read holds no output up and fills no memory: what the history has lost is told as a gap', async () => {
  const line = new TestLine();
  await using house = await served(line.open, { history: 65_536 });
  const { child, told } = attached();
  await until(() => house.server.consoles[0]?.writer === 0x22n, 'it writes');
  const piece = Buffer.alloc(65_536, 'o');
  const pieces = 256;
  for (let i = 0; i < pieces; i++) {
    line.say(piece);
    await sleep(1); // in which a client that reads gets it
  }
  line.end(3);
  let read = 0;
  child.stdout.on('data', (bytes: Buffer) => (read += bytes.length));
  const [code] = (await once(child, 'close')) as [number];
  const gaps = [...told().matchAll(/(\d+) bytes of output are not kept any more/g)].map(([, bytes]) => Number(bytes));
  const missing = gaps.reduce((sum, bytes) => sum + bytes, 0);
  assert.equal(read + missing, pieces * piece.length, told());
  // The history, and what is on its way: a ring, 16 records of a stream, the pipe.
  assert.ok(read < 4 * 2 ** 20, `${read} bytes were on their way to a reader that did not read`);
  assert.equal(code, 3, told());
});

test('a log that cannot be written is told, and the session ends when its command does', async () => {
  const line = new TestLine();
  await using house = await served(line.open);
  const { child, told } = attached('--log', join(folder, 'none', 'output.log'));
  const over = once(child, 'close');
  await until(() => house.server.consoles[0]?.writer === 0x22n && /cannot be written/.test(told()), 'it is told');
  child.stdout.resume();
  line.end(0);
  assert.deepEqual(await over, [0, null]);
});
