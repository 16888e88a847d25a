// ismio block serve and attach as processes: a fabric, a target, an initiator, and clients that nobody here wrote.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, type TestContext, test } from 'node:test';
import { makeCertificates } from './support/certificates.js';
import { commandOf, ismio, startIsmio } from './support/command.js';
import { NbdClient, ran, saidBy } from './support/nbd.js';
import { missing } from './support/terminal.js';

interface Said {
  readonly event: string;
  readonly [value: string]: unknown;
}

/** A command that lasts, once it has said this. */
async function lasting(t: TestContext, event: string, ...words: string[]) {
  const child = startIsmio([...words, '--json']);
  t.after(() => child.kill('SIGKILL'));
  const heard: Said[] = [];
  const lines = createInterface(child.stdout);
  lines.on('line', (line) => heard.push(JSON.parse(line) as Said));
  const hears = async (what: string) => {
    while (!heard.some((one) => one.event === what)) {
      await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => assert.fail('it has ended'))]);
    }
  };
  await hears(event);
  return { child, heard, hears };
}

async function ended(child: ChildProcess): Promise<void> {
  const over = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await over, [0, null]);
}

const folder = mkdtempSync(join(tmpdir(), 'ismio-block-'));
let fabric: ChildProcess;
before(async () => {
  fabric = startIsmio(['ism', 'serve', '--dir', join(folder, 'fabric'), '--gid', '0x11', '0x22', '0x33', '--json']);
  const lines = createInterface(fabric.stdout as NonNullable<typeof fabric.stdout>);
  for await (const line of lines) if (line.includes('"ready"')) break;
  fabric.stdout?.resume();
});
after(async () => {
  const over = once(fabric, 'exit');
  fabric.kill('SIGKILL');
  await over;
  rmSync(folder, { recursive: true });
});

/** The words that name a function of the fabric. */
const on = (index: number) => ['--device', `vfio-user:${join(folder, 'fabric', `${index}.sock`)}`, '--port', '7'];

test('qemu-io writes and reads a disk of another function', { skip: missing('qemu-io') }, async (t) => {
  const socket = join(folder, 'x.sock');
  const target = await lasting(t, 'serving', 'block', 'serve', 'memory:4M', ...on(0));
  const attach = ['block', 'attach', ...on(1), '--peer', '0x11', '--socket', socket];
  const initiator = await lasting(t, 'serving', ...attach);
  const uri = `nbd+unix:///?socket=${socket}`;
  const doing = ['write -P 7 0 1M', 'read -P 7 0 1M', 'write -P 8 512 512', 'read -P 8 512 512', 'read -P 7 1024 512'];
  const words = [...doing, 'flush', 'discard 0 64k', 'write -z 4096 8192', 'read -P 0 4096 8192', 'read -P 0 3M 1M'];
  const said = await saidBy('qemu-io', '-f', 'raw', ...words.flatMap((word) => ['-c', word]), uri);
  assert.doesNotMatch(said, /Pattern verification failed|error/i);
  await ended(initiator.child);
  await target.hears('detach');
  await ended(target.child);
  const { event, ...counts } = target.heard.at(-1) as Said;
  assert.deepEqual([event, counts['breaches'], counts['failed']], ['ended', 0, 0]);
});

test('a target that is killed and started again: a client that waits has its answer, and nothing is lost', async (t) => {
  const [path, socket] = [join(folder, 'disk'), join(folder, 'y.sock')];
  writeFileSync(path, Buffer.alloc(65_536, 1));
  const serve = ['block', 'serve', path, ...on(0)];
  const target = await lasting(t, 'serving', ...serve);
  const attach = ['block', 'attach', ...on(1), '--peer', '0x11', '--socket', socket];
  const initiator = await lasting(t, 'serving', ...attach);
  const client = await NbdClient.open(socket);
  assert.equal(await client.write(1000, Buffer.from('kept')), 0);
  const over = once(target.child, 'exit');
  target.child.kill('SIGKILL');
  await over;
  await initiator.hears('lost');
  const waiting = client.write(2000, Buffer.from('late'));
  await lasting(t, 'serving', ...serve);
  assert.equal(await waiting, 0);
  const read = await client.read(999, 1005);
  assert.equal(read.toString('latin1', 1, 5), 'kept');
  assert.equal(read.toString('latin1', 1001), 'late');
  client.socket.end();
  await ended(initiator.child);
});

