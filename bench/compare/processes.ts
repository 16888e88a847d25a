// The processes of a comparison, one after the other.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { shuffle } from 'simple-statistics';
import { IsmioError } from '../../src/support/errors.js';
import { atExit } from '../../src/support/exit.js';
import { reasonIn } from '../../src/support/reason.js';
import { randomFrom } from '../statistics/random.js';
import { type Arms, renewAddons } from './arms.js';
import type { Request } from './child.js';
import type { CountResult } from './counting.js';
import type { ArmName, SliceResult } from './slices.js';

/**
 * V8 compiles on the thread that runs the code, not beside it: what it inlines would else depend on how fast the other
 * thread was, and two copies of the same loop would differ by several percent for as long as their process lives.
 */
const nodeOptions = ['--single-threaded', '--expose-gc'];

/** Every order of the three arms: each comes first, in the middle and last as often as the others, and ABBA. */
const orders: readonly (readonly ArmName[])[] = [
  ['base', 'null', 'head'],
  ['head', 'null', 'base'],
  ['null', 'head', 'base'],
  ['base', 'head', 'null'],
  ['head', 'base', 'null'],
  ['null', 'base', 'head'],
];

export interface Effort {
  readonly processes: number;
  readonly openings: number;
  readonly slices: number;
  readonly sliceMilliseconds: number;
}

/** Without the processes: 40 or 60 slices of each arm, in openings enough for the luck of one not to matter. */
export const efforts: Readonly<Record<'quick' | 'full', Omit<Effort, 'processes'>>> = {
  quick: { openings: 4, slices: 10, sliceMilliseconds: 1 },
  full: { openings: 6, slices: 10, sliceMilliseconds: 1 },
};

/** Results by workload, one for each process. */
export type RoundResults = ReadonlyMap<string, readonly SliceResult[]>;

/** @param tick called after each workload of each process */
export async function runRound(
  arms: Arms,
  workloads: readonly string[],
  effort: Effort,
  seed: number,
  tick: () => void,
  suites?: readonly string[],
): Promise<RoundResults> {
  const results = new Map<string, SliceResult[]>(workloads.map((name) => [name, []]));
  const { processes, ...slicing } = effort;
  for (let i = 0; i < processes; i++) {
    const own = (seed + i) >>> 0;
    const order = orders[i % orders.length] as readonly ArmName[];
    const request = { task: 'slices', arms, order, seed: own, suites, ...slicing } as const;
    const shuffled = shuffle([...workloads], randomFrom(own));
    renewAddons(arms);
    await runChild({ ...request, workloads: shuffled }, (result: SliceResult) => {
      results.get(result.name)?.push(result);
      tick();
    });
  }
  return results;
}

/** @param like counts of the build that this one is compared with: as many batches are run */
export async function countsOf(
  arm: string,
  workloads: readonly string[],
  like: ReadonlyMap<string, CountResult> = new Map(),
  suites?: readonly string[],
): Promise<Map<string, CountResult>> {
  const results = new Map<string, CountResult>();
  const counted = [...like].filter(([, { counters }]) => counters !== null);
  const batches = Object.fromEntries(counted.map(([name, one]) => [name, one.batches]));
  await runChild({ task: 'counts', arm, workloads, suites, batches }, (result: CountResult) =>
    results.set(result.name, result),
  );
  return results;
}

async function runChild<Result>(request: Request, take: (result: Result) => void): Promise<void> {
  const { ISMIO_BINARY: _binary, NODE_OPTIONS: _options, ...env } = process.env;
  const program = fileURLToPath(new URL('./child.js', import.meta.url));
  const child = spawn(process.execPath, [...nodeOptions, program, JSON.stringify(request)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const forget = atExit(() => child.kill());
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-20_000);
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  let done = 0;
  let threw: string | null = null;
  for await (const line of createInterface({ input: child.stdout })) {
    const told = JSON.parse(line) as Result | { threw: string };
    if (typeof told === 'object' && told !== null && 'threw' in told) {
      threw = told.threw;
      continue;
    }
    take(told as Result);
    done++;
  }
  const { code, signal } = await ended;
  forget();
  if (code === 0) return;
  const howItEnded = `its process ended with ${signal ?? `exit code ${code}`}`;
  // It may have ended behind the last of them.
  const benchmark = request.workloads[done] ?? request.workloads.at(-1);
  const why = threw ?? reasonIn(complaint) ?? howItEnded;
  throw new IsmioError('ERR_ISMIO_BENCH', `${benchmark} could not be measured: ${why}`, { benchmark, log: complaint });
}
