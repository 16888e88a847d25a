// The NBD server as doc/proto.md has it, by a client of our own: every option, every command, every form of a reply.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import { type BlockDevice, memoryDisk, serveNbd } from 'ismio/block';
import { chunk, command, commandFlag, exportFlag, info, option, optionReply } from '../src/block/nbd/wire.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { asked, contexts, errnoName, NbdClient, served } from './support/nbd.js';

const mebibyte = 2 ** 20;

/** A disk in memory whose calls may be held back, or fail. */
function held(size: number) {
  const memory = memoryDisk({ size });
  const waiting: (() => void)[] = [];
  const state = { holds: false, fails: '', flushes: 0, writes: 0 };
  const later = (act: () => void): Promise<void> | undefined => {
    if (state.fails !== '') return Promise.reject(Object.assign(new Error('the medium'), { code: state.fails }));
    if (!state.holds) {
      act();
      return undefined;
    }
    return new Promise((resolve) =>
      waiting.push(() => {
        act();
        resolve();
      }),
    );
  };
  const disk: BlockDevice = {
    name: 'held',
    size,
    readOnly: false,
    blockSize: memory.blockSize,
    features: memory.features,
    read: (offset, target) => later(() => memory.read(offset, target)),
    write: (offset, source) => {
      state.writes++;
      return later(() => memory.write(offset, source));
    },
    flush: () => {
      state.flushes++;
      return later(() => undefined);
    },
    trim: (offset, length) => later(() => memory.trim(offset, length)),
    zero: (offset, length) => later(() => void memory.zero(offset, length)),
    cache: () => later(() => undefined),
    extents: (offset, length, most) => memory.extents(offset, length, most),
    close: () => memory.close(),
  };
  return { disk, memory, waiting, state };
}

test('what an export can do is offered, and nothing else', async (t) => {
  const { path } = await served(t, memoryDisk({ size: mebibyte }), { description: 'scratch', name: 'one' });
  const client = await NbdClient.greeted(path);
  await client.ask(option.structuredReply);
  const replies = await client.go('one', info.name, info.description, info.blockSize, 77);
  const infos = replies.filter(({ kind }) => kind === optionReply.info).map(({ data }) => data);
  assert.deepEqual(
    infos.map((data) => data.readUInt16BE(0)),
    [info.export, info.name, info.description, info.blockSize],
  );
  assert.equal(infos[1]?.toString('utf8', 2), 'one');
  assert.equal(infos[2]?.toString('utf8', 2), 'scratch');
  assert.deepEqual(
    [2, 6, 10].map((at) => infos[3]?.readUInt32BE(at)),
    [1, 4096, 2 ** 25],
  );
  assert.equal(client.size, mebibyte);
  assert.equal(client.flags, 0b1101_1110_1101);
});

test('a read-only export says so, offers no change, and refuses each with EPERM', async (t) => {
  const { path } = await served(t, memoryDisk({ size: mebibyte }), { readOnly: true });
  const client = await NbdClient.open(path);
  const { hasFlags, readOnly, flush, df, multiConn, cache } = exportFlag;
  assert.equal(client.flags, hasFlags | readOnly | flush | df | multiConn | cache);
  assert.equal(errnoName(await client.write(0, Buffer.alloc(512))), 'EPERM');
  for (const type of [command.trim, command.writeZeroes]) {
    assert.equal(errnoName((await client.call({ type, length: 512 })).errno), 'EPERM');
  }
  assert.equal((await client.call({ type: command.flush })).errno, 0);
});

