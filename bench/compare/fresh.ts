// What cannot be loaded side by side: start-up and memory. Every figure comes from a fresh process, and the builds take
// turns. That swings far more than paired slices do, so that only a larger change is one; the results say so.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { quantile, shuffle } from 'simple-statistics';
import { IsmioError } from '../../src/support/errors.js';
import { reasonIn } from '../../src/support/reason.js';
import type { ComparedTime, Distribution } from '../results.js';
import { randomFrom } from '../statistics/random.js';
import type { Arms } from './arms.js';
import type { CompareOptions, Watcher } from './options.js';
import { type ArmName, armNames } from './slices.js';
import { type Judged, judge, type Round } from './verdict.js';

const execute = promisify(execFile);

/** A change of start-up or memory counts from so many times the delta of the others on. */
export const coarseness = 5;

const kinds = [
  { name: 'process/import', title: "CPU time of import 'ismio' in a fresh process", unit: 'ms' },
  { name: 'process/memory', title: 'resident memory after 10^6 queued stores in a fresh process', unit: 'MiB' },
] as const;

/** For who chooses by name: these are no workloads. */
export const freshNames: readonly string[] = kinds.map(({ name }) => name);

/** One figure of each kind. */
type Figures = readonly [milliseconds: number, mebibytes: number];
type Turn = Readonly<Record<ArmName, Figures>>;

const script = `
  const before = process.cpuUsage();
  const { emulate } = await import(process.argv[1]);
  const { user, system } = process.cpuUsage(before);
  const queue = emulate({ size: 65536 }).queue({ depth: 1024, merge: 'adjacent' });
  for (let i = 0; i < 1e6; i++) {
    if (queue.storeWords((i * 8) & 0xffff, i & 0xffff, 0)) continue;
    queue.submit();
    queue.storeWords((i * 8) & 0xffff, i & 0xffff, 0);
  }
  queue.submit();
  console.log(JSON.stringify([(user + system) / 1000, process.memoryUsage.rss() / 2 ** 20]));`;

export async function compareFresh(arms: Arms, options: CompareOptions, watcher: Watcher): Promise<ComparedTime[]> {
  const chosen = kinds.filter(({ name }) => options.filter?.test(name) ?? true);
  if (chosen.length === 0) return [];
  const random = randomFrom(options.seed);
  const rounds: Turn[][] = [];
  const turns = options.effort.processes;
  for (let round = 0; round < 2; round++) {
    const taken: Turn[] = [];
    for (let turn = 0; turn < turns; turn++) {
      taken.push(await oneTurn(arms, random));
      watcher.progress('start-up and memory', round * turns + turn + 1, 2 * turns);
    }
    rounds.push(taken);
  }
  const at = chosen.map((kind) => kinds.indexOf(kind));
  const judged = judge(
    at.map((index) => rounds.map((taken) => ratios(taken, index))),
    { ...options, delta: options.delta * coarseness },
    random,
  );
  return chosen.map((kind, index) => compared(kind, rounds.flat(), at[index] as number, judged[index] as Judged));
}

async function oneTurn(arms: Arms, random: () => number): Promise<Turn> {
  const turn: Partial<Record<ArmName, Figures>> = {};
  for (const name of shuffle([...armNames], random)) turn[name] = await figuresOf(arms[name]);
  return turn as Turn;
}

async function figuresOf(arm: string): Promise<Figures> {
  const { ISMIO_BINARY: _binary, NODE_OPTIONS: _options, ...env } = process.env;
  const url = pathToFileURL(join(arm, 'dist', 'ismio.js')).href;
  try {
    const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', script, url], { env });
    return JSON.parse(stdout) as [number, number];
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    const why = reasonIn(stderr) ?? message;
    throw new IsmioError('ERR_ISMIO_BENCH', `a fresh process could not be measured: ${why}`, { log: stderr }, cause);
  }
}

function ratios(turns: readonly Turn[], kind: number): Round {
  const over = (one: ArmName, other: ArmName): number[] =>
    turns.map((turn) => (turn[one][kind] as number) / (turn[other][kind] as number));
  return { overBase: over('head', 'base'), overCopy: over('head', 'null'), null: over('null', 'base') };
}

function compared(
  { name, title, unit }: (typeof kinds)[number],
  turns: readonly Turn[],
  kind: number,
  judged: Judged,
): ComparedTime {
  const distribution = (arm: ArmName): Distribution => {
    const values = turns.map((turn) => turn[arm][kind] as number);
    const [min, q1, median, q3, max] = [0, 0.25, 0.5, 0.75, 1].map((share) => quantile(values, share));
    return { min, q1, median, q3, max } as Distribution;
  };
  const method = 'alternating processes';
  return { name, title, unit, method, ...judged, base: distribution('base'), head: distribution('head') };
}
