// ismio block serve: a disk of this machine, served to other ISM functions.
import { Command } from 'commander';
import type { BlockTarget } from 'ismio/block';
import { addDiskOptions, type DiskOptions, openDisk } from './disks.js';
import { usageError } from './failure.js';
import { addFunctionOptions, addGid, commonOf, type FunctionOptions, opener } from './function-options.js';
import { sayInJson, sayInWords, signalled } from './lasting.js';
import { parseCount } from './numbers.js';

interface Options extends FunctionOptions, DiskOptions {
  readOnly?: boolean;
  slots?: number;
  ioBytes?: number;
  writers?: bigint[];
  readers?: bigint[];
  dataDigest?: boolean;
  json?: boolean;
}

const notes = `
DISK is a file, a block device, what another NBD server exports (nbd://HOST/NAME), or memory:SIZE, which lives as long as the
command. One function at a time may write; any may read besides, where it attaches with --read-only. SIGINT and SIGTERM have
whoever has it wait for the next target: start that with the same words, and nothing of it fails.

Examples:
  ismio block serve disk.img --device vfio-user:/tmp/fabric/0.sock
  ismio block serve /dev/dasdb1 --device vfio:0000:00:00.0 --writers 0x22 --key-file /etc/ismio/disk.key`;

export function blockServeCommand(port: number): Command {
  const command = new Command('serve')
    .description('serve a disk to other ISM functions')
    .argument('<disk>', 'a file, a block device, memory:SIZE, or a URI of NBD');
  return addDiskOptions(addFunctionOptions(command, port))
    .option('--read-only', 'open it for reads: nobody may write')
    .option('--slots <number>', 'requests in flight of one function, 1 to 128 (default: 64)', parseCount)
    .option('--io-bytes <bytes>', 'of the longest request, a power of two from 4K to 1M (default: 64K)', parseCount)
    .option('--writers <gid...>', 'functions that may write (default: all)', addGid)
    .option('--readers <gid...>', 'functions that may read (default: all)', addGid)
    .option('--data-digest', 'check data by CRC32C, of every function; else of those that ask for it')
    .option('--json', 'print what happens as JSON, a line each')
    .addHelpText('after', notes)
    .action(serveDisk);
}

async function serveDisk(place: string, options: Options): Promise<void> {
  const { readOnly = false, slots, ioBytes, writers, readers, dataDigest = false, json } = options;
  const { serveBlock } = await import('ismio/block');
  const disk = await openDisk(place, options);
  try {
    if (writers !== undefined && (readOnly || disk.readOnly))
      throw usageError(`nobody writes ${disk.name}, which is read-only: leave out --writers`);
    const target = await serveBlock(await opener(options), disk, {
      ...commonOf(options),
      ...(slots !== undefined && { slots }),
      ...(ioBytes !== undefined && { ioBytes }),
      readOnly: readOnly || disk.readOnly,
      dataDigest,
      access: { ...(writers && { write: writers }), ...(readers && { read: readers }) },
      signal: signalled(),
    });
    await told(target, readOnly || disk.readOnly, json === true ? sayInJson : sayInWords);
  } finally {
    await disk.close();
  }
  process.exit();
}

/** Tells what happens until it is closed. */
async function told(target: BlockTarget, readOnly: boolean, say: typeof sayInJson): Promise<void> {
  const { disk, port } = target;
  say('serving', { disk: disk.name, size: disk.size, readOnly, port });
  target.on('open', (gid) => say('open', { gid: word(gid) }));
  target.on('lost', ({ message }) => say('lost', { reason: message }));
  target.on('attach', (gid, writes) => say('attach', { gid: word(gid), writes }));
  target.on('detach', (gid, reason) => say('detach', { gid: word(gid), ...(reason !== null && { reason }) }));
  target.on('refused', (gid, code, reason) => say('refused', { gid: word(gid), code, reason }));
  target.on('corrupt', (gid, { message }) => say('corrupt', { gid: word(gid), message }));
  target.on('failed', ({ message, ...failure }) => say('failed', { ...failure, message }));
  await new Promise<void>((resolve) => target.once('close', resolve));
  say('ended', { ...target.stats() });
}

function word(gid: bigint): string {
  return `0x${gid.toString(16)}`;
}
