// A process of a comparison: loads every arm side by side, and gives each in turn a slice of about a millisecond, in an
// order that chance decides. What comes back is ratios of slices that lie next to each other in time, so that whatever
// else the machine does, and however fast its clock runs, falls on both.
import { setImmediate } from 'node:timers/promises';
import { median, quantile, shuffle } from 'simple-statistics';
import { loadEngine } from '../engine.js';
import { randomFrom } from '../statistics/random.js';
import { loadWorkloads, suitesFrom } from '../suites/index.js';
import { makeWindow } from '../window.js';
import type { Engine, Running, Window, Workload } from '../workload.js';

/** base, base again from a copy of its own, and head. */
export const armNames = ['base', 'null', 'head'] as const;
export type ArmName = (typeof armNames)[number];

export interface SliceRequest {
  /** Folders of the builds. */
  readonly arms: Readonly<Record<ArmName, string>>;
  /** In which the arms are loaded, opened and warmed up. */
  readonly order: readonly ArmName[];
  readonly workloads: readonly string[];
  /** URLs of the suites that they are in; without, the package's own. */
  readonly suites?: readonly string[] | undefined;
  readonly seed: number;
  /** How often the workload is opened anew: where its memory lies is luck that lasts until it is closed. */
  readonly openings: number;
  /** Slices of each arm in one opening. */
  readonly slices: number;
  readonly sliceMilliseconds: number;
}

/** What one process found for one workload. */
export interface SliceResult {
  readonly name: string;
  /** Median ratios of slices: head to base, head to the copy of base, and the copy to base. */
  readonly overBase: number;
  readonly overCopy: number;
  readonly null: number;
  /** Nanoseconds for one operation: quartiles over the slices. */
  readonly baseTimes: readonly number[];
  readonly headTimes: readonly number[];
}

export interface Arm {
  readonly name: ArmName;
  readonly engine: Engine;
  readonly workloads: ReadonlyMap<string, Workload>;
}

/** How many batches make a slice, and about how long that lasts. */
interface Pace {
  readonly batches: number;
  readonly nanoseconds: number;
}

/** Nanoseconds of slices that an arm gets in one opening, where a single batch is longer than a slice should be. */
const longestOpening = 60e6;

/** Nanoseconds of three slices next to each other, one for each arm. */
type Triple = Record<ArmName, number>;

/**
 * Openings before anything counts. Two, because the compiler takes what it has seen only once for constant: the second
 * opening makes it compile again, and from then on the code stays as it is.
 */
const warmUpOpenings = 2;

export async function runSlices(request: SliceRequest, tell: (result: SliceResult) => void): Promise<void> {
  const arms: Arm[] = [];
  for (const name of request.order) arms.push(await loadArm(name, request.arms[name], request.suites));
  const random = randomFrom(request.seed);
  for (const name of request.workloads) {
    tell(await compareOne(name, arms, request, random));
    await setImmediate(); // for a signal to be heard
  }
}

export async function loadArm(name: ArmName, folder: string, suites?: readonly string[]): Promise<Arm> {
  const engine = await loadEngine(folder);
  const workloads = await loadWorkloads(`?arm=${name}`, suitesFrom(suites));
  return { name, engine, workloads: new Map(workloads.map((workload) => [workload.name, workload])) };
}

async function compareOne(
  name: string,
  arms: readonly Arm[],
  request: SliceRequest,
  random: () => number,
): Promise<SliceResult> {
  const { operations, windowBytes } = workloadOf(arms[0] as Arm, name);
  const window = makeWindow(windowBytes);
  const triples: Triple[] = [];
  let pace: Pace = { batches: 1, nanoseconds: 0 };
  try {
    for (let opening = -warmUpOpenings; opening < request.openings; opening++) {
      const running = await openAll(name, shuffle([...arms], random), window);
      try {
        pace = await warmUp(running, pace, opening < 0 ? request.sliceMilliseconds * 1e6 : null);
        const slices = opening < 0 ? 0 : slicesOf(pace, request.slices);
        for (let i = 0; i < slices; i++) triples.push(await timeTriple(shuffle(running, random), pace.batches));
      } finally {
        for (const [, one] of running) await one.close();
      }
    }
  } finally {
    window.remove();
  }
  return summary(name, pace.batches * operations, triples);
}

/** As many as were asked for; fewer where a single batch lasts longer than a slice should. */
function slicesOf({ nanoseconds }: Pace, wanted: number): number {
  return Math.max(2, Math.min(wanted, Math.round(longestOpening / nanoseconds)));
}

async function openAll(name: string, arms: readonly Arm[], window: Window): Promise<[ArmName, Running][]> {
  const running: [ArmName, Running][] = [];
  for (const arm of arms) running.push([arm.name, await workloadOf(arm, name).open(arm.engine, window)]);
  return running;
}

function workloadOf({ workloads }: Arm, name: string): Workload {
  const workload = workloads.get(name);
  if (workload === undefined) throw new Error(`there is no workload ${name}`);
  return workload;
}

/** Runs the arms in turns. The pace stays as it was, or is found anew where `slice` says how long one should last. */
async function warmUp(running: readonly [ArmName, Running][], before: Pace, slice: number | null): Promise<Pace> {
  let { batches } = before;
  const lasts: number[] = [];
  for (let spent = 0; lasts.length < (slice === null ? 2 : 8) && spent < longestOpening; ) {
    for (const [name, one] of running) {
      const took = await timeSlice(one, batches);
      spent += took;
      if (name === 'base') lasts.push(took / batches);
    }
    if (slice !== null) batches = Math.max(1, Math.round(slice / Math.min(...lasts.slice(-4))));
  }
  return { batches, nanoseconds: batches * Math.min(...lasts.slice(-4)) };
}

async function timeTriple(running: readonly [ArmName, Running][], batches: number): Promise<Triple> {
  const triple = { base: 0, null: 0, head: 0 };
  for (const [name, one] of running) triple[name] = await timeSlice(one, batches);
  return triple;
}

async function timeSlice(running: Running, batches: number): Promise<number> {
  const before = process.hrtime.bigint();
  for (let i = 0; i < batches; i++) {
    const pending = running.batch();
    if (pending !== undefined) await pending;
  }
  return Number(process.hrtime.bigint() - before);
}

function summary(name: string, operations: number, triples: readonly Triple[]): SliceResult {
  const quartiles = (arm: ArmName) => {
    const times = triples.map((triple) => triple[arm] / operations);
    return [0, 0.25, 0.5, 0.75, 1].map((share) => quantile(times, share));
  };
  // Of ratios, because slices that lie next to each other are slow together. (And not a ratio to the middle of both slices
  // of base: of slices that are now and then far too slow, two are so more often than one, and head would seem faster by a
  // percent or two.)
  const ratio = (one: ArmName, other: ArmName): number => median(triples.map((triple) => triple[one] / triple[other]));
  return {
    name,
    overBase: ratio('head', 'base'),
    overCopy: ratio('head', 'null'),
    null: ratio('null', 'base'),
    baseTimes: quartiles('base'),
    headTimes: quartiles('head'),
  };
}
