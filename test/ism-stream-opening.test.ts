// Hostile peers of a listener and of an attempt to connect, through the real driver and fabric: hellos with one defect each, floods,
// events that lie. A stream between honest ends goes on meanwhile.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError } from 'ismio';
import type { Dmb, Ism, IsmListener, IsmStream, ListenOptions } from 'ismio/ism';
import { ControlBlock } from '../src/ism/stream/control-block.js';
import { type Hello, writeHello } from '../src/ism/stream/hello.js';
import {
  checkOf,
  control,
  eventCode,
  flag,
  get,
  hello,
  helloLength,
  helloOffset,
  put,
} from '../src/ism/stream/layout.js';
import { type Reason, reasons } from '../src/ism/stream/reasons.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { next, type Pair, pairOn } from './support/ism.js';

const port = 7;
const honestPort = 8;

/** `b` listens, and has an honest stream with `c`; `a` is hostile. */
interface Scene extends AsyncDisposable {
  readonly pair: Pair;
  readonly a: Ism;
  readonly b: Ism;
  readonly c: Ism;
  readonly listener: IsmListener;
  /** What `b` has beside the honest stream. */
  dmbs(): number;
  /** Bytes go both ways on the honest stream. */
  lives(): Promise<void>;
}

async function scene(options: ListenOptions = {}): Promise<Scene> {
  const pair = await pairOn('device.open()');
  const { a, b } = pair;
  const c = await pair.open(pair.fabric.function({ gid: 0x33n }));
  const listener = b.listen(port, { timeout: 200, ...options });
  b.listen(honestPort, (stream) => stream.on('error', () => undefined).pipe(stream));
  const honest = await c.connect(b.gid, honestPort);
  honest.on('error', () => undefined);
  return {
    ...{ pair, a, b, c, listener },
    dmbs: () => b.dmbs.length - 1,
    async lives() {
      honest.write('echo');
      assert.equal(String((await once(honest, 'data'))[0]), 'echo');
    },
    async [Symbol.asyncDispose]() {
      honest.destroy();
      await pair[Symbol.asyncDispose]();
    },
  };
}

const said = { port, mode: 'bytes', epoch: 5, answers: 0, ring: 65_536, heartbeat: 1000, recordLimit: 0 } as const;

/** It comes to hold, in some turns of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !holds(); await sleep(1)) assert.ok(performance.now() < end);
}

/** Asks by hand, and waits for the listener's hello. */
async function ask(from: Ism, to: Ism): Promise<{ dmb: Dmb; token: bigint; epoch: number; reason: number }> {
  const dmb = from.registerDmb({ length: 4096 + 65_536, peer: to.gid });
  const answered = next<number>(dmb, 'signal');
  from.signal(to.gid, { code: eventCode(port), info: dmb.token });
  await answered;
  const view = new DataView(dmb.memory.slice(helloOffset, helloOffset + helloLength).buffer);
  const token = view.getBigUint64(hello.token.offset);
  return { dmb, token, epoch: get(view, hello.epoch), reason: get(view, hello.reason) };
}

/** A hello that is right, but for one field. */
function forged(right: Hello, field: keyof typeof hello, value: number): Uint8Array {
  const bytes = writeHello(right);
  const view = new DataView(bytes.buffer);
  put(view, hello[field], value);
  if (field !== 'check') put(view, hello.check, checkOf(view, helloLength));
  return bytes;
}

const defects: readonly [field: keyof typeof hello, value: number, reason: Reason][] = [
  ['magic', 1, 'magic'],
  ['version', 2, 'version'],
  ['mode', 1, 'mode'],
  ['mode', 9, 'mode'],
  ['port', port + 1, 'port'],
  ['reserved', 1, 'reserved'],
  ['spare', 1, 'reserved'],
  ['spare2', 2 ** 52, 'reserved'],
  ['epoch', 0, 'epoch'],
  ['answers', 0xffff_ffff, 'answers'],
  ['ring', 0, 'ring'],
  ['ring', 2048, 'ring'],
  ['ring', 4097, 'ring'],
  ['ring', 2 ** 20, 'ring'],
  ['ring', 2 ** 31, 'ring'],
  ['heartbeat', 0, 'heartbeat'],
  ['heartbeat', 49, 'heartbeat'],
  ['heartbeat', 60_001, 'heartbeat'],
  ['heartbeat', 0xffff_ffff, 'heartbeat'],
  ['recordLimit', 1, 'recordLimit'],
];

test('a hello with a field that is wrong opens no stream at the listener, is counted, and leaves nothing', async () => {
  await using all = await scene();
  const { a, b, listener } = all;
  listener.on('stream', () => assert.fail('no stream'));
  for (const [field, value] of [...defects, ['token', 2 ** 40] as const]) {
    const before = listener.counters.wrong;
    const { dmb, token, epoch } = await ask(a, b);
    const right = { ...said, answers: epoch, token: dmb.token };
    a.move(token, helloOffset, forged(right, field, value), { signal: 0 });
    await until(() => listener.counters.wrong > before);
    assert.deepEqual([listener.counters.wrong, all.dmbs()], [before + 1, 0], `${field} ${value}`);
    dmb.unregister();
  }
  await all.lives();
});

