// One way on one region: moved, timed, counted, read back and compared.
import { createHash } from 'node:crypto';
import type { Region } from 'ismio';
import { pieces, type Tick, type Way } from './ways.js';

export interface Outcome {
  readonly way: string;
  /** Store blocks and stores that the region was given. */
  readonly operations: number;
  readonly bytesPerOperation: number;
  /** The median of `runs`. */
  readonly seconds: number;
  readonly runs: number;
  /** Millions of bytes in a second. */
  readonly megabytesPerSecond: number;
  /** Of what was read back. */
  readonly sha256: string;
  readonly verified: boolean;
}

/** A single run of a few milliseconds says little: what is quick is run again. */
const mostRuns = 5;
const enoughSeconds = 1;

/** @param sha256 of `source` */
export async function measure(
  way: Way,
  region: Region,
  source: Uint8Array,
  sha256: string,
  tick: Tick,
): Promise<Outcome> {
  erase(region, source.length);
  const before = operationsOf(region);
  const times = await timesOf(way, region, source, tick);
  const issued = (operationsOf(region) - before) / times.length;
  const operations = way.operations?.(source.length) ?? issued;
  const seconds = median(times);
  const found = sha256OfRegion(region, source.length);
  return {
    way: way.name,
    operations,
    bytesPerOperation: source.length / operations,
    seconds,
    runs: times.length,
    megabytesPerSecond: source.length / seconds / 1e6,
    sha256: found,
    verified: found === sha256,
  };
}

async function timesOf(way: Way, region: Region, source: Uint8Array, tick: Tick): Promise<number[]> {
  const times: number[] = [];
  for (let total = 0; times.length === 0 || (times.length < mostRuns && total < enoughSeconds); ) {
    const began = performance.now();
    await way.move(region, source, tick);
    region.fence();
    const seconds = (performance.now() - began) / 1000;
    times.push(seconds);
    total += seconds;
  }
  return times;
}

/** So that what is read back can only have come from the way that is measured. */
function erase(region: Region, length: number): void {
  const zeros = new Uint8Array(1 << 20);
  for (const [start, end] of pieces(length)) region.write(start, zeros.subarray(0, end - start));
}

function operationsOf(region: Region): number {
  const { stores, storeBlocks } = region.stats();
  return stores + storeBlocks;
}

function sha256OfRegion(region: Region, length: number): string {
  const hash = createHash('sha256');
  const piece = new Uint8Array(1 << 20);
  for (const [start, end] of pieces(length)) {
    const part = piece.subarray(0, end - start);
    region.read(start, part);
    hash.update(part);
  }
  return hash.digest('hex');
}

export function sha256Of(bytes: Uint8Array): string {
  const hash = createHash('sha256');
  for (const [start, end] of pieces(bytes.length)) hash.update(bytes.subarray(start, end));
  return hash.digest('hex');
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]] as [number, number];
  return (low + high) / 2;
}
