// ismio plan: what a write would issue.
import { Command } from 'commander';
import type { PlannedStore } from '../region/region.js';
import { hex } from '../support/errors.js';
import { parseWhole } from './numbers.js';
import { count, print, printJson } from './output.js';
import { addRuleOptions, type RuleOptions, rulesOf } from './target.js';

interface PlanOptions extends RuleOptions {
  all?: boolean;
  json?: boolean;
}

/** Operations that are listed unless all are asked for. */
const shortList = 32;

const largestRegion = 2 ** 48;

const examples = `
Examples:
  ismio plan 100 9000
  ismio plan 0x1004 4K --alignment strict --max-store-block 128 --all
  ismio plan 0 136 --alignment strict --max-store-block 128 --no-single-stores
  ismio plan 0 1M --json`;

export function planCommand(): Command {
  return addRuleOptions(
    new Command('plan')
      .summary('show what a write would issue')
      .description('show the store blocks and stores that a write would issue, without issuing them')
      .argument('<offset>', 'where the write begins', parseWhole)
      .argument('<length>', 'how many bytes it has', parseWhole),
  )
    .option('--all', `list every operation, not the first ${shortList} alone`)
    .option('--json', 'print JSON, with every operation')
    .addHelpText('after', examples)
    .action(plan);
}

async function plan(offset: bigint, length: bigint, options: PlanOptions): Promise<void> {
  const { emulate } = await import('../region/open.js');
  using region = emulate({ size: largestRegion, rules: rulesOf(options), name: 'the largest region' });
  const operations = region.plan(offset, length);
  const storeBlocks = operations.filter(({ kind }) => kind === 'storeBlock').length;
  const stores = operations.length - storeBlocks;
  if (options.json === true) {
    printJson({ offset: Number(offset), length: Number(length), rules: region.rules, storeBlocks, stores, operations });
    return;
  }
  printOperations(options.all === true ? operations : operations.slice(0, shortList));
  const left = operations.length - shortList;
  if (options.all !== true && left > 0) print(`.. and ${count(left, 'more operation')}; --all lists them`);
  const parts = `${count(storeBlocks, 'store block')} and ${count(stores, 'store')}`;
  print(`${count(operations.length, 'operation')} for ${count(Number(length), 'byte')}: ${parts}`);
}

function printOperations(operations: readonly PlannedStore[]): void {
  for (const { kind, offset, length } of operations) {
    const name = kind === 'storeBlock' ? 'store block' : 'store';
    print(`${hex(offset).padStart(16)}  ${name.padEnd(11)}  ${length}`);
  }
}
