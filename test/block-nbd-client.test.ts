// The NBD client on servers that do as they should: this package's own, and one by hand that offers less.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { IsmioError, isIsmioError } from 'ismio';
import { type BlockDevice, memoryDisk, openNbd, serveNbd } from 'ismio/block';
import { command, commandFlag, exportFlag } from '../src/block/nbd/wire.js';
import { makeCertificates } from './support/certificates.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { NbdClient, served } from './support/nbd.js';
import { answered, handMade, simple, type Taken } from './support/nbd-hand.js';
import { sequence } from './support/random.js';
import { missing } from './support/terminal.js';

const mebibyte = 2 ** 20;

async function opened(t: { after(end: () => unknown): void }, ...words: Parameters<typeof openNbd>) {
  const disk = await openNbd(...words);
  t.after(() => disk.close());
  return disk;
}

async function bytesAt(disk: BlockDevice, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length, 0xee);
  await disk.read(offset, bytes);
  return bytes;
}

test('a disk of this package’s server is a disk here: sizes, features, bytes, zeros, holes', async (t) => {
  const memory = memoryDisk({ size: 70 * mebibyte + 3 });
  const { uri, server } = await served(t, memory, { name: 'one two' });
  const disk = await opened(t, uri.replace('one two', 'one%20two'));
  assert.match(disk.name, /^nbd\+unix:\/\/\/one%20two\?socket=/);
  assert.deepEqual(
    [disk.size, disk.readOnly, disk.blockSize, disk.features],
    [memory.size, false, { minimum: 1, preferred: 4096, maximum: 2 ** 25 }, memory.features],
  );
  // Longer than one request may be, from several pieces.
  const bytes = Buffer.from(Array.from({ length: 65_537 }, (_, i) => i % 251));
  const pieces = [bytes, Buffer.alloc(0), Buffer.alloc(34 * mebibyte, 7), bytes];
  await disk.writePieces(5, pieces, { fua: true });
  const whole = Buffer.concat(pieces);
  assert.ok((await bytesAt(memory, 5, whole.length)).equals(whole));
  assert.ok((await bytesAt(disk, 5, whole.length)).equals(whole));
  await disk.zero(100_000, 2 * mebibyte, { mayTrim: true, fast: true });
  await disk.zero(4 * mebibyte, 5, { fua: true });
  await disk.trim(8 * mebibyte, mebibyte);
  await disk.cache(0, disk.size);
  await disk.flush();
  assert.ok((await bytesAt(disk, 0, memory.size)).equals(await bytesAt(memory, 0, memory.size)));
  assert.deepEqual(await disk.extents(0, disk.size, 100), await memory.extents(0, memory.size, 100));
  assert.equal((await disk.extents(0, disk.size, 1)).length, 1);
  assert.equal(server.stats().failed, 0);
  await disk.read(disk.size, Buffer.alloc(0));
  throwsCode(() => disk.read(disk.size - 1, Buffer.alloc(2)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE');
});

test('many requests in flight, answered in another order: each has its own bytes', async (t) => {
  const random = sequence(0x6e62);
  const memory = memoryDisk({ size: mebibyte });
  const slow: BlockDevice = {
    ...{ name: 'slow', size: memory.size, readOnly: false, blockSize: memory.blockSize, features: memory.features },
    read: async (offset, target) => {
      await new Promise((resolve) => setTimeout(resolve, random(8)));
      await memory.read(offset, target);
    },
    write: (offset, source) => memory.write(offset, source),
    flush: () => undefined,
    trim: () => undefined,
    zero: () => undefined,
    cache: () => undefined,
    extents: () => [],
    close: async () => undefined,
  };
  const bytes = Buffer.from(Array.from({ length: memory.size }, () => random(256)));
  memory.write(0, bytes);
  const disk = await opened(t, (await served(t, slow)).uri);
  const reads = Array.from({ length: 200 }, async () => {
    const [offset, length] = [random(900_000), 1 + random(40_000)];
    assert.ok((await bytesAt(disk, offset, length)).equals(bytes.subarray(offset, offset + length)));
  });
  assert.equal(disk.stats().inFlight, 200);
  await Promise.all(reads);
  assert.deepEqual(disk.stats(), { requests: 200, inFlight: 0 });
});

test('what the server’s disk fails with is its errno here, with its words, and the disk stays usable', async (t) => {
  const memory = memoryDisk({ size: mebibyte });
  const failing = new Proxy(memory, {
    get: (target, name) => {
      if (name === 'view') return undefined;
      const fails = ['read', 'write', 'flush', 'zero', 'extents'].includes(String(name)) && isFailing;
      if (fails) return () => Promise.reject(Object.assign(new Error('no room\u001b[2J'), { code: 'ENOSPC' }));
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  let isFailing = true;
  const disk = await opened(t, (await served(t, failing)).uri);
  for (const act of [
    () => disk.read(0, Buffer.alloc(512)),
    () => disk.write(0, Buffer.alloc(512)),
    () => disk.flush(),
    () => disk.zero(0, 512),
    () => disk.extents(0, 512, 5),
  ]) {
    const { message } = await rejectsCode(act() as Promise<unknown>, IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOSPC' });
    assert.ok(!message.includes('\u001b'), 'words of a server do nothing to a terminal');
  }
  isFailing = false;
  await disk.write(7, Buffer.from('still here'));
  assert.equal((await bytesAt(disk, 7, 10)).toString(), 'still here');
});

test('a read-only export, or one opened so, refuses writes before they are sent', async (t) => {
  const { uri } = await served(t, memoryDisk({ size: 512 }), { readOnly: true });
  const { uri: writable, server } = await served(t, memoryDisk({ size: 512 }));
  for (const disk of [await opened(t, uri), await opened(t, writable, { readOnly: true })]) {
    assert.equal(disk.readOnly, true);
    throwsCode(() => disk.write(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_READ_ONLY');
    throwsCode(() => disk.zero(0, 1), IsmioError, 'ERR_ISMIO_READ_ONLY');
    await rejectsCode(disk.trim(0, 1), IsmioError, 'ERR_ISMIO_READ_ONLY');
  }
  assert.equal(server.stats().requests, 0);
});

test('close waits for what is in flight, and leaves with DISC: the server takes it for a good end', async (t) => {
  const { uri, server, path } = await served(t, memoryDisk({ size: mebibyte }));
  const gone = once(server, 'gone');
  const disk = await openNbd(uri);
  let isWritten = false;
  const written = disk.write(0, Buffer.alloc(mebibyte, 1)).then(() => {
    isWritten = true;
  });
  await disk.close();
  await written;
  assert.ok(isWritten);
  assert.equal((await gone)[1], null);
  throwsCode(() => disk.read(0, Buffer.alloc(1)), IsmioError, 'ERR_ISMIO_CLOSED');
  await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_CLOSED');
  await disk.close();
  (await NbdClient.open(path)).socket.destroy();
});

test('what a server does not offer is not sent: FUA is a flush behind the write, advice is nothing', async (t) => {
  const seen: number[] = [];
  const took = (taken: Taken, { socket, structured }: { socket: import('node:net').Socket; structured: boolean }) => {
    seen.push(taken.type | (taken.flags << 8));
    socket.write(answered(taken, structured));
  };
  const disk = await opened(
    t,
    await handMade(t, { flags: exportFlag.hasFlags | exportFlag.flush, structured: false, go: false }, took),
  );
  assert.deepEqual(disk.features, { trim: false, zero: false, fastZero: false, extents: false, cache: false });
  await disk.write(0, Buffer.alloc(5), { fua: true });
  await disk.trim(0, 4096);
  await disk.cache(0, 4096);
  throwsCode(() => disk.zero(0, 4096), IsmioError, 'ERR_ISMIO_DISK', { errno: 'ENOTSUP' });
  assert.deepEqual(await disk.extents(3, 10, 5), [{ length: 10, hole: false, zero: false }]);
  await disk.read(0, Buffer.alloc(3));
  assert.deepEqual(seen, [command.write, command.flush, command.read]);
});

test('what it offers is: FUA, NO_HOLE, FAST_ZERO, REQ_ONE; and DISC is the last that it hears', async (t) => {
  const seen: number[][] = [];
  const uri = await handMade(t, {}, (taken, { socket, structured }) => {
    seen.push([taken.type, taken.flags]);
    if (taken.type === command.disconnect) socket.end();
    else socket.write(answered(taken, structured));
  });
  const disk = await opened(t, uri);
  await disk.write(0, Buffer.alloc(5), { fua: true });
  await disk.zero(0, 5, { fua: true });
  await disk.zero(0, 5, { mayTrim: true, fast: true });
  await disk.extents(0, 5, 1);
  await disk.close();
  const { write, writeZeroes, blockStatus, disconnect } = command;
  assert.deepEqual(seen, [
    [write, commandFlag.fua],
    [writeZeroes, commandFlag.fua | commandFlag.noHole],
    [writeZeroes, commandFlag.fastZero],
    [blockStatus, commandFlag.reqOne],
    [disconnect, 0],
  ]);
});

test('blocks of a server are kept: advice is rounded, and a part of one is refused here', async (t) => {
  const seen: number[][] = [];
  const blockSize = { minimum: 512, preferred: 4096, maximum: 8192 };
  const uri = await handMade(t, { blockSize, size: 2 ** 33 }, (taken, { socket, structured }) => {
    seen.push([taken.type, taken.offset, taken.length]);
    socket.write(answered(taken, structured));
  });
  const disk = await opened(t, uri);
  throwsCode(() => disk.write(1, Buffer.alloc(512)), IsmioError, 'ERR_ISMIO_DISK', { errno: 'EINVAL' });
  throwsCode(() => disk.read(0, Buffer.alloc(511)), IsmioError, 'ERR_ISMIO_DISK', { errno: 'EINVAL' });
  await disk.trim(1, 1500);
  await disk.trim(1, 600);
  await disk.cache(8191, 2);
  await disk.read(512, Buffer.alloc(8192 + 512));
  await disk.zero(0, 2 ** 30 + 512);
  const { trim, cache, read, writeZeroes } = command;
  assert.deepEqual(seen, [
    [trim, 512, 512],
    [cache, 7680, 1024],
    [read, 512, 8192],
    [read, 8704, 512],
    [writeZeroes, 0, 2 ** 30],
    [writeZeroes, 2 ** 30, 512],
  ]);
});

test('of a read that goes in parts one fails: the others have ended when that is told', async (t) => {
  const blockSize = { minimum: 1, preferred: 4096, maximum: 4096 };
  const uri = await handMade(t, { blockSize, structured: false }, (taken, { socket, structured }) => {
    if (taken.offset === 4096) socket.write(simple(taken.cookie, 28));
    else setTimeout(() => socket.write(answered(taken, structured)), 20);
  });
  const disk = await opened(t, uri);
  const expected = { errno: 'ENOSPC', offset: 4096, length: 4096 };
  await rejectsCode(disk.read(0, Buffer.alloc(10_000)), IsmioError, 'ERR_ISMIO_DISK', expected);
  assert.equal(disk.stats().inFlight, 0);
});

test('an export that there is not, a server that is not there, and places that make no sense', async (t) => {
  const { path } = await served(t, memoryDisk({ size: 512 }), { name: 'there' });
  const refused = await rejectsCode(openNbd({ path, name: 'other' }), IsmioError, 'ERR_ISMIO_NBD', {
    reason: 'refused',
  });
  assert.match(refused.message, /no such export .*"other"/);
  const away = { reason: 'unreachable', errno: 'ENOENT' };
  await rejectsCode(openNbd(`nbd+unix:///?socket=${path}2`), IsmioError, 'ERR_ISMIO_NBD', away);
  for (const uri of [
    ...[
      '',
      'disk.img',
      'http://a/',
      'nbd:a',
      'nbd://a:0/',
      'nbd://a:65536/',
      'nbd://a:b/',
      'nbd://u@a/',
      'nbd://[::1/',
    ],
    ...[
      'nbd://a/?socket=b',
      'nbd+unix:///',
      'nbd+unix://a/?socket=b',
      'nbd+unix:///?socket=',
      'nbd://a/#b',
      'nbd://a/%zz',
    ],
    ...[
      'nbd://a/%00',
      'nbd://a/?tls-psk-file=b',
      'nbd://a/?tls-hostname=b',
      'nbds+unix:///?socket=a&socket=b',
      'nbd+vsock://1/',
    ],
    `nbd://a/${'b'.repeat(4097)}`,
  ]) {
    await rejectsCode(openNbd(uri), RangeError, 'ERR_ISMIO_OPTION');
  }
  await rejectsCode(openNbd({ path, port: 1 }), RangeError, 'ERR_ISMIO_OPTION');
  await rejectsCode(openNbd(5 as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  await rejectsCode(openNbd({ path }, { tls: { cert: 'x' } }), RangeError, 'ERR_ISMIO_OPTION');
});

test('names and hosts of URIs as libnbd has them: dots, a plus, what is percent-encoded, an IPv6 address', async (t) => {
  const name = '../a+b c/é';
  const server = await serveNbd(memoryDisk({ size: 512 }), { port: 0, name, grace: 100 });
  t.after(() => server.close());
  for (const host of ['127.0.0.1', 'localhost', '']) {
    const uri = `NBD://${host}:${server.port}/../a+b%20c/%C3%A9`;
    const disk = await opened(t, uri);
    assert.equal((await opened(t, disk.name)).size, 512, 'a disk is called what opens it');
  }
  assert.equal((await opened(t, { host: '127.0.0.1', port: server.port as number, name })).size, 512);
  const lost = openNbd(`nbd://[::1]:${server.port}/`);
  await assert.rejects(
    lost,
    (error) => isIsmioError(error, 'ERR_ISMIO_NBD') && error.message.startsWith('nbd://[::1]:'),
  );
});

describe('TLS of the NBD client', { skip: missing('openssl') }, () => {
  test('the server has to be who was dialled, and may ask who this is; in the clear nothing is had', async (t) => {
    const { folder, read } = makeCertificates(temporaryFolder(t));
    const tls = { cert: read('server-cert.pem'), key: read('server-key.pem'), ca: read('ca-cert.pem') };
    const disk = memoryDisk({ size: mebibyte });
    const server = await serveNbd(disk, { port: 0, tls, grace: 500 });
    t.after(() => server.close());
    const at = `localhost:${server.port}`;
    const secured = await opened(t, `nbds://${at}/?tls-certificates=${folder}`);
    const bytes = Buffer.from(Array.from({ length: 300_001 }, (_, i) => i % 249));
    await secured.write(3, bytes);
    assert.ok((await bytesAt(secured, 3, bytes.length)).equals(bytes));
    await secured.close();
    const own = { ca: read('ca-cert.pem'), cert: read('client-cert.pem'), key: read('client-key.pem') };
    assert.equal((await opened(t, `nbd://127.0.0.1:${server.port}/`, { tls: own })).size, mebibyte);
    const fails = async (reason: string, ...words: Parameters<typeof openNbd>) => {
      await rejectsCode(openNbd(...words), IsmioError, 'ERR_ISMIO_NBD', { reason });
    };
    await fails('refused', `nbd://${at}/`);
    await fails('tls', `nbds://${at}/`);
    await fails('tls', `nbds://${at}/`, { tls: { ...own, hostname: 'other.example' } });
    const { uri } = await served(t, disk);
    await fails('tls', uri.replace('nbd', 'nbds'));
    // The server may tell behind the handshake that it does not let this one in.
    const stranger = { ca: read('ca-cert.pem') };
    await rejectsCode(openNbd(`nbds://${at}/`, { tls: stranger }), IsmioError, 'ERR_ISMIO_NBD');
  });
});
