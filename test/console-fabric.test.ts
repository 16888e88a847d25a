// A fabric that is killed while a console talks, and comes back at the same sockets: nothing that the server has read is lost unsaid.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openVfioUser } from 'ismio';
import { attachConsole, type ConsoleClient, serveConsoles } from 'ismio/console';
import { openIsm } from 'ismio/ism';
import { env, main } from './support/console-house.js';
import { TestLine, until } from './support/console-line.js';
import { sequence } from './support/random.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-console-fabric-'));
let fabric: ChildProcess | null = null;
after(async () => {
  await killed();
  rmSync(folder, { recursive: true });
});

async function begun(): Promise<void> {
  const words = ['ism', 'serve', '--json', '--dir', folder, '--gid', '1', '2', '3'];
  const child = spawn(process.execPath, [main, ...words], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  fabric = child;
  const [said] = (await Promise.race([once(child.stdout, 'data'), once(child, 'close')])) as [unknown];
  assert.match(String(said), /^\{"event":/);
  child.stdout.resume();
}

async function killed(): Promise<void> {
  if (fabric === null) return;
  const over = once(fabric, 'close');
  fabric.kill('SIGKILL');
  await over;
  fabric = null;
}

/** What a line says at a position. */
function speech(position: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (position + index) * 31 + ((position + index) >> 8)));
}

/** Says pieces of all lengths until it is told to stop. */
function talking(lines: readonly TestLine[]) {
  const below = sequence(20_261_130);
  let said = 0;
  const timer = setInterval(() => {
    const piece = speech(said, 1 + below(6000));
    said += piece.length;
    for (const line of lines) line.say(piece);
  }, 1);
  return { said: () => said, [Symbol.dispose]: () => clearInterval(timer) };
}

/** Holds what a client hears against what was said: each byte follows the one before it, or a gap. */
function heardBy(client: ConsoleClient) {
  const heard = { position: 0, missing: 0, wrong: '' };
  client.on('data', (bytes, offset) => {
    const isRight = Number(offset) === heard.position && speech(heard.position, bytes.length).equals(bytes);
    if (!isRight) heard.wrong ||= `${bytes.length} bytes of ${offset} came, at ${heard.position}`;
    heard.position += bytes.length;
  });
  client.on('gap', (from, bytes) => {
    if (Number(from) !== heard.position)
      heard.wrong ||= `a gap of ${bytes} bytes at ${from} came, at ${heard.position}`;
    heard.position += Number(bytes);
    heard.missing += Number(bytes);
  });
  return heard;
}

test('a fabric that is killed in mid-output and comes back: each byte is there once and in order, or a gap says how many are not', async () => {
  await begun();
  const open = (index: number) => async () => openIsm(openVfioUser(join(folder, `${index}.sock`)));
  const [kept, dropped] = [new TestLine(), new TestLine()];
  using server = await serveConsoles(open(0), {
    consoles: [
      { name: 'kept', line: kept.open, history: 2 ** 24 },
      { name: 'dropped', line: dropped.open, history: 4096 },
    ],
  });
  using first = await attachConsole(open(1), 1n, { name: 'kept', replay: 'none' });
  using second = await attachConsole(open(2), 1n, { name: 'dropped', replay: 'none' });
  const [all, some] = [heardBy(first), heardBy(second)];
  {
    using talk = talking([kept, dropped]);
    await until(() => all.position > 0 && some.position > 0, 'both hear it');
    await killed();
    await until(() => first.state === 'lost' && second.state === 'lost', 'both know that it has gone');
    const lost = talk.said();
    await until(() => talk.said() > lost + 50_000, 'more was said than the one history keeps');
    await begun();
    await until(() => first.state === 'open' && second.state === 'open', 'both are there again');
    const back = talk.said();
    await until(() => all.position > back && some.position > back, 'both hear it again');
  }
  assert.deepEqual([first.role, second.role], ['write', 'write']);
  const { end } = server.consoles[0] as { end: number };
  await until(() => all.position === end && some.position === end, `all that was said, ${end} bytes`);
  assert.deepEqual([all.wrong, all.missing, some.wrong], ['', 0, '']);
  assert.ok(some.missing > 0, 'what was not kept was told');
});
