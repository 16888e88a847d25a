// ismio ism serve and ismio ism status: a fabric as a process, and drivers that come and go.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { isIsmioError, openVfioUser } from 'ismio';
import { openIsm } from 'ismio/ism';
import { packageRoot } from './support/child.js';
import { thrownBy } from './support/errors.js';
import { next } from './support/ism.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-ism-command-'));
after(() => rmSync(folder, { recursive: true }));
const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');

interface Said {
  readonly event: string;
  readonly [value: string]: unknown;
}

async function fabricAt(dir: string, ...options: string[]): Promise<{ child: ChildProcess; heard: Said[] }> {
  const child = spawn(process.execPath, [main, 'ism', 'serve', '--dir', dir, '--json', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const heard: Said[] = [];
  const lines = createInterface(child.stdout as NonNullable<typeof child.stdout>);
  lines.on('line', (line) => heard.push(JSON.parse(line) as Said));
  while (heard.at(-1)?.event !== 'ready') await once(lines, 'line');
  return { child, heard };
}

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.on('data', (bytes) => (text.out += String(bytes)));
  child.stderr.on('data', (bytes) => (text.err += String(bytes)));
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...text };
}

test('there are as many functions as GIDs, and none is left out', async () => {
  const { child } = await fabricAt(join(folder, 'three'), '--gid', '1', '2', '3');
  const last = await openIsm(openVfioUser(join(folder, 'three', '2.sock')));
  assert.equal(last.gid, 3n);
  last.close();
  const ended = once(child, 'close');
  child.kill();
  await ended;
});

test('two drivers of this process talk through a fabric of another, which says what they did', async () => {
  const dir = join(folder, 'talk');
  const { child } = await fabricAt(dir, '--gid', '0x11', '0x22', '--chid', '7');
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  const a = await openIsm(openVfioUser(join(dir, '0.sock')));
  const b = await openIsm(openVfioUser(join(dir, '1.sock')));
  const dmb = b.registerDmb({ length: 4096, peer: a.gid });
  const told = next<number>(dmb, 'signal');
  a.move(dmb.token, 5, Uint8Array.of(1, 2, 3), { signal: 2 });
  assert.equal(await told, 4);
  assert.deepEqual([...dmb.memory.slice(4, 9)], [0, 1, 2, 3, 0]);
  const { code, out } = await run('ism', 'status', dir, '--json');
  const status = JSON.parse(out);
  assert.equal(code, 0);
  assert.deepEqual([status.chid, status.process], [7, child.pid]);
  assert.deepEqual(
    status.functions.map(({ gid, driver, moves, signals, dmbs }: Record<string, unknown>) => ({
      gid,
      driver,
      moves,
      signals,
      dmbs,
    })),
    [
      { gid: '0x11', driver: true, moves: 1, signals: 0, dmbs: 0 },
      { gid: '0x22', driver: true, moves: 0, signals: 1, dmbs: 1 },
    ],
  );
  assert.match(
    (await run('ism', 'status', dir)).out,
    /0x22 +open\n {2}1 DMB, 0 moves of 0 bytes made, 1 move and 1 signal received/,
  );
  a.close();
  b.close();
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.equal(existsSync(join(dir, '0.sock')), false);
});

test('a fabric that is killed is told to its drivers at once, and another may take its place', async () => {
  const dir = join(folder, 'killed');
  const first = await fabricAt(dir);
  const device = openVfioUser(join(dir, '0.sock'));
  const a = await openIsm(device);
  const lost = once(device, 'lost');
  first.child.kill('SIGKILL');
  await lost;
  assert.ok(
    isIsmioError(
      thrownBy(() => a.info()),
      'ERR_ISMIO_REGION_LOST',
    ),
  );
  a.close();
  const second = await fabricAt(dir);
  const again = await openIsm(openVfioUser(join(dir, '0.sock')));
  assert.equal(again.info().dmbs.used, 0);
  again.close();
  second.child.kill('SIGINT');
  assert.deepEqual(await once(second.child, 'exit'), [0, null]);
});

test('an adversary is asked for by its seed, and its kinds by their rates; the status has what it did', async () => {
  const dir = join(folder, 'adversary');
  const { child } = await fabricAt(dir, '--adversary', '7,busy=500');
  const a = await openIsm(openVfioUser(join(dir, '0.sock')));
  const b = await openIsm(openVfioUser(join(dir, '1.sock')));
  const dmb = b.registerDmb({ length: 4096, peer: a.gid });
  for (let i = 0; i < 20; i++) a.move(dmb.token, 0, Uint8Array.of(i));
  assert.equal(dmb.memory[0], 19);
  const { adversary } = JSON.parse((await run('ism', 'status', dir, '--json')).out);
  assert.ok(adversary.busy > 5 && adversary.delay === 0, JSON.stringify(adversary));
  assert.match((await run('ism', 'status', dir)).out, /\nadversary: busy \d+\n/);
  a.close();
  b.close();
  child.kill('SIGHUP');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  for (const [text, code] of [
    ['x', 'ERR_ISMIO_USAGE'],
    ['7,lose=1', 'ERR_ISMIO_OPTION'],
    ['7,fail=1001', 'ERR_ISMIO_OPTION'],
  ] as const) {
    const { code: exit, err } = await run('ism', 'serve', '--dir', join(folder, 'wrong'), '--adversary', text);
    assert.equal(exit, 2, err);
    assert.match(err, new RegExp(code));
  }
});

test('a folder without a fabric, and words that make none', async () => {
  const none = await run('ism', 'status', join(folder, 'none'));
  assert.equal(none.code, 1);
  assert.match(none.err, /ERR_ISMIO_OPEN: no fabric is served in/);
  const twice = await run('ism', 'serve', '--dir', join(folder, 'twice'), '--gid', '1', '1');
  assert.equal(twice.code, 2, twice.err);
  assert.match(twice.err, /has a function of GID 0x1 already/);
  const serve = ['ism', 'serve', '--dir', folder, '--functions'];
  for (const words of [['ism'], ['ism', 'serve'], [...serve, '0'], [...serve, '1', '--gid', '1', '2']]) {
    const { code, err } = await run(...words);
    assert.equal(code, 2, words.join(' '));
    assert.match(err, /ERR_ISMIO_USAGE/);
  }
});
