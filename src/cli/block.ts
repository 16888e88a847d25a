// ismio block: disks, served to clients of NBD and to other ISM functions, copied and measured.
import { Command } from 'commander';
import { blockAttachCommand } from './block-attach.js';
import { blockBenchCommand } from './block-bench.js';
import { copyCommand } from './block-copy.js';
import { blockListCommand } from './block-list.js';
import { nbdCommand } from './block-nbd.js';
import { blockServeCommand } from './block-serve.js';
import { refuseOthers } from './family.js';

/** The port of a function where its disk is, unless told otherwise: as of `ismio/block`. */
const port = 10_809;

export function blockCommand(): Command {
  return refuseOthers(
    new Command('block')
      .summary('serve disks to clients of NBD and to other ISM functions, copy and measure them')
      .description('disks: files, block devices and memory, served to qemu, the kernel, nbdcopy, fio, also over ISM')
      .addCommand(nbdCommand())
      .addCommand(blockServeCommand(port))
      .addCommand(blockAttachCommand(port))
      .addCommand(blockListCommand(port))
      .addCommand(copyCommand())
      .addCommand(blockBenchCommand(port)),
  );
}
