// ismio console serve: a command, a serial line or a pipe as a console.
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type * as consoles from 'ismio/console';
import type { ConsoleOptions, ConsoleServer } from 'ismio/console';
import { harmless } from '../support/text.js';
import { fileError, usageError } from './failure.js';
import { addFunctionOptions, addGid, commonOf, type FunctionOptions, opener } from './function-options.js';
import { parseCount } from './numbers.js';
import { print } from './output.js';

interface Options extends FunctionOptions {
  name?: string;
  tty?: string;
  speed?: number;
  pipe?: boolean;
  config?: string;
  history?: number;
  onExit?: 'keep' | 'restart' | 'close';
  writers?: bigint[];
  viewers?: bigint[];
  json?: boolean;
}

const notes = `
COMMAND runs in a pseudo-terminal, which needs a package that makes them: npm install @lydell/node-pty (x64 and arm64), or node-pty,
which is compiled where it is installed. Whoever attaches first writes; others look on. What is said while nobody is there is kept.
Every attach, kick and refusal is a line on stderr (with --json, on the standard output).

A file of --config has several consoles:
  [{ "name": "shell", "command": ["bash", "-l"], "onExit": "restart" }, { "name": "line", "tty": "/dev/ttyS0", "speed": 9600 }]

Examples:
  ismio console serve --device vfio-user:/tmp/fabric/0.sock -- bash -l
  ismio console serve --device vfio:0000:00:00.0 --tty /dev/ttyS0 --speed 115200 --key-file /etc/ismio/console.key`;

export function consoleServeCommand(): Command {
  return addFunctionOptions(new Command('serve'))
    .description('serve a command, a serial line or a pipe to other functions')
    .argument('[command...]', 'what runs in the terminal, behind --')
    .option('--name <name>', 'what clients ask for (default: console)')
    .option('--tty <path>', 'an existing line, such as /dev/ttyS0')
    .option('--speed <bits>', 'of the line, in bits a second (default: 115200)', parseCount)
    .option('--pipe', 'the standard input is the output of the console, and keys go to the standard output')
    .option('--config <path>', 'several consoles, in a file of JSON')
    .option('--history <bytes>', 'how much of the output is kept (default: 1M)', parseCount)
    .addOption(
      new Option('--on-exit <what>', 'when the command ends (default: keep)').choices(['keep', 'restart', 'close']),
    )
    .option('--writers <gid...>', 'functions that may write (default: all)', addGid)
    .option('--viewers <gid...>', 'functions that may look on (default: all)', addGid)
    .option('--json', 'print what happens as JSON, a line each')
    .addHelpText('after', notes)
    .action(serveThem);
}

async function serveThem(command: string[], options: Options): Promise<void> {
  const library = await import('ismio/console');
  const open = await opener(options);
  const server = await library.serveConsoles(open, {
    ...commonOf(options),
    consoles: wanted(library, command, options),
  });
  tell(server, options.json === true);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => server.close());
  await new Promise<void>((resolve) => server.once('close', resolve));
  process.exit();
}

function tell(server: ConsoleServer, inJson: boolean): void {
  const say = (event: string, values: Record<string, unknown>): void => {
    if (inJson)
      print(
        JSON.stringify({ event, ...values }, (_, one) => (typeof one === 'bigint' ? `0x${one.toString(16)}` : one)),
      );
    else process.stderr.write(`${new Date().toISOString()}  ${event}${words(values)}\n`);
  };
  say('ready', { consoles: server.consoles.map(({ name, line }) => ({ name, line })), port: server.port });
  server.on('audit', ({ time, event, console, gid, values }) => say(event, { time, console, gid, ...values }));
  server.on('open', (gid) => say('open', { gid }));
  server.on('lost', (error) => say('lost', { reason: error.message }));
}

function words(values: Record<string, unknown>): string {
  const known = Object.entries(values).filter(
    ([name, value]) => name !== 'time' && value !== null && value !== undefined,
  );
  return known.map(([name, value]) => `  ${name} ${harmless(worded(value))}`).join('');
}

function worded(value: unknown): string {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function wanted(library: typeof consoles, command: string[], options: Options): ConsoleOptions[] {
  const { config, pipe, json, tty, speed, name, history, onExit, writers, viewers } = options;
  if ([command.length > 0, config, pipe, tty].filter((one) => one !== undefined && one !== false).length !== 1) {
    throw usageError('say what is served: a COMMAND behind --, --tty PATH, --pipe or --config FILE');
  }
  if (pipe === true && json === true)
    throw usageError('--pipe and --json do not go together: both say it on the standard output');
  const access = { ...(writers && { write: writers }), ...(viewers && { view: viewers }) };
  const common = { ...(history !== undefined && { history }), ...(onExit && { onExit }), access };
  if (config !== undefined) return inFile(config).map((one) => ({ ...common, ...ofFile(library, one) }));
  const line = pipe ? library.pipeLine(process.stdin, process.stdout) : lineOf(library, { command, tty, speed });
  return [{ ...common, ...(name !== undefined && { name }), line }];
}

interface Described {
  name?: string;
  command?: string[] | undefined;
  tty?: string | undefined;
  speed?: number | undefined;
  history?: number;
  onExit?: 'keep' | 'restart' | 'close';
}

function inFile(path: string): Described[] {
  try {
    const found = JSON.parse(readFileSync(path, 'utf8')) as Described[];
    if (Array.isArray(found) && found.length > 0) return found;
  } catch (error) {
    if (error instanceof SyntaxError) throw usageError(`${path} is no JSON: ${error.message}`);
    throw fileError(path, error);
  }
  throw usageError(`${path} has no array of consoles; ismio console serve --help shows one`);
}

function ofFile(library: typeof consoles, described: Described | null): ConsoleOptions {
  if (typeof described !== 'object' || described === null) throw usageError(`${described} is no console`);
  const { command, tty, speed, ...rest } = described;
  if ((command === undefined) === (tty === undefined)) {
    throw usageError(`console '${rest.name ?? ''}' needs "command", an array of words, or "tty"`);
  }
  return { ...rest, line: lineOf(library, { command, tty, speed }) };
}

function lineOf(library: typeof consoles, { command = [], tty, speed }: Described): ConsoleOptions['line'] {
  return tty === undefined ? library.commandLine(command) : library.serialLine(tty, speed);
}
