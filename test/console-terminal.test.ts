// Consoles and real terminals: attach in one, a command in one, and a line that is one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { after, test } from 'node:test';
import { attachConsole, commandLine } from 'ismio/console';
import { consoleHouse, env } from './support/console-house.js';
import { heardOf, TestLine, until } from './support/console-line.js';

const [pty, skip] = await import('@lydell/node-pty').then(
  (found) => [found, false] as const,
  (error: Error) => [null, `no pseudo-terminals here: ${error.message}`] as const,
);
const house = await consoleHouse();
const terminals = new Set<Pty>();
after(async () => {
  for (const terminal of terminals) terminal.kill('SIGKILL');
  await house.close();
});

type Pty = import('@lydell/node-pty').IPty;

/** A command in a terminal of 90 by 30, and what it shows. */
function inTerminal(file: string, words: readonly string[]) {
  const terminal = (pty as NonNullable<typeof pty>).spawn(file, [...words], {
    ...{ cols: 90, rows: 30, encoding: null, env },
  });
  const pieces: Buffer[] = [];
  terminals.add(terminal);
  const over = new Promise<void>((resolve) => void terminal.onExit(() => resolve()));
  void over.then(() => terminals.delete(terminal));
  terminal.onData((bytes: unknown) => void pieces.push(bytes as Buffer));
  return { terminal, over, shown: () => Buffer.concat(pieces).toString('latin1') };
}

const pathOf = ({ pid }: Pty): string => readlinkSync(`/proc/${pid}/fd/0`);
const modesOf = (path: string): string => execFileSync('stty', ['-g', '-F', path]).toString().trim();

/** A shell that says how its terminal is before and after a client has it, and ends when it is told. */
const session = ['-c', 'stty -g; "$0" "$@"; echo "status $?"; stty -g; read line', process.execPath];
/** How the terminal was, each time that the shell has said it. */
const modesIn = (shown: string): string[] => [...shown.matchAll(/^([0-9a-f]+(?::[0-9a-f]+){10,})\r$/gm)].map(String);

test('in a terminal: its size reaches the command at attach and by SIGWINCH, Enter ~? shows the keys, Enter ~. leaves it as it was', {
  skip,
}, async () => {
  const tells = "trap 'stty size' WINCH; while :; do sleep 0.05; done";
  await using room = await house.served(commandLine(['sh', '-c', tells]));
  const { terminal, shown, over } = inTerminal('sh', [...session, ...house.attach()]);
  await until(() => shown().includes('30 90\r\n'), 'the size at attach');
  terminal.resize(101, 41);
  await until(() => shown().includes('41 101\r\n'), 'the size that was changed');
  const [before] = modesIn(shown());
  assert.notEqual(modesOf(pathOf(terminal)), before, 'it is raw meanwhile');
  terminal.write('\r~?');
  await until(() => /at the beginning of a line/.test(shown()), 'the keys');
  assert.equal(room.writer(), 0x22n);
  terminal.write('\r~.');
  await until(() => modesIn(shown()).length === 2, 'the terminal is the shell’s again');
  assert.match(shown(), /status 0\r/);
  assert.deepEqual(modesIn(shown()), [before, before]);
  terminal.write('\r');
  await over;
});

test('a terminal shows the very bytes, a line feed alone too, and is as it was when the client is ended by SIGTERM', {
  skip,
}, async () => {
  const line = new TestLine();
  await using room = await house.served(line.open);
  const { terminal, shown, over } = inTerminal('sh', [...session, ...house.attach()]);
  await until(() => room.writer() === 0x22n && shown().includes('you write'), 'it is there');
  line.say('[one\ntwo\r\nthree\tfour]');
  await until(() => shown().includes('four]'), 'what was said');
  assert.match(shown(), /\[one\ntwo\r\nthree\tfour\]/);
  const { pid } = terminal;
  process.kill(Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')), 'SIGTERM');
  await until(() => modesIn(shown()).length === 2, 'the terminal is the shell’s again');
  assert.match(shown(), /status 0\r/);
  assert.equal(modesIn(shown())[1], modesIn(shown())[0]);
  terminal.write('\r');
  await over;
});

test('an existing line, served by --tty, carries each of the 256 bytes both ways', { skip }, async () => {
  const { terminal, shown, over } = inTerminal('sh', ['-c', 'tty; exec sleep 600']);
  await until(() => shown().includes('\n'), 'its path');
  const path = shown().trim();
  const { child, said, told } = house.started(
    'console',
    'serve',
    ...house.device,
    '--json',
    '--tty',
    path,
    '--speed',
    '9600',
  );
  await until(() => said().includes('"event":"ready"') || child.exitCode !== null, 'it serves');
  assert.equal(child.exitCode, null, told());
  using client = await attachConsole(house.far, 0x22n, { replay: 'none', reconnect: 0 });
  const { output } = heardOf(client);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const before = shown().length;
  terminal.write(bytes as unknown as string); // it takes both, and its types know one
  assert.equal(client.write(bytes), true);
  await until(() => output().length >= 256 && shown().length >= before + 256, 'all of them');
  await client.ping();
  assert.equal(output(), bytes.toString('latin1'));
  assert.equal(shown().slice(before), bytes.toString('latin1'));
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  terminal.kill('SIGKILL');
  await over;
});
