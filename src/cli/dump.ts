// ismio dump: what a region holds.
import { Argument, Command } from 'commander';
import type { Region } from '../region/region.js';
import { checkOffset, checkWhole } from '../support/check.js';
import { hex, IsmioError } from '../support/errors.js';
import { hexdump } from './hexdump.js';
import { parseWhole } from './numbers.js';
import { printJson, printPart } from './output.js';
import { Progress } from './progress.js';
import {
  kindOption,
  openTarget,
  parseTarget,
  type Target,
  type TargetOptions,
  targetForms,
  targetName,
} from './target.js';

interface DumpOptions extends TargetOptions {
  json?: boolean;
}

/** Loads can have effects in a device: without a length, only a little is read. */
const defaultLength = 256;
const pieceBytes = 64 * 1024;
/** More than this makes a string that few readers take. */
const longestJson = 64 * 1024 * 1024;

const examples = `
Examples:
  ismio dump file:/dev/shm/window
  ismio dump resource:0000:00:04.0/0 0x1000 64
  ismio dump file:/dev/shm/window 0 1M | less`;

/** Its default in words: a help text shows others as JSON, which has no bigint. */
const offsetArgument = new Argument('[offset]', 'where to begin').argParser(parseWhole).default(0n, '0');

export function dumpCommand(): Command {
  return new Command('dump')
    .summary('print bytes as hex and text')
    .description('print bytes of the target, read with 8-byte loads; it is opened without write access')
    .argument('<target>', targetForms, parseTarget)
    .addArgument(offsetArgument)
    .argument('[length]', `how many bytes (default: ${defaultLength}, or to the end)`, parseWhole)
    .addOption(kindOption())
    .option('--json', 'print JSON, the bytes as one string of hex digits')
    .addHelpText('after', examples)
    .action(dump);
}

async function dump(target: Target, from: bigint, wanted: bigint | undefined, options: DumpOptions): Promise<void> {
  using region = await openTarget(target, options, false);
  const offset = checkOffset(from, 0, region.size, region.name);
  const length = wanted === undefined ? Math.min(defaultLength, region.size - offset) : checkWhole(wanted, 'length');
  checkOffset(offset, length, region.size, region.name);
  if (options.json !== true) return await printDump(region, offset, length);
  if (length > longestJson) {
    const text = `a dump of ${length} bytes is too long for one JSON string; dump up to ${longestJson} at a time`;
    throw new IsmioError('ERR_ISMIO_TOO_LONG', text, { length, longest: longestJson });
  }
  const bytes = Buffer.alloc(length);
  region.read(offset, bytes);
  printJson({ target: targetName(target), offset: hex(offset), length, hex: bytes.toString('hex') });
}

async function printDump(region: Region, offset: number, length: number): Promise<void> {
  // On a terminal the lines themselves show how far it is.
  using progress = new Progress('reading', process.stdout.isTTY ? 0 : length);
  for (const lines of hexdump(offset, piecesOf(region, offset, length, progress))) await printPart(lines);
}

function* piecesOf(region: Region, offset: number, length: number, progress: Progress): Generator<Uint8Array> {
  for (let done = 0; done < length; done += pieceBytes) {
    const piece = new Uint8Array(Math.min(pieceBytes, length - done));
    region.read(offset + done, piece);
    yield piece;
    progress.at(done + piece.length);
  }
}
