// The planner: cutting a write into legal stores, alone and with the stores. Misaligned writes, so that both edges are narrow.
import type { Region, Rules } from 'ismio';
import type { Workload } from '../workload.js';
import { nativeLoop, oneSource } from './native-floor.js';

const windowBytes = 1 << 20;
const length = 65_536;
const offset = 4;
const writes = 8;

/** Every write of a batch goes to the same place. */
const misaligned = { operations: writes, bytes: length, first: offset, distance: 0 };

interface Given {
  readonly name: string;
  readonly title: string;
  readonly rules: Partial<Rules>;
}

const given: readonly Given[] = [
  { name: 'relaxed-4096', title: 'the rules of ISM', rules: {} },
  // QEMU's emulated functions: the rules that cut the most.
  {
    name: 'strict-128',
    title: 'strict rules, blocks of 128 bytes',
    rules: { maxStoreBlock: 128, alignment: 'strict' },
  },
  { name: 'words', title: 'strict rules, blocks of 8 bytes', rules: { maxStoreBlock: 8, alignment: 'strict' } },
];

function plan(region: Region, times: number): void {
  for (let i = 0; i < times; i++) region.plan(offset, length);
}

function write(region: Region, source: Uint8Array): void {
  for (let i = 0; i < writes; i++) region.write(offset, source);
}

function planning({ name, title, rules }: Given): Workload {
  // The plan of 17 accesses takes a microsecond, that of thousands a hundred.
  const times = name === 'relaxed-4096' ? 32 : 1;
  return {
    name: `planner/plan-64KiB/${name}`,
    title: `region.plan of a misaligned write of 64 KiB, ${title}`,
    operations: times,
    bytes: 0,
    windowBytes: 0,
    quick: name === 'strict-128',
    note: 'the plan alone: nothing is stored',
    open(engine) {
      const region = engine.emulate({ size: windowBytes, rules });
      return { batch: () => plan(region, times), counters: () => region.stats(), close: () => region.close() };
    },
  };
}

function writing({ name, title, rules }: Given): Workload {
  return {
    name: `planner/write-64KiB/${name}`,
    title: `a misaligned write of 64 KiB, ${title}, device mapping`,
    operations: writes,
    bytes: writes * length,
    windowBytes,
    quick: name === 'strict-128',
    // The kernel makes the same stores of 8 bytes however the rules cut.
    floor: nativeLoop('storeLoop', { ...misaligned, memory: (window) => oneSource(window, length) }),
    open(engine, window) {
      const region = engine.mapFile(window.path, { kind: 'device', rules });
      const source = oneSource(window, length);
      return {
        batch: () => write(region, source),
        counters: () => region.stats(),
        close: () => region.close(),
      };
    },
  };
}

export const workloads: Workload[] = [...given.map(planning), ...given.map(writing)];
