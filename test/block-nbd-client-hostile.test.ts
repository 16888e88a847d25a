// NBD servers that mean harm, are broken, or die: whatever they send, everybody who waits gets an error with a stable code, nothing
// is written outside of what was to be read, and nothing hangs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsmioError, isIsmioError } from 'ismio';
import { openNbd } from 'ismio/block';
import { chunk, command, exportFlag, info, magic, option, optionReply } from '../src/block/nbd/wire.js';
import { rejectsCode } from './support/errors.js';
import { answered, dataOf, handMade, listening, piece, simple, type Taken, wide, words } from './support/nbd-hand.js';
import { sequence } from './support/random.js';
import { patience, scaled } from './support/scale.js';

const { read, write, blockStatus } = command;
const more = { flags: 0 };
const errorChunk = (number: number, said = '', length = said.length) => {
  const head = Buffer.alloc(6);
  head.writeUInt32BE(number, 0);
  head.writeUInt16BE(length, 4);
  return Buffer.concat([head, Buffer.from(said)]);
};
const [offsetHole, errorOffset] = [2, 0x8002];

/** What is sent for a read of 100 bytes at 1000, or for another request. */
const breaches: Readonly<Record<string, { of?: number; simply?: boolean; bytes: (taken: Taken) => Buffer }>> = {
  'another magic': { bytes: () => Buffer.alloc(16, 0x55) },
  'a request in place of a reply': { bytes: () => Buffer.concat([words(magic.request), Buffer.alloc(24)]) },
  'a number that nobody waits for': { bytes: () => simple(wide(99)) },
  'a number of which the low half is right': { bytes: () => simple(wide(2n ** 63n + 1n)) },
  'a chunk for nobody': { bytes: () => dataOf(wide(99), 1000, Buffer.alloc(100)) },
  'a simple reply to a read, where they are structured': {
    bytes: ({ cookie }) => simple(cookie, 0, Buffer.alloc(100)),
  },
  'a simple error of extents': { of: blockStatus, bytes: ({ cookie }) => simple(cookie, 5) },
  'a structured reply on which nobody agreed': { simply: true, bytes: (taken) => answered(taken, true) },
  'bytes before the read': { bytes: ({ cookie }) => dataOf(cookie, 999, Buffer.alloc(100)) },
  'bytes behind it': { bytes: ({ cookie }) => dataOf(cookie, 1001, Buffer.alloc(100)) },
  'bytes far behind it': {
    bytes: ({ cookie }) => piece(cookie, chunk.offsetData, Buffer.concat([wide(2n ** 64n - 1n), Buffer.alloc(9)])),
  },
  'more bytes than were asked for': { bytes: ({ cookie }) => dataOf(cookie, 1000, Buffer.alloc(101)) },
  'a chunk of 4 GiB': {
    bytes: ({ cookie }) => piece(cookie, chunk.offsetData, wide(1000), { length: 2 ** 32 - 1, flags: 1 }),
  },
  'a chunk of data without any': { bytes: ({ cookie }) => dataOf(cookie, 1000, Buffer.alloc(0)) },
  'a chunk shorter than its offset': { bytes: ({ cookie }) => piece(cookie, chunk.offsetData, Buffer.alloc(7)) },
  'bytes twice': {
    bytes: ({ cookie }) =>
      Buffer.concat([dataOf(cookie, 1000, Buffer.alloc(60), 0), dataOf(cookie, 1040, Buffer.alloc(60))]),
  },
  'a hole over bytes': {
    bytes: ({ cookie }) =>
      Buffer.concat([
        dataOf(cookie, 1090, Buffer.alloc(10), 0),
        piece(cookie, offsetHole, Buffer.concat([wide(1000), words(91)])),
      ]),
  },
  'a hole of nothing': {
    bytes: ({ cookie }) => piece(cookie, offsetHole, Buffer.concat([wide(1000), words(0)]), more),
  },
  'a hole of 4 GiB': {
    bytes: ({ cookie }) => piece(cookie, offsetHole, Buffer.concat([wide(1000), words(2 ** 32 - 1)])),
  },
  'a hole of another length': { bytes: ({ cookie }) => piece(cookie, offsetHole, Buffer.alloc(13)) },
  'a part of the bytes': { bytes: ({ cookie }) => dataOf(cookie, 1000, Buffer.alloc(99)) },
  'none of the bytes': { bytes: ({ cookie }) => piece(cookie, chunk.none, Buffer.alloc(0)) },
  'an end that is not the last chunk': { bytes: ({ cookie }) => piece(cookie, chunk.none, Buffer.alloc(0), more) },
  'an end with bytes in it': { bytes: ({ cookie }) => piece(cookie, chunk.none, Buffer.alloc(1)) },
  'a chunk of a kind that nobody knows': { bytes: ({ cookie }) => piece(cookie, 77, Buffer.alloc(8)) },
  'extents for a read': { bytes: ({ cookie }) => piece(cookie, chunk.blockStatus, words(1, 100, 0)) },
  'bytes for a write': { of: write, bytes: ({ cookie, offset }) => dataOf(cookie, offset, Buffer.alloc(10)) },
  'a reply behind the reply': { of: write, bytes: ({ cookie }) => Buffer.concat([simple(cookie), simple(cookie)]) },
  'an error without a number': { bytes: ({ cookie }) => piece(cookie, chunk.error, errorChunk(0)) },
  'an error with more words than bytes': { bytes: ({ cookie }) => piece(cookie, chunk.error, errorChunk(5, 'abc', 4)) },
  'an error longer than any': { bytes: ({ cookie }) => piece(cookie, chunk.error, errorChunk(5, 'a'.repeat(5000))) },
  'an error of half a number': { bytes: ({ cookie }) => piece(cookie, chunk.error, Buffer.alloc(3)) },
  'an error outside of the read': {
    bytes: ({ cookie }) => piece(cookie, errorOffset, Buffer.concat([errorChunk(5), wide(1100)])),
  },
  'errors without an end': {
    bytes: ({ cookie }) =>
      Buffer.concat(Array.from({ length: 100 }, () => piece(cookie, chunk.error, errorChunk(5), more))),
  },
  'all of it in crumbs, from both ends': {
    bytes: ({ cookie }) =>
      Buffer.concat(Array.from({ length: 300 }, (_, i) => dataOf(cookie, 1000 + 2 * i, Buffer.alloc(1), 0))),
  },
  'no extents': { of: blockStatus, bytes: ({ cookie }) => piece(cookie, chunk.none, Buffer.alloc(0)) },
  'extents of another context': {
    of: blockStatus,
    bytes: ({ cookie }) => piece(cookie, chunk.blockStatus, words(2, 100, 0)),
  },
  'an extent of nothing': { of: blockStatus, bytes: ({ cookie }) => piece(cookie, chunk.blockStatus, words(1, 0, 0)) },
  'an extent past the request': {
    of: blockStatus,
    bytes: ({ cookie }) => piece(cookie, chunk.blockStatus, words(1, 100, 0, 1, 0)),
  },
  'half an extent': { of: blockStatus, bytes: ({ cookie }) => piece(cookie, chunk.blockStatus, words(1, 100)) },
  'extents twice': {
    of: blockStatus,
    bytes: ({ cookie }) =>
      Buffer.concat([
        piece(cookie, chunk.blockStatus, words(1, 50, 0), more),
        piece(cookie, chunk.blockStatus, words(1, 50, 0)),
      ]),
  },
  'extents of 4 GiB': {
    of: blockStatus,
    bytes: ({ cookie }) => piece(cookie, chunk.blockStatus, words(1), { length: 2 ** 32 - 4, flags: 1 }),
  },
};

