// Where the payloads of writes lie from the socket to the disk: in memory that is used again, but never before the disk is done.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type BlockDevice, memoryDisk } from 'ismio/block';
import { Inlet } from '../src/block/nbd/inlet.js';
import { command } from '../src/block/nbd/wire.js';
import { runModule } from './support/child.js';
import { temporaryFolder } from './support/files.js';
import { NbdClient, served } from './support/nbd.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const size = 2 ** 24;

/** One whose writes are done when it is told so, and that is asked for whole payloads or for pieces. */
class HeldDisk implements BlockDevice {
  readonly name = 'held';
  readonly size = size;
  readonly readOnly = false;
  readonly blockSize = { minimum: 1, preferred: 4096, maximum: 2 ** 25 };
  readonly features = { trim: false, zero: false, fastZero: false, extents: false, cache: false };
  readonly held: { readonly pieces: readonly Uint8Array[]; readonly offset: number; end(error?: Error): void }[] = [];
  /** Where writes are done at once. */
  readonly #fast: number;

  constructor(fast = 0) {
    this.#fast = fast;
  }

  read(): undefined {}
  flush(): undefined {}
  trim(): undefined {}
  zero(): undefined {}
  cache(): undefined {}
  extents(): [] {
    return [];
  }
  async close(): Promise<void> {}

  write(offset: number, source: Uint8Array): Promise<void> | undefined {
    return this.writePieces(offset, [source]);
  }

  writePieces(offset: number, pieces: readonly Uint8Array[]): Promise<void> | undefined {
    if (offset < this.#fast) return undefined;
    return new Promise((resolve, reject) => {
      this.held.push({ offset, pieces, end: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  }
}

function fill(bytes: Buffer, seed: number): Buffer {
  const below = sequence(seed + 1);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeInt32LE(below(2 ** 31), Math.min(at, bytes.length - 4));
  return bytes;
}

for (const extended of [false, true]) {
  test(`payloads stay as they came until the disk is done with them${extended ? ', of extended requests' : ''}`, async (t) => {
    const disk = new HeldDisk();
    const { path } = await served(t, disk);
    const client = await NbdClient.open(path, { extended });
    const below = sequence(extended ? 7 : 8);
    const total = scaled(1500);
    const lengths = [4, 100, 4096, 65_536, 300_000, 700_000];
    let [sent, ended, bytes] = [0, 0, 0];
    while (ended < total) {
      // As many as the server takes at a time, and what it does not take waits in the socket.
      while (sent < total && sent - ended < 24) {
        const length = lengths[below(lengths.length)] as number;
        client.send({ type: command.write, offset: sent, payload: fill(Buffer.alloc(length), sent) });
        bytes += length;
        sent++;
      }
      await setImmediate();
      if (disk.held.length === 0 || (disk.held.length < 12 && below(4) > 0)) continue;
      const [one] = disk.held.splice(below(disk.held.length), 1);
      if (one === undefined) continue;
      const came = Buffer.concat(one.pieces);
      assert.ok(
        came.equals(fill(Buffer.alloc(came.length), one.offset)),
        `write ${one.offset} of ${came.length} bytes`,
      );
      one.end(below(10) === 0 ? new Error('failed') : undefined);
      ended++;
    }
    assert.ok(bytes > scaled(1500) * 10_000, `${bytes} bytes`);
    client.socket.destroy();
  });
}

test('a few bytes that the disk is not done with do not hold the memory of all that came beside them', async (t) => {
  const disk = new HeldDisk(size - 512);
  const { path } = await served(t, disk);
  const client = await NbdClient.open(path);
  const filler = Buffer.alloc(250_000);
  const before = process.memoryUsage().arrayBuffers;
  const held = 200;
  for (let i = 0; i < held; i++) {
    client.send({ type: command.write, offset: size - 512, payload: Buffer.alloc(16, i) });
    for (let j = 0; j < 3; j++) {
      client.send({ type: command.write, offset: 0, payload: filler });
      await client.reply();
    }
  }
  assert.equal(disk.held.length, held);
  const slabs = new Set(disk.held.flatMap(({ pieces }) => pieces.map(({ buffer }) => buffer)));
  const bytes = [...slabs].reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.ok(bytes < 2 ** 23, `${held} payloads of 16 bytes hold ${bytes} bytes`);
  t.diagnostic(`${bytes} bytes are held; ${process.memoryUsage().arrayBuffers - before} more in all`);
  for (const [i, { pieces, end }] of disk.held.entries()) {
    assert.deepEqual(Buffer.concat(pieces), Buffer.alloc(16, i));
    end();
  }
  client.socket.destroy();
});

test('a server receives into memory that it uses again', async (t) => {
  const buffers = new Set<ArrayBufferLike>();
  const disk = memoryDisk({ size });
  const { path } = await served(t, {
    ...disk,
    name: disk.name,
    write(offset: number, source: Uint8Array) {
      buffers.add(source.buffer);
      return disk.write(offset, source);
    },
  } as BlockDevice);
  const client = await NbdClient.open(path);
  for (let i = 0; i < 500; i++) {
    client.send({ type: command.write, offset: 65_536 * (i % 100), payload: Buffer.alloc(65_536, i) });
    assert.equal((await client.reply()).errno, 0);
  }
  assert.equal(buffers.size, 1);
  client.socket.destroy();
});

test('a socket that was accepted is opened anew, so that nothing is copied on the way', async (t) => {
  const path = join(temporaryFolder(t), 'inlet.sock');
  const came: Buffer[] = [];
  const inlet = new Inlet(({ slab, start, end }) => came.push(Buffer.from(slab.bytes.subarray(start, end))));
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(path);
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect({ path, allowHalfOpen: true });
  const [socket] = await accepted;
  const opened = inlet.receive(socket);
  assert.notEqual(opened, socket);
  opened.on('data', () => assert.fail('copied'));
  const ended = once(opened, 'end');
  client.end('what the client says');
  await ended;
  assert.equal(Buffer.concat(came).toString(), 'what the client says');
  const heard = once(client, 'data');
  const closed = once(opened, 'close');
  opened.end('and what it hears');
  assert.equal(String((await heard)[0]), 'and what it hears');
  await closed;
  server.close();
});

test('what a listener throws is an uncaught exception, and what its client sends next is taken as it came', async (t) => {
  const { code, stdout, stderr } = await runModule(`
    import { memoryDisk, openNbd, serveNbd } from 'ismio/block';
    process.on('uncaughtException', ({ message }) => console.log('uncaught', message));
    const path = ${JSON.stringify(join(temporaryFolder(t), 'nbd.sock'))};
    const server = await serveNbd(memoryDisk({ size: 2 ** 20 }), { path });
    server.once('client', () => { throw new Error('out of the listener'); });
    const disk = await openNbd('nbd+unix:///?socket=' + path);
    await disk.write(4096, Buffer.from('what was written'));
    const target = Buffer.alloc(16);
    await disk.read(4096, target);
    console.log(target.toString());
    await disk.close();
    await server.close();
  `);
  assert.deepEqual([code, stdout], [0, 'uncaught out of the listener\nwhat was written\n'], stderr);
});
