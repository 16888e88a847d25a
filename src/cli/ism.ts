// ismio ism: a fabric of ISM functions as a process, and how it is.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { setInterval } from 'node:timers';
import { Command, InvalidArgumentError } from 'commander';
import type { AdversaryOptions, Fabric } from 'ismio/ism';
import { answerStatus, askStatus, type FabricStatus, socketName, statusOf, statusSocket } from './fabric-status.js';
import { usageError } from './failure.js';
import { refuseOthers } from './family.js';
import { sayInJson, sayInWords, signalled } from './lasting.js';
import { parseCount, parseWhole } from './numbers.js';
import { count, print, printJson } from './output.js';

interface ServeOptions {
  functions?: number;
  dir: string;
  chid?: number;
  gid?: bigint[];
  direct?: boolean;
  adversary?: AdversaryOptions;
  json?: boolean;
}

const mostFunctions = 256;
const defaultChid = 1;

const serveNotes = `
Each function is a socket of vfio-user in DIR: 0.sock, 1.sock, and so on. Who opens one is that function's driver, until it
goes; then the next may come. DIR is made where it is not there, for its owner alone. SIGINT, SIGTERM and SIGHUP end it.

Drivers:
  openIsm(openVfioUser('DIR/0.sock'))     from a program (ismio/ism)
  ismio info vfio-user:DIR/0.sock         what the function says of itself
  ismio ism status DIR                    who is there, and what they have done

With --adversary signals are late and moves are busy, as hardware may have it; kinds with a rate each, of a thousand moves, say what
is to happen instead: delay, coalesce, reorder, fail, kill, busy. latest is how many milliseconds a signal is held at most.

Examples:
  ismio ism serve --functions 2 --dir /tmp/fabric
  ismio ism serve --dir /tmp/fabric --adversary 7,delay=200,fail=1`;

export function ismCommand(): Command {
  return refuseOthers(
    new Command('ism')
      .summary('serve a fabric of ISM functions, and see how it is')
      .description('ISM functions that reach each other, as a process: for drivers of other processes, and of guests')
      .addCommand(serveCommand())
      .addCommand(statusCommand()),
  );
}

function serveCommand(): Command {
  return new Command('serve')
    .description('serve the functions of one fabric, each at a socket of its own')
    .requiredOption('--dir <folder>', 'where their sockets are made')
    .option(
      '--functions <number>',
      `how many: 1 to ${mostFunctions} (default: 2, or one for each --gid)`,
      parseFunctions,
    )
    .option('--chid <number>', `channel identifier of the fabric, below 0xff00 (default: ${defaultChid})`, parseCount)
    .option('--gid <gid...>', 'their global identifiers, in turn (default: random)', addGid)
    .option('--direct', 'lend drivers the memory that they may move into: their processes must trust each other')
    .option('--adversary <seed>', 'a seed, and what is done to moves: SEED or SEED,KIND=RATE,..', parseAdversary)
    .option('--json', 'print what happens as JSON, a line each')
    .addHelpText('after', serveNotes)
    .action(serveFabric);
}

function statusCommand(): Command {
  return new Command('status')
    .description('show who is on a fabric, and what they have moved')
    .argument('<dir>', 'where ismio ism serve has its sockets')
    .option('--json', 'print JSON')
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const status = await askStatus(folder);
      if (json === true) printJson(status);
      else drawStatus(status);
    });
}

/** No GID that was asked for is left out. */
function countOf({ functions, gid = [] }: ServeOptions): number {
  const most = functions ?? mostFunctions;
  if (gid.length > most) throw usageError(`--gid says ${gid.length} functions, and there are to be ${most}`);
  return functions ?? (gid.length || 2);
}

async function serveFabric(options: ServeOptions): Promise<void> {
  const functions = countOf(options);
  const { createFabric } = await import('ismio/ism');
  const { dir, json, chid = defaultChid, direct = false, adversary } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const say = json === true ? sayInJson : sayInPlaceOfStatus;
  const fabric = createFabric({ chid, direct, ...(adversary !== undefined && { adversary }) });
  const status = await served(fabric, { ...options, functions }, say).catch((error: unknown) => {
    fabric.close(); // no half of a fabric
    throw error;
  });
  say('ready', { chid: fabric.chid });
  const line = process.stderr.isTTY && json !== true ? new TrafficLine(fabric) : null;
  await ended();
  line?.end();
  say('ended', {});
  status.close();
  fabric.close();
  process.exit();
}

type Say = (what: string, values: Readonly<Record<string, unknown>>) => void;

