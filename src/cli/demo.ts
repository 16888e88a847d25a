// ismio demo: a file through the engine in four ways, verified and compared.
import { availableParallelism } from 'node:os';
import { Argument, Command, Option } from 'commander';
import { parseCount } from './numbers.js';
import { drawingWidth, print, printJson } from './output.js';
import { Progress } from './progress.js';

interface DemoOptions {
  limit: number;
  cost: number;
  threads: number;
  json?: boolean;
}

const examples = `
Examples:
  ismio demo
  ismio demo firmware.bin --threads 4
  ismio demo --limit 16M --cost 500 --json`;

export function demoCommand(): Command {
  return new Command('demo')
    .summary('move a file in four ways, verify and compare them')
    .description('move a file through the engine in four ways, read it back, compare SHA-256 and speed')
    .addArgument(new Argument('[file]', 'what is moved').default(process.execPath, 'the Node.js binary that runs this'))
    .option('--limit <bytes>', 'move no more than the first so many bytes', parseCount, 256 << 20)
    .option('--cost <ns>', 'synthetic nanoseconds of a store in the second part', parseCount, 1000)
    .addOption(
      new Option('--threads <number>', 'threads of the pool')
        .argParser(parseCount)
        .default(Math.max(2, Math.min(4, availableParallelism())), 'one for each CPU, from 2 to 4'),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', examples)
    .action(demo);
}

async function demo(path: string, { json = false, ...options }: DemoOptions): Promise<void> {
  const { runDemo, checkVerified } = await import('../demo/demo.js');
  const report = await runDemo(
    { path, ...options },
    {
      columns: drawingWidth(),
      say: json ? () => undefined : print,
      begin: (way, bytes) => new Progress(way, bytes),
    },
  );
  if (json) printJson(report);
  checkVerified(report);
}
