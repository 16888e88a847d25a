// NBD clients that mean harm, or are broken, through the real socket: whatever they send, the server stays, others are served, and
// nothing outside the export is reached. ISMIO_NBD_MESSAGES says how many messages the random part makes.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type BlockDevice, memoryDisk, type NbdServer } from 'ismio/block';
import { command, commandFlag, limits, option } from '../src/block/nbd/wire.js';
import { asked, contexts, NbdClient, type RequestFields, served } from './support/nbd.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const mebibyte = 2 ** 20;
const messages = Number(process.env['ISMIO_NBD_MESSAGES'] ?? scaled(20_000));

function nextOf(server: NbdServer, name: 'gone' | 'refused'): Promise<string> {
  return new Promise((resolve) => {
    if (name === 'gone') server.once(name, (_, reason) => resolve(String(reason)));
    else server.once(name, resolve);
  });
}

/** Another client, beside those that are bad. */
async function isServed(path: string): Promise<void> {
  const client = await NbdClient.open(path);
  assert.equal(await client.write(100, Buffer.from('still here')), 0);
  assert.equal((await client.read(100, 10)).toString(), 'still here');
  client.socket.destroy();
}

const breaches: Readonly<Record<string, (client: NbdClient) => void>> = {
  'a request with another magic': ({ socket }) => socket.write(Buffer.alloc(28, 0x55)),
  'a reply in place of a request': ({ socket }) => socket.write(Buffer.from(`67446698${'00'.repeat(24)}`, 'hex')),
  'a header in parts, the last wrong': ({ socket }) => {
    socket.write(Buffer.from('2560', 'hex'));
    socket.write(Buffer.from(`9514${'00'.repeat(24)}`, 'hex'));
  },
  'a payload that is shorter than announced, and the next request in it': (client) => {
    client.send({ type: command.write, length: 100, payload: Buffer.alloc(50) });
    for (let i = 0; i < 3; i++) client.send({ type: command.read, length: 100 });
  },
};

for (const [what, send] of Object.entries(breaches)) {
  test(`${what} ends the connection, with a reason, and no other`, async (t) => {
    const { path, server } = await served(t, memoryDisk({ size: mebibyte }));
    const gone = nextOf(server, 'gone');
    const client = await NbdClient.open(path);
    send(client);
    assert.match(await gone, /a request begins with 0x/);
    await isServed(path);
    assert.equal(server.stats().broken, 1);
  });
}

test('an extended payload beyond every limit ends the connection', async (t) => {
  const { path, server } = await served(t, memoryDisk({ size: mebibyte }));
  for (const length of [2n ** 25n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    const gone = nextOf(server, 'gone');
    const client = await NbdClient.open(path, { extended: true });
    client.send({ type: command.write, length, payload: Buffer.alloc(1) });
    assert.match(await gone, /a payload of/);
  }
  await isServed(path);
});

const negotiations: Readonly<Record<string, [flags: number, send: (client: NbdClient) => void, reason: RegExp]>> = {
  'unknown flags': [7, () => undefined, /unknown flags/],
  'something that is no option': [3, ({ socket }) => socket.write(Buffer.alloc(16, 1)), /an option begins with/],
  'a name that is longer than any': [3, (one) => one.sendOption(option.exportName, Buffer.alloc(70_000)), /too long/],
  'options without an end': [
    3,
    (client) => {
      for (let i = 0; i < 100; i++) client.sendOption(0xdead);
    },
    /more than \d+ options/,
  ],
};

for (const [what, [flags, send, reason]] of Object.entries(negotiations)) {
  test(`a negotiation of ${what} is broken off`, async (t) => {
    const { path, server } = await served(t, memoryDisk({ size: mebibyte }));
    const refused = nextOf(server, 'refused');
    const client = await NbdClient.greeted(path, flags);
    send(client);
    assert.match(await refused, reason);
    assert.ok(await client.ended());
    await isServed(path);
  });
}

test('an option with a length of 4 GiB is waited for without memory, and the server can be closed meanwhile', async (t) => {
  const { path, server } = await served(t, memoryDisk({ size: mebibyte }));
  const client = await NbdClient.greeted(path);
  client.sendOption(option.go, Buffer.alloc(mebibyte), 2 ** 32 - 1);
  await setTimeout(20);
  await isServed(path);
  await server.close();
  assert.ok(await client.ended());
});

test('a write that is longer than any may be is passed over without memory, and what follows is in step', async (t) => {
  const { path } = await served(t, memoryDisk({ size: mebibyte }));
  const client = await NbdClient.open(path);
  client.send({ type: command.write, length: 256 * mebibyte });
  const zeros = Buffer.alloc(mebibyte);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 256; i++) if (!client.socket.write(zeros)) await setImmediate();
  assert.equal((await client.reply()).errno, 22);
  assert.ok(process.memoryUsage().arrayBuffers - before < 100 * mebibyte);
  assert.deepEqual(await client.read(0, 4), Buffer.alloc(4));
});

test('more connections than may be are closed, and one that says nothing is in nobody’s way', async (t) => {
  const { path, server } = await served(t, memoryDisk({ size: mebibyte }), { maxConnections: 4 });
  const silent = Array.from({ length: 4 }, () => connect({ path }));
  while (server.stats().open < 4) await setTimeout(1);
  const fifth = connect({ path });
  await new Promise((resolve) =>
    fifth
      .on('close', resolve)
      .on('error', () => undefined)
      .resume(),
  );
  for (const socket of silent) socket.destroy();
  while (server.stats().open > 0) await setTimeout(1);
  await isServed(path);
});

