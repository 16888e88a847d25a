// The pool: a transfer cut into shards on worker threads.
import type { Pool, PoolOptions, Region } from 'ismio';
import type { Engine, Floor, Running, Window, Workload } from '../workload.js';

const block = 4096;
const windowBytes = 4 << 20;
/** Of a transfer whose every block takes a millisecond, most of it asleep: threads matter there, not cores. */
const slowBytes = 64 * block;

async function write(pool: Pool, region: Region, source: Uint8Array): Promise<void> {
  await pool.write(region, 0, source);
}

function pooled(engine: Engine, region: Region, bytes: number, options: PoolOptions): Running {
  const pool = new engine.Pool(options);
  const source = engine.allocBuffer(bytes).fill(0x5a);
  return {
    batch: () => write(pool, region, source),
    counters: () => region.stats(),
    async close() {
      await pool.close();
      region.close();
    },
  };
}

/** Shards of the same size for any number of threads. */
function openSlow(engine: Engine, threads: number): Running {
  const region = engine.emulate({ size: slowBytes, cost: { storeBlock: 1_000_000 } });
  return pooled(engine, region, slowBytes, { threads, shardBytes: 8 * block });
}

const oneThread: Floor = {
  title: 'pool of 1 thread',
  operations: slowBytes / block,
  open: (_window, _floors, engine) => openSlow(engine, 1),
};

const slow: Workload[] = [2, 4].map((threads) => ({
  name: `pool/threads-${threads}/emulated`,
  title: `pool of ${threads} threads, emulated, synthetic cost`,
  operations: slowBytes / block,
  bytes: slowBytes,
  windowBytes: 0,
  note: 'synthetic 1 ms per store block, most of it asleep',
  scale: { curve: 'pool/threads/emulated', at: threads, unit: 'threads' },
  floor: oneThread,
  ...(threads === 2 ? { target: { atLeast: 1.8 } } : {}),
  open: (engine) => openSlow(engine, threads),
}));

const regionWrite: Floor = {
  title: 'region.write of the same on this thread',
  operations: windowBytes / block,
  open(window, _floors, engine) {
    const region = engine.mapFile(window.path, { kind: 'device' });
    const source = engine.allocBuffer(windowBytes).fill(0x5a);
    return { batch: () => region.write(0, source), counters: () => region.stats(), close: () => region.close() };
  },
};

function sharded(threads: number, shardBytes: number): Workload {
  const shard = `${shardBytes / 1024}KiB`;
  return {
    name: `pool/threads-${threads}/shards-${shard}`,
    title: `pool of ${threads} threads, shards of ${shard}, 4 MiB to a device mapping`.replace('1 threads', '1 thread'),
    operations: windowBytes / block,
    bytes: windowBytes,
    windowBytes,
    scale: { curve: `pool/shards/threads-${threads}`, at: shardBytes, unit: 'bytes of a shard' },
    floor: regionWrite,
    open: (engine: Engine, window: Window) =>
      pooled(engine, engine.mapFile(window.path, { kind: 'device' }), windowBytes, { threads, shardBytes }),
  };
}

const shardSizes = [65_536, 262_144, 1_048_576];

export const workloads: Workload[] = [
  ...slow,
  ...[1, 2, 4].flatMap((threads) => shardSizes.map((shardBytes) => sharded(threads, shardBytes))),
];