/** For crumbs there has to be room. */
const lengthOf = (what: string) => (what.includes('crumbs') ? 1000 : 100);

for (const [what, { of = read, simply = false, bytes }] of Object.entries(breaches)) {
  test(`${what}: all who wait get ERR_ISMIO_NBD, and so does who comes`, async (t) => {
    // Another read waits, and is never answered.
    const uri = await handMade(t, { structured: !simply }, (taken, { socket }) => {
      if (taken.type === of && taken.offset === 1000) socket.write(bytes(taken));
    });
    const disk = await openNbd(uri, { grace: 1 });
    const lost = once(disk, 'lost');
    const around = Buffer.alloc(2048, 0xaa);
    const other = disk.read(0, Buffer.alloc(5));
    const length = lengthOf(what);
    const asked =
      of === read
        ? disk.read(1000, around.subarray(500, 500 + length))
        : of === write
          ? disk.write(1000, around.subarray(0, length))
          : disk.extents(1000, length, 10);
    const expected = { reason: 'protocol', errno: 'EPROTO', disk: disk.name } as const;
    await Promise.all([
      rejectsCode(other, IsmioError, 'ERR_ISMIO_NBD', expected),
      what === 'a reply behind the reply' ? asked : rejectsCode(asked, IsmioError, 'ERR_ISMIO_NBD', expected),
    ]);
    assert.ok(isIsmioError((await lost)[0], 'ERR_ISMIO_NBD'));
    await rejectsCode(disk.flush(), IsmioError, 'ERR_ISMIO_NBD', expected);
    assert.ok(around.every((byte, i) => byte === 0xaa || (i >= 500 && i < 500 + length)));
    await disk.close();
  });
}

