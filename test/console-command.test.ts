// ismio console as processes: a fabric, a server and clients that come, go and are killed.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { Escapes } from '../src/cli/escapes.js';
import { packageRoot } from './support/child.js';
import { until } from './support/console-line.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-console-command-'));
const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');
const children = new Set<ChildProcess>();
const pty = await import('@lydell/node-pty').then(
  () => false,
  (error: Error) => `no pseudo-terminals here: ${error.message}`,
);

function started(words: readonly string[], stderr: 'pipe' | 'ignore' = 'pipe') {
  const child = spawn(process.execPath, [main, ...words], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    stdio: ['pipe', 'pipe', stderr],
  });
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

/** A server of the fabric or of consoles that has said that it is ready. */
async function ready(...words: readonly string[]): Promise<ChildProcess> {
  const child = started([...words.slice(0, 2), '--json', ...words.slice(2)], 'ignore');
  const lines = createInterface(child.stdout as NonNullable<typeof child.stdout>);
  const [said] = (await Promise.race([once(lines, 'line'), once(child, 'close').then(() => ['it has ended'])])) as [
    string,
  ];
  assert.match(said, /^\{"event":/);
  lines.resume();
  return child;
}

async function console_(words: readonly string[], input = '') {
  const child = started(['console', ...words]);
  const text = { out: '', err: '' };
  child.stdout?.on('data', (bytes) => (text.out += String(bytes)));
  child.stderr?.on('data', (bytes) => (text.err += String(bytes)));
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...text };
}

let fabric: ChildProcess;
const socket = (index: number): string[] => ['--device', `vfio-user:${join(folder, 'fabric', `${index}.sock`)}`];
const peer = [...socket(1), '--peer', '1'];
before(async () => {
  fabric = await ready('ism', 'serve', '--dir', join(folder, 'fabric'), '--gid', '1', '2', '3');
});
after(async () => {
  for (const child of [...children]) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  rmSync(folder, { recursive: true });
});

async function stopped(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const over = once(child, 'close');
  child.kill(signal);
  await over;
}

test('a shell by a pipe: output, exit status, the list, the log, words that are sent', { skip: pty }, async () => {
  const server = await ready('console', 'serve', ...socket(0), '--on-exit', 'restart', '--', 'sh');
  const listed = await console_(['list', ...peer, '--json']);
  assert.deepEqual([listed.code, JSON.parse(listed.out)[0].name, JSON.parse(listed.out)[0].line], [0, 'console', 'sh']);
  assert.equal((await console_(['send', ...peer, 'echo $((6000 + 7))'])).code, 0);
  const quick = ['attach', ...peer, '--linger', '0.3'];
  const typed = await console_(quick, 'echo $((20 + 22))\r');
  assert.match(typed.out, /42/);
  assert.equal(typed.code, 0, typed.err);
  const log = await console_(['log', ...peer]);
  assert.match(log.out, /6007[\s\S]*42/);
  const last = await console_(['log', ...peer, '--last', '5']);
  assert.equal(last.out.length, 5);
  assert.ok(log.out.endsWith(last.out));
  const since = await console_(['log', ...peer, '--since', '7']);
  assert.equal(since.out, log.out.slice(7));
  await stopped(server);
});

test('the exit status of a command is that of attach, behind its last words; the log has them', {
  skip: pty,
}, async () => {
  const program = 'read line; seq 1 20000; exit 7';
  const server = await ready('console', 'serve', ...socket(0), '--on-exit', 'close', '--', 'sh', '-c', program);
  const path = join(folder, 'output.log');
  const over = once(server, 'close');
  const { code, out, err } = await console_(['attach', ...peer, '--linger', '30', '--log', path], 'go\r');
  assert.equal(code, 7, err);
  assert.ok(out.trimEnd().endsWith('19999\r\n20000'), out.slice(-100));
  assert.equal(readFileSync(path, 'latin1'), out);
  assert.deepEqual(await over, [0, null]);
});

