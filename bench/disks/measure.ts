// A disk measured: workloads that take turns, round after round, so that whatever else the machine does falls on all of them. The
// first round warms up, and does not count; figures are medians over the others.
import type { BlockDevice } from 'ismio/block';
import { median } from 'simple-statistics';
import { environment } from '../environment.js';
import type { Environment } from '../results.js';
import { type DiskWorkload, filled, type LoadOptions, runLoad, type Turn } from './load.js';

export interface DiskOptions extends Pick<LoadOptions, 'depth' | 'milliseconds' | 'moves' | 'signal'> {
  readonly workloads: readonly DiskWorkload[];
  /** Bytes of a request, of random workloads and of sequential ones. */
  readonly random: number;
  readonly sequential: number;
  readonly rounds: number;
  /** It is written whole before, so that there is something to read. */
  readonly fill: boolean;
  /** Called at the beginning of a turn: how many are done, and what is measured. */
  readonly onStart?: (done: number, workload: DiskWorkload) => void;
}

export interface DiskResult {
  readonly workload: DiskWorkload;
  readonly bytes: number;
  readonly iops: number;
  /** Of 10^6 bytes, in a second. */
  readonly megabytes: number;
  /** Nanoseconds. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** Nanoseconds of this process for one request, of all its threads. */
  readonly cpu: number;
  /** Store blocks of this end for one request; null where the disk is not reached by them. */
  readonly moves: number | null;
  /** Milliseconds. */
  readonly loopDelay: number;
  /** Of each round. */
  readonly rounds: readonly Turn[];
}

export interface DiskReport {
  readonly disk: string;
  readonly size: number;
  readonly depth: number;
  readonly seconds: number;
  /** Whether parts of it were holes, which cost nothing to read. */
  readonly hasHoles: boolean;
  readonly environment: Environment;
  readonly results: readonly DiskResult[];
}

/** Bytes of a write that fills. */
const fillBytes = 2 ** 20;

export async function measureDisk(disk: BlockDevice, options: DiskOptions): Promise<DiskReport> {
  const { workloads, rounds, depth, milliseconds, fill, onStart } = options;
  if (fill) await fillWhole(disk);
  const hasHoles = await knowsHoles(disk);
  const turns = new Map<DiskWorkload, Turn[]>(workloads.map((workload) => [workload, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [i, workload] of workloads.entries()) {
      onStart?.((round + 1) * workloads.length + i, workload);
      const turn = await runLoad(disk, { ...options, workload, bytes: bytesOf(workload, options) });
      if (round >= 0) turns.get(workload)?.push(turn);
    }
  }
  const results = [...turns].map(([workload, all]) => resultOf(workload, bytesOf(workload, options), all));
  return {
    ...{ disk: disk.name, size: disk.size, depth, seconds: milliseconds / 1000, hasHoles },
    ...{ environment: environment(), results },
  };
}

function bytesOf(workload: DiskWorkload, { random, sequential }: DiskOptions): number {
  return workload.startsWith('random') ? random : sequential;
}

function resultOf(workload: DiskWorkload, bytes: number, rounds: readonly Turn[]): DiskResult {
  const of = (value: (turn: Turn) => number): number => median(rounds.map(value));
  const iops = of(({ requests, seconds }) => requests / seconds);
  const hasMoves = rounds.every(({ moves }) => moves !== null);
  return {
    ...{ workload, bytes, iops, megabytes: (iops * bytes) / 1e6 },
    latency: { p50: of(({ p50 }) => p50), p99: of(({ p99 }) => p99), p999: of(({ p999 }) => p999) },
    cpu: of(({ cpu }) => cpu),
    moves: hasMoves ? of(({ moves }) => moves as number) : null,
    loopDelay: of(({ loopDelay }) => loopDelay),
    rounds,
  };
}

async function fillWhole(disk: BlockDevice): Promise<void> {
  const bytes = filled(Math.min(fillBytes, disk.size));
  for (let at = 0; at < disk.size; at += bytes.length) {
    await disk.write(at, bytes.subarray(0, Math.min(bytes.length, disk.size - at)));
  }
}

/** Of a disk in very many pieces the first ones tell. */
async function knowsHoles(disk: BlockDevice): Promise<boolean> {
  if (!disk.features.extents) return false;
  return (await disk.extents(0, disk.size, 1000)).some(({ zero }) => zero);
}
