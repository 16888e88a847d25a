// Consoles in one process: what users of others ask for, each by name.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { IsmioError } from 'ismio';
import type { ConsoleOptions, OpenLine, ServeConsolesOptions } from 'ismio/console';
import { type AttachOptions, attachConsole, type ConsoleAudit, listConsoles, serveConsoles } from 'ismio/console';
import { fromClient } from '../src/console/wire.js';
import { farewell } from '../src/ism/talk/farewell.js';
import { encode } from '../src/ism/talk/messages.js';
import { heardOf, TestLine, until } from './support/console-line.js';
import { rejectsCode } from './support/errors.js';
import { pairOn } from './support/ism.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

type Setup = Partial<ConsoleOptions> & Pick<ServeConsolesOptions, 'key' | 'signal'>;

/** A console of a test's line on one function, and the other function for clients. */
async function served({ key, signal, ...setup }: Setup = {}) {
  const pair = await pairOn('device.open()');
  const line = new TestLine();
  const common = { ...(key !== undefined && { key }), ...(signal !== undefined && { signal }) };
  const server = await serveConsoles(pair.a, { consoles: [{ line: line.open, ...setup }], ...common });
  const audit: ConsoleAudit[] = [];
  server.on('audit', (entry) => void audit.push(entry));
  const attach = async (options: AttachOptions = {}) => {
    const client = await attachConsole(pair.b, pair.a.gid, { reconnect: 0, ...options });
    return { client, ...heardOf(client) };
  };
  return {
    ...{ pair, line, server, audit, attach },
    async [Symbol.asyncDispose]() {
      server.close();
      await pair[Symbol.asyncDispose]();
    },
  };
}

const nonce = new Uint8Array(32);
const window = { columns: 0, rows: 0, xPixels: 0, yPixels: 0 };

const letters = (count: number, seed = 1) => {
  const below = sequence(seed);
  return Buffer.from(Array.from({ length: count }, () => below(256)));
};

test('replay after attach: the screen as it is, the last bytes, everything from a position, or only what comes', async () => {
  await using house = await served();
  const { line, attach } = house;
  line.say('first line\r\n\x1b[2J\x1b[Hsecond \x1b[1mline');
  const screen = await attach();
  await until(() => screen.events.some(([name]) => name === 'screen'), 'a screen');
  const [, drawn, offset] = screen.events.find(([name]) => name === 'screen') as [string, Uint8Array, bigint];
  assert.match(Buffer.from(drawn).toString(), /second .*line/);
  assert.doesNotMatch(Buffer.from(drawn).toString(), /first line\r\n.*second/s);
  assert.equal(offset, 34n);
  const last = await attach({ replay: { last: 4 } });
  await until(() => last.output() === 'line', 'the last four bytes');
  const from = await attach({ replay: { from: 6n, life: 0n } });
  await until(() => from.output().startsWith('line\r\n\x1b[2J'), 'everything from 6 on');
  const none = await attach({ replay: 'none' });
  line.say('!');
  await until(() => none.output() === '!' && screen.output() === '!', 'what came after');
});

test('no silent loss: the history is bounded, and a gap is told with its size', async () => {
  await using house = await served({ history: 4096 });
  const said = letters(10_000);
  house.line.say(said);
  const { output, events } = await house.attach({ replay: { from: 100n, life: 0n } });
  await until(() => output().length === 4096, 'what is kept');
  assert.deepEqual(
    events.filter(([name]) => name === 'gap'),
    [['gap', 100n, 5804n]],
  );
  assert.equal(output(), said.subarray(-4096).toString('latin1'));
});