test('options that are unknown, malformed, or of another export are refused, and the next is heard', async (t) => {
  const { path } = await served(t, memoryDisk({ size: mebibyte }), { name: 'one' });
  const client = await NbdClient.greeted(path);
  const kinds = async (number: number, data?: Uint8Array) => (await client.ask(number, data)).map(({ kind }) => kind);
  const { ack, unsupported, invalid, unknown, tooBig, server, metaContext } = optionReply;
  assert.deepEqual(await kinds(5), [unsupported], 'STARTTLS');
  assert.deepEqual(await kinds(0xdead), [unsupported]);
  assert.deepEqual(await kinds(option.list, Buffer.alloc(1)), [invalid]);
  assert.deepEqual(await kinds(option.list), [server, ack]);
  assert.deepEqual(await kinds(option.info, asked('two')), [unknown]);
  assert.deepEqual(await kinds(option.go, Buffer.alloc(3)), [invalid]);
  assert.deepEqual(await kinds(option.go, asked('one').subarray(0, 8)), [invalid]);
  assert.deepEqual(await kinds(option.go, Buffer.concat([asked('one'), Buffer.alloc(2)])), [invalid]);
  assert.deepEqual(await kinds(option.setMetaContext, contexts('one', 'base:allocation')), [invalid], 'too early');
  assert.deepEqual(await kinds(option.structuredReply, Buffer.alloc(8)), [invalid]);
  assert.deepEqual(await kinds(option.structuredReply), [ack]);
  assert.deepEqual(await kinds(option.setMetaContext, contexts('two', 'base:allocation')), [unknown]);
  assert.deepEqual(await kinds(option.setMetaContext, contexts('one', 'base:allocation').subarray(0, 20)), [invalid]);
  assert.deepEqual(await kinds(option.setMetaContext, contexts('one')), [ack], 'none is chosen');
  assert.deepEqual(await kinds(option.setMetaContext, contexts('one', 'qemu:allocation-depth')), [ack]);
  assert.deepEqual(await kinds(option.listMetaContext, contexts('')), [metaContext, ack]);
  assert.deepEqual(await kinds(option.listMetaContext, contexts('one', 'base:')), [metaContext, ack]);
  assert.deepEqual(await kinds(option.listMetaContext, contexts('one', 'x:')), [ack]);
  assert.deepEqual(await kinds(option.info, Buffer.alloc(100_000)), [tooBig]);
  assert.deepEqual(await kinds(option.extendedHeaders), [ack]);
  assert.deepEqual(await kinds(option.extendedHeaders), [invalid]);
  assert.deepEqual(await kinds(option.structuredReply), [optionReply.extendedHeadersRequired]);
  assert.deepEqual(await kinds(option.abort), [ack]);
  assert.ok(await client.ended());
});

test('EXPORT_NAME enters at once, with the zeros of old where the client wants them', async (t) => {
  const { path } = await served(t, memoryDisk({ size: mebibyte + 100 }), { name: 'one' });
  for (const [flags, length] of [
    [1, 134],
    [3, 10],
  ] as const) {
    const client = await NbdClient.greeted(path, flags);
    client.sendOption(option.exportName, Buffer.from('one'));
    const about = await client.take(length);
    assert.equal(Number(about.readBigUInt64BE(0)), mebibyte, 'whole sectors, for who counts in them');
    assert.equal(await client.write(5, Buffer.from('abc')), 0);
    assert.equal((await client.read(5, 3)).toString(), 'abc');
    client.send({ type: command.disconnect });
    assert.ok(await client.ended());
  }
  const wrong = await NbdClient.greeted(path);
  wrong.sendOption(option.exportName, Buffer.from('two'));
  assert.ok(await wrong.ended());
});

for (const [name, options] of Object.entries({
  'simple replies': { structured: false },
  'structured replies': {},
  'extended headers': { extended: true },
})) {
  test(`commands are answered by ${name}`, async (t) => {
    const { path, server } = await served(t, memoryDisk({ size: mebibyte + 3 }));
    const client = await NbdClient.open(path, options);
    const isSimple = name === 'simple replies';
    assert.equal(client.size, isSimple ? mebibyte : mebibyte + 3);
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
    assert.equal(await client.write(1001, bytes), 0);
    assert.equal(await client.write(7, bytes.subarray(0, 90), commandFlag.fua), 0);
    assert.deepEqual(await client.read(1001, bytes.length), bytes);
    assert.deepEqual(await client.read(7, 90), bytes.subarray(0, 90));
    const errnoOf = async (fields: Parameters<NbdClient['call']>[0]) => errnoName((await client.call(fields)).errno);
    assert.equal(await errnoOf({ type: command.flush }), '0');
    assert.equal(await errnoOf({ type: command.cache, length: 4096 }), '0');
    assert.equal(await errnoOf({ type: command.trim, offset: 65_536, length: 65_536 }), '0');
    assert.equal(await errnoOf({ type: command.writeZeroes, offset: 1001, length: 9, flags: commandFlag.noHole }), '0');
    assert.equal(await errnoOf({ type: command.writeZeroes, length: 7, flags: commandFlag.fastZero }), '0');
    assert.deepEqual([...(await client.read(1000, 11))], [...Buffer.alloc(10), 9]);
    // Refused, and in step.
    const { size } = client;
    assert.equal(await errnoOf({ type: command.read, offset: size - 1, length: 2 }), 'EINVAL');
    assert.equal(await errnoOf({ type: command.read, offset: 2n ** 64n - 1n, length: 2 }), 'EINVAL');
    assert.equal(await errnoOf({ type: command.read, length: 0 }), 'EINVAL');
    assert.equal(await errnoOf({ type: command.read, length: 2 ** 25 + 1 }), 'EINVAL');
    assert.equal(await errnoOf({ type: command.write, offset: size - 1, payload: Buffer.alloc(2) }), 'ENOSPC');
    assert.equal(await errnoOf({ type: command.writeZeroes, offset: size, length: 1 }), 'ENOSPC');
    assert.equal(await errnoOf({ type: command.trim, offset: size, length: 1 }), 'ENOSPC');
    assert.equal(await errnoOf({ type: command.read, length: 5, flags: commandFlag.noHole }), 'EINVAL');
    assert.equal(await errnoOf({ type: command.write, payload: Buffer.alloc(5), flags: commandFlag.reqOne }), 'EINVAL');
    assert.equal(await errnoOf({ type: 99, length: 5 }), 'EINVAL');
    assert.equal(await errnoOf({ type: command.read, length: 5, flags: commandFlag.df }), isSimple ? 'EINVAL' : '0');
    if (isSimple) assert.equal(await errnoOf({ type: command.blockStatus, length: 5 }), 'EINVAL');
    assert.equal(server.stats().failed, 0);
  });
}

