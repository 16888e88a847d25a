// ismio console attach as a process whose output is a pipe or a file.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { consoleHouse } from './support/console-house.js';
import { TestLine, until } from './support/console-line.js';

const house = await consoleHouse();
after(() => house.close());

test('a pipe that is not read holds no output up and fills no memory: what the history has lost is told as a gap', async () => {
  const line = new TestLine();
  await using room = await house.served(line.open, { history: 65_536 });
  const { child, told } = house.attached();
  await until(() => room.writer() === 0x22n, 'it writes');
  const piece = Buffer.alloc(65_536, 'o');
  const pieces = 256;
  for (let i = 0; i < pieces; i++) {
    line.say(piece);
    await sleep(1); // in which a client that reads gets it
  }
  line.end(3);
  let read = 0;
  child.stdout.on('data', (bytes: Buffer) => (read += bytes.length));
  const [code] = (await once(child, 'close')) as [number];
  const gaps = [...told().matchAll(/(\d+) bytes of output are not kept any more/g)].map(([, bytes]) => Number(bytes));
  const missing = gaps.reduce((sum, bytes) => sum + bytes, 0);
  assert.equal(read + missing, pieces * piece.length, told());
  // The history, and what is on its way: a ring, 16 records of a stream, a mebibyte before the pipe, the pipe.
  assert.ok(read < 4 * 2 ** 20, `${read} bytes were on their way to a reader that did not read`);
  assert.equal(code, 3, told());
});

test('a log that cannot be written is told, and the session ends when its command does', async () => {
  const line = new TestLine();
  await using room = await house.served(line.open);
  const { child, told } = house.attached('--log', join(house.folder, 'none', 'output.log'));
  const over = once(child, 'close');
  await until(() => room.writer() === 0x22n && /cannot be written/.test(told()), 'it is told');
  child.stdout.resume();
  line.end(0);
  assert.deepEqual(await over, [0, null]);
});

test('what is read slowly of a console that closes is whole, where no more than a history of it waits', async () => {
  const line = new TestLine();
  await using room = await house.served(line.open, { onExit: 'close' });
  const { child, told } = house.attached();
  const gone = once(room.server, 'close');
  await until(() => room.writer() === 0x22n, 'it writes');
  line.say(Buffer.alloc(900_000, 'o'));
  await once(child.stdout, 'readable');
  line.end(3);
  await gone; // and nothing was read until now
  let read = 0;
  child.stdout.on('data', (bytes: Buffer) => (read += bytes.length));
  const [code] = (await once(child, 'close')) as [number];
  assert.deepEqual([code, read], [3, 900_000], told());
});
