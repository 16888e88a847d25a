// What the probes measure, in a process of their own.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Queue } from 'ismio';
import type { Effort } from '../probe.js';
import { makeWindow } from '../window.js';
import type { Engine } from '../workload.js';

const MiB = 1 << 20;
const windowBytes = 16 * MiB;

async function withQueue<T>(engine: Engine, use: (queue: Queue, source: Uint8Array) => T | Promise<T>): Promise<T> {
  const window = makeWindow(windowBytes);
  const region = engine.mapFile(window.path);
  try {
    return await use(region.queue({ depth: 4096 }), engine.allocBuffer(windowBytes).fill(0x5a));
  } finally {
    region.close();
    window.remove();
  }
}

function fill(queue: Queue, source: Uint8Array, bytes: number): void {
  for (let at = 0; at < bytes; at += MiB) {
    const offset = at % windowBytes;
    queue.write(offset, source, offset, MiB);
  }
}

/** 99th percentile of the event loop's delay during each of some drains, in milliseconds. */
export function drainDelay(engine: Engine, { rounds, share }: Effort): Promise<number[]> {
  return withQueue(engine, async (queue, source) => {
    const p99: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      fill(queue, source, Math.max(64, Math.round(1024 * share)) * MiB);
      delay.enable();
      await queue.drain();
      delay.disable();
      p99.push(delay.percentile(99) / 1e6);
    }
    return p99;
  });
}

function storeMany(queue: Queue, operations: number): void {
  for (let i = 0; i < operations; i++) {
    const offset = (i * 8) & (MiB - 1);
    if (queue.storeWords(offset, i & 0xffff, 0)) continue;
    queue.submit();
    queue.storeWords(offset, i & 0xffff, 0);
  }
  queue.submit();
}

/** MiB by which the process has grown over the last nine tenths of 10^8 operations. */
export function memoryGrowth(engine: Engine, { share }: Effort): Promise<number[]> {
  const operations = 1e8 * share;
  return withQueue(engine, (queue) => {
    storeMany(queue, operations / 10);
    const before = process.memoryUsage.rss();
    storeMany(queue, operations * 0.9);
    return [(process.memoryUsage.rss() - before) / MiB];
  });
}

const sizes = [1, 2, 511, 512, 513, 1000, 4096, 65_537, 100_000];

/** For each of these many sequential 8-byte stores: device operations more, or fewer, than the least there can be. */
export async function excessOperations(engine: Engine): Promise<number[]> {
  const region = engine.emulate({ size: 2 ** 24 });
  const queue = region.queue({ depth: 1 << 17, merge: 'adjacent' });
  const excess = sizes.map((stores) => {
    for (let i = 0; i < stores; i++) queue.storeWords(i * 8, i, 0);
    return Math.abs(queue.submit().issued - Math.ceil((8 * stores) / region.rules.maxStoreBlock));
  });
  region.close();
  return excess;
}
