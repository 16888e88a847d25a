// What the engine does to the process around it: event loop, memory, start-up.
import { spawnSync } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { allocBuffer, mapFile, type Queue } from 'ismio';
import { median } from 'simple-statistics';
import { packageRoot } from '../../src/package.js';
import { compare, timed, timedAsync } from '../compare.js';
import type { Effort, Outcome, Scenario } from '../scenario.js';
import { makeWindow } from '../window.js';

const MiB = 1 << 20;
const windowBytes = 16 * MiB;

function fill(queue: Queue, source: Uint8Array, bytes: number): void {
  for (let at = 0; at < bytes; at += MiB) {
    const offset = at % windowBytes;
    queue.write(offset, source, offset, MiB);
  }
}

async function withQueue<T>(use: (queue: Queue, source: Uint8Array) => Promise<T>): Promise<T> {
  const window = makeWindow(windowBytes);
  try {
    using region = mapFile(window.path);
    return await use(region.queue({ depth: 4096 }), allocBuffer(windowBytes).fill(0x5a));
  } finally {
    window.remove();
  }
}

function drainDelay({ share }: Effort): Promise<Outcome> {
  const bytes = 1024 * MiB;
  return withQueue(async (queue, source) => {
    const p99: number[] = [];
    for (let round = 0; round < Math.max(3, 10 * share); round++) {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      fill(queue, source, bytes);
      delay.enable();
      await queue.drain();
      delay.disable();
      p99.push(delay.percentile(99) / 1e6);
    }
    return {
      value: median(p99),
      unit: 'ms',
      bytes,
      note: "perf_hooks' monitorEventLoopDelay, its own 1 ms timer included",
    };
  });
}

function drainThroughput({ rounds, time }: Effort): Promise<Outcome> {
  const bytes = 256 * MiB;
  return withQueue(async (queue, source) => {
    const batch = { operations: bytes / 4096 };
    const comparison = await compare(
      {
        ...batch,
        run: () => {
          fill(queue, source, bytes);
          return timedAsync(() => queue.drain());
        },
      },
      {
        ...batch,
        run: () => {
          fill(queue, source, bytes);
          return timed(() => queue.submit());
        },
      },
      rounds,
      time,
    );
    return { value: comparison.ratio, unit: 'x', comparison, bytes };
  });
}

function memoryGrowth({ share }: Effort): Promise<Outcome> {
  const operations = 1e8 * share;
  return withQueue(async (queue) => {
    const run = (n: number): void => {
      for (let i = 0; i < n; i++) {
        const offset = (i * 8) & (MiB - 1);
        if (queue.storeWords(offset, i & 0xffff, 0)) continue;
        queue.submit();
        queue.storeWords(offset, i & 0xffff, 0);
      }
      queue.submit();
    };
    run(operations / 10);
    const before = process.memoryUsage.rss();
    run(operations * 0.9);
    const value = (process.memoryUsage.rss() - before) / MiB;
    return { value, unit: 'MiB', note: `${operations.toExponential(0)} operations, the first tenth to warm up` };
  });
}

async function startUp({ rounds }: Effort): Promise<Outcome> {
  const start = (code: string): number =>
    timed(() => {
      const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
        cwd: packageRoot,
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(stderr);
    }) / 1e6;
  const more: number[] = [];
  for (let round = 0; round < rounds * 2; round++) more.push(-start('') + start("import 'ismio'"));
  return { value: median(more), unit: 'ms', note: `median of ${more.length} pairs of processes` };
}

export const processScenarios: Scenario[] = [
  {
    name: 'drain/delay',
    subject: 'event loop delay during a drain of 1 GiB, p99',
    floor: 'none',
    target: { atMost: 2 },
    run: drainDelay,
  },
  {
    name: 'drain/throughput',
    subject: 'drain of 256 MiB',
    floor: 'submit of the same',
    target: { atLeast: 0.9 },
    run: drainThroughput,
  },
  {
    name: 'memory/growth',
    subject: 'resident memory after 10^8 operations through one queue',
    floor: 'after the first tenth of them',
    target: { atMost: 16 },
    run: memoryGrowth,
  },
  {
    name: 'startup/import',
    subject: "a script with import 'ismio'",
    floor: 'an empty script',
    target: { atMost: 25 },
    run: startUp,
  },
];
