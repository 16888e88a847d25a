// Peers that do not keep to the protocol of consoles: each is told, or left, and others live on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { IsmioError } from 'ismio';
import { attachConsole, listConsoles, serveConsoles } from 'ismio/console';
import { decode, type FromServer, fromClient, fromServer, refusals } from '../src/console/wire.js';
import { encode, type MessageOf } from '../src/ism/talk/messages.js';
import { closed, heardOf, TestLine, until } from './support/console-line.js';
import { rejectsCode } from './support/errors.js';
import { pairOn } from './support/ism.js';
import { sequence } from './support/random.js';

const nonce = Buffer.alloc(32, 7);
const size = { columns: 80, rows: 24, xPixels: 0, yPixels: 0 };
const hello = {
  version: 1,
  role: 0,
  replay: 0,
  reserved: 0,
  life: 0n,
  offset: 0n,
  ...size,
  nonce,
  attachment: Buffer.alloc(32),
  name: '',
  reason: '',
};
const greeting = encode(fromClient, 'hello', hello);

async function served(key?: string) {
  const pair = await pairOn('device.open()');
  const line = new TestLine();
  const server = await serveConsoles(pair.a, { consoles: [{ line: line.open }], ...(key !== undefined && { key }) });
  /** Says these records on a stream of its own; how the server has refused it. */
  const told = async (...records: Uint8Array[]): Promise<string> => {
    const stream = await pair.b.connect(pair.a.gid, 23, { mode: 'messages' });
    const heard: MessageOf<FromServer>[] = [];
    stream.on('data', (record: Uint8Array) => void heard.push(decode(fromServer, record)));
    stream.on('error', () => undefined);
    const over = once(stream, 'close');
    for (const record of records) stream.write(record);
    await over;
    const last = heard.at(-1);
    return last?.name === 'refused' ? String(refusals[last.values.code]) : `not refused, but ${last?.name}`;
  };
  return {
    ...{ pair, line, server, told },
    async [Symbol.asyncDispose]() {
      server.close();
      await pair[Symbol.asyncDispose]();
    },
  };
}

test('what breaks the protocol is refused with its reason, and a client that is there lives on', async () => {
  await using house = await served();
  const { pair, told, line } = house;
  const client = await attachConsole(pair.b, pair.a.gid, { replay: 'none', reconnect: 0 });
  const { output } = heardOf(client);
  const wrong = (values: Partial<typeof hello>): Buffer => encode(fromClient, 'hello', { ...hello, ...values });
  const noUtf8 = Buffer.concat([greeting.subarray(0, -4), Buffer.from('0001ff0000', 'hex')]);
  const lying = Buffer.concat([greeting.subarray(0, -4), Buffer.from('ffff0000', 'hex')]);
  const cases: [string, string, Uint8Array[]][] = [
    ['an unknown number', 'protocol', [Buffer.of(0x7f)]],
    ['a message of a server', 'protocol', [encode(fromServer, 'pong', { token: 1 })]],
    ['keys before a hello', 'protocol', [encode(fromClient, 'keys', { bytes: Buffer.of(1) })]],
    ['a proof that nobody asked for', 'protocol', [encode(fromClient, 'proof', { proof: nonce })]],
    ['a hello twice', 'protocol', [greeting, greeting]],
    ['another version', 'version', [wrong({ version: 2 })]],
    ['a reserved byte', 'protocol', [wrong({ reserved: 1 })]],
    ['a role there is not', 'protocol', [wrong({ role: 3 })]],
    ['a replay there is not', 'protocol', [wrong({ replay: 4 })]],
    ['a terminal as wide as a field', 'protocol', [wrong({ columns: 65_535 })]],
    ['another console', 'unknown', [wrong({ name: '\x1b[2J' })]],
    ['a name that is no UTF-8', 'protocol', [noUtf8]],
    ['a length that lies', 'protocol', [lying]],
    ['more last bytes than can be', 'protocol', [wrong({ replay: 2, offset: 2n ** 64n - 1n })]],
    ['a huge resize', 'protocol', [greeting, encode(fromClient, 'resize', { ...size, rows: 1001 })]],
    ['an ask for no role', 'protocol', [greeting, encode(fromClient, 'ask', { role: 9, reason: '' })]],
  ];
  for (let length = 1; length < greeting.length; length += 7) {
    cases.push([`a hello of ${length} bytes`, 'protocol', [greeting.subarray(0, length)]]);
  }
  for (const [what, reason, records] of cases) assert.equal(await told(...records), reason, what);
  line.say('still here');
  await until(() => output() === 'still here', 'the client that is there hears on');
  client.close();
});

