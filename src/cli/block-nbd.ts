// ismio block nbd: a disk of this machine, served to clients of NBD.
import { Command } from 'commander';
import { addExportOptions, type ExportOptions, exportDisk, exportPlace } from './block-options.js';
import { addDiskOptions, type DiskOptions, openDisk } from './disks.js';
import { sayInJson, sayInWords, signalled } from './lasting.js';

interface Options extends ExportOptions, DiskOptions {
  readOnly?: boolean;
  port?: number;
}

const notes = `
DISK is a file, a block device, what another NBD server exports (nbd://HOST/NAME), or memory:SIZE, which lives as long as the
command. A file that is sparse stays so. Whoever may write to the socket may connect: its owner alone, unless --mode says
otherwise. By --port everybody on this machine may, and with --host whoever reaches it; nothing is encrypted without --tls-cert
and --tls-key, and with them everything is. SIGINT and SIGTERM answer what is in flight, and end it. Without --socket and --port
it serves at the socket that it was given (LISTEN_FDS, LISTEN_PID), by systemd or by a client that starts it.

Examples:
  ismio block nbd disk.img --socket /tmp/disk.sock --connect
  nbdinfo -- [ ismio block nbd disk.img --read-only ]
  ismio block nbd memory:1G --port 10809 --name scratch
  ismio block nbd golden.img --snapshot --socket /tmp/try.sock
  ismio block nbd /dev/nvme0n1p3 --read-only --socket /run/user/1000/p3.sock`;

export function nbdCommand(): Command {
  const command = new Command('nbd')
    .description('serve a disk by NBD, at a unix socket or a port of TCP')
    .argument('<disk>', 'a file, a block device, memory:SIZE, or a URI of NBD');
  return addDiskOptions(addExportOptions(command, '--port <number>')).addHelpText('after', notes).action(serveDisk);
}

async function serveDisk(target: string, options: Options): Promise<void> {
  const { port, json } = options;
  const place = exportPlace('nbd takes --socket PATH, --port NUMBER', port, options);
  const disk = await openDisk(target, options);
  try {
    await exportDisk(disk, place, options, { say: json === true ? sayInJson : sayInWords, signal: signalled() });
  } finally {
    await disk.close();
  }
  process.exit();
}
