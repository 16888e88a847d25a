// One end of a session of a console, as a process: `serve` or `attach`, and the socket. It says what it has met, a line of
// JSON each, and ends with the session.
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { attachConsole, type ConsoleClient, listConsoles, serveConsoles } from 'ismio/console';
import { heardOf, TestLine, until } from './console-line.js';
import { socketIsm } from './socket-ism.js';

const [duty, path] = process.argv.slice(2) as [string, string];
const gids = { serve: 0x1122334455667788n, attach: 0x99aabbccddeeff00n };
const key = 'a key of more than sixteen bytes';

function tell(what: string, values: unknown): void {
  const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);
  console.log(JSON.stringify([what, values], plain));
}

/** Says every byte when 'go' is typed, and ends when it is told to. */
async function serve(): Promise<void> {
  const line = new TestLine('a line of numbers');
  const driver = socketIsm(path, gids.serve, gids.attach);
  const server = await serveConsoles(driver, { consoles: [{ name: 'numbers', line: line.open }], key });
  writeFileSync(`${path}-listens`, '');
  await until(() => line.typed.endsWith('go'), 'the client types');
  line.say(Uint8Array.from({ length: 256 }, (_, index) => index));
  await until(() => line.breaks === 1 && line.typed.endsWith('end'), 'the client sends a break and the last keys');
  tell('line', { keys: line.typed, sizes: line.sizes, breaks: line.breaks, writer: server.consoles[0]?.writer });
  line.end(0x0102);
  await until(() => server.consoles[0]?.writer === null, 'the client leaves');
  server.close();
}

async function attach(): Promise<void> {
  const driver = socketIsm(path, gids.attach, gids.serve);
  const size = { columns: 0x0102, rows: 0x0103, xPixels: 0x0506, yPixels: 0x0708 };
  const client: ConsoleClient = await attachConsole(driver, gids.serve, { name: 'numbers', key, size, reconnect: 0 });
  const heard = heardOf(client);
  await until(() => client.role === 'write', 'it may write');
  client.write('gräßlich, go');
  await until(() => heard.output().length === 256, 'the line answers');
  client.resize({ columns: 0x0203, rows: 0x0104 });
  await client.ping();
  client.sendBreak();
  client.write('end');
  await until(() => heard.events.some(([name]) => name === 'exit'), 'the line ends');
  const [{ life: _random, ...listed } = { life: null }] = (await listConsoles(driver, gids.serve, {
    key,
  })) as unknown as Record<string, unknown>[];
  tell('heard', { events: heard.events, output: Buffer.from(heard.output(), 'latin1').toString('hex') });
  tell('ends', { from: client.position?.from, name: client.name, size: client.size, listed });
  const left = once(client, 'close');
  client.close();
  await left;
}

console.error(endianness());
if (duty === 'attach') await until(() => existsSync(`${path}-listens`), 'somebody listens');
await (duty === 'serve' ? serve() : attach());
process.exit();
