// Exact counts of one build: what each workload issued, moved, copied and crossed for a fixed number of batches.
import { makeWindow } from '../window.js';
import type { Counters, Running, Workload } from '../workload.js';
import { loadArm } from './slices.js';

export interface CountRequest {
  /** Folder of the build. */
  readonly arm: string;
  readonly workloads: readonly string[];
}

export interface CountResult {
  readonly name: string;
  /** Null where the workload counts nothing. */
  readonly counters: Counters | null;
  /** Why the workload did not run. */
  readonly failed: string | null;
}

/** At least so many device operations, so that one more in a thousand is seen. */
const leastIssued = 4000;
const mostBatches = 1000;

export async function runCounts({ arm, workloads }: CountRequest, tell: (result: CountResult) => void): Promise<void> {
  const loaded = await loadArm('head', arm);
  for (const name of workloads) {
    const workload = loaded.workloads.get(name);
    if (workload === undefined) continue;
    try {
      tell({ name, counters: await countOne(workload, loaded.engine), failed: null });
    } catch (error) {
      tell({ name, counters: null, failed: String((error as Error)?.message ?? error) });
    }
  }
}

async function countOne(workload: Workload, engine: Parameters<Workload['open']>[0]): Promise<Counters | null> {
  const window = makeWindow(workload.windowBytes);
  try {
    const running = await workload.open(engine, window);
    try {
      return running.counters === undefined ? null : await countBatches(running, running.counters);
    } finally {
      await running.close();
    }
  } finally {
    window.remove();
  }
}

async function countBatches(running: Running, counters: () => Counters): Promise<Counters> {
  await running.batch();
  const first = counters();
  const issued = first.loads + first.stores + first.storeBlocks;
  const batches = issued === 0 ? 1 : Math.min(mostBatches, Math.ceil(leastIssued / issued));
  for (let i = 0; i < batches; i++) await running.batch();
  return difference(counters(), first);
}

function difference(after: Counters, before: Counters): Counters {
  const names = ['loads', 'stores', 'storeBlocks', 'bytes', 'merged', 'crossings', 'copies'] as const;
  const counted = names.filter((name) => after[name] !== undefined);
  return Object.fromEntries(
    counted.map((name) => [name, (after[name] as number) - (before[name] as number)]),
  ) as unknown as Counters;
}
