// ismio console: consoles of other functions, and the server of one's own.
import { Command } from 'commander';
import type { ConsoleClient } from 'ismio/console';
import { harmless } from '../support/text.js';
import { attachCommand } from './console-attach.js';
import { ConsoleOutput } from './console-output.js';
import { consoleServeCommand } from './console-serve.js';
import { webCommand } from './console-web.js';
import { usageError } from './failure.js';
import { refuseOthers } from './family.js';
import { addPeerOptions, commonOf, opener, type PeerOptions } from './function-options.js';
import { parseCount, parseWhole } from './numbers.js';
import { count, print, printJson } from './output.js';

const notes = `
Without hardware, in two terminals:
  ismio ism serve --gid 1 --gid 2 --dir /tmp/fabric &
  ismio console serve --device vfio-user:/tmp/fabric/0.sock -- bash
  ismio console attach --device vfio-user:/tmp/fabric/1.sock --peer 1`;

export function consoleCommand(): Command {
  return refuseOthers(
    new Command('console')
      .summary('serve a terminal to another ISM function, and attach to one')
      .description('a remote console over ISM: one writes, any number look on, and what was said meanwhile is there')
      .addCommand(consoleServeCommand())
      .addCommand(attachCommand())
      .addCommand(listCommand())
      .addCommand(sendCommand())
      .addCommand(logCommand())
      .addCommand(webCommand())
      .addHelpText('after', notes),
  );
}

function listCommand(): Command {
  return addPeerOptions(new Command('list'))
    .description('show the consoles that a function serves')
    .option('--json', 'print JSON')
    .action(listThem);
}

async function listThem(options: PeerOptions & { json?: boolean }): Promise<void> {
  const { listConsoles } = await import('ismio/console');
  const ism = await (await opener(options))();
  try {
    const consoles = await listConsoles(ism, options.peer, commonOf(options));
    if (options.json === true) {
      printJson(
        consoles.map((one) => ({ ...one, start: Number(one.start), end: Number(one.end), writer: gid(one.writer) })),
      );
      return;
    }
    for (const { name, state, line, writer, viewers, size, start, end } of consoles) {
      print(`${harmless(name)}  ${state}  ${size.columns}x${size.rows}  ${harmless(line)}`);
      const who = writer === null ? 'nobody writes' : `function ${gid(writer)} writes`;
      print(
        `  ${who}, ${count(viewers, 'viewer')}; ${count(Number(end - start), 'byte')} kept of ${count(Number(end), 'byte')}`,
      );
    }
  } finally {
    ism.close();
  }
}

function gid(number: bigint | null): string | null {
  return number === null ? null : `0x${number.toString(16)}`;
}

interface SendOptions extends PeerOptions {
  name?: string;
  newline: boolean;
  force?: string;
}

function sendCommand(): Command {
  return addPeerOptions(new Command('send'))
    .description('send words to a console as if they were typed, and Enter behind them')
    .argument('<text...>', 'what is typed')
    .option('--name <name>', 'which console, where there are several')
    .option('--no-newline', 'no Enter behind them')
    .option('--force <reason>', 'even if somebody writes, who is told the reason')
    .action(sendText);
}

async function sendText(words: string[], options: SendOptions): Promise<void> {
  const { attachConsole } = await import('ismio/console');
  const { name, force, newline, peer } = options;
  const ism = await (await opener(options))();
  const role = force === undefined ? 'write' : 'force';
  const wishes = {
    role,
    replay: 'none',
    reconnect: 0,
    ...(name !== undefined && { name }),
    ...(force && { reason: force }),
  } as const;
  try {
    const client = await attachConsole(ism, peer, { ...commonOf(options), ...wishes });
    if (client.role !== 'write') throw usageError('somebody else writes there: --force REASON takes over');
    await typed(client, `${words.join(' ')}${newline ? '\r' : ''}`);
    client.close();
  } finally {
    ism.close();
  }
}

/** The server has taken it: what it is asked behind it was answered. */
async function typed(client: ConsoleClient, text: string): Promise<void> {
  client.write(text);
  await client.ping();
}

interface LogOptions extends PeerOptions {
  name?: string;
  since?: bigint;
  last?: number;
  follow?: boolean;
}

function logCommand(): Command {
  return addPeerOptions(new Command('log'))
    .description('print what a console has said, as it is kept, to the standard output')
    .option('--name <name>', 'which console, where there are several')
    .option('--since <position>', 'from this byte on (default: all that is kept)', parseWhole)
    .option('--last <bytes>', 'the last of it', parseCount)
    .option('--follow', 'and what it says from now on')
    .action(printLog);
}

async function printLog(options: LogOptions): Promise<void> {
  const { attachConsole } = await import('ismio/console');
  const { name, since = 0n, last, follow, peer } = options;
  const ism = await (await opener(options))();
  const replay = last === undefined ? ({ from: since, life: 0n } as const) : { last };
  const wishes = { role: 'view', replay, reconnect: 0, ...(name !== undefined && { name }) } as const;
  try {
    const client = await attachConsole(ism, peer, { ...commonOf(options), ...wishes });
    const { start, end } = client.history;
    const isNothing = follow !== true && (last === 0 || since >= end || start === end);
    if (!isNothing) await printed(client, follow === true ? null : end);
    client.close();
  } finally {
    ism.close();
  }
}

/** Prints what comes, up to this position if there is one. */
function printed(client: ConsoleClient, end: bigint | null): Promise<void> {
  const output = new ConsoleOutput(client);
  return new Promise((resolve, reject) => {
    const reached = (): void => {
      if (end !== null && (client.position?.from ?? 0n) >= end) resolve();
    };
    client.on('error', reject).on('close', resolve);
    client.on('gap', (from, bytes) => {
      process.stderr.write(`ismio: ${bytes} bytes from position ${from} on are not kept any more\n`);
      reached();
    });
    client.on('data', (bytes) => {
      output.write(process.stdout, bytes);
      reached();
    });
  });
}
