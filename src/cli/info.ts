// ismio info: what runs here.
import { Command } from 'commander';
import { print, printJson } from './output.js';

const examples = `
Examples:
  ismio info
  ismio info --json`;

export function infoCommand(): Command {
  return new Command('info')
    .summary('show the addon and its access kernels')
    .description('show the addon that is loaded and the access kernels it chose for this CPU')
    .option('--json', 'print JSON')
    .addHelpText('after', examples)
    .action(info);
}

async function info(options: { json?: boolean }): Promise<void> {
  const told = (await import('../info.js')).info();
  if (options.json === true) return printJson(told);
  const { kernels } = told;
  const lines = {
    'Node.js': `${told.node} on ${told.platform}-${told.arch}`,
    addon: told.binary,
    CPU: kernels.cpu,
    'memory regions': kernels.memory,
    'device files': `${kernels.mapped} (mapped files of kind device)`,
    'PCI resources': kernels.resource,
    bursts: kernels.burst ?? 'none on this CPU',
  };
  for (const [name, value] of Object.entries(lines)) print(`${name.padEnd(16)}${value}`);
}