test('one who says nothing is told so after a time, and one who never proves as well', async () => {
  await using house = await served('a key of 16 bytes');
  assert.deepEqual(await Promise.all([house.told(), house.told(greeting)]), ['idle', 'idle']);
});

test('a proof that was heard is of no use a second time', async () => {
  await using house = await served('a key of 16 bytes');
  const { pair, told } = house;
  const proofs: Buffer[] = [];
  const connect = pair.b.connect.bind(pair.b);
  Object.defineProperty(pair.b, 'connect', {
    configurable: true,
    value: async (...words: Parameters<typeof connect>) => {
      const stream = await connect(...words);
      const write = stream.write.bind(stream) as (chunk: Buffer, done?: () => void) => boolean;
      Object.defineProperty(stream, 'write', {
        value: (chunk: Buffer, done?: () => void) => {
          if (chunk[0] === fromClient.proof.number) proofs.push(chunk);
          return write(chunk, done);
        },
      });
      return stream;
    },
  });
  const client = await attachConsole(pair.b, pair.a.gid, { key: 'a key of 16 bytes', reconnect: 0 });
  client.close();
  assert.equal(proofs.length, 1);
  assert.equal(await told(greeting, proofs[0] as Buffer), 'key');
});

test('floods of pings, sizes and asks of one who reads nothing stay bounded, and others live on', async () => {
  await using house = await served();
  const { pair, line } = house;
  const stream = await pair.b.connect(pair.a.gid, 23, { mode: 'messages' });
  stream.on('error', () => undefined);
  stream.write(greeting);
  for (let i = 0; i < 3000; i++) {
    stream.write(encode(fromClient, 'ping', { token: i }));
    stream.write(encode(fromClient, 'resize', { ...size, columns: 1 + (i % 500) }));
    stream.write(encode(fromClient, 'ask', { role: i % 3, reason: 'flood' }));
  }
  const client = await attachConsole(pair.b, pair.a.gid, { replay: 'none', reconnect: 0 });
  const { output } = heardOf(client);
  line.say('on');
  await until(() => output() === 'on', 'the other one hears on');
  await client.ping();
  client.close();
  stream.destroy();
});

const welcome = {
  ...{ version: 1, role: 1, life: 3n, start: 0n, end: 10n, ...size },
  ...{ proof: Buffer.alloc(32), name: 'n', reason: '' },
};
const welcomed = encode(fromServer, 'welcome', welcome);
const data = (offset: bigint, bytes = 'x') => encode(fromServer, 'data', { offset, bytes: Buffer.from(bytes) });

/** A server that answers the first record with these. */
async function hostile(...records: Uint8Array[]) {
  const pair = await pairOn('device.open()');
  pair.a.listen(23, { mode: 'messages' }, (stream) => {
    stream.on('error', () => undefined);
    stream.once('data', () => {
      for (const record of records) stream.write(record);
    });
    stream.on('end', () => stream.end());
  });
  return pair;
}

test('a server that lies before its welcome is refused at once', async () => {
  const lies: [string, Uint8Array[]][] = [
    ['data first', [data(0n)]],
    ['another version', [encode(fromServer, 'welcome', { ...welcome, version: 2 })]],
    ['a role there is not', [encode(fromServer, 'welcome', { ...welcome, role: 2 })]],
    ['a huge terminal', [encode(fromServer, 'welcome', { ...welcome, columns: 65_535 })]],
    ['an end before its start', [encode(fromServer, 'welcome', { ...welcome, start: 11n })]],
    ['positions nobody can count to', [encode(fromServer, 'welcome', { ...welcome, end: 2n ** 64n - 1n })]],
    ['a welcome that was cut', [welcomed.subarray(0, 40)]],
    ['a number there is not', [Buffer.of(0xff, 1)]],
  ];
  for (const [what, records] of lies) {
    await using pair = await hostile(...records);
    const attaching = attachConsole(pair.b, 0x11n, { reconnect: 0 });
    const error = await rejectsCode(attaching, IsmioError, 'ERR_ISMIO_CONSOLE', { reason: 'protocol' });
    assert.ok(error.message.includes('protocol'), what);
    await until(() => pair.b.info().dmbs.used === 0, `nothing is left of it: ${what}`);
  }
});

