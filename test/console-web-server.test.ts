// What the server of a console's page gives, and to whom; what it refuses, without a browser.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WebSocket } from 'ws';
import { type ConsolePageOptions, serveConsolePage } from '../src/console/web/server.js';
import { ask, cookieOf, openSocket, originOf, serverOf, socketOf, statusOf, until } from './support/console-page.js';
import { FakeConsole } from './support/console-view.js';

test('lets in whoever has a token, once, and knows the browser by its cookie from then on', async (t) => {
  const server = await serverOf(t);
  const url = server.invite();
  const [without, wrong] = await Promise.all([ask(originOf(server)), ask(`${originOf(server)}/?token=wrong`)]);
  assert.deepEqual([without.statusCode, wrong.statusCode], [403, 403]);
  const first = await ask(url);
  assert.equal(first.statusCode, 200);
  const cookie = first.headers['set-cookie']?.[0] as string;
  assert.match(cookie, /^ismio-console-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  assert.equal((await ask(url)).statusCode, 403);
  const Cookie = cookie.split(';')[0] as string;
  for (const path of ['/', '/main.js', '/style.css', '/?token=used']) {
    assert.equal((await ask(originOf(server) + path, { Cookie })).statusCode, 200, path);
    if (path !== '/?token=used') assert.equal((await ask(originOf(server) + path)).statusCode, 403, path);
  }
  assert.equal((await ask(`${originOf(server)}/other`, { Cookie })).statusCode, 404);
  assert.equal((await ask(originOf(server), { Cookie }, 'POST')).statusCode, 405);
});

test('takes a token of the program again and again', async (t) => {
  const server = await serverOf(t, undefined, { token: 'a-token-of-my-own' });
  for (const status of [200, 200]) assert.equal((await ask(server.invite())).statusCode, status);
});

test('refuses names that are not its own, and loads nothing from elsewhere', async (t) => {
  const server = await serverOf(t);
  const { port } = server;
  for (const Host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `127.0.0.1.evil:${port}`,
  ]) {
    assert.equal((await ask(server.invite(), { Host })).statusCode, 421, Host);
    assert.equal(await statusOf(await socketOf(server, { Host, Origin: `http://${Host}` })), 403, Host);
  }
  const { headers, statusCode } = await ask(server.invite(), { Host: `localhost:${port}` });
  assert.equal(statusCode, 200);
  assert.match(headers['content-security-policy'] as string, /^default-src 'none'; script-src 'self';/);
});

test('refuses sockets of other origins, of none, and of browsers that it does not know', async (t) => {
  const server = await serverOf(t);
  for (const Origin of [
    'http://evil.example',
    `http://127.0.0.1:${server.port + 1}`,
    `http://localhost:${server.port}`,
    'null',
  ]) {
    assert.equal(await statusOf(await socketOf(server, { Origin })), 403, Origin);
  }
  for (const Cookie of ['', 'a=b', `ismio-console-${server.port}=wrong`]) {
    assert.equal(await statusOf(await socketOf(server, { Cookie })), 403, Cookie);
  }
  const headers = { Cookie: await cookieOf(server) };
  assert.equal(await statusOf(new WebSocket(`ws://127.0.0.1:${server.port}/socket`, { headers })), 403);
  assert.equal(server.pages, 0);
});

test('is not ended by a request that is none', async (t) => {
  const server = await serverOf(t);
  for (const line of [
    'GET // HTTP/1.1\r\nHost: x',
    'GET http:// HTTP/1.1\r\nHost: [',
    'nonsense',
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade',
  ]) {
    const socket = connect(server.port, '127.0.0.1');
    socket
      .on('error', () => undefined)
      .resume()
      .end(`${line}\r\nConnection: close\r\n\r\n`);
    await once(socket, 'close');
  }
  assert.equal((await ask(server.invite())).statusCode, 200);
});

const hostile: Record<string, string | Buffer> = {
  'no JSON': '{',
  'JSON that is no object': '7',
  null: 'null',
  'an unknown type': '{"type":"open"}',
  'a size that is none': '{"type":"size","size":{"columns":0,"rows":1,"xPixels":0,"yPixels":0}}',
  'a size without pixels': '{"type":"size","size":{"columns":80,"rows":24}}',
  'a huge size': '{"type":"size","size":{"columns":1e9,"rows":1,"xPixels":0,"yPixels":0}}',
  'a role that is none': '{"type":"request","role":"root"}',
  'a reason that is no text': '{"type":"request","role":"write","reason":{}}',
  'a long reason': JSON.stringify({ type: 'request', role: 'write', reason: 'x'.repeat(201) }),
  'a long text': JSON.stringify({ type: 'break', more: 'x'.repeat(2048) }),
  'more shown than was sent': '{"type":"shown","bytes":1}',
  'a part of a byte': '{"type":"shown","bytes":0.5}',
  'more keys than a message has': Buffer.alloc(65_537),
};
for (const [what, message] of Object.entries(hostile)) {
  test(`ends the socket of a page that says ${what}, and no other`, async (t) => {
    const views: FakeConsole[] = [];
    const server = await serverOf(t, () => {
      views.push(new FakeConsole());
      return views.at(-1) as FakeConsole;
    });
    const [bad, good] = [await openSocket(server), await openSocket(server)];
    bad.send(message);
    const [code] = await once(bad, 'close');
    assert.equal(code, typeof message === 'string' ? 1008 : 1009);
    await until(() => views[0]?.asked.length === 1); // the two ends hear of it in either order
    assert.deepEqual(views[0]?.asked, [['close']]);
    good.send(Buffer.from('ls'));
    await until(() => views[1]?.asked.length === 1);
    assert.deepEqual(views[1]?.asked, [['write', 'ls']]);
  });
}

