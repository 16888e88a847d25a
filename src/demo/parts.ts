// The two parts of the demo: one at the machine's own speed, one on a device that is made slow.
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emulate, mapFile, type Pool, type Region } from 'ismio';
import type { DemoFile } from './file.js';
import { measure, type Outcome, sha256Of } from './measure.js';
import { mergedQueue, perWord, pieces, plannedWrites, pooled, systemCalls, type Tick, type Way } from './ways.js';

/** What is going to be done: where, with how much, in which ways. */
export interface Part extends Disposable {
  readonly name: 'mapped file' | 'emulated region';
  readonly region: Region;
  /** One sentence. */
  readonly sentence: string;
  /** Nanoseconds that each store or store block is made to take; null: none. */
  readonly syntheticNanoseconds: number | null;
  /** What is moved: the first bytes of the file, or all. */
  readonly bytes: Uint8Array;
  readonly ways: readonly Way[];
}

export interface PartReport {
  readonly region: Part['name'];
  /** Name of the access kernel. */
  readonly access: string;
  readonly syntheticNanoseconds: number | null;
  readonly bytes: number;
  readonly sha256: string;
  /** With the ratio of each way's speed to the first's. */
  readonly outcomes: readonly (Outcome & { readonly ratio: number })[];
}

/** How long the slowest way may take on the slow device. */
const slowestSeconds = 8;
const page = 4096;

/** Memory that other processes could map as well; an emulated region where the system has none to give. */
export function fastPart(file: DemoFile, pool: Pool): Part {
  const ways = [perWord, plannedWrites, mergedQueue, pooled(pool)];
  const { bytes } = file;
  const size = Math.ceil(bytes.length / page) * page;
  const made = sharedMemory(size);
  if (typeof made === 'string') {
    const region = emulate({ size });
    const sentence = `Into an emulated region, because ${made}. No synthetic cost: the times are this machine's own.`;
    return {
      name: 'emulated region',
      region,
      sentence,
      syntheticNanoseconds: null,
      bytes,
      ways,
      [Symbol.dispose]: () => region.close(),
    };
  }
  const { region, descriptor } = made;
  const sentence =
    `Into a file on tmpfs, mapped and treated as a device (${region.access} accesses, ascending). No synthetic cost: the ` +
    "times are this machine's own, and its memory is quick enough for one thread to be as good as several.";
  return {
    name: 'mapped file',
    region,
    sentence,
    syntheticNanoseconds: null,
    bytes,
    ways: [...ways, systemCalls(descriptor)],
    [Symbol.dispose]: () => release(made),
  };
}

/** @param cost in nanoseconds */
export function slowPart(file: DemoFile, pool: Pool, cost: number): Part {
  const words = Math.floor((slowestSeconds * 1e9) / Math.max(1, cost) / page) * page;
  const bytes = file.bytes.subarray(0, Math.max(page, words * 8));
  const region = emulate({ size: Math.ceil(bytes.length / page) * page, cost: { store: cost, storeBlock: cost } });
  const sentence =
    `Into an emulated region with SYNTHETIC cost: each store and each store block takes ${cost.toLocaleString('en')} ns, ` +
    'whatever its length. It shows what fewer operations are worth where each is dear; it says nothing about real hardware.';
  const ways = [perWord, plannedWrites, mergedQueue, pooled(pool)];
  return {
    name: 'emulated region',
    region,
    sentence,
    syntheticNanoseconds: cost,
    bytes,
    ways,
    [Symbol.dispose]: () => region.close(),
  };
}

/** @param begin called before each way, with its name and the bytes it moves */
export async function runPart(
  part: Part,
  begin: (way: string, bytes: number) => Disposable & { at: Tick },
): Promise<PartReport> {
  const { region, bytes, syntheticNanoseconds } = part;
  const sha256 = sha256Of(bytes);
  const outcomes: (Outcome & { ratio: number })[] = [];
  for (const way of part.ways) {
    using progress = begin(way.name, bytes.length);
    const outcome = await measure(way, region, bytes, sha256, (done) => progress.at(done));
    const first = outcomes[0] ?? outcome;
    outcomes.push({ ...outcome, ratio: outcome.megabytesPerSecond / first.megabytesPerSecond });
  }
  return { region: part.name, access: region.access, syntheticNanoseconds, bytes: bytes.length, sha256, outcomes };
}

/** A mapped file on tmpfs with all its pages, and its descriptor; or why there is none. */
function sharedMemory(size: number): { region: Region; descriptor: number } | string {
  let made: { region: Region; descriptor: number } | undefined;
  try {
    made = namelessFile(size);
    fillWithZeros(made.descriptor, size);
    return made;
  } catch (error) {
    if (made !== undefined) release(made);
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'ENOENT' || code === 'EACCES') return `/dev/shm has no room for it (${code})`;
    throw error;
  }
}

/** Its name is taken away before anything is moved, so that nothing is left behind however the demo ends. */
function namelessFile(size: number): { region: Region; descriptor: number } {
  const folder = mkdtempSync('/dev/shm/ismio-');
  try {
    const path = join(folder, 'window');
    const descriptor = openSync(path, 'wx+');
    ftruncateSync(descriptor, size);
    return { region: mapFile(path, { kind: 'device' }), descriptor };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Written, not just extended: a full tmpfs then says so here, and not in the middle of a store. */
function fillWithZeros(descriptor: number, size: number): void {
  const zeros = new Uint8Array(1 << 20);
  for (const [start, end] of pieces(size)) writeFileSync(descriptor, zeros.subarray(0, end - start));
}

function release({ region, descriptor }: { region: Region; descriptor: number }): void {
  region.close();
  closeSync(descriptor);
}