test('a client that reconnects gets every byte once and in order, wherever its stream was cut', async () => {
  await using house = await served();
  const { pair, line } = house;
  const seed = 20_261_130;
  const below = sequence(seed);
  const driver = await pair.open(pair.fabric.function({ gid: 0x33n }));
  const client = await attachConsole(driver, pair.a.gid, { replay: 'none' });
  const { output, events } = heardOf(client);
  const said: Buffer[] = [];
  const connect = driver.connect.bind(driver);
  let stream: { destroy(): void } | undefined;
  Object.defineProperty(driver, 'connect', {
    value: async (...words: Parameters<typeof connect>) => (stream = await connect(...words)),
  });
  // The first stream was made before: its end is the driver's.
  for (let cut = 0; cut < scaled(12); cut++) {
    for (let piece = 0; piece < below(20); piece++) {
      const bytes = letters(1 + below(9000), below(2 ** 31));
      said.push(bytes);
      line.say(bytes);
      if (below(3) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    stream?.destroy();
    await until(() => client.state === 'open', 'it is there again');
  }
  line.say('the end');
  said.push(Buffer.from('the end'));
  await until(() => output().endsWith('the end'), `the end, of seed ${seed}`);
  assert.equal(output(), Buffer.concat(said).toString('latin1'));
  assert.equal(events.filter(([name]) => name === 'gap').length, 0);
  client.close();
});

test('a client that was lost before anything was said misses nothing of what is said meanwhile', async () => {
  await using house = await served();
  const { pair, line, server } = house;
  line.say('before');
  const driver = await pair.open(pair.fabric.function({ gid: 0x33n }));
  const streams: { destroy(): void }[] = [];
  const connect = driver.connect.bind(driver);
  Object.defineProperty(driver, 'connect', {
    value: async (...words: Parameters<typeof connect>) => {
      const stream = await connect(...words);
      streams.push(stream);
      return stream;
    },
  });
  const client = await attachConsole(driver, pair.a.gid, { replay: 'none' });
  const { output, events } = heardOf(client);
  await client.ping();
  streams[0]?.destroy();
  await until(() => server.consoles[0]?.writer === null, 'the server knows');
  line.say('meanwhile');
  await until(() => output() === 'meanwhile', 'what was said meanwhile');
  assert.ok(events.some(([name, state]) => name === 'state' && state === 'lost'));
  client.close();
});

test('the exit of a command comes behind its last words and the screen, and before what the next one says', async () => {
  await using house = await served({ onExit: 'restart' });
  const { line, attach } = house;
  const { client, events, output } = await attach({ replay: 'none' });
  let before = '';
  client.on('exit', () => (before = output()));
  const words = letters(200_000).toString('latin1');
  line.say(Buffer.from(words, 'latin1'));
  line.end(3);
  line.say('of the next'); // the line's owner says it before anybody has read
  await until(() => output().endsWith('of the next'), 'all of it');
  assert.equal(before.length, words.length);
  assert.deepEqual(
    events.filter(([name]) => name === 'exit'),
    [['exit', { status: 3, signal: null }]],
  );
  assert.equal(client.next, 'restart');
  await until(() => line.opened === 2, 'it was started again');
});

test('whoever attaches to a command that has ended gets its screen, and then how it ended', async () => {
  await using house = await served();
  house.line.say('last words');
  house.line.end(-1, 9);
  const { events } = await house.attach();
  await until(() => events.some(([name]) => name === 'exit'), 'the exit');
  const names = events.map(([name]) => name);
  assert.ok(names.indexOf('screen') >= 0 && names.indexOf('screen') < names.indexOf('exit'), names.join());
  assert.deepEqual(events.at(-1), ['exit', { status: null, signal: 'SIGKILL' }]);
});

test('policy close: the last words arrive, then the exit, then the end; the server closes when all know', async () => {
  await using house = await served({ onExit: 'close' });
  const { client, output, events } = await house.attach({ replay: 'none' });
  const words = letters(600_000);
  const over = once(house.server, 'close');
  house.line.say(words);
  house.line.end(7);
  await once(client, 'close');
  assert.equal(output(), words.toString('latin1'));
  assert.deepEqual(events.at(-1), ['exit', { status: 7, signal: null }]);
  assert.equal(client.closedBy, 'its command has ended');
  await over;
});

test('policy close: one who reads late is told what it misses, and the exit; one who never reads is not waited for', async () => {
  await using house = await served({ onExit: 'close' });
  const { client, output, events } = await house.attach({ replay: 'none' });
  const deaf = await house.attach({ replay: 'none' });
  client.pause();
  deaf.client.pause();
  const over = once(house.server, 'close');
  const closed = once(client, 'close');
  house.line.say(Buffer.alloc(3_000_000, 'o'));
  house.line.end(7);
  await sleep(1.5 * farewell); // what it had not taken by then was given up
  client.resume();
  await closed;
  const gaps = events.filter(([name]) => name === 'gap').map(([, , bytes]) => Number(bytes));
  assert.equal(
    gaps.reduce((sum, bytes) => sum + bytes, output().length),
    3_000_000,
  );
  assert.deepEqual(events.at(-1), ['exit', { status: 7, signal: null }]);
  assert.equal(client.closedBy, 'its command has ended');
  await over;
  assert.equal(deaf.output(), '');
});

test('a server that has its own driver closes it when its clients have read how the command ended, and not before', async () => {
  await using pair = await pairOn('device.open()');
  const line = new TestLine();
  const consoles = [{ line: line.open, onExit: 'close' as const }];
  const server = await serveConsoles(() => Promise.resolve(pair.a), { consoles });
  const client = await attachConsole(pair.b, pair.a.gid, { replay: 'none', reconnect: 0 });
  const { output, events } = heardOf(client);
  const over = once(server, 'close');
  const closed = once(client, 'close');
  client.pause();
  line.say('last words');
  line.end(7);
  await sleep(100); // it is busy with something else
  client.resume();
  await closed;
  assert.equal(output(), 'last words');
  assert.deepEqual(events.at(-1), ['exit', { status: 7, signal: null }]);
  assert.equal(client.closedBy, 'its command has ended');
  await over;
  assert.equal(pair.a.closed, true);
});

test('a command that is over before its server is reached closes the server, and that is told', async () => {
  await using pair = await pairOn('device.open()');
  const server = await serveConsoles(pair.a, {
    consoles: [
      {
        line: (listener) => {
          listener.ended({ status: 0, signal: null });
          return new TestLine();
        },
        onExit: 'close',
      },
    ],
  });
  await once(server, 'close');
});

test('one slow viewer never slows another, and output waits for nobody', async () => {
  await using house = await served();
  const slow = await house.pair.b.connect(house.pair.a.gid, 23, { mode: 'messages' });
  const { client, output } = await house.attach({ replay: 'none' });
  slow.on('error', () => undefined);
  const first = { version: 1, role: 0, replay: 0, reserved: 0, life: 0n, offset: 0n, ...window };
  const hello = { ...first, nonce, attachment: nonce };
  slow.write(encode(fromClient, 'hello', { ...hello, name: '', reason: '' }));
  await until(() => house.server.consoles[0]?.viewers === 1, 'it looks on, and reads nothing');
  const said = letters(3_000_000);
  for (let at = 0; at < said.length; at += 30_000) {
    house.line.say(said.subarray(at, at + 30_000));
    await until(() => output().length >= at, 'the quick one keeps up');
  }
  await until(() => output().length === said.length, 'all of it');
  client.close();
  slow.destroy();
});

test('one writer, many viewers: keys of a viewer go nowhere, force has a reason that the other one is told', async () => {
  await using house = await served();
  const { line, audit, attach } = house;
  const first = await attach();
  const second = await attach();
  assert.deepEqual([first.client.role, second.client.role], ['write', 'view']);
  assert.equal(second.client.write('nothing'), false);
  assert.equal(first.client.write(Uint8Array.from({ length: 256 }, (_, byte) => byte)), true);
  await first.client.ping();
  assert.equal(line.typed, Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1'));
  second.client.request('write', 'the disk is full');
  await until(() => second.client.role === 'write' && first.client.role === 'view', 'they have changed');
  assert.match(String(first.events.findLast(([name]) => name === 'role')?.[2]), /taken over: the disk is full/);
  assert.deepEqual(audit.find(({ event }) => event === 'kick')?.values, { by: 0x22n, reason: 'the disk is full' });
  second.client.request('view');
  await until(() => second.client.role === 'view', 'it looks on');
  first.client.request('write');
  await until(() => first.client.role === 'write', 'it writes again');
  first.client.sendBreak();
  await first.client.ping();
  assert.equal(line.breaks, 1);
});

test('the size is told at attach, at each change and to a new writer; a storm of them reaches who reads as a few', async () => {
  await using house = await served();
  const { line, attach } = house;
  const { client } = await attach({ size: { columns: 100, rows: 30 } });
  assert.deepEqual(line.sizes.at(-1), { columns: 100, rows: 30, xPixels: 0, yPixels: 0 });
  const viewer = await attach({ role: 'view', size: { columns: 10, rows: 5 } });
  for (let i = 0; i < scaled(10_000); i++) client.resize({ columns: 20 + (i % 300), rows: 10 + (i % 50) });
  client.resize({ columns: 77, rows: 33 });
  await until(() => viewer.client.size.columns === 77, 'the last size');
  assert.equal(line.sizes.at(-1)?.columns, 77);
  client.close();
  await until(() => house.server.consoles[0]?.writer === null, 'nobody writes');
  viewer.client.request('write');
  await until(() => line.sizes.at(-1)?.columns === 10, 'the size of the new writer');
});

test('a size that changes while the hand-shake is under way is told', async () => {
  await using house = await served();
  const { pair, line } = house;
  const attaching = attachConsole(pair.b, pair.a.gid, { size: { columns: 90, rows: 30 } });
  const client = await attaching;
  client.resize({ columns: 91, rows: 30 });
  await client.ping();
  assert.equal(line.sizes.at(-1)?.columns, 91);
  client.close();
});

test('keys into a line that takes none wait, bounded, and none is lost once it does', async () => {
  await using house = await served();
  const { line, attach } = house;
  const { client } = await attach();
  line.isFull = true;
  const piece = Buffer.alloc(4096, 'k');
  let sent = 0;
  while (client.write(piece)) sent++;
  assert.ok(sent * 4096 <= 2 * 65_536, `${sent} pieces were taken`);
  const drained = once(client, 'drain');
  await until(() => line.keys.length >= 1, 'the first keys');
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(line.keys.length <= 2, 'the server reads no more while the line is full');
  line.drain();
  await drained;
  await client.ping();
  assert.equal(line.typed.length, sent * 4096);
});

test('no stale bytes of the session before: another life begins at its beginning, and says so', async () => {
  await using pair = await pairOn('device.open()');
  const [old, young] = [new TestLine(), new TestLine()];
  const first = await serveConsoles(pair.a, { consoles: [{ line: old.open }] });
  const client = await attachConsole(pair.b, pair.a.gid, { replay: { from: 0n, life: 0n } });
  old.say('of the old life');
  const before = heardOf(client);
  await until(() => before.output().length === 15, 'the old life');
  const position = client.position ?? undefined;
  assert.ok(position);
  client.close();
  first.close();
  await once(first, 'close');
  const second = await serveConsoles(pair.a, { consoles: [{ line: young.open }] });
  young.say('new');
  const again = await attachConsole(pair.b, pair.a.gid, { replay: position, reconnect: 0 });
  const { output } = heardOf(again);
  await until(() => output() === 'new', 'all of the new life, and nothing else');
  again.close();
  second.close();
});

test('access by GID: who may look on, who may write, and who is refused; what others may see is not told', async () => {
  await using pair = await pairOn('device.open()');
  const line = new TestLine();
  const server = await serveConsoles(pair.a, {
    consoles: [
      { name: 'seen', line: line.open, access: { write: [0x99n] } },
      { name: 'hidden', line: new TestLine().open, access: { view: [0x99n] } },
    ],
  });
  const events: string[] = [];
  server.on('audit', ({ event, values }) => void events.push(`${event} ${values['code'] ?? ''}`.trim()));
  const client = await attachConsole(pair.b, pair.a.gid, { role: 'force' });
  assert.deepEqual([client.name, client.role], ['seen', 'view']);
  assert.deepEqual(
    (await listConsoles(pair.b, pair.a.gid)).map(({ name }) => name),
    ['seen'],
  );
  const refused = { reason: 'denied' };
  await rejectsCode(attachConsole(pair.b, pair.a.gid, { name: 'hidden' }), IsmioError, 'ERR_ISMIO_CONSOLE', refused);
  const unknown = await rejectsCode(
    attachConsole(pair.b, pair.a.gid, { name: 'other' }),
    IsmioError,
    'ERR_ISMIO_CONSOLE',
    { reason: 'unknown' },
  );
  assert.doesNotMatch(unknown.message, /hidden/);
  assert.deepEqual(events, ['attach', 'refuse denied', 'refuse unknown']);
  client.close();
  server.close();
});

test('access by key: the right one, a wrong one, none; and nothing is told to those who have not shown it', async () => {
  await using house = await served({ key: 'a key of 16 bytes', name: 'secret' });
  const { pair, attach } = house;
  const { client } = await attach({ key: 'a key of 16 bytes' });
  assert.equal(client.role, 'write');
  const wrong = { reason: 'key' };
  for (const options of [{ key: 'another key of 17' }, {}, { name: 'elsewhere' }]) {
    const error = await rejectsCode(attach(options), IsmioError, 'ERR_ISMIO_CONSOLE', wrong);
    assert.doesNotMatch(error.message, /secret/);
  }
  assert.equal((await listConsoles(pair.b, pair.a.gid, { key: 'a key of 16 bytes' })).length, 1);
  await until(() => house.server.consoles[0]?.viewers === 0, 'nobody is left of those who were refused');
});

test('an AbortSignal ends attaching, an attached client, and a server; one that was aborted begins nothing', async () => {
  await using house = await served();
  const { pair, attach, server } = house;
  const controller = new AbortController();
  const { client } = await attach({ signal: controller.signal });
  const over = once(client, 'close');
  controller.abort();
  await over;
  await rejectsCode(attach({ signal: controller.signal }), IsmioError, 'ERR_ISMIO_ABORTED');
  const line = new TestLine();
  const serving = serveConsoles(pair.a, { consoles: [{ line: line.open }], port: 24, signal: controller.signal });
  await rejectsCode(serving, IsmioError, 'ERR_ISMIO_ABORTED');
  assert.equal(line.opened, 0);
  await until(() => server.consoles[0]?.writer === null, 'no ghost is left');
  const silent = pair.a.listen(25, { mode: 'messages' }, (stream) => void stream.on('error', () => undefined));
  const later = new AbortController();
  const attaching = attach({ port: 25, signal: later.signal });
  setTimeout(() => later.abort(), 20);
  await rejectsCode(attaching, IsmioError, 'ERR_ISMIO_ABORTED');
  silent.close();
});

test('unknown options are refused', async () => {
  await using pair = await pairOn('device.open()');
  const line = new TestLine().open;
  const wrong: Promise<unknown>[] = [
    serveConsoles(pair.a, { consoles: [{ line }], speed: 1 } as never),
    serveConsoles(pair.a, { consoles: [{ line, speed: 1 } as never] }),
    attachConsole(pair.b, 0x11n, { speed: 1 } as never),
    listConsoles(pair.b, 0x11n, { speed: 1 } as never),
  ];
  for (const one of wrong) await rejectsCode(one, RangeError, 'ERR_ISMIO_OPTION');
});

test('many pings at a time are all answered', async () => {
  await using house = await served();
  const { client } = await house.attach();
  const times = await Promise.all(Array.from({ length: 500 }, () => client.ping()));
  assert.equal(times.length, 500);
});

test('1,000 attach and detach in a row leak no descriptor and no DMB, and the heap stays', async () => {
  await using house = await served();
  const { pair, server } = house;
  const again = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const client = await attachConsole(pair.b, pair.a.gid, { replay: 'none', reconnect: 0 });
      client.close();
    }
    await until(() => server.consoles[0]?.viewers === 0 && pair.a.info().dmbs.used === 0, 'all have gone');
    await until(() => pair.b.info().dmbs.used === 0, 'all DMBs have gone');
  };
  await again(scaled(50));
  const descriptors = readdirSync('/proc/self/fd').length;
  const before = process.memoryUsage().heapUsed;
  await again(scaled(1000));
  // The memory of a stream goes with its last view, when that was collected.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  await until(() => {
    collect();
    return readdirSync('/proc/self/fd').length <= descriptors + 2;
  }, 'all descriptors have gone');
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 64 * 2 ** 20, `the heap grew by ${grown} bytes`);
});

test('a console that is closed while its line is opened again is not opened any more', async () => {
  await using pair = await pairOn('device.open()');
  let opened = 0;
  let refuse: (error: Error) => void = () => undefined;
  const line: OpenLine = (listener) => {
    opened++;
    if (opened > 1) return new Promise((_, reject) => (refuse = reject));
    setImmediate(() => listener.ended({ status: 1, signal: null }));
    return { title: 'ends at once', write: () => true, close: () => undefined };
  };
  const server = await serveConsoles(pair.a, { consoles: [{ line, onExit: 'restart' }] });
  const happened: string[] = [];
  server.on('audit', ({ event }) => happened.push(event));
  await until(() => opened === 2, 'it is opened again');
  server.close();
  refuse(new Error('there is none'));
  await new Promise((resolve) => setTimeout(resolve, 1200)); // longer than the pause after which it would be tried
  assert.deepEqual([opened, happened], [2, ['exit']]);
});