test('a server that lies behind its welcome ends its client with a stable error, and is not tried again', async () => {
  const lies: [string, Uint8Array[]][] = [
    ['output of another position', [data(11n)]],
    ['output that comes again', [data(10n, 'ab'), data(10n, 'ab')]],
    ['a gap elsewhere', [encode(fromServer, 'gap', { from: 9n, bytes: 5n })]],
    ['a gap of nothing', [encode(fromServer, 'gap', { from: 10n, bytes: 0n })]],
    ['a gap beyond counting', [encode(fromServer, 'gap', { from: 10n, bytes: BigInt(Number.MAX_SAFE_INTEGER) })]],
    ['a screen that nobody asked for', [encode(fromServer, 'screen', { offset: 0n, bytes: Buffer.alloc(0) })]],
    ['two welcomes', [welcomed]],
    ['an item', [encode(fromServer, 'items', { count: 0 })]],
    ['a pong without a ping', [encode(fromServer, 'pong', { token: 0 })]],
    ['a role there is not', [encode(fromServer, 'role', { role: 2, reason: '' })]],
    ['a huge size', [encode(fromServer, 'size', { ...size, rows: 60_000 })]],
    ['an end of no kind', [encode(fromServer, 'exit', { how: 2, status: 0, next: 0 })]],
    ['an end with nothing next', [encode(fromServer, 'exit', { how: 0, status: 0, next: 3 })]],
    ['refused, as a breach', [encode(fromServer, 'refused', { code: 4, reason: 'why' })]],
  ];
  for (const [what, records] of lies) {
    await using pair = await hostile(welcomed, ...records);
    const client = await attachConsole(pair.b, 0x11n, { replay: 'none', reconnect: 60_000 });
    const errors: Error[] = [];
    client.on('error', (error) => void errors.push(error));
    await closed(client);
    const [error] = errors as (Error & { code?: string; reason?: string })[];
    assert.deepEqual([error?.code, error?.reason], ['ERR_ISMIO_CONSOLE', 'protocol'], what);
  }
});

test('a list without an end, and one whose number lies, are refused', async () => {
  const item = encode(fromServer, 'item', {
    ...{ state: 0, viewers: 0, writer: 0n, start: 0n, end: 0n, ...size, name: 'n', line: '' },
  });
  const endless = Array.from({ length: 10_000 }, () => item);
  for (const records of [endless, [item, encode(fromServer, 'items', { count: 2 })]]) {
    await using pair = await hostile(...records);
    await rejectsCode(listConsoles(pair.b, 0x11n), IsmioError, 'ERR_ISMIO_CONSOLE', { reason: 'protocol' });
  }
});

test('messages with their bytes changed at random: the server survives each', async () => {
  const seed = Number(process.env['ISMIO_SEED'] ?? 15);
  const count = Number(process.env['ISMIO_FUZZ'] ?? 200);
  const below = sequence(seed);
  await using house = await served();
  const { pair, line, server } = house;
  const kinds = [
    greeting,
    encode(fromClient, 'list', { version: 1, nonce }),
    encode(fromClient, 'keys', { bytes: Buffer.from('keys') }),
    encode(fromClient, 'resize', size),
    encode(fromClient, 'ask', { role: 2, reason: 'fuzz' }),
    encode(fromClient, 'ping', { token: 1 }),
  ];
  const changed = (record: Buffer): Buffer => {
    const copy = Buffer.from(record.subarray(0, below(4) === 0 ? 1 + below(record.length) : record.length));
    for (let times = below(3); times > 0; times--) copy[below(copy.length)] = below(256);
    return copy;
  };
  for (let round = 0; round < count; round++) {
    const stream = await pair.b.connect(pair.a.gid, 23, { mode: 'messages' });
    stream.on('error', () => undefined);
    stream.resume();
    if (below(2) === 0) stream.write(greeting);
    for (let records = 1 + below(4); records > 0; records--)
      stream.write(changed(kinds[below(kinds.length)] as Buffer));
    if (below(2) === 0) line.say('output');
    const over = once(stream, 'close');
    stream.end();
    await over;
  }
  await until(() => server.consoles[0]?.viewers === 0, `all have gone, of seed ${seed}`);
  const client = await attachConsole(pair.b, pair.a.gid, { reconnect: 0 });
  await client.ping();
  client.close();
});
