// The process that measures one workload: none finds the compiler or the caches as another left them. Started by run.ts.
import { packageRoot } from '../src/support/package.js';
import { loadEngine } from './engine.js';
import { type Floors, loadFloors } from './floors.js';
import { measure, type Timing, type Turns } from './measure.js';
import { profileStages } from './profile/stages.js';
import { fromWorkload } from './profile/subject.js';
import type { BenchResult } from './results.js';
import { loadWorkloads } from './suites/index.js';
import { reached } from './target.js';
import { windowAt } from './window.js';
import type { Counters, Engine, Floor, Running, Window, Workload } from './workload.js';

export interface ChildRequest {
  readonly name: string;
  /** URLs of the suites' modules. */
  readonly suites: readonly string[];
  readonly turns: Turns;
  /** A file of as many zeros as the workload wants. */
  readonly windowPath: string;
}

export type ChildAnswer = { readonly result: BenchResult } | { readonly skipped: string } | { readonly failed: Error };

const counted = ['loads', 'stores', 'storeBlocks', 'bytes', 'merged', 'crossings', 'copies'] as const;

/** What one batch does, exactly. */
async function countsOf(running: Running): Promise<Counters | null> {
  if (running.counters === undefined) return null;
  const before = running.counters();
  await running.batch();
  const after = running.counters();
  const known = counted.filter((name) => after[name] !== undefined);
  return Object.fromEntries(
    known.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]),
  ) as unknown as Counters;
}

async function openFloor(engine: Engine, floor: Floor, window: Window, floors: Floors | string) {
  // Where there is no addon, only floors that need none come here: see why().
  const running = await floor.open(window, floors as Floors, engine);
  return { operations: floor.operations, running };
}

async function measureWorkload(
  engine: Engine,
  workload: Workload,
  window: Window,
  floors: Floors | string,
  turns: Turns,
) {
  const { operations } = workload;
  const running = await workload.open(engine, window);
  const floor = workload.floor === undefined ? null : await openFloor(engine, workload.floor, window, floors);
  const timing = await measure({ operations, running }, floor, turns);
  const counters = await countsOf(running);
  await floor?.running.close();
  await running.close();
  return { timing, counters };
}

/** Seconds for timing the stages, and the share that this may add to the time: beyond it the stamps are what is measured. */
const stageSeconds = 0.2;
const mostAdded = 0.25;

/** Nanoseconds of each stage for one operation; null where there is none, or timing them would tell more of itself. */
async function stagesOf(engine: Engine, workload: Workload, window: Window): Promise<BenchResult['stages']> {
  const subject = fromWorkload(workload, engine);
  const opened = await subject.open(window);
  try {
    if (opened.regions.length === 0) return null;
    const { stages, cost } = await profileStages(subject, opened, stageSeconds, () => undefined);
    const none = Object.values(stages).every((time) => time === 0);
    return none || cost > mostAdded ? null : stages;
  } finally {
    await opened.running.close();
  }
}

function why(engine: Engine, workload: Workload, floors: Floors | string): string | null {
  const missing = workload.missing?.(engine) ?? null;
  if (missing !== null) return missing;
  return workload.floor?.native === true && typeof floors === 'string' ? floors : null;
}

async function answer({ name, suites, turns, windowPath }: ChildRequest): Promise<ChildAnswer> {
  const workloads = await loadWorkloads(
    '',
    suites.map((url) => new URL(url)),
  );
  const workload = workloads.find((one) => one.name === name);
  if (workload === undefined) throw new Error(`no suite has a workload ${name}`);
  const engine = await loadEngine(packageRoot);
  const floors = loadFloors();
  const skipped = why(engine, workload, floors);
  if (skipped !== null) return { skipped };
  const window = windowAt(windowPath, workload.windowBytes);
  const { timing, counters } = await measureWorkload(engine, workload, window, floors, turns);
  const stages = await stagesOf(engine, workload, window);
  return { result: resultOf(workload, timing, counters, stages) };
}

function resultOf(
  workload: Workload,
  timing: Timing,
  counters: Counters | null,
  stages: BenchResult['stages'],
): BenchResult {
  const { name, title, operations, bytes, floor, target, scale, note } = workload;
  return {
    name,
    title,
    unit: 'ns/op',
    measured: timing.subject,
    operations,
    bytes,
    issued: counters === null ? null : counters.loads + counters.stores + counters.storeBlocks,
    counters,
    floor: timing.floor === null || floor === undefined ? null : { ...timing.floor, title: floor.title },
    ratio: timing.ratio,
    target: target ?? null,
    reached: reached(target, timing.ratio),
    scale: scale ?? null,
    stages,
    note: note ?? null,
  };
}

// run.ts ends this process when it has the answer, or by going away itself: what a workload that threw has left open must
// not keep it.
process.once('disconnect', () => process.exit());
process.once('message', async (request: ChildRequest) => {
  const said = await answer(request).catch((thrown: unknown) => ({
    failed: thrown instanceof Error ? thrown : new Error(String(thrown)),
  }));
  process.send?.(said satisfies ChildAnswer);
});