/** Makes the functions and serves each, and the status beside them. */
async function served(
  fabric: Fabric,
  { dir, functions, gid: gids }: ServeOptions & { functions: number },
  say: Say,
): Promise<Server> {
  const { serve } = await import('ismio/device');
  for (let i = 0; i < functions; i++) {
    const gid = gids?.[i];
    const one = fabric.function(gid === undefined ? {} : { gid });
    const server = await serve(one, { path: join(dir, socketName(i)) });
    const values = { socket: server.path, gid: `0x${one.gid.toString(16)}` };
    server.on('client', ({ pid, uid }) => say('client', { ...values, pid, uid }));
    server.on('gone', () => say('gone', values));
    server.on('error', (error) => say('error', { ...values, message: error.message }));
    one.on('error', (error) => say('error', { ...values, message: error.message }));
    say('serving', values);
  }
  const path = join(dir, statusSocket);
  if (existsSync(path)) rmSync(path); // of a fabric that was killed: its functions' sockets were free
  return answerStatus(fabric, dir);
}

/** The last second's traffic, on one line of the terminal. */
class TrafficLine {
  readonly #fabric: Fabric;
  readonly #timer: NodeJS.Timeout;
  #moves = 0;
  #bytes = 0;

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
    this.#timer = setInterval(() => this.#draw(), 1000);
  }

  end(): void {
    clearInterval(this.#timer);
    process.stderr.write('\r\x1b[K');
  }

  #draw(): void {
    const { functions } = statusOf(this.#fabric);
    const sum = (of: (one: (typeof functions)[number]) => number) => functions.reduce((all, one) => all + of(one), 0);
    const [moves, bytes] = [sum((one) => one.moves), sum((one) => one.movedBytes)];
    const refused = sum((one) => Object.values(one.refused).reduce((all, some) => all + some, 0));
    const drivers = `${functions.filter(({ driver }) => driver).length} of ${count(functions.length, 'function')} open`;
    const rate = `${count(moves - this.#moves, 'move')}/s, ${((bytes - this.#bytes) / 2 ** 20).toFixed(1)} MiB/s`;
    [this.#moves, this.#bytes] = [moves, bytes];
    const all = `${drivers}, ${rate}${refused > 0 ? `, ${refused} refused` : ''}`;
    process.stderr.write(`\r\x1b[K${all.slice(0, (process.stderr.columns || 80) - 1)}`);
  }
}

function drawStatus({ chid, process: pid, uptime, adversary, functions }: FabricStatus): void {
  print(`fabric 0x${chid.toString(16)}, process ${pid}, up ${count(uptime, 'second')}`);
  if (adversary !== null) print(`adversary: ${listed(adversary)}`);
  for (const one of functions) {
    const { socket, gid, driver, dmbs, moves, movedBytes, received, signals, refused } = one;
    print(`${socket.padEnd(9)}${gid.padEnd(20)}${driver ? 'open' : 'no driver'}`);
    print(
      `  ${count(dmbs, 'DMB')}, ${count(moves, 'move')} of ${count(movedBytes, 'byte')} made, ${count(received, 'move')} and ${count(signals, 'signal')} received`,
    );
    if (Object.values(refused).some((times) => times > 0)) print(`  refused: ${listed(refused)}`);
  }
}

/** What was counted at all. */
function listed(counts: Readonly<Record<string, number>>): string {
  const some = Object.entries(counts).filter(([, times]) => times > 0);
  return some.map(([what, times]) => `${what} ${times}`).join(', ') || 'nothing yet';
}

function ended(): Promise<void> {
  return new Promise((resolve) => signalled().addEventListener('abort', () => resolve()));
}

/** The status line comes again behind it. */
function sayInPlaceOfStatus(what: string, values: Readonly<Record<string, unknown>>): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  sayInWords(what, values);
}

function parseFunctions(text: string): number {
  const number = parseCount(text);
  if (number >= 1 && number <= mostFunctions) return number;
  throw new InvalidArgumentError(`It has to be from 1 to ${mostFunctions}.`);
}

/** Which kinds there are, and how often each may be, is for the fabric to say. */
function parseAdversary(text: string): AdversaryOptions {
  const [seed = '', ...kinds] = text.split(',');
  const rates = kinds.map((kind) => {
    const [name = '', rate = ''] = kind.split('=');
    return [name, parseCount(rate)] as const;
  });
  return { seed: parseCount(seed), ...Object.fromEntries(rates) };
}

function addGid(text: string, before: bigint[] = []): bigint[] {
  return [...before, parseWhole(text)];
}
