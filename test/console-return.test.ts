// A client that comes back before its old stream was found dead takes its own place, and nobody else's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachConsole, type ConsoleAudit, serveConsoles } from 'ismio/console';
import type { Ism } from 'ismio/ism';
import { decode, type FromServer, fromClient, fromServer, protocol, roles } from '../src/console/wire.js';
import { proofOf } from '../src/ism/talk/key.js';
import { encode, type MessageOf } from '../src/ism/talk/messages.js';
import { heardOf, TestLine, until } from './support/console-line.js';
import { next, pairOn } from './support/ism.js';

const key = 'a key of 16 bytes';
const nonce = Buffer.alloc(32, 7);
const attachment = Buffer.alloc(32, 9);
const size = { columns: 0, rows: 0, xPixels: 0, yPixels: 0 };
const hello = {
  ...{ version: 1, role: roles.indexOf('write'), replay: 0, reserved: 0, life: 0n, offset: 0n },
  ...{ ...size, nonce, attachment, name: 'console', reason: '' },
};

async function served(options: { key?: string } = {}) {
  const pair = await pairOn('device.open()');
  const line = new TestLine();
  const server = await serveConsoles(pair.a, { consoles: [{ line: line.open }], ...options });
  const audit: ConsoleAudit[] = [];
  server.on('audit', (entry) => void audit.push(entry));
  /** A stream that says a hello, and what comes of it. */
  const greets = async (driver: Ism, values: Partial<typeof hello> = {}) => {
    const stream = await driver.connect(pair.a.gid, 23, { mode: 'messages' });
    const heard: MessageOf<FromServer>[] = [];
    stream.on('data', (record: Uint8Array) => void heard.push(decode(fromServer, record)));
    stream.on('error', () => undefined);
    stream.write(encode(fromClient, 'hello', { ...hello, ...values }));
    await until(() => heard.length > 0, 'an answer');
    const [first] = heard as [MessageOf<FromServer>];
    return { stream, heard, first, role: first.name === 'welcome' ? roles[first.values.role] : first.name };
  };
  return {
    ...{ pair, line, server, audit, greets },
    async [Symbol.asyncDispose]() {
      server.close();
      await pair[Symbol.asyncDispose]();
    },
  };
}

test('a client whose old stream is still there writes again by the newer one, and the old one ends', async () => {
  await using house = await served();
  const { pair, greets, server, audit } = house;
  const old = await greets(pair.b);
  assert.equal(old.role, 'write');
  const over = next(old.stream, 'close');
  const young = await greets(pair.b);
  assert.equal(young.role, 'write');
  await over;
  assert.deepEqual([server.consoles[0]?.writer, server.consoles[0]?.viewers], [pair.b.gid, 0]);
  assert.deepEqual(
    audit.map(({ event, values }) => [event, values['role'], values['reason']]),
    [
      ['attach', 'write', undefined],
      ['detach', 'write', 'its client has come back by another stream'],
      ['attach', 'write', undefined],
    ],
  );
  young.stream.destroy();
});

test('whoever was made a viewer comes back as one, and a client that asks to look on leaves its place', async () => {
  await using house = await served();
  const { pair, greets, server } = house;
  const other = Buffer.alloc(32, 1);
  await greets(pair.b);
  const forced = await greets(pair.b, { attachment: other, role: roles.indexOf('force') });
  assert.equal((await greets(pair.b)).role, 'view');
  assert.equal(forced.stream.destroyed, false);
  assert.equal(server.consoles[0]?.viewers, 1);
  assert.equal((await greets(pair.b, { attachment: other, role: roles.indexOf('view') })).role, 'view');
  assert.deepEqual([server.consoles[0]?.writer, server.consoles[0]?.viewers], [null, 2]);
});

test('nobody else takes the place: another number, zeros, or the right number of another function', async () => {
  await using house = await served();
  const { pair, greets, server } = house;
  const stranger = await pair.open(pair.fabric.function({ gid: 0x33n }));
  const first = await greets(pair.b);
  assert.equal((await greets(pair.b, { attachment: Buffer.alloc(32, 8) })).role, 'view');
  assert.equal((await greets(stranger)).role, 'view');
  const zeros = Buffer.alloc(32);
  assert.equal((await greets(pair.b, { attachment: zeros })).role, 'view');
  assert.equal((await greets(pair.b, { attachment: zeros })).role, 'view');
  assert.equal(first.stream.destroyed, false);
  assert.deepEqual([server.consoles[0]?.writer, server.consoles[0]?.viewers], [pair.b.gid, 4]);
});

test('where the server has a key, only a stream that has shown it takes the place', async () => {
  await using house = await served({ key });
  const { pair, greets, server } = house;
  const shows = async (with_: string) => {
    const { stream, heard, first } = await greets(pair.b);
    assert.ok(first.name === 'challenge');
    const gids = { clientGid: pair.b.gid, serverGid: pair.a.gid, name: 'console' };
    const shake = { protocol, clientNonce: nonce, serverNonce: first.values.nonce, ...gids };
    const proof = proofOf(Buffer.from(with_), 'client', shake);
    stream.write(encode(fromClient, 'proof', { proof }));
    await until(() => heard.length > 1, 'an answer');
    return { stream, second: heard[1] as MessageOf<FromServer> };
  };
  const first = await shows(key);
  assert.equal((await greets(pair.b)).role, 'challenge');
  assert.equal((await shows('another key of 17')).second.name, 'refused');
  assert.equal(first.stream.destroyed, false);
  assert.equal(server.consoles[0]?.writer, pair.b.gid);
  const over = next(first.stream, 'close');
  const { second } = await shows(key);
  assert.equal(second.name === 'welcome' && roles[second.values.role], 'write');
  await over;
});

test('a client that has lost a stream which its server takes for alive goes on as the writer, at the byte where it was', async () => {
  await using house = await served();
  const { pair, line, server } = house;
  const connect = pair.b.connect.bind(pair.b);
  const streams: Awaited<ReturnType<typeof connect>>[] = [];
  Object.defineProperty(pair.b, 'connect', {
    value: async (...words: Parameters<typeof connect>) => {
      const stream = await connect(...words);
      streams.push(stream);
      return stream;
    },
  });
  using client = await attachConsole(pair.b, pair.a.gid, { replay: 'none' });
  const { output, events } = heardOf(client);
  await client.ping();
  const roleChanges = (): number => events.filter(([name]) => name === 'role').length;
  const before = roleChanges();
  line.say('before ');
  await until(() => output() === 'before ', 'what was said first');
  // To the client its stream has gone; the stream itself lives on, so that nothing tells the server.
  streams[0]?.pause();
  streams[0]?.emit('close');
  line.say('meanwhile ');
  await until(() => client.state === 'open', 'it is there again');
  assert.deepEqual([client.role, client.write('typed')], ['write', true]);
  await client.ping();
  assert.deepEqual([line.typed, server.consoles[0]?.viewers], ['typed', 0]);
  line.say('after');
  await until(() => output() === 'before meanwhile after', 'all of it, once');
  assert.equal(roleChanges(), before);
  await until(() => streams[0]?.destroyed === true, 'the old stream has ended');
});