test('extents are clipped, merged, one where one is wanted, and 64 bits wide where that was agreed on', async (t) => {
  const size = 2 ** 40;
  const disk = memoryDisk({ size });
  const { path } = await served(t, disk);
  disk.write(65_536, Buffer.alloc(131_072, 1));
  const client = await NbdClient.open(path);
  const told = async (offset: number, length: number, flags = 0) => {
    const { data, type } = await client.call({ type: command.blockStatus, offset, length, flags });
    assert.equal(type, chunk.blockStatus);
    assert.equal(data.readUInt32BE(0), 1);
    const words = Array.from({ length: (data.length - 4) / 4 }, (_, i) => data.readUInt32BE(4 + 4 * i));
    return words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]]] : []));
  };
  const [hole, data] = [3, 0];
  assert.deepEqual(await told(0, 2 ** 20), [
    [65_536, hole],
    [131_072, data],
    [2 ** 20 - 196_608, hole],
  ]);
  assert.deepEqual(await told(100, 2 ** 20, commandFlag.reqOne), [[65_436, hole]]);
  assert.deepEqual(await told(70_000, 1000), [[1000, data]]);
  assert.deepEqual(await told(2 ** 33, 2 ** 32 - 1), [[2 ** 32 - 1, hole]]);

  const wide = await NbdClient.open(path, { extended: true });
  const { data: all, type } = await wide.call({ type: command.blockStatus, offset: 1, length: size - 1 });
  assert.equal(type, chunk.blockStatusExtended);
  assert.equal(all.readUInt32BE(4), 3);
  const wides = Array.from({ length: 6 }, (_, i) => Number(all.readBigUInt64BE(8 + 8 * i)));
  assert.deepEqual(wides, [65_535, hole, 131_072, data, size - 196_608, hole]);
  assert.equal((await wide.call({ type: command.writeZeroes, length: size })).errno, 0);
  assert.equal(disk.allocated, 0, 'a TiB of zeros costs nothing');
});

test('a write of extended headers has a payload that is announced; another command with one is refused in step', async (t) => {
  const { path } = await served(t, memoryDisk({ size: mebibyte }));
  const client = await NbdClient.open(path, { extended: true });
  assert.equal(errnoName((await client.call({ type: command.write, length: 100 })).errno), 'EINVAL');
  const payload = Buffer.alloc(100, 1);
  assert.equal(errnoName((await client.call({ type: command.blockStatus, payload })).errno), 'EINVAL');
  assert.equal(await client.write(0, payload), 0);
  assert.deepEqual(await client.read(0, 100), payload);
});

test('replies come in the order in which the disk is done', async (t) => {
  const { disk, waiting, state } = held(mebibyte);
  const { path } = await served(t, disk);
  const client = await NbdClient.open(path);
  state.holds = true;
  const first = client.send({ type: command.read, offset: 0, length: 1000 });
  const second = client.send({ type: command.read, offset: 5000, length: 500 });
  while (waiting.length < 2) await setTimeout(1);
  waiting[1]?.();
  assert.equal((await client.reply()).cookie, second);
  waiting[0]?.();
  assert.equal((await client.reply()).cookie, first);
});

