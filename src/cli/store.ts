// ismio store: one store.
import { Command } from 'commander';
import { hex } from '../support/errors.js';
import { type AccessOptions, orderOption, storeTo, wideHex, widthOption } from './access.js';
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

interface StoreOptions extends AccessOptions, TargetOptions {
  json?: boolean;
}

const examples = `
Examples:
  ismio store resource:0000:00:04.0/0 0x10 1 --width 4
  ismio store file:/dev/shm/window 8K 0xfeedface --order be`;

export function storeCommand(): Command {
  return new Command('store')
    .summary('make one store')
    .description('make one store')
    .argument('<target>', targetForms, parseTarget)
    .argument('<offset>', 'where: a multiple of the width', parseWhole)
    .argument('<value>', 'what: a whole number that fits the width', parseWhole)
    .addOption(widthOption())
    .addOption(orderOption())
    .addOption(kindOption())
    .option('--json', 'print JSON')
    .addHelpText('after', examples)
    .action(store);
}

async function store(target: Target, offset: bigint, value: bigint, options: StoreOptions): Promise<void> {
  using region = await openTarget(target, options, true);
  storeTo(region, offset, value, options);
  region.fence();
  const { width, order } = options;
  const stored = wideHex(value, width);
  const name = targetName(target);
  if (options.json !== true) return print(`stored ${stored} at ${hex(offset)} of ${name}`);
  printJson({ target: name, offset: hex(offset), width: Number(width), order, value: stored });
}
