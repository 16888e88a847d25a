// TLS of the NBD server: what is agreed on before it, who gets in, and that nothing in the clear is taken for encrypted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { memoryDisk, type NbdServer, type NbdTls, serveNbd } from 'ismio/block';
import { command, option, optionReply } from '../src/block/nbd/wire.js';
import { type Certificates, makeCertificates } from './support/certificates.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { asked, NbdClient, ran, saidBy, served } from './support/nbd.js';
import { missing } from './support/terminal.js';

const mebibyte = 2 ** 20;
const { ack, invalid, tlsRequired, unsupported } = optionReply;

const kinds = async (client: NbdClient, number: number, data?: Uint8Array) =>
  (await client.ask(number, data)).map(({ kind }) => kind);

/** Encrypts what a client sends and gets, once the server has agreed. */
async function secured(client: NbdClient, options: ConnectionOptions): Promise<NbdClient> {
  assert.deepEqual(await kinds(client, option.startTls), [ack]);
  client.socket.removeAllListeners('data');
  const socket = connect({ socket: client.socket, servername: 'localhost', ...options });
  await once(socket, 'secureConnect');
  return new NbdClient(socket);
}

function refusal(server: NbdServer): Promise<string> {
  return once(server, 'refused').then(([reason]) => reason as string);
}

