// The planner: cutting a write into legal stores, with the stores and without.
import type { Region, Rules } from 'ismio';
import type { Workload } from '../workload.js';

const windowBytes = 1 << 20;
const length = 65_536;
const offset = 4; // misaligned: narrow stores at both edges
const writes = 8;

/** QEMU's emulated functions: the rules that cut the most. */
const strict: Partial<Rules> = { maxStoreBlock: 128, alignment: 'strict' };

function plan(region: Region): number {
  return region.plan(offset, length).length;
}

function write(region: Region, source: Uint8Array): void {
  for (let i = 0; i < writes; i++) region.write(offset, source);
}

export const workloads: Workload[] = [
  {
    name: 'planner/plan-64KiB/strict-128',
    title: 'the plan of a misaligned write of 64 KiB, strict rules, blocks of 128 bytes',
    operations: 1,
    bytes: 0,
    windowBytes: 0,
    quick: true,
    open(engine) {
      const region = engine.emulate({ size: windowBytes, rules: strict });
      return { batch: () => void plan(region), counters: () => region.stats(), close: () => region.close() };
    },
  },
  {
    name: 'planner/write-64KiB/strict-128',
    title: 'a misaligned write of 64 KiB, strict rules, blocks of 128 bytes, device mapping',
    operations: writes,
    bytes: writes * length,
    windowBytes,
    quick: true,
    open(engine, window) {
      const region = engine.mapFile(window.path, { kind: 'device', rules: strict });
      return {
        batch: () => write(region, window.ordinary),
        counters: () => region.stats(),
        close: () => region.close(),
      };
    },
  },
];
