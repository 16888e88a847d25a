// ismio block attach: the disk of another ISM function, exported by NBD to clients of this machine.
import { Command, Option } from 'commander';
import type { IsmDisk, LossMode } from 'ismio/block';
import { addExportOptions, type ExportOptions, exportDisk, exportPlace } from './block-options.js';
import { addPeerOptions, commonOf, opener, type PeerOptions, parseSeconds } from './function-options.js';
import { sayInJson, sayInWords, signalled } from './lasting.js';

interface Options extends PeerOptions, ExportOptions {
  tcp?: number;
  onLoss: LossMode;
  wait: number;
  dataDigest?: boolean;
}

const notes = `
Clients have the disk as they have one of this machine: qemu, the kernel's nbd, nbdcopy, fio. When the target is lost it is looked
for, and their requests wait --wait seconds, and are asked again when it is back; with --on-loss queue-new what was in flight fails,
with fail-all everything does until then. SIGINT and SIGTERM answer what is in flight, and end it. Without --socket and --tcp it
exports at the socket that it was given, as nbd does.

Examples:
  ismio block attach --device vfio-user:/tmp/fabric/1.sock --peer 0x11 --socket /tmp/disk.sock --connect
  qemu-io -f raw -c 'write -P 7 0 1M' 'nbd+unix:///?socket=/tmp/disk.sock'`;

export function blockAttachCommand(port: number): Command {
  const command = addPeerOptions(new Command('attach'), port).description(
    'attach the disk of another ISM function, and export it by NBD',
  );
  return addExportOptions(command, '--tcp <port>')
    .addOption(
      new Option('--on-loss <mode>', 'what requests do when the target was lost')
        .choices(['fail-all', 'queue-new', 'queue-and-replay'])
        .default('queue-and-replay'),
    )
    .option('--wait <seconds>', 'how long they wait for it', parseSeconds, 30)
    .option('--data-digest', 'have data checked by CRC32C at both ends')
    .addHelpText('after', notes)
    .action(attach);
}

async function attach(options: Options): Promise<void> {
  const { tcp, peer, readOnly = false, onLoss, wait, dataDigest = false, json } = options;
  const place = exportPlace('attach takes --socket PATH, --tcp PORT', tcp, options);
  const { openBlock } = await import('ismio/block');
  const say = json === true ? sayInJson : sayInWords;
  const signal = signalled();
  const disk = await openBlock(await opener(options), peer, {
    ...commonOf(options),
    ...{ readOnly, mode: onLoss, timeout: wait * 1000, dataDigest },
  });
  tell(disk, say);
  try {
    await exportDisk(disk, place, options, { say, signal });
  } finally {
    await disk.close();
  }
  process.exit();
}

function tell(disk: IsmDisk, say: typeof sayInJson): void {
  disk.on('state', (state) => {
    if (state !== 'closed') say('state', { state });
  });
  disk.on('lost', ({ message }) => say('lost', { reason: message }));
  disk.on('error', ({ message }) => say('error', { reason: message }));
}
