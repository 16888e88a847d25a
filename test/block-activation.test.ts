// ismio block nbd at a socket that it was given: by libnbd's tools, which start it for themselves, and by systemd's own starter.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { commandOf } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { NbdClient, nbdPython, ran, saidBy } from './support/nbd.js';
import { missing } from './support/terminal.js';

const mebibyte = 2 ** 20;
const python = nbdPython();

test('nbdinfo starts it for itself', { skip: missing('nbdinfo') }, async () => {
  const command = commandOf(['block', 'nbd', 'memory:3M', '--name', 'one', '--read-only']);
  const { exports } = JSON.parse(await saidBy('nbdinfo', '--json', '--', '[', ...command, ']'));
  const [{ 'export-name': name, 'export-size': size, is_read_only: readOnly }] = exports;
  assert.deepEqual([name, size, readOnly], ['one', 3 * mebibyte, true]);
});

test('nbdcopy copies from one that it starts to another', { skip: missing('nbdcopy') }, async (t) => {
  const folder = temporaryFolder(t);
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  const bytes = Buffer.from(Array.from({ length: 2 * mebibyte }, (_, i) => (i * 11) % 251));
  writeFileSync(from, bytes);
  writeFileSync(to, Buffer.alloc(bytes.length));
  const started = (path: string, ...more: string[]) => ['[', ...commandOf(['block', 'nbd', path, ...more]), ']'];
  await saidBy('nbdcopy', '--flush', '--', ...started(from, '--read-only'), ...started(to));
  assert.ok(readFileSync(to).equals(bytes));
});

test("nbdkit's nbd plugin starts it", { skip: missing('nbdkit', 'nbdinfo') }, async () => {
  const [program, ...more] = commandOf(['block', 'nbd', 'memory:2M']);
  const words = [`command=${program}`, ...more.map((word) => `arg=${word}`)];
  const said = await saidBy('nbdkit', '-U', '-', 'nbd', ...words, '--run', 'nbdinfo --size "$uri"');
  assert.equal(said, `${2 * mebibyte}\n`);
});

test('libnbd ends it by a signal when it closes, which ends it well', {
  skip: python === undefined && 'not installed: python3-libnbd',
}, async (t) => {
  const told = join(temporaryFolder(t), 'told');
  const words = ['sh', '-c', 'exec "$@" > "$0"', told, ...commandOf(['block', 'nbd', 'memory:1M', '--json'])];
  const program = `
h.connect_systemd_socket_activation(${JSON.stringify(words)})
h.pwrite(b"kept", 1000)
assert h.pread(4, 1000) == b"kept"
`;
  await saidBy(python as string, '-m', 'nbd', '-c', program);
  const events = readFileSync(told, 'utf8').trim().split('\n');
  const [first, last] = [events[0], events.at(-1)].map((line) => JSON.parse(line as string));
  assert.deepEqual(first, { event: 'serving', disk: 'memory:1M', size: mebibyte, readOnly: false, fd: 3 });
  assert.deepEqual([last.event, last.accepted, last.broken, last.bytesWritten], ['ended', 1, 0, 4]);
});

test("systemd's starter: a client that came first is served, so is the next, and the name is left alone", {
  skip: missing('systemd-socket-activate'),
}, async (t) => {
  const path = join(temporaryFolder(t), 'socket');
  const words = ['--listen', path, ...commandOf(['block', 'nbd', 'memory:1M', '--json'])];
  const child = spawn('systemd-socket-activate', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  for await (const line of createInterface(child.stderr)) if (line.startsWith('Listening on')) break;
  child.stderr.resume();
  const client = await NbdClient.open(path);
  assert.equal(client.size, mebibyte);
  assert.equal(await client.write(7, Buffer.from('kept')), 0);
  const second = await NbdClient.open(path);
  assert.equal((await second.read(7, 4)).toString(), 'kept');
  for (const { socket } of [client, second]) socket.end();
  const over = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await over, [0, null]);
  assert.equal(existsSync(path), true);
});

test('what was given to another process, or is not one socket that listens, is not served', async (t) => {
  const path = join(temporaryFolder(t), 'socket');
  for (const [count, pid, more, code, said] of [
    ['1', '1', [], 2, /USAGE: nbd takes --socket PATH, --port NUMBER, or the socket that it was given/],
    ['1', '$$', ['--socket', path], 2, /USAGE: nbd takes .*: one of them/],
    ['1', '$$', ['--connect'], 2, /USAGE: --connect/],
    ['2', '$$', [], 2, /USAGE: LISTEN_FDS says '2'/],
    ['0x1', '$$', [], 2, /USAGE: LISTEN_FDS says '0x1'/],
    ['1', '$$', [], 1, /OPEN: cannot listen at descriptor 3: EINVAL/],
  ] as const) {
    const script = `LISTEN_FDS=${count} LISTEN_PID=${pid} exec "$0" "$@" 3</dev/null`;
    const { code: ended, err } = await ran('sh', '-c', script, ...commandOf(['block', 'nbd', 'memory:1M', ...more]));
    assert.match(err, said);
    assert.equal(ended, code, err);
  }
  assert.equal(existsSync(path), false);
});
