// ismio block: disks, served to clients of NBD, and copied.
import { Command, InvalidArgumentError } from 'commander';
import type { NbdServer } from 'ismio/block';
import { copyCommand } from './block-copy.js';
import { type DiskOptions, openDisk, readTls, type TlsOptions } from './disks.js';
import { usageError } from './failure.js';
import { sayInJson, sayInWords, signalled } from './lasting.js';
import { parseCount } from './numbers.js';
import { print } from './output.js';

interface NbdCommandOptions extends DiskOptions, TlsOptions {
  socket?: string;
  port?: number;
  host?: string;
  name?: string;
  mode?: number;
  connect?: boolean;
  json?: boolean;
}

const nbdNotes = `
DISK is a file, a block device, or memory:SIZE, which lives as long as the command. A file that is sparse stays so. Whoever may
write to the socket may connect: its owner alone, unless --mode says otherwise. By --port everybody on this machine may, and with
--host whoever reaches it; nothing is encrypted without --tls-cert and --tls-key, and with them everything is. SIGINT and SIGTERM
answer what is in flight, and end it.

Examples:
  ismio block nbd disk.img --socket /tmp/disk.sock --connect
  ismio block nbd memory:1G --port 10809 --name scratch
  ismio block nbd golden.img --snapshot --socket /tmp/try.sock
  ismio block nbd /dev/nvme0n1p3 --read-only --socket /run/user/1000/p3.sock`;

export function blockCommand(): Command {
  return new Command('block')
    .summary('serve disks to clients of NBD, and copy them')
    .description('disks: files, block devices and memory, served to qemu, the kernel, nbdcopy, fio')
    .helpCommand(false)
    .addCommand(nbdCommand())
    .addCommand(copyCommand())
    .action(() => {
      throw usageError('say what to do: ismio block nbd or copy');
    });
}

function nbdCommand(): Command {
  return new Command('nbd')
    .description('serve a disk by NBD, at a unix socket or a port of TCP')
    .argument('<disk>', 'a file, a block device, or memory:SIZE')
    .option('--socket <path>', 'where the socket is made; one that nobody listens to is replaced')
    .option('--port <number>', 'a port of TCP instead; 0 is any that is free', parsePort)
    .option('--host <address>', 'the address to listen at (default: 127.0.0.1)')
    .option('--name <name>', 'the name of the export (default: none)')
    .option('--mode <octal>', 'the rights of the socket (default: 600)', parseMode)
    .option('--read-only', 'open it for reads, and refuse writes')
    .option('--snapshot', 'keep what is written in memory, and the disk as it is')
    .option('--snapshot-in <folder>', 'the same, in a sparse file there, which goes with the command')
    .option('--direct', 'past the page cache (O_DIRECT)')
    .option('--tls-cert <file>', 'a certificate (PEM): clients have to use TLS')
    .option('--tls-key <file>', 'its key')
    .option('--tls-ca <file>', 'clients need a certificate that one of these has signed')
    .option('--connect', 'print how clients connect')
    .option('--json', 'print what happens as JSON, a line each')
    .addHelpText('after', nbdNotes)
    .action(serveDisk);
}

async function serveDisk(target: string, options: NbdCommandOptions): Promise<void> {
  const { socket: path, port, host, name, mode, readOnly = false, connect } = options;
  const tls = readTls(options);
  if ((path === undefined) === (port === undefined)) throw usageError('nbd takes --socket PATH or --port NUMBER');
  const { serveNbd } = await import('ismio/block');
  const disk = await openDisk(target, options);
  const say = options.json === true ? sayInJson : sayInWords;
  const server = await serveNbd(disk, {
    ...(path !== undefined && { path }),
    ...(port !== undefined && { port }),
    ...(host !== undefined && { host }),
    ...(name !== undefined && { name }),
    ...(mode !== undefined && { mode }),
    ...(tls !== undefined && { tls }),
    description: target,
    readOnly: readOnly || disk.readOnly,
    signal: signalled(),
  }).catch(async (error: unknown) => {
    await disk.close();
    throw error;
  });
  server.on('client', (sessions) => say('client', { sessions }));
  server.on('gone', (sessions, reason) => say('gone', reason === null ? { sessions } : { sessions, reason }));
  server.on('refused', (reason) => say('refused', { reason }));
  server.on('failed', ({ message, ...failure }) => say('failed', { ...failure, message }));
  const closed = new Promise<void>((resolve) => server.on('close', resolve));
  const where = server.path === null ? { port: server.port, host: host ?? '127.0.0.1' } : { path: server.path };
  say('serving', { disk: disk.name, size: disk.size, readOnly: readOnly || disk.readOnly, ...where });
  if (connect === true) for (const line of commandsFor(server, options)) tell(line, options);
  await closed;
  say('ended', { ...server.stats() });
  await disk.close();
  process.exit();
}

/** What a person types next. */
function commandsFor(server: NbdServer, { host = '127.0.0.1', name = '', tlsCert }: NbdCommandOptions): string[] {
  const path = server.path;
  const scheme = tlsCert === undefined ? 'nbd' : 'nbds';
  const address = host.includes(':') ? `[${host}]:${server.port}` : `${host}:${server.port}`;
  const uri =
    path === null
      ? `${scheme}://${address}/${encodeURIComponent(name)}`
      : `${scheme}+unix:///${encodeURIComponent(name)}?socket=${encodeURI(path)}`;
  const named = name === '' ? '' : ` -N ${quoted(name)}`;
  const place = path === null ? `${host} ${server.port}` : `-unix ${quoted(path)}`;
  const ours = [`nbdinfo ${quoted(uri)}`, `nbdcopy ${quoted(uri)} copy.img`];
  // What the others want for TLS is no part of an address.
  if (tlsCert !== undefined) return ours;
  return [
    ...ours,
    `qemu-img info ${quoted(uri)}`,
    `qemu-system-x86_64 .. -drive file=${quoted(uri)},format=raw,if=virtio`,
    `sudo nbd-client ${place}${named} /dev/nbd0`,
    `fio --name=try --ioengine=nbd --uri=${quoted(uri)} --rw=randread`,
  ];
}

/** As a shell takes it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function tell(line: string, { json }: NbdCommandOptions): void {
  if (json === true) sayInJson('connect', { command: line });
  else print(line);
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