test('a disk of another function by TLS, and at a socket that a client hands over', {
  skip: missing('openssl', 'nbdcopy'),
}, async (t) => {
  const [own, copy] = [join(folder, 'tls'), join(folder, 'copy')];
  mkdirSync(own);
  makeCertificates(own);
  const tls = ['cert', 'key'].flatMap((what) => [`--tls-${what}`, join(own, `server-${what}.pem`)]);
  const target = await lasting(t, 'serving', 'block', 'serve', 'memory:4M', ...on(0));
  const attach = ['block', 'attach', ...on(1), '--peer', '0x11'];
  const words = [...attach, '--tcp', '0', ...tls, '--tls-ca', join(own, 'ca-cert.pem')];
  const initiator = await lasting(t, 'serving', ...words);
  const { port } = initiator.heard.find(({ event }) => event === 'serving') as Said;
  const bytes = Buffer.from(Array.from({ length: 2 ** 20 }, (_, i) => (i * 7) % 253));
  writeFileSync(join(own, 'bytes'), bytes);
  const uri = `nbds://localhost:${String(port)}/?tls-certificates=${own}`;
  await saidBy('nbdcopy', join(own, 'bytes'), uri);
  await ended(initiator.child);
  await target.hears('detach');
  await saidBy('nbdcopy', '--', '[', ...commandOf(attach), ']', copy);
  const copied = readFileSync(copy);
  assert.ok(copied.subarray(0, bytes.length).equals(bytes));
  assert.ok(copied.equals(Buffer.concat([bytes], 2 ** 22)), 'zeros behind it');
  await ended(target.child);
});

for (const words of [['--snapshot'], ['--snapshot-in', folder]]) {
  test(`block serve ${words[0]}: what is written is read, and gone with the command; the file stays as it is`, async (t) => {
    const place = mkdtempSync(join(folder, 'snapshot-'));
    const [path, socket] = [join(place, 'disk'), join(folder, 's.sock')];
    const before = Buffer.alloc(65_536, 1);
    writeFileSync(path, before);
    const own = words.map((word) => (word === folder ? place : word));
    const attach = ['block', 'attach', ...on(1), '--peer', '0x11', '--socket', socket];
    for (const write of [true, false]) {
      const target = await lasting(t, 'serving', 'block', 'serve', path, ...on(0), ...own);
      const initiator = await lasting(t, 'serving', ...attach);
      const client = await NbdClient.open(socket);
      assert.ok((await client.read(0, 65_536)).equals(before), 'what is seen first is the file');
      if (write) {
        assert.equal(await client.write(1000, Buffer.from('gone')), 0);
        assert.equal((await client.read(999, 6)).toString('latin1'), '\x01gone\x01');
      }
      client.socket.end();
      await ended(initiator.child);
      await ended(target.child);
      assert.ok(readFileSync(path).equals(before));
      assert.deepEqual(readdirSync(place), ['disk']);
    }
  });
}

test('block attach with TLS: nbdinfo gets in with its certificate, and neither without nor in the clear', {
  skip: missing('nbdinfo', 'openssl'),
}, async (t) => {
  const place = mkdtempSync(join(folder, 'tls-'));
  makeCertificates(place);
  const tls = ['cert', 'key'].flatMap((what) => [`--tls-${what}`, join(place, `server-${what}.pem`)]);
  const target = await lasting(t, 'serving', 'block', 'serve', 'memory:3M', ...on(0));
  const attach = [
    'block',
    'attach',
    ...on(1),
    '--peer',
    '0x11',
    '--tcp',
    '0',
    ...tls,
    '--tls-ca',
    join(place, 'ca-cert.pem'),
  ];
  const initiator = await lasting(t, 'serving', ...attach);
  const port = String(initiator.heard.find(({ event }) => event === 'serving')?.['port']);
  const uri = (folder: string) => `nbds://localhost:${port}/?tls-certificates=${folder}`;
  const about = await saidBy('nbdinfo', uri(place));
  assert.match(about, /newstyle-fixed with TLS/);
  assert.match(about, /export-size: 3145728 /);
  const stranger = mkdtempSync(join(folder, 'stranger-'));
  for (const [from, to] of [
    ['ca-cert', 'ca-cert'],
    ['other-cert', 'client-cert'],
    ['other-key', 'client-key'],
  ]) {
    copyFileSync(join(place, `${from}.pem`), join(stranger, `${to}.pem`));
  }
  assert.notEqual((await ran('nbdinfo', uri(stranger))).code, 0, 'a certificate of another authority');
  assert.notEqual((await ran('nbdinfo', `nbd://127.0.0.1:${port}/`)).code, 0, 'in the clear');
  await ended(initiator.child);
  await ended(target.child);
});

