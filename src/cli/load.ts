// ismio load: one load.
import { Command } from 'commander';
import { hex } from '../support/errors.js';
import { type AccessOptions, loadFrom, orderOption, wideHex, widthOption } from './access.js';
import { parseWhole } from './numbers.js';
import { print, printJson } from './output.js';
import {
  kindOption,
  openTarget,
  parseTarget,
  type Target,
  type TargetOptions,
  targetForms,
  targetName,
} from './target.js';

interface LoadOptions extends AccessOptions, TargetOptions {
  json?: boolean;
}

const examples = `
Examples:
  ismio load resource:0000:00:04.0/0 0x10 --width 4
  ismio load file:/dev/shm/window 8K --order be
  ismio load file:/dev/shm/window 0 --json`;

export function loadCommand(): Command {
  return new Command('load')
    .summary('make one load')
    .description('make one load and print its value; the target is opened without write access')
    .argument('<target>', targetForms, parseTarget)
    .argument('<offset>', 'where: a multiple of the width', parseWhole)
    .addOption(widthOption())
    .addOption(orderOption())
    .addOption(kindOption())
    .option('--json', 'print JSON')
    .addHelpText('after', examples)
    .action(load);
}

async function load(target: Target, offset: bigint, options: LoadOptions): Promise<void> {
  using region = await openTarget(target, options, false);
  const value = wideHex(loadFrom(region, offset, options), options.width);
  if (options.json !== true) return print(value);
  const { width, order } = options;
  printJson({ target: targetName(target), offset: hex(offset), width: Number(width), order, value });
}
