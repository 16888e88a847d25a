// ismio console attach: this terminal, or a pipe, is the near end of a console.
import { execFileSync } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { constants } from 'node:os';
import { Command, Option } from 'commander';
import type * as consoles from 'ismio/console';
import type { ConsoleClient, ConsoleRecorder } from 'ismio/console';
import { atExit } from '../support/exit.js';
import { harmless } from '../support/text.js';
import { ConsoleOutput } from './console-output.js';
import { Escapes } from './escapes.js';
import { usageError } from './failure.js';
import { addPeerOptions, commonOf, opener, type PeerOptions, parseSeconds } from './function-options.js';
import { parseCount } from './numbers.js';

interface Options extends PeerOptions {
  view?: boolean;
  force?: string;
  escape: string;
  last?: number;
  log?: string;
  record?: string;
  cast?: 2 | 3;
  script?: string;
  reconnect: number;
  linger: number;
}

const notes = `
At the beginning of a line (behind Enter) a tilde and a key are for this end:
  ~.  leave          ~b  send a break       ~f  write, whoever does    ~v  look on
  ~?  these keys     ~s  how it stands      ~w  write if nobody does   ~~  a tilde

Without a terminal, what comes on the standard input is typed, and output goes to the standard output; it ends --linger seconds
after both are quiet, or with the command. Exit codes: the command's where it has ended (128 and the signal's number where a
signal did), 0 where this end has left, 1 where the console could not be had or was lost.

Examples:
  ismio console attach --device vfio-user:/tmp/fabric/1.sock --peer 1
  echo 'uptime' | ismio console attach --device vfio-user:/tmp/fabric/1.sock --peer 1`;

export function attachCommand(): Command {
  return addPeerOptions(new Command('attach'))
    .description('attach this terminal, or a pipe, to a console')
    .argument('[name]', 'which, where there are several')
    .option('--view', 'look on, and never write')
    .option('--force <reason>', 'write even if somebody does, who is told the reason')
    .option('--last <bytes>', 'begin with so much of what was said, and not with the screen', parseCount)
    .option('--log <path>', 'the output, byte for byte, behind what the file has')
    .option('--record <path>', 'a recording of the session as an asciicast, with sizes and gaps')
    .addOption(new Option('--cast <version>', 'of the asciicast (default: 2)').choices(['2', '3']).argParser(Number))
    .option('--script <path>', 'the output in this file, and PATH.timing beside it, for scriptreplay')
    .option('--escape <character>', 'instead of the tilde; nothing: none', '~')
    .option('--reconnect <seconds>', 'look for a console that was lost so long', parseSeconds, 60)
    .option('--linger <seconds>', 'without a terminal: wait for more output so long', parseSeconds, 1)
    .addHelpText('after', notes)
    .action(attach);
}

async function attach(name: string | undefined, options: Options): Promise<void> {
  const { view, force, last, reconnect, peer } = options;
  if (view === true && force !== undefined) throw usageError('--view and --force do not go together');
  if (!/^[\x20-\x7e]?$/.test(options.escape))
    throw usageError(`--escape is one ASCII character, not ${JSON.stringify(options.escape)}`);
  // What comes first is heard: nothing is waited for between attaching and listening.
  const library = await import('ismio/console');
  const client = await library.attachConsole(await opener(options), peer, {
    ...commonOf(options),
    ...(name !== undefined && { name }),
    role: view === true ? 'view' : force === undefined ? 'write' : 'force',
    ...(force !== undefined && { reason: force }),
    replay: last !== undefined ? { last } : process.stdout.isTTY ? 'screen' : 'none',
    size: windowSize(),
    reconnect: reconnect * 1000,
  });
  const output = new ConsoleOutput(client);
  const log = options.log === undefined ? null : keepLog(client, output, options.log);
  const recorders = recorded(library, client, options);
  let status = await (process.stdin.isTTY ? interactive(client, output, options) : piped(client, output, options));
  for (const recorder of recorders) {
    await recorder.close().catch(() => {
      status ||= 1; // which was told when it failed
    });
  }
  if (log?.closed === false) await new Promise<void>((resolve) => log.once('close', resolve).end());
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  process.exit(status);
}

function windowSize() {
  const { columns = 0, rows = 0 } = process.stdout;
  return { columns, rows, xPixels: 0, yPixels: 0 };
}

function keepLog(client: ConsoleClient, output: ConsoleOutput, path: string): WriteStream {
  const file = createWriteStream(path, { flags: 'a', mode: 0o600 });
  file.on('error', (error) => say(`the log cannot be written: ${error.message}`));
  client.on('data', (bytes) => output.write(file, bytes));
  return file;
}

/** A recording ends with the console, whatever ends it. */
function recorded(
  { recordAsciicast, recordScript }: typeof consoles,
  client: ConsoleClient,
  { record, cast = 2, script }: Options,
): ConsoleRecorder[] {
  const failed = (error: Error): void => say(`the recording has ended: ${error.message}`);
  const file = (path: string): WriteStream => createWriteStream(path, { mode: 0o600 });
  const made: ConsoleRecorder[] = [];
  if (record !== undefined) made.push(recordAsciicast(client, file(record), { version: cast, failed }));
  if (script !== undefined) {
    made.push(recordScript(client, { timing: file(`${script}.timing`), output: file(script) }, { failed }));
  }
  return made;
}

