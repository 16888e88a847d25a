// ismio write: bytes into a region, planned.
import { Command } from 'commander';
import type { Region } from '../region/region.js';
import { checkOffset } from '../support/check.js';
import { hex } from '../support/errors.js';
import { parseWhole } from './numbers.js';
import { count, print, printJson } from './output.js';
import { Progress } from './progress.js';
import { openSource, type Source, type SourceOptions } from './source.js';
import {
  addRuleOptions,
  kindOption,
  openTarget,
  parseTarget,
  type Target,
  type TargetOptions,
  targetForms,
  targetName,
} from './target.js';

interface WriteOptions extends SourceOptions, TargetOptions {
  json?: boolean;
}

/**
 * Pieces end at multiples of the largest boundary that rules can have. A store block never crosses one anyway, so writing
 * in pieces takes no more operations than writing all at once.
 */
const pieceBytes = 1 << 20;

const examples = `
Examples:
  ismio write file:/dev/shm/window 0 --file firmware.bin
  ismio write resource:0000:00:04.0/0 4K --hex 'de ad be ef'
  ismio write emulated:1M 0 --text 'good morning' --json
  seq 1000 | ismio write emulated:1M 0x100 --alignment strict --max-store-block 128`;

export function writeCommand(): Command {
  return addRuleOptions(
    new Command('write')
      .summary('store bytes in the fewest operations')
      .description('store bytes in the fewest store blocks and stores that the rules allow')
      .argument('<target>', targetForms, parseTarget)
      .argument('<offset>', 'where the first byte goes', parseWhole)
      .option('--file <path>', 'the bytes of a file')
      .option('--hex <digits>', 'bytes in hex; blanks and colons are passed over')
      .option('--text <text>', 'text, in UTF-8; without any of the three: standard input'),
  )
    .addOption(kindOption())
    .option('--burst', '64-byte bursts, where the CPU has them: for resource: and for file: of kind device')
    .option('--json', 'print JSON')
    .addHelpText('after', examples)
    .action(write);
}

async function write(target: Target, to: bigint, options: WriteOptions): Promise<void> {
  using region = await openTarget(target, options, true);
  const offset = checkOffset(to, 0, region.size, region.name);
  const source = await openSource(options, region.size - offset);
  checkOffset(offset, source.length, region.size, region.name);
  const began = performance.now();
  writePieces(region, offset, source);
  region.fence();
  const seconds = (performance.now() - began) / 1000;
  const { stores, storeBlocks } = region.stats();
  const name = targetName(target);
  if (options.json === true) {
    printJson({ target: name, offset: hex(offset), bytes: source.length, storeBlocks, stores, seconds });
    return;
  }
  const parts = `${count(storeBlocks, 'store block')} and ${count(stores, 'store')}`;
  print(`wrote ${count(source.length, 'byte')} at ${hex(offset)} of ${name} in ${parts}`);
}

function writePieces(region: Region, offset: number, source: Source): void {
  using progress = new Progress('writing', source.length);
  let done = 0;
  for (const piece of source.pieces(pieceSizes(offset, source.length))) {
    region.write(offset + done, piece);
    done += piece.length;
    progress.at(done);
  }
}

function* pieceSizes(offset: number, length: number): Generator<number> {
  for (let at = offset, end = offset + length; at < end; ) {
    const next = Math.min(end, (Math.floor(at / pieceBytes) + 1) * pieceBytes);
    yield next - at;
    at = next;
  }
}