const hello = (flags = 3) =>
  Buffer.concat([words(0x4e42444d, 0x41474943, 0x49484156, 0x454f5054), Buffer.of(0, flags)]);
const optionAnswer = (number: number, kind: number, data = Buffer.alloc(0), length = data.length) =>
  Buffer.concat([words(...magic.optionReply, number, kind, length), data]);
const unknown = optionAnswer(option.structuredReply, optionReply.unsupported);
const about = (kind: number, ...parts: Buffer[]) =>
  optionAnswer(option.go, optionReply.info, Buffer.concat([Buffer.of(0, kind), ...parts]));
const size = (bytes: bigint, flags: number = exportFlag.hasFlags) =>
  about(info.export, wide(bytes), Buffer.of(flags >> 8, flags & 255));
const done = optionAnswer(option.go, optionReply.ack);
const go = (...parts: Buffer[]) => Buffer.concat([hello(), unknown, ...parts]);

/** All that a server says, at once, and then nothing; how it is taken. */
const negotiations: Readonly<Record<string, [bytes: Buffer, reason: string, words: RegExp]>> = {
  'no NBD at all': [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'protocol', /no NBD server/],
  'a greeting of nobody': [Buffer.concat([hello().subarray(0, 8), Buffer.alloc(10)]), 'protocol', /greeting/],
  oldstyle: [
    Buffer.concat([hello().subarray(0, 8), words(0x00420281, 0x861253), Buffer.alloc(136)]),
    'refused',
    /oldstyle/,
  ],
  'an answer with another magic': [Buffer.concat([hello(), Buffer.alloc(20, 1)]), 'protocol', /begins with/],
  'an answer to another option': [Buffer.concat([hello(), done]), 'protocol', /answers option 7/],
  'an answer of 4 GiB': [
    Buffer.concat([hello(), optionAnswer(8, 1, Buffer.alloc(0), 2 ** 32 - 1)]),
    'protocol',
    /has 4294967295 bytes/,
  ],
  'answers without an end': [go(...Array.from({ length: 80 }, () => size(1n))), 'protocol', /more than 64/],
  'an answer of a kind that is none': [go(optionAnswer(option.go, 99, Buffer.alloc(5))), 'protocol', /with 99/],
  'an export without a size': [go(done), 'protocol', /how large/],
  'an export of half a size': [go(about(info.export, Buffer.alloc(5)), done), 'protocol', /how large/],
  'an export of 2^63 bytes': [go(size(2n ** 63n), done), 'protocol', /9223372036854775808 bytes/],
  'flags that are none': [go(size(512n, 0), done), 'protocol', /flags/],
  'blocks of no bytes': [
    go(size(512n), about(info.blockSize, words(0, 4096, 4096)), done),
    'protocol',
    /block sizes of 0/,
  ],
  'blocks of three bytes': [
    go(size(512n), about(info.blockSize, words(3, 4096, 4096)), done),
    'protocol',
    /block sizes of 3/,
  ],
  'blocks larger than requests': [
    go(size(512n), about(info.blockSize, words(1024, 1024, 512)), done),
    'protocol',
    /block sizes/,
  ],
  'blocks of which the size is none': [
    go(size(513n), about(info.blockSize, words(512, 512, 512)), done),
    'protocol',
    /513 bytes/,
  ],
  'block sizes in too few bytes': [go(size(512n), about(info.blockSize, words(1)), done), 'protocol', /in 6 bytes/],
  'a refusal with words that move the cursor': [
    go(optionAnswer(option.go, optionReply.policy, Buffer.from('no\u001b[2J'))),
    'refused',
    /forbids it \(no\\u001b\[2J\)/,
  ],
  'a refusal of no kind': [go(optionAnswer(option.go, 0xffff_ffff)), 'refused', /error 0xffffffff/],
  'a context that nobody wanted': [
    Buffer.concat([
      ...[hello(), optionAnswer(option.structuredReply, optionReply.ack)],
      optionAnswer(
        option.setMetaContext,
        optionReply.metaContext,
        Buffer.concat([words(1), Buffer.from('qemu:dirty')]),
      ),
      optionAnswer(option.setMetaContext, optionReply.ack),
    ]),
    'protocol',
    /metadata context/,
  ],
};

for (const [what, [bytes, reason, text]] of Object.entries(negotiations)) {
  test(`a server that says ${what} is left, with the reason`, async (t) => {
    let left: Promise<unknown> | undefined;
    const uri = await listening(t, (socket) => {
      left = once(socket, 'close');
      socket.resume().on('end', () => socket.destroy());
      socket.write(bytes);
    });
    const { message } = await rejectsCode(openNbd(uri), IsmioError, 'ERR_ISMIO_NBD', { reason });
    assert.match(message, text);
    await left;
  });
}

test('a server that ends in the middle of its greeting, of an option, or of the answer to EXPORT_NAME', async (t) => {
  const byName = Buffer.concat([hello(2), Buffer.alloc(9)]);
  for (const [bytes, reason] of [
    [Buffer.alloc(0), 'lost'],
    [hello().subarray(0, 17), 'lost'],
    [go(size(512n)).subarray(0, -1), 'lost'],
    [byName, 'refused'],
  ] as const) {
    const uri = await listening(t, (socket) => socket.resume().end(bytes));
    await rejectsCode(openNbd(uri), IsmioError, 'ERR_ISMIO_NBD', { reason });
  }
});

test('what comes in the clear behind the answer to STARTTLS ends it', async (t) => {
  const yes = optionAnswer(option.startTls, optionReply.ack);
  const uri = await listening(t, (socket) => socket.resume().write(Buffer.concat([hello(), yes, unknown])));
  const { message } = await rejectsCode(openNbd(uri, { tls: {} }), IsmioError, 'ERR_ISMIO_NBD', { reason: 'protocol' });
  assert.match(message, /in the clear/);
});

test('a server that says nothing: the time ends it, or the signal, before TLS, in it, and before the size', async (t) => {
  const yes = optionAnswer(option.startTls, optionReply.ack);
  for (const bytes of [Buffer.alloc(0), hello(), Buffer.concat([hello(), yes])]) {
    const uri = (await listening(t, (socket) => socket.resume().write(bytes))).replace('nbd', 'nbds');
    await rejectsCode(openNbd(uri, { timeout: 20 }), IsmioError, 'ERR_ISMIO_NBD', {
      reason: 'timeout',
      errno: 'ETIMEDOUT',
    });
    const ending = new AbortController();
    const opening = openNbd(uri, { signal: ending.signal });
    setTimeout(() => ending.abort(new Error('enough')), 20);
    const { cause } = await rejectsCode(opening, IsmioError, 'ERR_ISMIO_ABORTED');
    assert.equal((cause as Error).message, 'enough');
    await rejectsCode(openNbd(uri, { signal: ending.signal }), IsmioError, 'ERR_ISMIO_ABORTED');
  }
});

test('a server that dies with a hundred requests in flight: each of them fails, once', async (t) => {
  for (const dies of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.end(Buffer.alloc(10, 0x67))]) {
    let taken = 0;
    const uri = await handMade(t, {}, (_, { socket }) => {
      if (++taken === 50) dies(socket);
    });
    const disk = await openNbd(uri);
    let told = 0;
    disk.on('lost', () => told++);
    const all = Array.from({ length: 100 }, (_, i) =>
      i % 2 === 0 ? disk.read(i * 100, Buffer.alloc(100)) : disk.write(i * 100, Buffer.alloc(100)),
    );
    for (const one of all) await rejectsCode(one, IsmioError, 'ERR_ISMIO_NBD', { reason: 'lost' });
    assert.deepEqual([told, disk.stats().inFlight], [1, 0]);
    await disk.close();
  }
});

