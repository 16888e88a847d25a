// The list of a function's disks: who is told of which, and peers that ask or answer wrong.
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { IsmioError } from 'ismio';
import { listDisks, memoryDisk, openBlock, type ServeBlockOptions, serveBlock } from 'ismio/block';
import type { IsmStream } from 'ismio/ism';
import { type FromInitiator, type FromTarget, fromInitiator, fromTarget, version } from '../src/block/ism/wire.js';
import { proofOf } from '../src/ism/talk/key.js';
import { HandInitiator, hello, Talk } from './support/block-hand.js';
import { rejectsCode } from './support/errors.js';
import { type Pair, pairOn } from './support/ism.js';

const key = '0123456789abcdef';
const nonce = new Uint8Array(32);

async function pair(t: TestContext): Promise<Pair> {
  const made = await pairOn('device.open()');
  t.after(() => made[Symbol.asyncDispose]());
  return made;
}

async function serve(t: TestContext, { a }: Pair, name: string, options: ServeBlockOptions) {
  const target = await serveBlock(a, memoryDisk({ size: 2 ** 20, name }), { grace: 50, ...options });
  t.after(() => target.close());
  return target;
}

test('all disks of a function, by one of their ports: their sizes, and who has them', async (t) => {
  const it = await pair(t);
  await serve(t, it, 'second', { port: 9 });
  await serve(t, it, 'first', { port: 7, readOnly: true });
  const rest = { size: 2 ** 20, blockSize: 4096 };
  const nobody = { writer: null, readers: 0 };
  const first = { ...rest, port: 7, name: 'first', readOnly: true };
  const second = { ...rest, port: 9, name: 'second', readOnly: false };
  for (const port of [7, 9]) {
    assert.deepEqual(await listDisks(it.b, it.a.gid, { port }), [
      { ...first, ...nobody },
      { ...second, ...nobody },
    ]);
  }
  const disks = await Promise.all([
    openBlock(it.b, it.a.gid, { port: 7, readOnly: true }),
    openBlock(it.b, it.a.gid, { port: 7 }),
    openBlock(it.b, it.a.gid, { port: 9 }),
  ]);
  assert.deepEqual(await listDisks(it.b, it.a.gid, { port: 7 }), [
    { ...first, writer: null, readers: 2 },
    { ...second, writer: it.b.gid, readers: 0 },
  ]);
  for (const disk of disks) await disk.close();
  const left = await listDisks(it.b, it.a.gid, { port: 7 });
  assert.ok(left.every(({ writer, readers }) => writer === null && readers === 0));
});

test('a disk is told of to functions that may have it, as what they may do with it', async (t) => {
  const it = await pair(t);
  await serve(t, it, 'open', { port: 1 });
  await serve(t, it, 'others’', { port: 2, access: { read: [0x99n] } });
  await serve(t, it, 'to read', { port: 3, access: { write: [0x99n] } });
  const told = await listDisks(it.b, it.a.gid, { port: 2 });
  assert.deepEqual(
    told.map(({ name, readOnly }) => [name, readOnly]),
    [
      ['open', false],
      ['to read', true],
    ],
  );
});

test('with a key, disks of that key alone; another key, or none, is told of nothing', async (t) => {
  const it = await pair(t);
  await serve(t, it, 'open', { port: 1 });
  await serve(t, it, 'kept', { port: 2, key });
  await serve(t, it, 'kept too', { port: 3, key });
  await serve(t, it, 'another’s', { port: 4, key: `${key}!` });
  const names = async (port: number, own?: string) =>
    (await listDisks(it.b, it.a.gid, { port, ...(own && { key: own }) })).map(({ name }) => name);
  assert.deepEqual(await names(1), ['open']);
  assert.deepEqual(await names(2, key), ['kept', 'kept too']);
  for (const [port, own] of [
    [2, `${key}!`],
    [2, undefined],
    [1, key],
  ] as const) {
    await rejectsCode(names(port, own), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'key' });
  }
});

test('a disk that is served no more is not in the list, and where nobody serves one that is said', async (t) => {
  const it = await pair(t);
  const target = await serve(t, it, 'short', { port: 1 });
  await serve(t, it, 'long', { port: 2 });
  await target.close();
  assert.equal((await listDisks(it.b, it.a.gid, { port: 2 })).length, 1);
  const nobody = listDisks(it.b, it.a.gid, { port: 1 });
  await rejectsCode(nobody, IsmioError, 'ERR_ISMIO_ISM_REFUSED', { reason: 'noListener' });
});