/** A disk that fails the test where it is asked for what is not there. */
function guarded(size: number): BlockDevice {
  const memory = memoryDisk({ size });
  const inside = (offset: number, length: number): void => {
    assert.ok(
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= size,
      `${offset} ${length}`,
    );
  };
  return {
    name: 'guarded',
    size,
    readOnly: false,
    blockSize: memory.blockSize,
    features: memory.features,
    read: (offset, target) => {
      inside(offset, target.length);
      return memory.read(offset, target);
    },
    write: (offset, source) => {
      inside(offset, source.length);
      return offset % 3 === 0 ? setImmediate().then(() => memory.write(offset, source)) : memory.write(offset, source);
    },
    flush: () => undefined,
    trim: (offset, length) => inside(offset, length) as undefined,
    zero: (offset, length, options) => {
      inside(offset, length);
      return memory.zero(offset, length, options);
    },
    cache: (offset, length) => inside(offset, length) as undefined,
    extents: (offset, length, most) => {
      inside(offset, length);
      return memory.extents(offset, length, most);
    },
    close: () => memory.close(),
  };
}

/** Requests that are mostly right, and wrong in one place or another. */
function requestsBy(below: (limit: number) => number, size: number): () => RequestFields {
  const edges = [0, 1, 511, 4096, 65_535, 65_536, size - 1, size, size + 1, 2 ** 31, 2 ** 32 - 1];
  const wide = [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
  const offset = () => {
    const which = below(10);
    return which < 6 ? below(size) : which < 9 ? (edges[below(edges.length)] as number) : (wide[below(3)] as bigint);
  };
  const flags = () => (below(4) === 0 ? below(64) & ~commandFlag.payloadLength : 0);
  return () => {
    const type = below(12) === 0 ? below(65_536) : below(8);
    if (type === command.disconnect) return { type: command.flush, flags: flags() };
    if (type !== command.write) {
      const length = below(3) > 0 ? below(9000) : (edges[below(edges.length)] as number);
      return { type, flags: flags(), offset: offset(), length };
    }
    return {
      type,
      flags: flags(),
      offset: offset(),
      payload: Buffer.alloc(below(below(9) === 0 ? 100_000 : 5000), below(256)),
    };
  };
}

test(`${messages} messages of clients that are nearly right: each is answered, none reaches what is not there`, async (t) => {
  const size = 3 * mebibyte + 77;
  const { path, server } = await served(t, guarded(size));
  const seed = Number(process.env['ISMIO_SEED'] ?? 16);
  t.diagnostic(`seed ${seed}`);
  const below = sequence(seed);
  const next = requestsBy(below, size);
  for (let sent = 0; sent < messages; ) {
    const client = await NbdClient.open(path, { structured: below(4) > 0, extended: below(3) === 0 });
    const lengths = new Map<number, number>();
    const burst = 1 + below(400);
    for (let i = 0; i < burst; i++) {
      const fields = next();
      // What a simple reply to it carries.
      lengths.set(client.send(fields), fields.type === command.read ? Number(fields.length) : 0);
    }
    sent += burst;
    while (lengths.size > 0) {
      const { cookie } = await client.replyOf(lengths);
      assert.ok(lengths.delete(cookie), `a reply to ${cookie}`);
    }
    if (below(3) === 0) client.socket.write(Buffer.from(Array.from({ length: 40 }, () => below(256))));
    else if (below(2) === 0) client.send({ type: command.write, length: 5000, payload: Buffer.alloc(below(5000)) });
    if (below(2) === 0) client.socket.end();
    else client.socket.destroy();
  }
  while (server.stats().open > 0) await setTimeout(1);
  assert.equal(server.stats().failed, 0);
  await isServed(path);
});

test('negotiations of random options end in an answer or the end of the connection', async (t) => {
  const { path } = await served(t, memoryDisk({ size: mebibyte }), { name: 'one' });
  const below = sequence(3);
  const makers = [
    () => asked(below(2) === 0 ? 'one' : 'two', ...Array.from({ length: below(5) }, () => below(5))),
    () => contexts(below(2) === 0 ? 'one' : '', ...['base:allocation', 'base:', 'x:y'].slice(below(4))),
    () => Buffer.alloc(0),
    () => Buffer.from(Array.from({ length: below(60) }, () => below(256))),
  ];
  for (let i = 0; i < scaled(300); i++) {
    const client = await NbdClient.greeted(path, below(4));
    for (let j = 0; j < 8; j++) {
      const data = makers[below(makers.length)]?.() ?? Buffer.alloc(0);
      if (data.length > 0 && below(3) === 0) data[below(data.length)] = below(256);
      const number = below(12);
      if (number === option.go || number === option.exportName || number === option.abort) continue;
      const replies = await client.ask(number, data.subarray(0, below(4) === 0 ? below(data.length + 1) : data.length));
      assert.ok(replies.every((reply) => reply.option === number));
    }
    client.sendOption(below(2) === 0 ? option.abort : option.exportName, Buffer.from('none'));
    assert.ok(await client.ended());
    client.socket.destroy();
  }
  assert.ok(limits.options > 8);
  await isServed(path);
});