test('a server that stops answering is given up after the time of silence, and one with nothing to say is not', async (t) => {
  const uri = await handMade(t, {}, (taken, { socket, structured }) => {
    if (taken.offset === 0) socket.write(answered(taken, structured));
  });
  const disk = await openNbd(uri, { silence: 40 });
  await sleep(100);
  await disk.read(0, Buffer.alloc(5));
  const expected = { reason: 'timeout', errno: 'ETIMEDOUT' };
  await rejectsCode(disk.read(1, Buffer.alloc(5)), IsmioError, 'ERR_ISMIO_NBD', expected);
  await disk.close();
});

test('close and the signal end what a server does not answer, within the grace; what it says later goes nowhere', async (t) => {
  for (const bySignal of [false, true]) {
    let late: () => void = () => undefined;
    const uri = await handMade(t, {}, (taken, { socket, structured }) => {
      // The end of the bytes comes when nobody waits for them any more.
      const bytes = answered(taken, structured);
      socket.write(bytes.subarray(0, -32));
      late = () => socket.write(bytes.subarray(-32));
    });
    const ending = new AbortController();
    const disk = await openNbd(uri, { grace: 50, signal: ending.signal });
    const target = Buffer.alloc(64, 0xaa);
    const reading = disk.read(0, target);
    while (target[0] !== 0) await sleep(1);
    const begun = performance.now();
    if (bySignal) ending.abort();
    const closing = disk.close();
    await rejectsCode(reading, IsmioError, 'ERR_ISMIO_CLOSED');
    late();
    await closing;
    assert.ok(performance.now() - begun < patience(5000));
    assert.ok(target.subarray(32).every((byte) => byte === 0xaa));
  }
});

