// The demo from beginning to end: a file into two regions in each way, told as it goes.
import { IsmioError, Pool } from 'ismio';
import { drawChart, drawTable, drawWays, whole, wrapped } from './draw.js';
import { type DemoFile, readDemoFile } from './file.js';
import { fastPart, type Part, type PartReport, runPart, slowPart } from './parts.js';
import type { Tick } from './ways.js';

export interface DemoOptions {
  readonly path: string;
  /** Most bytes of the file that are moved. */
  readonly limit: number;
  /** Synthetic nanoseconds of a store in the second part. */
  readonly cost: number;
  readonly threads: number;
}

/** Where the demo tells what it does. */
export interface Audience {
  readonly columns: number;
  say(text: string): void;
  /** A way begins; ended by disposing of what comes back. */
  begin(way: string, bytes: number): Disposable & { readonly at: Tick };
}

export interface DemoReport {
  readonly file: string;
  readonly fileBytes: number;
  readonly threads: number;
  readonly verified: boolean;
  readonly parts: readonly PartReport[];
}

export async function runDemo(options: DemoOptions, audience: Audience): Promise<DemoReport> {
  const file = readDemoFile(options.path, options.limit);
  await using pool = new Pool({ threads: options.threads });
  using fast = fastPart(file, pool);
  audience.say(introduction(file, fast, audience.columns));
  const first = await show('1', fast, audience, file);
  using slow = slowPart(file, pool, options.cost);
  const second = await show('2', slow, audience, file);
  const parts = [first, second];
  const verified = parts.every(({ outcomes }) => outcomes.every((outcome) => outcome.verified));
  if (verified) audience.say(conclusion(parts, audience.columns));
  return { file: file.path, fileBytes: file.size, threads: pool.threads, verified, parts };
}

/** @throws IsmioError ERR_ISMIO_MISMATCH, naming each way that did not leave the source's bytes in the region */
export function checkVerified({ parts }: Pick<DemoReport, 'parts'>): void {
  const wrong = parts.flatMap(({ region, outcomes }) =>
    outcomes.filter(({ verified }) => !verified).map(({ way }) => `${way} into the ${region}`),
  );
  if (wrong.length === 0) return;
  const text = `what was read back is not what was moved, after: ${wrong.join('; ')}`;
  throw new IsmioError('ERR_ISMIO_MISMATCH', text, { ways: wrong });
}

async function show(number: string, part: Part, audience: Audience, file: DemoFile): Promise<PartReport> {
  const { columns, say } = audience;
  const [moved, size] = [whole(part.bytes.length), whole(file.size)];
  const amount = moved === size ? `All ${size} bytes of the file` : `The first ${moved} of the file's ${size} bytes`;
  say(`\n${wrapped(`${number}. ${part.sentence} ${amount}, each way.`, columns)}\n`);
  const report = await runPart(part, (way, bytes) => audience.begin(way, bytes));
  say(`${drawTable(report)}\n\n${drawChart(report, columns)}`);
  return report;
}

function introduction(file: DemoFile, part: Part, columns: number): string {
  const text =
    `ismio moves ${file.path} into a region of device memory in several ways, reads it back after each, and ` +
    'compares the SHA-256 of what it finds with that of the file. A region takes up to 4,096 bytes in one store block. ' +
    'The time is that from memory into the region (the median of up to 5 runs), without reading the file and without ' +
    'the check; the ratio is that of the speed to per-word.';
  return `${wrapped(text, columns)}\n\n${drawWays(part.ways, columns)}`;
}

function conclusion(parts: readonly PartReport[], columns: number): string {
  const cases = parts.reduce((sum, { outcomes }) => sum + outcomes.length, 0);
  const hash = parts[0]?.sha256 ?? '';
  return `\n${wrapped(`Verified: after each of the ${cases} transfers the region held exactly what was moved. SHA-256 ${hash}`, columns)}`;
}
