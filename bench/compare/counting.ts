// Exact counts of one build: what each workload issued, moved, copied and crossed for a number of batches, which the build
// that is counted first decides: a count that each chose for itself would hide what it should show.
import { makeWindow } from '../window.js';
import type { Counters, Engine, Running, Workload } from '../workload.js';
import { loadArm } from './slices.js';

export interface CountRequest {
  /** Folder of the build. */
  readonly arm: string;
  readonly workloads: readonly string[];
  /** URLs of the suites that they are in; without, the package's own. */
  readonly suites?: readonly string[] | undefined;
  /** How many batches to run of a workload; of one that is not named, as many as make its counts tell something. */
  readonly batches: Readonly<Record<string, number>>;
}

export interface CountResult {
  readonly name: string;
  readonly batches: number;
  /** Null where the workload counts nothing. */
  readonly counters: Counters | null;
  /** What it lacks here, so that it was not run. */
  readonly missing: string | null;
  /** Why the workload did not run. */
  readonly failed: string | null;
}

/** At least so many device operations, so that one more in a thousand is seen. */
const leastIssued = 4000;
const mostBatches = 1000;

export async function runCounts(request: CountRequest, tell: (result: CountResult) => void): Promise<void> {
  const { arm, workloads, batches } = request;
  const loaded = await loadArm('head', arm, request.suites);
  for (const name of workloads) {
    const workload = loaded.workloads.get(name);
    if (workload === undefined) continue;
    try {
      const missing = workload.missing?.(loaded.engine) ?? null;
      const count = missing === null ? await countOne(workload, loaded.engine, batches[name]) : nothingCounted;
      tell({ name, missing, failed: null, ...count });
    } catch (error) {
      tell({ name, missing: null, ...nothingCounted, failed: String((error as Error)?.message ?? error) });
    }
  }
}

type Count = Pick<CountResult, 'batches' | 'counters'>;

const nothingCounted: Count = { batches: 0, counters: null };

async function countOne(workload: Workload, engine: Engine, batches: number | undefined): Promise<Count> {
  const window = makeWindow(workload.windowBytes);
  try {
    const running = await workload.open(engine, window);
    try {
      return running.counters === undefined ? nothingCounted : await countBatches(running, running.counters, batches);
    } finally {
      await running.close();
    }
  } finally {
    window.remove();
  }
}

async function countBatches(running: Running, counters: () => Counters, wanted: number | undefined): Promise<Count> {
  await running.batch();
  const first = counters();
  const batches = wanted ?? enough(first);
  for (let i = 0; i < batches; i++) await running.batch();
  return { batches, counters: difference(counters(), first) };
}

/** Batches like the one that issued this. */
function enough({ loads, stores, storeBlocks }: Counters): number {
  const issued = loads + stores + storeBlocks;
  return issued === 0 ? 1 : Math.min(mostBatches, Math.ceil(leastIssued / issued));
}

function difference(after: Counters, before: Counters): Counters {
  const names = ['loads', 'stores', 'storeBlocks', 'bytes', 'merged', 'crossings', 'copies'] as const;
  const counted = names.filter((name) => after[name] !== undefined);
  return Object.fromEntries(
    counted.map((name) => [name, (after[name] as number) - (before[name] as number)]),
  ) as unknown as Counters;
}