test('keys of a viewer, of whoever lost the console and of its size are nobody’s', async (t) => {
  const view = new FakeConsole({ role: 'view' });
  const server = await serverOf(t, () => view);
  const socket = await openSocket(server);
  socket.send(Buffer.from('rm'));
  socket.send('{"type":"break"}');
  socket.send('{"type":"size","size":{"columns":10,"rows":10,"xPixels":0,"yPixels":0}}');
  socket.send('{"type":"request","role":"write","reason":"\\u001b[2J"}');
  await until(() => view.asked.length > 0);
  assert.deepEqual(view.asked, [['request', 'write', '\\u001b[2J']]);
  view.emit('state', 'lost');
  socket.send(Buffer.from('rm'));
  socket.send('{"type":"request","role":"write"}');
  await until(() => view.asked.length > 1);
  assert.deepEqual(view.asked.slice(1), [['request', 'write', undefined]]);
});

test('keys wait while the console has no room, in order, and nothing more is read', async (t) => {
  const view = new FakeConsole();
  view.isFull = true;
  const server = await serverOf(t, () => view);
  const socket = await openSocket(server);
  for (const key of 'abcdef') socket.send(Buffer.from(key));
  await new Promise((resolve) => setTimeout(resolve, 50));
  view.isFull = false;
  view.emit('drain');
  await until(() => view.asked.length === 6);
  assert.equal(view.asked.map(([, key]) => key).join(''), 'abcdef');
});

test('a page that shows nothing holds two megabytes; at last it gets the end, and is told what is missing', async (t) => {
  const view = new FakeConsole();
  const server = await serverOf(t, () => view);
  const socket = await openSocket(server);
  let [got, missing, shown, last] = [0, 0, 0, ''];
  socket.on('message', (data, isBinary) => {
    const bytes = data as Buffer;
    if (!isBinary) {
      const { type, bytes: lost } = JSON.parse(bytes.toString());
      if (type === 'gap') missing += lost;
      return;
    }
    got += bytes.length;
    last = bytes.subarray(-8).toString();
  });
  const before = process.memoryUsage().arrayBuffers;
  const block = Buffer.alloc(1024 * 1024, 'x');
  for (let round = 0; round < 64; round++) {
    view.say(block);
    await new Promise((resolve) => setImmediate(resolve));
  }
  view.say('$ prompt');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  await until(() => {
    collect();
    return process.memoryUsage().arrayBuffers - before < 8 * 2 ** 20;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(got >= 512 * 1024 && got < 600 * 1024, `${got} bytes were sent`);
  while (last !== '$ prompt') {
    const bytes = got;
    socket.send(JSON.stringify({ type: 'shown', bytes: got - shown }));
    shown = bytes;
    await once(socket, 'message');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(got + missing, 64 * 2 ** 20 + 8);
  assert.ok(missing > 60 * 2 ** 20);
});

test('has no more pages than it may, and closes them and their consoles when it ends', async (t) => {
  const views = [new FakeConsole(), new FakeConsole()];
  let opened = 0;
  const server = await serverOf(t, () => views[opened++] as FakeConsole, { maxPages: 2 });
  const sockets = [await openSocket(server), await openSocket(server)];
  assert.equal(server.pages, 2);
  assert.equal(await statusOf(await socketOf(server)), 503);
  const closed = Promise.all(sockets.map((socket) => once(socket, 'close')));
  await server.close();
  assert.deepEqual(
    (await closed).map(([code]) => code),
    [1001, 1001],
  );
  assert.deepEqual(
    views.map(({ asked }) => asked),
    [[['close']], [['close']]],
  );
  assert.equal(server.pages, 0);
});

test('a console that cannot be had is told', async (t) => {
  const server = await serverOf(t, () => Promise.reject(new Error('no such\x1b console')));
  const socket = await socketOf(server);
  const closed = once(socket, 'close');
  const [message] = await once(socket, 'message');
  assert.deepEqual(JSON.parse(String(message)), {
    type: 'end',
    text: 'the console cannot be had: no such\\u001b console',
  });
  assert.equal((await closed)[0], 1011);
});

test('options that are none are refused, and a port that is taken', async (t) => {
  const { port } = await serverOf(t);
  const open = () => new FakeConsole();
  const refused = async (options: object, code: string) =>
    assert.rejects(serveConsolePage(options as ConsolePageOptions), { code });
  await refused({ open, prot: 1 }, 'ERR_ISMIO_OPTION');
  await refused({ open, token: 'short' }, 'ERR_ISMIO_OPTION');
  await refused({ open, port: 65_536 }, 'ERR_ISMIO_OPTION');
  await refused({}, 'ERR_ISMIO_ARGUMENT_TYPE');
  await refused({ open, names: 'a' }, 'ERR_ISMIO_ARGUMENT_TYPE');
  await refused({ open, signal: AbortSignal.abort() }, 'ERR_ISMIO_ABORTED');
  await refused({ open, port }, 'ERR_ISMIO_OPEN');
});
