// How a disk is exported by NBD, and what is said of it: of the commands that do.
import { type Command, InvalidArgumentError } from 'commander';
import type { BlockDevice, NbdServer } from 'ismio/block';
import { givenSocket } from './activation.js';
import { addTlsOptions, readTls, type TlsOptions, withTlsFile } from './disks.js';
import { usageError } from './failure.js';
import { parseCount } from './numbers.js';
import { print } from './output.js';

/** How a disk is exported. */
export interface ExportOptions extends TlsOptions {
  socket?: string;
  host?: string;
  name?: string;
  mode?: number;
  readOnly?: boolean;
  connect?: boolean;
  json?: boolean;
}

type Say = (event: string, values: Readonly<Record<string, unknown>>) => void;

/** @param tcp the option of a port of TCP */
export function addExportOptions(command: Command, tcp: string): Command {
  const exported = command
    .option('--socket <path>', 'where the socket is made; one that nobody listens to is replaced')
    .option(tcp, 'a port of TCP instead; 0 is any that is free', parsePort)
    .option('--host <address>', 'the address to listen at (default: 127.0.0.1)')
    .option('--name <name>', 'the name of the export (default: none)')
    .option('--mode <octal>', 'the rights of the socket (default: 600)', parseMode)
    .option('--read-only', 'open it for reads, and refuse writes');
  return addTlsOptions(exported)
    .option('--connect', 'print how clients connect')
    .option('--json', 'print what happens as JSON, a line each');
}

/** Where a disk is exported. */
type ExportPlace = { readonly path: string } | { readonly port: number } | { readonly fd: number };

/** @param words the command, and its two options for that */
export function exportPlace(words: string, port: number | undefined, options: ExportOptions): ExportPlace {
  const { socket, connect, host, mode } = options;
  const fd = givenSocket();
  if ([socket, port, fd].filter((one) => one !== undefined).length !== 1) {
    throw usageError(`${words}, or the socket that it was given (LISTEN_FDS): one of them`);
  }
  if (host !== undefined && port === undefined) throw usageError('--host is of a port of TCP');
  if (mode !== undefined && socket === undefined) throw usageError('--mode is of a --socket');
  if (socket !== undefined) return { path: socket };
  if (fd === undefined) return { port: port as number };
  if (connect === true)
    throw usageError('--connect cannot tell where a socket is that it was given: whoever made it can');
  return { fd };
}

/** Exports a disk, and tells what happens, until the signal. */
export async function exportDisk(
  disk: BlockDevice,
  place: ExportPlace,
  options: ExportOptions,
  { say, signal }: { say: Say; signal: AbortSignal },
): Promise<void> {
  const { host, name, mode, readOnly = false, connect, json } = options;
  const tls = readTls(options);
  const { serveNbd } = await import('ismio/block');
  const server = await serveNbd(disk, {
    ...place,
    ...(host !== undefined && { host }),
    ...(name !== undefined && { name }),
    ...(mode !== undefined && { mode }),
    ...(tls !== undefined && { tls }),
    description: disk.name,
    readOnly: readOnly || disk.readOnly,
    signal,
  }).catch((error: unknown) => {
    throw withTlsFile(error, options);
  });
  server.on('client', (sessions) => say('client', { sessions }));
  server.on('gone', (sessions, reason) => say('gone', reason === null ? { sessions } : { sessions, reason }));
  server.on('refused', (reason) => say('refused', { reason }));
  server.on('failed', ({ message, ...failure }) => say('failed', { ...failure, message }));
  const closed = new Promise<void>((resolve) => server.on('close', resolve));
  const where =
    'port' in place ? { port: server.port, host: host ?? '127.0.0.1' } : 'fd' in place ? place : { path: server.path };
  say('serving', { disk: disk.name, size: disk.size, readOnly: readOnly || disk.readOnly, ...where });
  for (const line of connect === true ? commandsFor(server, options) : []) {
    if (json === true) say('connect', { command: line });
    else print(line);
  }
  await closed;
  say('ended', { ...server.stats() });
}

/** What a person types next. */
function commandsFor(server: NbdServer, { host: given, name = '', tlsCert, tlsCa }: ExportOptions): string[] {
  const path = server.path;
  const scheme = tlsCert === undefined ? 'nbd' : 'nbds';
  const host = given === undefined || isEverywhere(given) ? '127.0.0.1' : given;
  const address = host.includes(':') ? `[${host}]:${server.port}` : `${host}:${server.port}`;
  const query = [
    ...(path === null ? [] : [`socket=${path.split('/').map(encodeURIComponent).join('/')}`]),
    ...(tlsCa === undefined ? [] : ['tls-certificates=FOLDER']),
  ].join('&');
  const place = path === null ? `://${address}` : '+unix://';
  const uri = `${scheme}${place}/${encodeURIComponent(name)}${query === '' ? '' : `?${query}`}`;
  const named = name === '' ? '' : ` -N ${quoted(name)}`;
  const end = path === null ? `${host} ${server.port}` : `-unix ${quoted(path)}`;
  const ours = [`nbdinfo ${quoted(uri)}`, `nbdcopy ${quoted(uri)} copy.img`];
  // What the others want for TLS is no part of an address.
  if (tlsCert !== undefined) return ours;
  return [
    ...ours,
    `qemu-img info ${quoted(uri)}`,
    `qemu-system-x86_64 .. -drive file=${quoted(uri)},format=raw,if=virtio`,
    `sudo nbd-client ${end}${named} /dev/nbd0`,
    `fio --name=try --ioengine=nbd --uri=${quoted(uri)} --rw=randread`,
  ];
}

/** Whoever is on this machine reaches it by an address of its own. */
function isEverywhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** As a shell takes it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function parsePort(text: string): number {
  const number = parseCount(text);
  if (number <= 65_535) return number;
  throw new InvalidArgumentError('It has to be from 0 to 65535.');
}

function parseMode(text: string): number {
  if (/^[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  throw new InvalidArgumentError('It has to be three octal digits, such as 660.');
}