test('a flush waits for no write that is unanswered, and covers what every connection has completed', async (t) => {
  const { disk, waiting, state } = held(mebibyte);
  const { path } = await served(t, disk);
  const [one, other] = [await NbdClient.open(path), await NbdClient.open(path)];
  assert.ok((one.flags & exportFlag.multiConn) !== 0);
  state.holds = true;
  one.send({ type: command.write, payload: Buffer.alloc(512) });
  while (waiting.length < 1) await setTimeout(1);
  state.holds = false;
  assert.equal((await other.call({ type: command.flush })).errno, 0);
  assert.equal((await one.call({ type: command.flush, cookie: 99 })).errno, 0);
  assert.equal(state.flushes, 2);
  waiting[0]?.();
  assert.equal((await one.reply()).errno, 0);
});

test('what the disk fails is told by an errno that passes, and to the program; the next request is served', async (t) => {
  const { disk, state } = held(mebibyte);
  const { path, server } = await served(t, disk);
  const told: string[] = [];
  server.on('failed', ({ command: name, errno }) => told.push(`${name} ${errno}`));
  const client = await NbdClient.open(path);
  for (const [fails, expected] of [
    ['ENOSPC', 'ENOSPC'],
    ['EROFS', 'EPERM'],
    ['EDQUOT', 'ENOSPC'],
    ['EAGAIN', 'EIO'],
    ['ERR_WHATEVER', 'EIO'],
    ['ENOMEM', 'ENOMEM'],
  ] as const) {
    state.fails = fails;
    assert.equal(errnoName(await client.write(0, Buffer.alloc(512))), expected);
    const read = await client.call({ type: command.read, length: 1 });
    assert.deepEqual([errnoName(read.errno), read.type], [expected, chunk.error]);
  }
  state.fails = '';
  assert.equal(await client.write(0, Buffer.alloc(512)), 0);
  assert.deepEqual(told.slice(0, 2), ['write ENOSPC', 'read ENOSPC']);
  assert.equal(server.stats().failed, 12);
});

test('a flush that failed on one connection fails the next one of each other, once', async (t) => {
  const { disk, state } = held(mebibyte);
  const { path } = await served(t, disk);
  const [one, other] = [await NbdClient.open(path), await NbdClient.open(path)];
  state.fails = 'EIO';
  assert.equal(errnoName((await one.call({ type: command.flush })).errno), 'EIO');
  state.fails = '';
  assert.equal((await one.call({ type: command.flush })).errno, 0);
  assert.equal(errnoName((await other.call({ type: command.flush })).errno), 'EIO');
  assert.equal((await other.call({ type: command.flush })).errno, 0);
});

test('a client that reads no replies is given no more than its share of memory, and then all of them', async (t) => {
  const { path, server } = await served(t, memoryDisk({ size: 64 * mebibyte }));
  const client = await NbdClient.open(path);
  client.socket.pause();
  const count = 400;
  for (let i = 0; i < count; i++) client.send({ type: command.read, offset: 0, length: mebibyte });
  await setTimeout(100);
  assert.ok(server.stats().bytesRead <= 10 * mebibyte, `${server.stats().bytesRead}`);
  client.socket.resume();
  for (let i = 0; i < count; i++) assert.equal((await client.reply()).data.length, mebibyte + 8);
});

test('a client that ends its side is answered what it asked before', async (t) => {
  const { path, server } = await served(t, memoryDisk({ size: 64 * mebibyte }));
  const gone = new Promise((resolve) => server.on('gone', (_, reason) => resolve(reason)));
  const client = await NbdClient.open(path);
  for (let i = 0; i < 40; i++) client.send({ type: command.read, offset: 0, length: mebibyte });
  client.socket.end();
  for (let i = 0; i < 40; i++) assert.equal((await client.reply()).errno, 0);
  assert.ok(await client.ended());
  client.socket.destroy();
  assert.equal(await gone, null);
});

test('a client that goes in the middle of a write has written nothing of it', async (t) => {
  const { disk, memory, state } = held(mebibyte);
  const { path, server } = await served(t, disk);
  const gone = new Promise((resolve) => server.on('gone', (_, reason) => resolve(reason)));
  const client = await NbdClient.open(path);
  client.send({ type: command.write, length: 300_000, payload: Buffer.alloc(200_000, 7) });
  client.socket.end();
  assert.match(String(await gone), /in the middle of a request/);
  assert.deepEqual([state.writes, memory.allocated], [0, 0]);
  const next = await NbdClient.open(path);
  assert.equal(await next.write(0, Buffer.alloc(10)), 0);
});