test('who asks for a list breaks the rules as in a session: it is refused, and told why', async (t) => {
  const it = await pair(t);
  const target = await serve(t, it, 'disk', { port: 1 });
  const refusedFor = async (...says: ((hand: HandInitiator) => void)[]) => {
    const hand = await HandInitiator.open(it.b, it.a.gid, 1);
    for (const say of says) say(hand);
    return await hand.refused();
  };
  const list = (hand: HandInitiator) => hand.say('list', { version, nonce });
  const greet = (hand: HandInitiator) => hand.say('hello', hello);
  assert.match(await refusedFor((hand) => hand.say('list', { version: 1, nonce })), /speaks version 2, and not 1/);
  assert.match(await refusedFor(greet, list), /'list' came when the session was (waiting|welcomed)/);
  assert.match(await refusedFor((hand) => hand.say('proof', { proof: nonce })), /'proof' came/);
  // Whoever asks again behind the answer has it, and no more.
  const hand = await HandInitiator.open(it.b, it.a.gid, 1);
  for (const say of [list, list, greet]) say(hand);
  await hand.closed();
  assert.deepEqual(
    hand.heard.map(({ name }) => name),
    ['disk', 'disks'],
  );
  assert.equal(target.stats().open, 0);
});

test('what proves a key for a list is no proof for a session', async (t) => {
  const it = await pair(t);
  await serve(t, it, 'disk', { port: 1, key });
  for (const [name, isLetIn] of [
    ['', true],
    ['list', false],
  ] as const) {
    const hand = await HandInitiator.open(it.b, it.a.gid, 1);
    hand.say('hello', hello);
    const serverNonce = (await hand.hear('challenge')).nonce;
    const shake = { clientNonce: nonce, serverNonce, clientGid: it.b.gid, serverGid: it.a.gid, name };
    hand.say('proof', { proof: proofOf(Buffer.from(key), 'client', { protocol: 'ismio block 2', ...shake }) });
    if (isLetIn) await hand.hear('welcome');
    else assert.match(await hand.refused(), /the key is another one/);
    hand.stream.destroy();
    await hand.closed();
  }
});

describe('a target whose list cannot be: it is refused, and says which rule', () => {
  type Target = Talk<FromTarget, FromInitiator>;
  const disk = { port: 1, flags: 0, readers: 0, writer: 0n, minimum: 1, preferred: 1, maximum: 1, size: 1n, name: 'x' };
  const end = { proof: nonce, count: 1 };
  const lists: [string, (target: Target) => void, RegExp][] = [
    ['a port twice', (it) => [1, 1].map((port) => it.say('disk', { ...disk, port })), /at port 1 came behind one at 1/],
    ['flags', (it) => it.say('disk', { ...disk, flags: 128 }), /port 1 cannot be: flags/],
    ['block sizes', (it) => it.say('disk', { ...disk, minimum: 2 }), /block sizes/],
    ['a size', (it) => it.say('disk', { ...disk, size: 2n ** 53n }), /port 1 cannot be: size/],
    ['fewer than it says', (it) => it.say('disks', end), /0 disks came, and not 1/],
    ['an answer to a hello', (it) => it.say('ready', {}), /'ready' came, and not 'disks'/],
    ['a challenge', (it) => it.say('challenge', { version, nonce }), /asks for one/],
    ['bytes', (it) => it.stream.write(Buffer.of(0x87, 1)), /ends within 'port'/],
    ['an end', (it) => it.stream.destroy(), /the function|ended|given up|abort/i],
  ];
  for (const [what, answer, reason] of lists) {
    test(what, async (t) => {
      const it = await pair(t);
      const listener = it.a.listen(1, { mode: 'messages' }, (stream: IsmStream) => {
        const target: Target = new Talk<FromTarget, FromInitiator>(stream, fromTarget, fromInitiator);
        void target.hear('list').then(() => answer(target));
      });
      await assert.rejects(listDisks(it.b, it.a.gid, { port: 1 }), reason);
      listener.close();
    });
  }

  test('a proof that is none', async (t) => {
    const it = await pair(t);
    const listener = it.a.listen(1, { mode: 'messages' }, async (stream: IsmStream) => {
      const target: Target = new Talk<FromTarget, FromInitiator>(stream, fromTarget, fromInitiator);
      await target.hear('list');
      target.say('challenge', { version, nonce });
      await target.hear('proof');
      target.say('disks', { proof: nonce, count: 0 });
    });
    await rejectsCode(listDisks(it.b, it.a.gid, { port: 1, key }), IsmioError, 'ERR_ISMIO_BLOCK', { reason: 'key' });
    listener.close();
  });

  test('a disk in a session, where nobody asked for one', async (t) => {
    const it = await pair(t);
    const listener = it.a.listen(1, { mode: 'messages' }, async (stream: IsmStream) => {
      const target: Target = new Talk<FromTarget, FromInitiator>(stream, fromTarget, fromInitiator);
      await target.hear('hello');
      target.say('disk', disk);
    });
    await assert.rejects(openBlock(it.b, it.a.gid, { port: 1 }), /'disk' came, and not 'welcome'/);
    listener.close();
  });
});
