// ismio block list: the disks that another ISM function serves.
import { Command } from 'commander';
import type { ListedDisk } from 'ismio/block';
import { harmless } from '../support/text.js';
import { addPeerOptions, commonOf, opener, type PeerOptions } from './function-options.js';
import { count, print, printJson } from './output.js';

interface Options extends PeerOptions {
  json?: boolean;
}

const notes = `
Shown are the disks that this function may have. One with a key is shown where --key-file has that key, and --port is its port.

Example:
  ismio block list --device vfio-user:/tmp/fabric/1.sock --peer 0x11`;

export function blockListCommand(port: number): Command {
  return addPeerOptions(new Command('list'), port)
    .description('show the disks that a function serves')
    .option('--json', 'print JSON')
    .addHelpText('after', notes)
    .action(list);
}

async function list(options: Options): Promise<void> {
  const { listDisks } = await import('ismio/block');
  const ism = await (await opener(options))();
  try {
    const disks = await listDisks(ism, options.peer, commonOf(options));
    if (options.json === true) printJson(disks.map((disk) => ({ ...disk, writer: gid(disk.writer) })));
    else for (const disk of disks) for (const line of linesOf(disk)) print(line);
    if (options.json !== true && disks.length === 0) print('no disk for this function');
  } finally {
    ism.close();
  }
}

function linesOf({ name, port, size, blockSize, readOnly, writer, readers }: ListedDisk): string[] {
  const may = readOnly ? 'read-only' : 'read and write';
  const writes = writer === null ? 'nobody writes' : `function ${gid(writer)} writes`;
  return [
    `${harmless(name)}  ${size} bytes in blocks of ${blockSize}, ${may}`,
    `  port ${port}; ${writes}, ${count(readers, 'reader')}`,
  ];
}

function gid(number: bigint | null): string | null {
  return number === null ? null : `0x${number.toString(16)}`;
}