test('the disks of a function, for a person and as JSON; where nobody serves one, or has another key, it says so', async (t) => {
  const serve = (name: string, index: number) => lasting(t, 'serving', 'block', 'serve', name, ...on(index));
  const target = await serve('memory:4M', 0);
  const peer = [...on(2), '--peer', '0x11'];
  const attach = ['block', 'attach', ...on(1), '--peer', '0x11', '--socket', join(folder, 'l.sock')];
  const initiator = await lasting(t, 'serving', ...attach);
  const asked = async (...words: string[]) => ismio(['block', 'list', ...words]);
  const disk = { port: 7, name: 'memory:4M', size: 4_194_304, blockSize: 4096, readOnly: false };
  const json = await asked(...peer, '--json');
  assert.deepEqual([json.code, JSON.parse(json.stdout)], [0, [{ ...disk, readers: 0, writer: '0x22' }]]);
  const { stdout } = await asked(...peer);
  assert.equal(
    stdout,
    'memory:4M  4194304 bytes in blocks of 4096, read and write\n  port 7; function 0x22 writes, 0 readers\n',
  );
  await ended(initiator.child);
  assert.match((await asked(...peer)).stdout, /nobody writes/);
  const key = join(folder, 'key');
  writeFileSync(key, '0123456789abcdef');
  const other = await asked(...peer, '--key-file', key);
  assert.deepEqual([other.code, other.stdout], [1, '']);
  assert.match(other.stderr, /^ismio: ERR_ISMIO_BLOCK: .* same key/);
  const nobody = await asked(...peer, '--port', '8');
  assert.match(nobody.stderr, /^ismio: ERR_ISMIO_ISM_REFUSED: /);
  await ended(target.child);
  const gone = await asked(...peer);
  assert.match(gone.stderr, /^ismio: ERR_ISMIO_ISM: .*no function of that GID is there/);
  assert.deepEqual([nobody.code, gone.code, (await asked(...on(2))).code], [1, 1, 2]);
});

test('block serve --read-only: whoever attaches is told so, reads, and writes nothing', async (t) => {
  const [path, socket] = [join(folder, 'reads'), join(folder, 'r.sock')];
  const before = Buffer.alloc(65_536, 3);
  writeFileSync(path, before);
  const target = await lasting(t, 'serving', 'block', 'serve', path, ...on(0), '--read-only');
  assert.equal(target.heard[0]?.['readOnly'], true);
  const attach = ['block', 'attach', ...on(1), '--peer', '0x11', '--socket', socket];
  const initiator = await lasting(t, 'serving', ...attach);
  assert.equal(initiator.heard.find(({ event }) => event === 'serving')?.['readOnly'], true);
  const client = await NbdClient.open(socket);
  assert.equal(await client.write(0, Buffer.from('no')), 1, 'EPERM');
  assert.ok((await client.read(0, 65_536)).equals(before));
  client.socket.end();
  await ended(initiator.child);
  assert.equal(target.heard.find(({ event }) => event === 'attach')?.['writes'], false);
  await ended(target.child);
  assert.ok(readFileSync(path).equals(before));
});

test('block serve: GIDs of --writers and --readers are hexadecimal where they are typed so, and nobody else gets in', async (t) => {
  const access = ['--writers', '0x22', '--readers', '0x44'];
  const target = await lasting(t, 'serving', 'block', 'serve', 'memory:1M', ...on(0), ...access);
  const socket = join(folder, 'g.sock');
  const attach = (index: number) => ['block', 'attach', ...on(index), '--peer', '0x11', '--socket', socket];
  const writer = await lasting(t, 'serving', ...attach(1));
  const attached = target.heard.find(({ event }) => event === 'attach');
  assert.deepEqual(attached, { event: 'attach', gid: '0x22', writes: true });
  await ended(writer.child);
  const { code, stderr } = await ismio(attach(2));
  assert.match(stderr, /^ismio: ERR_ISMIO_BLOCK: .*function 0x33 may not have this disk/);
  assert.equal(code, 1);
  await ended(target.child);
  const { gid, code: why } = target.heard.find(({ event }) => event === 'refused') as Said;
  assert.deepEqual([gid, why], ['0x33', 'denied']);
});

test('words that name no disk, no function or no place for it', async () => {
  const socket = join(folder, 'z.sock');
  const device = ['--device', `vfio-user:${socket}`];
  for (const words of [
    ['serve', 'memory:1M'],
    ['serve', '/dev/null', ...device, '--snapshot', '--read-only'],
    ['serve', 'memory:1M', ...device, '--snapshot'],
    ['attach', ...device, '--peer', '0x11'],
    ['attach', ...device, '--peer', '0x11', '--socket', socket, '--tcp', '1'],
  ]) {
    const { code, stderr } = await ismio(['block', ...words]);
    assert.equal(code, 2, `${words.join(' ')}: ${stderr}`);
  }
});