/** Takes a part of the first write, and answers it so. */
async function hasty(t: TestContext, ...replies: Buffer[]): Promise<{ uri: string; goOn: () => void }> {
  let goOn: () => void = () => undefined;
  const uri = await listening(t, (socket) => {
    socket.write(Buffer.concat([hello(), unknown, size(2n ** 26n), done]));
    let heard = 0;
    const taken = (bytes: Buffer) => {
      heard += bytes.length;
      if (heard < 2 ** 16) return;
      socket.pause().off('data', taken);
      socket.write(Buffer.concat(replies));
    };
    socket.on('data', taken);
    goOn = () => socket.resume();
  });
  return { uri, goOn: () => goOn() };
}

test('a write that is answered before it was taken is not done: its memory is still being sent', async (t) => {
  const { uri, goOn } = await hasty(t, simple(wide(1)));
  const disk = await openNbd(uri, { grace: 20 });
  let isDone = false;
  const writing = disk.write(0, Buffer.alloc(2 ** 25)).then(() => {
    isDone = true;
  });
  await sleep(60);
  assert.equal(isDone, false);
  goOn();
  await writing;
  await disk.close();
});

test('a write that is answered twice before it was taken ends the connection', async (t) => {
  const { uri } = await hasty(t, simple(wide(1)), simple(wide(1)));
  const disk = await openNbd(uri, { grace: 20 });
  const writing = disk.write(0, Buffer.alloc(2 ** 25));
  await rejectsCode(writing, IsmioError, 'ERR_ISMIO_NBD', { reason: 'protocol' });
  await disk.close();
});

test('replies that are cut, changed or joined at random: each request ends, as it should or with a stable code', async (t) => {
  const seed = Number(process.env['ISMIO_SEED'] ?? 17);
  const random = sequence(seed);
  const spoiled = (bytes: Buffer): Buffer => {
    const at = random(bytes.length);
    switch (random(5)) {
      case 0:
        return bytes.subarray(0, at);
      case 1:
        return Buffer.concat([bytes.subarray(0, at), Buffer.of(random(256)), bytes.subarray(at)]);
      case 2:
        return Buffer.concat([bytes, bytes.subarray(0, at)]);
      default: {
        // Of the header, where most is said.
        const changed = Buffer.from(bytes);
        changed[random(Math.min(changed.length, 40))] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)] as number;
        return changed;
      }
    }
  };
  const uri = await handMade(t, {}, (taken, { socket, structured }) => {
    const bytes = answered(taken, structured);
    if (random(4) > 0) socket.write(bytes);
    else {
      socket.write(spoiled(bytes));
      if (random(2) === 0) socket.end();
    }
  });
  let broken = 0;
  for (let round = 0; round < scaled(150); round++) {
    const disk = await openNbd(uri, { silence: 30, grace: 1 });
    const around = Buffer.alloc(3000, 0xaa);
    const asked = [
      disk.read(4096, around.subarray(1000, 2000)),
      disk.write(random(9000), Buffer.alloc(1 + random(3000))),
      disk.extents(0, 1 + random(100_000), 100),
      disk.zero(random(1000), 700),
      disk.flush(),
    ];
    for (const one of await Promise.allSettled(asked)) {
      if (one.status === 'fulfilled') continue;
      const { code } = one.reason as IsmioError;
      assert.ok(code === 'ERR_ISMIO_NBD' || code === 'ERR_ISMIO_DISK', `seed ${seed}, round ${round}: ${one.reason}`);
      if (code === 'ERR_ISMIO_NBD') broken++;
    }
    assert.ok(
      around.subarray(0, 1000).every((byte) => byte === 0xaa) && around.subarray(2000).every((byte) => byte === 0xaa),
    );
    await disk.close();
  }
  assert.ok(broken > 0);
});
