// What ismio block says to words that it cannot use: none of them is ignored, and each message names what was given.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryDisk, serveNbd } from 'ismio/block';
import { makeCertificates } from './support/certificates.js';
import { ismio } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { missing } from './support/terminal.js';

const device = ['--device', 'vfio-user:/nowhere/0.sock'];

async function refused(words: readonly string[], reason: RegExp): Promise<void> {
  const { code, stdout, stderr } = await ismio(['block', ...words]);
  assert.match(stderr, reason);
  assert.match(stderr, /^ismio: ERR_ISMIO_USAGE: /);
  assert.deepEqual([code, stdout], [2, ''], words.join(' '));
}

test('a command that it does not have is named, and so are those that it has', async () => {
  await refused(['bogus'], /'bogus' is no command of it: ismio block nbd, serve, attach, list, copy or bench$/m);
  await refused([], /say what to do: ismio block nbd, /);
  for (const family of ['console', 'ism', 'history']) {
    const { stderr } = await ismio([family, 'bogus']);
    assert.match(stderr, /^ismio: ERR_ISMIO_USAGE: 'bogus' is no command of it: ismio /);
  }
});

test('a size that is none is shown, and a wait that is too long is told from what is no number', async () => {
  await refused(['nbd', 'memory:lots', '--port', '0'], /memory:SIZE takes a size, not 'lots': .*such as 4096/);
  const attach = ['attach', ...device, '--peer', '1', '--port', '1', '--wait'];
  await refused([...attach, '2000001'], /--wait .*'2000001' is invalid. It has to be at most 2000000 seconds/);
  await refused([...attach, '1.2.3'], /It has to be a number of seconds, such as/);
});

test('words of a disk of another function are not taken for one of this machine', async () => {
  for (const words of [
    ['--peer', '0x11'],
    ['--direct'],
    ['--port', '7'],
    ['--key-file', '/nowhere/key'],
    ['--data-digest'],
  ]) {
    await refused(['bench', 'memory:1M', ...words], new RegExp(`${words[0]} is for disks of another function`));
  }
});

test('a snapshot is kept in one place, and of what is for reads alone there are no writers', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'disk');
  writeFileSync(path, Buffer.alloc(4096));
  const both = ['--snapshot', '--snapshot-in', folder];
  await refused(['nbd', path, '--socket', join(folder, 'none', 'x.sock'), ...both], /--snapshot-in in .*: one of them/);
  await refused(['serve', path, ...device, ...both], /--snapshot-in in .*: one of them/);
  await refused(
    ['serve', path, ...device, '--read-only', '--writers', '0x22'],
    /disk, .*read-only.*leave out --writers/,
  );
});

test('writes are not measured where a server exports for reads alone, and nothing is measured before', async (t) => {
  const server = await serveNbd(memoryDisk({ size: 2 ** 20 }), { port: 0, readOnly: true });
  t.after(() => server.close());
  const uri = `nbd://127.0.0.1:${server.port}/`;
  const { code, stderr } = await ismio(['block', 'bench', uri, '--write', '--seconds', '0.01', '--rounds', '1']);
  assert.match(stderr, /^ismio: ERR_ISMIO_READ_ONLY: nbd:.* is for reads alone: leave out --write\n$/);
  assert.equal(code, 1);
  assert.equal(server.stats().requests, 0);
});

test('of a certificate or a key that cannot be used the file is named', { skip: missing('openssl') }, async (t) => {
  const folder = temporaryFolder(t);
  makeCertificates(folder);
  const nothing = join(folder, 'nothing.pem');
  writeFileSync(nothing, 'nothing');
  const file = (name: string) => join(folder, `${name}.pem`);
  for (const [cert, key, ca, reason] of [
    ['nothing', 'server-key', 'ca-cert', /nothing\.pem: tls\.cert is no certificate/],
    ['server-cert', 'nothing', 'ca-cert', /nothing\.pem: tls\.key is no key/],
    ['server-cert', 'client-key', 'ca-cert', /client-key\.pem: tls\.key is not the key of tls\.cert/],
    ['server-cert', 'server-key', 'server-key', /server-key\.pem: tls\.ca is no certificate/],
  ] as const) {
    const words = ['--tls-cert', file(cert), '--tls-key', file(key), '--tls-ca', file(ca)];
    await refused(['nbd', 'memory:1M', '--port', '0', ...words], reason);
  }
});