test('a hello with a field that is wrong fails the attempt to connect, by the name of the field', async () => {
  await using all = await scene();
  const { a, b } = all;
  let wrong: (typeof defects)[number];
  a.on('event', ({ info }) => {
    const dmb = a.registerDmb({ length: 4096 + 65_536, peer: b.gid });
    a.move(info, helloOffset, forged({ ...said, token: dmb.token }, wrong[0], wrong[1]), { signal: 0 });
  });
  for (wrong of defects) {
    const refused = await rejectsCode(b.connect(a.gid, port), IsmioError, 'ERR_ISMIO_ISM_REFUSED');
    assert.equal(refused.reason, wrong[2], `${wrong[0]} ${wrong[1]}`);
    assert.equal(all.dmbs(), 0);
  }
  wrong = ['check', 1, 'check'];
  const late = await rejectsCode(b.connect(a.gid, port, { timeout: 60 }), IsmioError, 'ERR_ISMIO_ISM_REFUSED');
  assert.equal(late.reason, 'timeout', 'what does not fit its check may still be on its way');
  await all.lives();
});

test('a peer that asks and never answers has so many half-open streams, is refused more, and loses them in time', async () => {
  await using all = await scene({ halfOpenPerPeer: 4, timeout: 1500 });
  const { a, b, listener } = all;
  const asked = [];
  for (let i = 0; i < 20; i++) asked.push(await ask(a, b));
  assert.deepEqual(
    asked.map(({ reason }) => reason),
    Array.from({ length: 20 }, (_, i) => (i < 4 ? 0 : reasons.peerFull)),
  );
  assert.equal(all.dmbs(), 4);
  await all.lives();
  await until(() => all.dmbs() === 0);
  const { refused, expired } = listener.counters;
  assert.deepEqual([refused, expired], [16, 4]);
});

test('a peer has so many open streams and no more, which leaves room for others; one that ends makes room', async () => {
  await using all = await scene({ maxStreamsPerPeer: 3, maxStreams: 4 });
  const { a, b, c, listener } = all;
  listener.on('stream', (stream) => stream.on('error', () => undefined).resume());
  const refusal = async (from: Ism) =>
    (await rejectsCode(from.connect(b.gid, port), IsmioError, 'ERR_ISMIO_ISM_REFUSED')).reason;
  const open: IsmStream[] = [];
  const connected = async (from: Ism) => {
    open.push((await from.connect(b.gid, port)).on('error', () => undefined));
    await until(() => listener.streams === open.filter((stream) => !stream.destroyed).length);
  };
  for (let i = 0; i < 3; i++) await connected(a);
  assert.equal(await refusal(a), 'peerFull');
  await connected(c);
  assert.equal(await refusal(c), 'full');
  open[0]?.destroy();
  await until(() => listener.streams === 3);
  await connected(a);
  throwsCode(() => b.listen(9, { maxStreamsPerPeer: 0 }), RangeError, 'ERR_ISMIO_OPTION', { maxStreamsPerPeer: 0 });
});

test('events that name no memory, or memory of others, move nothing and are counted', async () => {
  await using all = await scene();
  const { a, b, c, listener } = all;
  for (let i = 1; i <= 200; i++) {
    a.signal(b.gid, { code: eventCode(port), info: BigInt(i) << 47n });
    await new Promise(setImmediate);
  }
  await until(() => listener.counters.unanswered > 0);
  const taken = c.dmbs[0] as Dmb; // of the honest stream: b moves into it
  a.signal(b.gid, { code: eventCode(port), info: taken.token });
  await until(() => listener.counters.wrong > 0);
  assert.deepEqual([listener.counters.wrong, all.dmbs()], [1, 0]);
  await all.lives();
});

test('a software event is no news of a death, whatever it says', async () => {
  await using all = await scene();
  const { a, b, c } = all;
  b.on('gone', () => assert.fail('nobody has gone'));
  a.signal(b.gid, { code: 7, info: c.gid });
  await sleep(20);
  await all.lives();
});

test('signals for DMBs that are not there, or are those of others, are refused and counted, however many', async () => {
  await using all = await scene();
  const { a, b, pair } = all;
  const theirs = (b.dmbs[0] as Dmb).token;
  for (let i = 0; i < 500; i++) {
    for (const token of [0x7777n << 32n, theirs]) {
      throwsCode(() => a.move(token, 0, Uint8Array.of(1), { signal: i % 16 }), IsmioError, 'ERR_ISMIO_DEVICE');
    }
  }
  const { unknown, sender } = pair.functions[0].stats().refused;
  assert.deepEqual([unknown, sender], [500, 500]);
  await all.lives();
});

test('a record that is longer than the limit ends its stream, and the peer is told why', async () => {
  await using all = await scene({ mode: 'messages', recordLimit: 1000 });
  const { a, b, listener } = all;
  const accepted = next<IsmStream>(listener, 'stream');
  const { dmb, token, epoch } = await ask(a, b);
  const own = { ...said, mode: 'messages', recordLimit: 1000, answers: epoch, token: dmb.token } as const;
  a.move(token, helloOffset, writeHello(own), { signal: 0 });
  const stream = await accepted;
  const failed = next<IsmioError>(stream, 'error');
  stream.resume();
  const text = Uint8Array.of(0, 0, 3, 0xe9); // 1001
  const words = { flags: 0, prod: 4, cons: 0, arms: 0, answers: 0 };
  const block = new ControlBlock(epoch).write(words, 0, { text, textPosition: 0, textLength: 4 });
  a.move(token, 0, block, { signal: 0 });
  const { code, reason } = (await failed) as IsmioError & { reason: string };
  assert.deepEqual([code, reason, all.dmbs()], ['ERR_ISMIO_ISM_STREAM', 'record', 0]);
  const told = new DataView(dmb.memory.slice(0, 56).buffer);
  assert.deepEqual([get(told, control.flags) & flag.abort, get(told, control.reason)], [flag.abort, reasons.record]);
  await all.lives();
});

test('a heartbeat that would keep the peer busy is not asked for', async () => {
  await using all = await scene();
  await rejectsCode(all.a.connect(all.b.gid, port, { heartbeat: 49 }), RangeError, 'ERR_ISMIO_OPTION', {
    heartbeat: 49,
  });
});