test('a client that is killed, and a server that is killed: what was said is there once and in order', {
  skip: pty,
}, async () => {
  const program = 'i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); echo "line $i"; done; echo over; sleep 60';
  const server = await ready('console', 'serve', ...socket(0), '--', 'sh', '-c', program);
  const killed = started(['console', 'attach', ...peer, '--last', '1M']);
  await once(killed.stdout as NonNullable<typeof killed.stdout>, 'data').catch(() => undefined);
  await stopped(killed, 'SIGKILL');
  let said = '';
  for (let i = 0; i < 100 && !said.includes('over'); i++) said = (await console_(['log', ...peer])).out;
  const numbers = [...said.matchAll(/line (\d+)\r\n/g)].map(([, number]) => Number(number));
  assert.deepEqual(
    numbers,
    Array.from({ length: 3000 }, (_, i) => i + 1),
  );
  const waiting = started(['console', 'attach', ...peer, '--reconnect', '0', '--linger', '60']);
  let err = '';
  waiting.stderr?.on('data', (bytes) => (err += String(bytes)));
  const lost = once(waiting, 'close');
  await until(() => waiting.exitCode === null, 'it runs');
  await stopped(server, 'SIGKILL');
  const [code] = (await lost) as [number];
  assert.equal(code, 1, err);
});

test('a pipe and a file of consoles, a key in a file, and the wrong words', { skip: pty }, async () => {
  const [key, other, config] = ['key', 'other', 'consoles.json'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(key, 'a key of 16 bytes\n');
  writeFileSync(other, 'another key of 16 bytes\n');
  writeFileSync(
    config,
    JSON.stringify([
      { name: 'one', command: ['cat'] },
      { name: 'two', command: ['cat'] },
    ]),
  );
  const server = await ready('console', 'serve', ...socket(0), '--config', config, '--key-file', key);
  const listed = await console_(['list', ...peer, '--key-file', key]);
  assert.match(listed.out, /^one {2}running[\s\S]*^two {2}running/m);
  const refused = await console_(['list', ...peer, '--key-file', other]);
  assert.deepEqual([refused.code, /ERR_ISMIO_CONSOLE/.test(refused.err)], [1, true]);
  const escapes = await console_(['attach', '\x1b[2Jno', ...peer, '--key-file', key]);
  assert.match(escapes.err, /there is no console '\\u001b\[2Jno' here; there is one, two/);
  await stopped(server);
  const both = await console_(['serve', ...socket(0), '--pipe', '--json']);
  assert.deepEqual([both.code, /--pipe and --json/.test(both.err)], [2, true]);
  const pipe = started(['console', 'serve', ...socket(0), '--pipe']);
  pipe.stdin?.write('through the pipe\n');
  let log = '';
  for (let i = 0; i < 100 && log === ''; i++) log = (await console_(['log', ...peer])).out;
  assert.equal(log, 'through the pipe\n');
  await stopped(pipe);
  assert.equal(fabric.exitCode, null);
});

test('Enter and a tilde are for this end; any other tilde is typed', () => {
  const taken = (text: string, escapes = new Escapes()): string[] =>
    escapes
      .take(Buffer.from(text), '?.')
      .map((one) => (one.what === 'send' ? Buffer.from(one.bytes).toString() : `<${one.key}>`));
  assert.deepEqual(taken('~.'), ['<.>']);
  assert.deepEqual(taken('a~.'), ['a~.']);
  assert.deepEqual(taken('a\r~.b'), ['a\r', '<.>', 'b']);
  assert.deepEqual(taken('~~.'), ['~.']);
  assert.deepEqual(taken('~x'), ['~x']);
  assert.deepEqual(taken('\n~?~?'), ['\n', '<?>', '<?>']);
  const escapes = new Escapes();
  assert.deepEqual([taken('a\r~', escapes), taken('.', escapes)], [['a\r'], ['<.>']]);
  assert.deepEqual(taken('~.', new Escapes('')), ['~.']);
  assert.deepEqual(taken('^.~.', new Escapes('^')), ['<.>', '~.']);
});
