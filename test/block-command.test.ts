// ismio block nbd: a disk as a process, and what it says.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { makeCertificates } from './support/certificates.js';
import { ismio, startIsmio } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { NbdClient, saidBy } from './support/nbd.js';
import { missing } from './support/terminal.js';

interface Said {
  readonly event: string;
  readonly [value: string]: unknown;
}

/** The command, once it serves, with what it says. */
async function serving(t: TestContext, ...words: string[]) {
  const child = startIsmio(['block', 'nbd', ...words, '--json']);
  t.after(() => child.kill('SIGKILL'));
  const heard: Said[] = [];
  const lines = createInterface(child.stdout);
  lines.on('line', (line) => heard.push(JSON.parse(line) as Said));
  while (heard[0]?.event !== 'serving') await once(lines, 'line');
  return { child, heard, lines, first: heard[0] };
}

test('a file is served until a signal, and what was written is in it', async (t) => {
  const folder = temporaryFolder(t);
  const [path, socket] = [join(folder, 'disk'), join(folder, 'disk.sock')];
  writeFileSync(path, Buffer.alloc(65_536));
  const { child, heard, lines, first } = await serving(t, path, '--socket', socket, '--name', 'one', '--mode', '660');
  assert.deepEqual(first, { event: 'serving', disk: path, size: 65_536, readOnly: false, path: socket });
  assert.equal(statSync(socket).mode & 0o777, 0o660);
  const client = await NbdClient.open(socket, { name: 'one' });
  assert.equal(await client.write(1000, Buffer.from('kept')), 0);
  client.socket.end();
  while (heard.at(-1)?.event !== 'gone') await once(lines, 'line');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.equal(readFileSync(path).toString('latin1', 1000, 1004), 'kept');
  assert.equal(existsSync(socket), false);
  const { event, ...counts } = heard.at(-1) as Said;
  assert.equal(event, 'ended');
  assert.deepEqual([counts['accepted'], counts['broken'], counts['bytesWritten']], [1, 0, 4]);
});

test('a terminal that closes ends it as a signal does', async (t) => {
  const socket = join(temporaryFolder(t), 'disk.sock');
  const { child } = await serving(t, 'memory:1M', '--socket', socket);
  child.kill('SIGHUP');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.equal(existsSync(socket), false);
});

test('whoever reads what happens may go, and the disk stays, which says so once', async (t) => {
  const socket = join(temporaryFolder(t), 'disk.sock');
  const { child } = await serving(t, 'memory:1M', '--socket', socket);
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += String(text);
  });
  child.stdout.destroy();
  for (let i = 0; i < 3; i++) {
    const client = await NbdClient.open(socket, {});
    assert.equal(await client.write(0, Buffer.from('kept')), 0);
    client.socket.end();
    await once(client.socket, 'close');
  }
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.equal(existsSync(socket), false);
  assert.match(stderr, /^ismio: what happens is told no more, and the rest goes on: [^\n]+EPIPE\n$/);
});