test('a client that leaves right behind ABORT, and does not wait for the answer, is no error', async (t) => {
  const { path, server } = await served(t, memoryDisk({ size: mebibyte }));
  const refused: string[] = [];
  server.on('refused', (reason) => refused.push(reason));
  for (let i = 0; i < 20; i++) {
    const client = await NbdClient.greeted(path);
    client.sendOption(option.abort);
    client.socket.destroy();
  }
  while (server.stats().accepted < 20 || server.stats().open > 0) await setTimeout(2);
  assert.deepEqual([refused, server.stats().broken], [[], 0]);
});

test('closing answers what is in flight, takes nothing more, and never waits for a disk that hangs', async (t) => {
  const { disk, waiting, state } = held(mebibyte);
  const { path, server } = await served(t, disk, { grace: 300 });
  const [patient, stuck, idle] = [
    await NbdClient.open(path),
    await NbdClient.open(path),
    await NbdClient.greeted(path),
  ];
  state.holds = true;
  patient.send({ type: command.write, payload: Buffer.alloc(512, 1) });
  while (waiting.length < 1) await setTimeout(1);
  stuck.send({ type: command.read, length: 512 });
  while (waiting.length < 2) await setTimeout(1);
  const closed = server.close();
  assert.equal(existsSync(path), false);
  waiting[0]?.();
  assert.equal((await patient.reply()).errno, 0);
  await closed;
  for (const client of [patient, stuck, idle]) assert.ok(await client.ended());
  assert.equal(server.stats().open, 0);
  await server.close();
});

test('a signal closes it; the socket has its rights, and its name is free then', async (t) => {
  const path = join(temporaryFolder(t), 'a socket');
  const ending = new AbortController();
  const disk = memoryDisk({ size: mebibyte });
  const server = await serveNbd(disk, { path, signal: ending.signal });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await rejectsCode(serveNbd(disk, { path }), IsmioError, 'ERR_ISMIO_IN_USE', { path, errno: 'EADDRINUSE' });
  const closed = new Promise<void>((resolve) => server.on('close', resolve));
  ending.abort();
  await closed;
  const shared = await serveNbd(disk, { path, mode: 0o660 });
  assert.equal(statSync(path).mode & 0o777, 0o660);
  await shared.close();
  writeFileSync(path, 'a file');
  const noSocket = await rejectsCode(serveNbd(disk, { path }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EEXIST' });
  assert.match(noSocket.message, /EEXIST: what is there is no socket; take another path$/);
  const far = await serveNbd(disk, { port: 0 });
  assert.ok((far.port ?? 0) > 0 && far.path === null);
  const port = far.port as number;
  const taken = { path: `127.0.0.1:${port}`, errno: 'EADDRINUSE' };
  await rejectsCode(serveNbd(disk, { port }), IsmioError, 'ERR_ISMIO_IN_USE', taken);
  await far.close();
});

test('options of serveNbd that are wrong are refused by name', async () => {
  const disk = memoryDisk({ size: mebibyte });
  await rejectsCode(serveNbd(disk, {}), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  await rejectsCode(serveNbd(disk, { path: 'x', port: 1 }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  await rejectsCode(serveNbd(disk, { port: 1, fd: 3 }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  await rejectsCode(serveNbd(disk, { fd: -1 }), RangeError, 'ERR_ISMIO_OPTION', { fd: -1 });
  await rejectsCode(serveNbd(disk, { fd: 1_000_000 }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EINVAL' });
  await rejectsCode(serveNbd(disk, { port: 70_000 }), RangeError, 'ERR_ISMIO_OPTION', { port: 70_000 });
  await rejectsCode(serveNbd(disk, { port: 0, ssl: true } as object), RangeError, 'ERR_ISMIO_OPTION');
  await rejectsCode(serveNbd(disk, { port: 0, name: 'x'.repeat(5000) }), RangeError, 'ERR_ISMIO_OPTION');
  await rejectsCode(serveNbd(disk, { path: `/tmp/${'x'.repeat(200)}` }), RangeError, 'ERR_ISMIO_OPTION');
  await rejectsCode(serveNbd(disk, { path: '/nowhere/at/all' }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOENT' });
});

test('who connects and goes at once, as one that looks whether somebody is there, has broken nothing', async (t) => {
  const { server, path } = await served(t, memoryDisk({ size: mebibyte }));
  const refused: string[] = [];
  server.on('refused', (reason) => refused.push(reason));
  for (let i = 0; i < 20; i++) {
    const socket = connect({ path });
    await once(socket, 'connect');
    socket.destroy();
    await once(socket, 'close');
  }
  await NbdClient.open(path); // behind all of them
  while (server.stats().open > 1) await setImmediate();
  assert.deepEqual([server.stats().accepted, server.stats().broken, refused], [21, 0, []]);
});
