// The messages of consoles as bytes: written by hand, and what is read back of any. They are the same on a big-endian machine, where
// this file is run too (the section s390x of .ci/run leaves out what begins with `console`).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isIsmioError } from 'ismio';
import { decode, fromClient, fromServer, protocol } from '../src/console/wire.js';
import { proofOf } from '../src/ism/talk/key.js';
import { encode, longestText } from '../src/ism/talk/messages.js';
import { thrownBy } from './support/errors.js';

const nonce = Buffer.alloc(32, 0xab);
const attachment = Buffer.alloc(32, 0xcd);
const size = { columns: 0x0102, rows: 0x0304, xPixels: 0x0506, yPixels: 0x0708 };
const nonceHex = 'ab'.repeat(32);
const sizeHex = '0102030405060708';

const byHand: readonly [object, string, object, string][] = [
  [
    fromClient,
    'hello',
    {
      ...{ version: 1, role: 2, replay: 3, reserved: 0, life: 0x1112131415161718n, offset: 0x2122232425262728n },
      ...{ ...size, nonce, attachment, name: 'ab', reason: 'é' },
    },
    `010102030011121314151617182122232425262728${sizeHex}${nonceHex}${'cd'.repeat(32)}000261620002c3a9`,
  ],
  [fromClient, 'list', { version: 1, nonce }, `0201${nonceHex}`],
  [fromClient, 'proof', { proof: nonce }, `03${nonceHex}`],
  [fromClient, 'keys', { bytes: Buffer.from('00ff', 'hex') }, '1000ff'],
  [fromClient, 'resize', size, `11${sizeHex}`],
  [fromClient, 'break', {}, '12'],
  [fromClient, 'ask', { role: 1, reason: '' }, '13010000'],
  [fromClient, 'ping', { token: 0x01020304 }, '1401020304'],
  [fromServer, 'challenge', { version: 1, nonce }, `8101${nonceHex}`],
  [
    fromServer,
    'welcome',
    {
      version: 1,
      role: 1,
      life: 3n,
      start: 4n,
      end: 0x0102030405060708n,
      ...size,
      proof: nonce,
      name: 'n',
      reason: '',
    },
    `820101000000000000000300000000000000040102030405060708${sizeHex}${nonceHex}00016e0000`,
  ],
  [fromServer, 'refused', { code: 7, reason: 'r' }, '8307000172'],
  [
    fromServer,
    'item',
    { state: 1, viewers: 0x0203, writer: 0x11n, start: 0n, end: 1n, ...size, name: 'n', line: 'l' },
    `84010203000000000000001100000000000000000000000000000001${sizeHex}00016e00016c`,
  ],
  [fromServer, 'items', { count: 0x0102 }, '850102'],
  [fromServer, 'data', { offset: 0x0102030405060708n, bytes: Buffer.from('hi') }, '9001020304050607086869'],
  [fromServer, 'screen', { offset: 2n, bytes: Buffer.from('hi') }, '9100000000000000026869'],
  [fromServer, 'gap', { from: 1n, bytes: 2n }, '9200000000000000010000000000000002'],
  [fromServer, 'size', size, `93${sizeHex}`],
  [fromServer, 'role', { role: 0, reason: 'no' }, '940000026e6f'],
  [fromServer, 'notice', { text: 'n' }, '9500016e'],
  [fromServer, 'exit', { how: 0, status: -2, next: 1 }, '9600fffffffe01'],
  [fromServer, 'pong', { token: 0xfffefdfc }, '97fffefdfc'],
];

test('each message is the bytes that docs/console-protocol.md says, and is read back', () => {
  const names = [...Object.keys(fromClient), ...Object.keys(fromServer)];
  assert.deepEqual(
    byHand.map(([, name]) => name),
    names,
  );
  for (const [table, name, values, hex] of byHand) {
    const record = encode(table as typeof fromClient, name as 'hello', values as never);
    assert.equal(record.toString('hex'), hex, name);
    assert.deepEqual(decode(table as typeof fromClient, record), { name, values }, name);
  }
});

test('a message that was cut at any length, or has more behind it, is a breach', () => {
  for (const [table, name, , hex] of byHand) {
    const whole = Buffer.from(hex, 'hex');
    const rest = ['keys', 'data', 'screen'].includes(name);
    for (let length = 0; length < (rest ? hex.length / 2 - 2 : whole.length); length++) {
      if (name === 'keys' && length > 0) continue;
      const error = thrownBy(() => decode(table as typeof fromClient, whole.subarray(0, length)));
      assert.ok(isIsmioError(error, 'ERR_ISMIO_CONSOLE') && error['reason'] === 'protocol', `${name}, ${length} bytes`);
    }
    if (rest) continue;
    thrownBy(() => decode(table as typeof fromClient, Buffer.concat([whole, Buffer.of(0)])));
  }
});

const kinds = {
  u8: fc.integer({ min: 0, max: 255 }),
  u16: fc.integer({ min: 0, max: 65_535 }),
  i32: fc.integer(),
  u32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  nonce: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
  text: fc.string({ unit: 'grapheme', maxLength: 30 }),
  rest: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
} as const;

test('what is read of a message is what was written, whatever its values', () => {
  for (const table of [fromClient, fromServer] as const) {
    for (const [name, { fields }] of Object.entries(table)) {
      const values = fc.record(
        Object.fromEntries(Object.entries(fields).map(([field, kind]) => [field, kinds[kind as keyof typeof kinds]])),
      );
      fc.assert(
        fc.property(values, (one) => {
          const record = encode(table as typeof fromClient, name as 'hello', one as never);
          assert.deepEqual(decode(table as typeof fromClient, record), { name, values: { ...one } });
        }),
        { numRuns: 50 },
      );
    }
  }
});

test('a text that is too long is cut between characters', () => {
  const record = encode(fromServer, 'notice', { text: 'é'.repeat(longestText) });
  const { values } = decode(fromServer, record) as { values: { text: string } };
  assert.equal(values.text, 'é'.repeat(longestText / 2));
  const odd = encode(fromServer, 'notice', { text: `a${'é'.repeat(longestText)}` });
  assert.equal(odd.readUInt16BE(1), longestText - 1);
});

test('a proof is the bytes that docs/console-protocol.md says', () => {
  const gids = { clientGid: 0x0102030405060708n, serverGid: 0x1112131415161718n };
  const shake = { protocol, clientNonce: nonce, serverNonce: attachment, ...gids, name: 'é' };
  const key = Buffer.from('a key of 16 bytes');
  // By Python's hmac and struct.
  const client = 'f9d36ba6c16f0947ee6600b1c471193281bba23819118226030786fe599447cc';
  const server = 'c4268ac12c5fade0b1b0411293c19800e20256a7724cd8d0d23c77f14966f1c3';
  assert.equal(proofOf(key, 'client', shake).toString('hex'), client);
  assert.equal(proofOf(key, 'server', shake).toString('hex'), server);
});
