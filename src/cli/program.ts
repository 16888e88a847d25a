// The commands and what holds for all of them: the version, the help texts, how a mistake is told.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../support/package.js';
import { benchCommand } from './bench.js';
import { bindCommand } from './bind.js';
import { blockCommand } from './block.js';
import { buildCommand } from './build.js';
import { compareCommand } from './compare.js';
import { completeCommand, completionCommand } from './completion.js';
import { consoleCommand } from './console.js';
import { demoCommand } from './demo.js';
import { dumpCommand } from './dump.js';
import { historyCommand } from './history.js';
import { infoCommand } from './info.js';
import { ismCommand } from './ism.js';
import { loadCommand } from './load.js';
import { planCommand } from './plan.js';
import { profileCommand } from './profile.js';
import { recordCommand } from './record.js';
import { replayCommand } from './replay.js';
import { reportCommand } from './report.js';
import { serveCommand } from './serve.js';
import { storeCommand } from './store.js';
import { unbindCommand } from './unbind.js';
import { writeCommand } from './write.js';

const notes = `
Targets:
  emulated:SIZE       an emulated region; it lives as long as the command
  file:PATH           a file, mapped (on tmpfs or hugetlbfs: shared memory)
  resource:BDF/BAR    a BAR of a PCI function, such as resource:0000:00:04.0/0
  vfio:BDF/REGION     a region of a function bound to a VFIO driver; 0 to 5 are its BARs
  vfio-user:PATH/REGION  the same of a device that is served at a socket

Numbers are decimal or hex (0x1000); K, M, G and T multiply by 1024 (64K, 0x10M).

Exit codes: 0 done, 1 the operation failed, 2 the command line is wrong; of bench, compare, profile, replay, report and
history: 0 good, 1 something was found, 2 nothing certain, 3 it could not run. An error is one line on stderr that begins
with its code. NODE_DEBUG=ismio adds the stack.

Start here:
  ismio demo            moves a file through the engine in four ways and compares them
  ismio COMMAND --help  options and examples of a command`;

export function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  const program = new Command('ismio')
    .description('Fast, checked access to PCI BAR regions: emulated, mapped from a file, or real.')
    .version(version, '-V, --version', 'print the version')
    .helpCommand(false)
    .addHelpText('after', notes);
  const commands = [
    demoCommand(),
    infoCommand(),
    bindCommand(),
    unbindCommand(),
    planCommand(),
    loadCommand(),
    storeCommand(),
    dumpCommand(),
    writeCommand(),
    benchCommand(),
    reportCommand(),
    historyCommand(),
    compareCommand(),
    profileCommand(),
    recordCommand(),
    replayCommand(),
    serveCommand(),
    ismCommand(),
    consoleCommand(),
    blockCommand(),
    buildCommand(),
    completionCommand(),
  ];
  for (const command of commands) program.addCommand(command);
  const hidden = completeCommand();
  program.addCommand(hidden, { hidden: true });
  for (const command of [program, hidden, ...commands, ...commands.flatMap(({ commands }) => commands)]) {
    // Thrown instead of printed: failure.ts gives every error the same form.
    command.exitOverride().configureOutput({ outputError: () => undefined });
    command.allowExcessArguments(command.commands.length > 0); // of which it says itself what it has
  }
  return program;
}