test('--read-only, --port, and the commands that --connect prints', { skip: missing('nbdinfo') }, async (t) => {
  const { child, heard, lines, first } = await serving(t, 'memory:1M', '--port', '0', '--read-only', '--connect');
  while (heard.filter(({ event }) => event === 'connect').length < 6) await once(lines, 'line');
  const [info] = heard.filter(({ event }) => event === 'connect').map(({ command }) => String(command));
  assert.equal(info, `nbdinfo 'nbd://127.0.0.1:${String(first['port'])}/'`);
  assert.match(await saidBy('sh', '-c', info as string), /is_read_only: true/);
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('--connect names a socket whatever its path has in it', { skip: missing('nbdinfo') }, async (t) => {
  const socket = join(temporaryFolder(t), "a#b & c?d'e.sock");
  const { heard, lines } = await serving(t, 'memory:3M', '--socket', socket, '--connect');
  while (heard.every(({ event }) => event !== 'connect')) await once(lines, 'line');
  const command = heard.find(({ event }) => event === 'connect')?.['command'];
  assert.match(await saidBy('sh', '-c', String(command)), /export-size: 3145728 /);
});

test('a snapshot is written, and the file stays as it is', async (t) => {
  const folder = temporaryFolder(t);
  const [path, socket] = [join(folder, 'disk'), join(folder, 'disk.sock')];
  writeFileSync(path, Buffer.alloc(65_536, 1));
  const { child } = await serving(t, path, '--socket', socket, '--snapshot-in', folder);
  const client = await NbdClient.open(socket);
  assert.equal(await client.write(1000, Buffer.from('gone')), 0);
  assert.equal((await client.read(999, 6)).toString('latin1'), '\x01gone\x01');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.ok(readFileSync(path).equals(Buffer.alloc(65_536, 1)));
  assert.deepEqual(readdirSync(folder), ['disk']);
});

test('with a certificate clients have to use TLS, and are told how', {
  skip: missing('nbdinfo', 'openssl'),
}, async (t) => {
  const folder = temporaryFolder(t);
  makeCertificates(folder);
  const tls = ['cert', 'key'].flatMap((what) => [`--tls-${what}`, join(folder, `server-${what}.pem`)]);
  const ca = ['--tls-ca', join(folder, 'ca-cert.pem')];
  const { heard, lines, first } = await serving(t, 'memory:1M', '--port', '0', ...tls, ...ca, '--connect');
  while (heard.filter(({ event }) => event === 'connect').length < 2) await once(lines, 'line');
  const { port } = first;
  assert.equal(
    heard.find(({ event }) => event === 'connect')?.['command'],
    `nbdinfo 'nbds://127.0.0.1:${String(port)}/?tls-certificates=FOLDER'`,
  );
  await saidBy('nbdinfo', `nbds://localhost:${String(port)}/?tls-certificates=${folder}`);
});

test('words that make no disk, or no place for it', async (t) => {
  const folder = temporaryFolder(t);
  const socket = join(folder, 'x.sock');
  for (const words of [
    ['block'],
    ['block', 'nbd', 'memory:1M'],
    ['block', 'nbd', 'memory:1M', '--port', '1', '--socket', socket],
    ['block', 'nbd', 'memory:lots', '--socket', socket],
    ['block', 'nbd', 'memory:1M', '--port', '65536'],
    ['block', 'nbd', 'memory:1M', '--socket', socket, '--mode', '9'],
    ['block', 'nbd', 'memory:1M', '--port', '0', '--mode', '600'],
    ['block', 'nbd', 'memory:1M', '--socket', socket, '--host', '0.0.0.0'],
    ['block', 'nbd', 'memory:1M', '--socket', socket, '--snapshot'],
    ['block', 'nbd', 'memory:1M', '--socket', socket, '--o-direct'],
    ['block', 'nbd', '/dev/null', '--socket', socket, '--snapshot', '--read-only'],
    ['block', 'nbd', 'memory:1M', '--socket', socket, '--tls-cert', 'x'],
  ]) {
    const { code, stderr } = await ismio(words);
    assert.equal(code, 2, `${words.join(' ')}: ${stderr}`);
    assert.match(stderr, /^ismio: ERR_ISMIO_USAGE: /);
  }
  const none = await ismio(['block', 'nbd', join(folder, 'none'), '--socket', socket]);
  assert.deepEqual([none.code, /ERR_ISMIO_OPEN: cannot open .*ENOENT/.test(none.stderr)], [1, true], none.stderr);
  const nowhere = await ismio(['block', 'nbd', 'memory:1M', '--socket', join(folder, 'no', 'x.sock')]);
  assert.deepEqual([nowhere.code, /ERR_ISMIO_OPEN: cannot listen at/.test(nowhere.stderr)], [1, true]);
});