/** What this end has to say, apart from the console's output. */
function say(text: string): void {
  process.stderr.write(
    `${process.stderr.isTTY ? '\r\n' : ''}[ismio: ${harmless(text)}]${process.stderr.isTTY ? '\r\n' : '\n'}`,
  );
}

/** Resolved with the exit code, when the command has ended for good, the console has closed or was lost. */
function ended(client: ConsoleClient): Promise<number> {
  return new Promise((resolve) => {
    let status = 0;
    client.on('exit', ({ status: code, signal }) => {
      const number = signal === null ? 0 : (constants.signals[signal as NodeJS.Signals] ?? 0);
      status = signal === null ? (code ?? 0) : 128 + number;
      const how = signal === null ? `returned ${code}` : `was ended by ${signal}`;
      say(`the command ${how}${client.next === 'restart' ? '; it is started again' : ''}`);
      if (client.next !== 'restart') client.close();
    });
    client.on('error', (error) => {
      status = 1;
      say(error.message);
    });
    client.on('close', () => {
      if (client.closedBy !== null) say(client.closedBy);
      resolve(status);
    });
  });
}

function tellChanges(client: ConsoleClient): void {
  client.on('role', (role, reason) =>
    say(`${role === 'write' ? 'you write' : 'you look on'}${reason === '' ? '' : `: ${reason}`}`),
  );
  client.on('notice', (text) => say(text));
  tellGaps(client);
}

function tellGaps(client: ConsoleClient): void {
  client.on('gap', (_, bytes) => say(`${bytes} bytes of output are not kept any more`));
  client.on('state', (state) => {
    if (state === 'lost') say('the console was lost; it is looked for');
    else if (state === 'open') say('the console is there again');
  });
}

const keys = '?.bsfvw';
const help = `
[ismio: at the beginning of a line:
  ~.  leave             ~b  send a break    ~f  write, whoever does
  ~s  how it stands     ~v  look on         ~w  write if nobody does
  ~?  these keys        ~~  a tilde]
`.replaceAll('\n', '\r\n');

/** Colours, cursor, alternate screen, mouse and pasting as a terminal has them when it is new. */
const restored =
  '\x1b[23;0t\x1b[0m\x1b[?25h\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>';

async function interactive(client: ConsoleClient, output: ConsoleOutput, options: Options): Promise<number> {
  const { stdin, stdout } = process;
  const escapes = new Escapes(options.escape);
  tellChanges(client);
  client.on('screen', (bytes) => output.write(stdout, bytes));
  client.on('data', (bytes) => output.write(stdout, bytes));
  makeRaw();
  const restore = atExit(() => stdout.write(restored));
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => client.close());
  stdout.on('resize', () => client.resize(windowSize()));
  const acts: Record<string, () => void> = {
    '?': () => void stdout.write(help),
    '.': () => client.close(),
    b: () => client.sendBreak(),
    f: () => client.request('write', 'taken over by hand'),
    v: () => client.request('view'),
    w: () => client.request('write'),
    s: () => void stands(client).catch((error: Error) => say(error.message)),
  };
  stdin.on('data', (bytes: Uint8Array) => {
    for (const typed of escapes.take(bytes, keys)) {
      if (typed.what === 'command') acts[typed.key]?.();
      else if (!client.write(typed.bytes)) stdout.write('\x07');
    }
  });
  stdout.write(`\x1b[22;0t\x1b]0;${harmless(client.name)}: Enter ~? shows the keys\x07`);
  const status = await ended(client);
  stdin.setRawMode(false);
  stdin.pause();
  stdout.write(restored);
  restore();
  return status;
}

/**
 * Neither end of the line changes a byte. Node.js has the terminal turn a line feed into two characters still (ONLCR: libuv,
 * uv_tty_set_mode in src/unix/tty.c), which moves the cursor of a program that meant it alone; setRawMode(false) takes all of it back.
 */
function makeRaw(): void {
  process.stdin.setRawMode(true);
  try {
    execFileSync('stty', ['-opost'], { stdio: ['inherit', 'pipe', 'pipe'] });
  } catch (error) {
    say(`line feeds may be shown as new lines: ${(error as Error).message.trim()}`);
  }
}

async function stands(client: ConsoleClient): Promise<void> {
  const { name, role, size, state } = client;
  const place = `position ${client.position?.from ?? 'unknown'}, ${size.columns} by ${size.rows}`;
  const way = state === 'open' ? `${((await client.ping()) * 1000).toFixed(0)} us to the server and back` : state;
  say(`${name}: ${role === 'write' ? 'you write' : 'you look on'}, ${place}, ${way}`);
}

/** Keys come from a pipe or a file, as fast as the console takes them. */
async function piped(client: ConsoleClient, output: ConsoleOutput, { linger }: Options): Promise<number> {
  const { stdin, stdout } = process;
  const over = ended(client);
  let timer: NodeJS.Timeout | null = null;
  let isOver = false;
  const quiet = (): void => {
    if (!isOver) return;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => (output.isWaiting ? quiet() : client.close()), linger * 1000);
  };
  client.on('data', (bytes) => {
    quiet();
    output.write(stdout, bytes);
  });
  tellGaps(client);
  client.on('role', (role, reason) => {
    if (role === 'view') say(`nothing is typed: ${reason}`);
  });
  stdin.on('data', (bytes: Uint8Array) => {
    if (client.write(bytes) || client.role !== 'write') return;
    stdin.pause();
    stdin.unshift(bytes);
    client.once('drain', () => stdin.resume());
  });
  stdin.on('end', () => {
    isOver = true;
    quiet();
  });
  return over;
}