describe('TLS', { skip: missing('openssl') }, () => {
  const folder = temporaryFolder({ after });
  let certificates: Certificates;
  before(() => {
    certificates = makeCertificates(folder);
  });

  const read = (name: string) => certificates.read(`${name}.pem`);
  const tlsOf = (wantsClients = false): NbdTls => ({
    cert: read('server-cert'),
    key: read('server-key'),
    ...(wantsClients && { ca: read('ca-cert') }),
  });
  const servedBy = (t: TestContext, wantsClients = false) =>
    served(t, memoryDisk({ size: mebibyte }), { tls: tlsOf(wantsClients) });

  test('before it, every option but STARTTLS and ABORT is refused, and nothing is told of the export', async (t) => {
    const { path, server } = await servedBy(t);
    const client = await NbdClient.greeted(path);
    for (const number of [option.list, option.structuredReply, option.extendedHeaders, option.setMetaContext, 0xdead]) {
      assert.deepEqual(await kinds(client, number), [tlsRequired]);
    }
    assert.deepEqual(await kinds(client, option.go, asked('')), [tlsRequired]);
    assert.deepEqual(await kinds(client, option.info, asked('')), [tlsRequired]);
    assert.deepEqual(await kinds(client, option.startTls, Buffer.of(1)), [invalid]);
    assert.deepEqual(await kinds(client, option.abort), [ack]);
    const refused = refusal(server);
    const other = await NbdClient.greeted(path);
    other.sendOption(option.exportName);
    assert.match(await refused, /without TLS/);
    assert.equal(await other.ended(), true);
  });

  test('after it, all is as without; a second STARTTLS is refused', async (t) => {
    const { path, server } = await servedBy(t);
    const client = await secured(await NbdClient.greeted(path), { ca: read('ca-cert') });
    assert.deepEqual(await kinds(client, option.startTls), [invalid]);
    assert.deepEqual(await kinds(client, option.structuredReply), [ack]);
    await client.go();
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
    assert.equal(await client.write(5, bytes), 0);
    assert.ok((await client.read(5, bytes.length)).equals(bytes));
    client.send({ type: command.disconnect });
    assert.equal(await client.ended(), true);
    assert.equal(server.stats().broken, 0);
  });

  test('a server without it answers as to any option that it does not know', async (t) => {
    const { path } = await served(t, memoryDisk({ size: mebibyte }));
    assert.deepEqual(await kinds(await NbdClient.greeted(path), option.startTls), [unsupported]);
  });

  test('what comes in the clear behind STARTTLS ends the connection: it is not taken for a part of what follows', async (t) => {
    const { path, server } = await servedBy(t);
    const client = await NbdClient.greeted(path);
    const refused = refusal(server);
    const header = (number: number, data: Buffer) => {
      const bytes = Buffer.alloc(16 + data.length);
      bytes.write('IHAVEOPT', 'latin1');
      bytes.writeUInt32BE(number, 8);
      bytes.writeUInt32BE(data.length, 12);
      data.copy(bytes, 16);
      return bytes;
    };
    client.socket.write(Buffer.concat([header(option.startTls, Buffer.alloc(0)), header(option.go, asked(''))]));
    assert.match(await refused, /in the clear/);
    assert.equal(await client.ended(), true);
  });

  test('what is no TLS ends that connection alone', async (t) => {
    const { path, server } = await servedBy(t);
    const client = await NbdClient.greeted(path);
    const refused = refusal(server);
    assert.deepEqual(await kinds(client, option.startTls), [ack]);
    client.socket.write('GET / HTTP/1.0\r\n\r\n');
    assert.match(await refused, /^TLS: /);
    assert.equal(await client.ended(), true);
    const next = await secured(await NbdClient.greeted(path), { ca: read('ca-cert') });
    await next.go();
    next.socket.destroy();
  });

  test('clients without a certificate, or with one of somebody else, do not get in where they need one', async (t) => {
    const { path, server } = await servedBy(t, true);
    for (const name of [null, 'other']) {
      const refused = refusal(server);
      const own = name === null ? {} : { cert: read('other-cert'), key: read('other-key') };
      const client = await NbdClient.greeted(path);
      assert.deepEqual(await kinds(client, option.startTls), [ack]);
      client.socket.removeAllListeners('data');
      const socket = connect({ socket: client.socket, servername: 'localhost', ca: read('ca-cert'), ...own });
      socket.on('error', () => undefined);
      assert.match(await refused, /^TLS: /);
      socket.destroy();
    }
    const own = { cert: read('client-cert'), key: read('client-key') };
    const client = await secured(await NbdClient.greeted(path), { ca: read('ca-cert'), ...own });
    await client.go();
    assert.equal(client.size, mebibyte);
    client.socket.destroy();
  });

  test('closing the server ends clients in the middle of a handshake, and those behind it', async (t) => {
    const { path, server } = await servedBy(t);
    const [within, behind] = [
      await NbdClient.greeted(path),
      await secured(await NbdClient.greeted(path), { ca: read('ca-cert') }),
    ];
    await behind.go();
    assert.deepEqual(await kinds(within, option.startTls), [ack]);
    await server.close();
    assert.equal(await within.ended(), true);
    assert.equal(await behind.ended(), true);
    assert.equal(server.stats().open, 0);
  });

  test('certificates that are none are refused before anything is opened', async () => {
    const disk = memoryDisk({ size: 512 });
    const tried = (tls: object) => serveNbd(disk, { port: 0, tls: tls as NbdTls });
    await rejectsCode(tried({ cert: 'x', key: 'y' }), RangeError, 'ERR_ISMIO_OPTION', { option: 'cert' });
    await rejectsCode(tried({ cert: read('server-cert'), key: read('client-key') }), RangeError, 'ERR_ISMIO_OPTION');
    await rejectsCode(tried({ ...tlsOf(), ca: read('server-key') }), RangeError, 'ERR_ISMIO_OPTION');
    await rejectsCode(tried({ cert: read('server-cert') }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
    await rejectsCode(tried({ ...tlsOf(), pfx: 1 }), RangeError, 'ERR_ISMIO_OPTION');
  });

  test('libnbd (GnuTLS) gets in with its certificate, and not without', {
    skip: missing('nbdinfo', 'nbdcopy'),
  }, async (t) => {
    const disk = memoryDisk({ size: 4 * mebibyte });
    const bytes = Buffer.from(Array.from({ length: mebibyte }, (_, i) => (i * 7) % 253));
    disk.write(12_345, bytes);
    const server = await serveNbd(disk, { port: 0, tls: tlsOf(true), grace: 1000 });
    t.after(() => server.close());
    const uri = `nbds://localhost:${server.port}/?tls-certificates=${certificates.folder}`;
    const about = await saidBy('nbdinfo', uri);
    assert.match(about, /protocol: newstyle-fixed with TLS/);
    const copy = join(temporaryFolder(t), 'copy');
    await saidBy('nbdcopy', uri, copy);
    assert.ok(
      readFileSync(copy)
        .subarray(12_345, 12_345 + bytes.length)
        .equals(bytes),
    );
    assert.notEqual((await ran('nbdinfo', `nbd://127.0.0.1:${server.port}/`)).code, 0, 'in the clear');
  });

  test('qemu (GnuTLS) gets in with its certificate', { skip: missing('qemu-img') }, async (t) => {
    const server = await serveNbd(memoryDisk({ size: 3 * mebibyte }), { port: 0, tls: tlsOf(true), grace: 1000 });
    t.after(() => server.close());
    const credentials = `tls-creds-x509,id=own,dir=${certificates.folder},endpoint=client`;
    const image = `driver=nbd,host=localhost,port=${server.port},tls-creds=own`;
    assert.match(await saidBy('qemu-img', 'info', '--object', credentials, '--image-opts', image), /3 MiB/);
  });

  test('who connects to the port and leaves at once is no error', async (t) => {
    const server = await serveNbd(memoryDisk({ size: 512 }), { port: 0, tls: tlsOf(), grace: 100 });
    t.after(() => server.close());
    const socket = connectPlain(server.port as number, '127.0.0.1');
    await once(socket, 'data');
    socket.end();
    socket.resume();
    await once(socket, 'close');
    assert.equal(server.stats().broken, 0);
  });
});
