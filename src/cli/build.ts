// ismio build: the addon, where none was shipped for this platform.
import { Command } from 'commander';
import { print, printJson } from './output.js';
import { Waiting } from './progress.js';

const examples = `
It needs a C++20 compiler, make and python3.

Examples:
  npx ismio build`;

export function buildCommand(): Command {
  return new Command('build')
    .summary('build the addon for this platform')
    .description('build the native addon for this platform')
    .option('--json', 'print JSON')
    .addHelpText('after', examples)
    .action(build);
}

async function build(options: { json?: boolean }): Promise<void> {
  const path = await built();
  if (options.json === true) printJson({ path });
  else print(`built ${path}`);
}

async function built(): Promise<string> {
  const { buildAddon } = await import('../addon/build.js');
  using _waiting = new Waiting('building the addon');
  return await buildAddon();
}
