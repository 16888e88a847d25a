// What nothing costs: the clock, a call into native code that does nothing, a batch of nothing.
import type { Queue, Region } from 'ismio';
import type { Floors } from '../floors.js';
import type { Floor, Workload } from '../workload.js';

const calls = 1024;

function readClock(): void {
  for (let i = 0; i < calls; i++) process.hrtime.bigint();
}

function readOtherClock(): void {
  for (let i = 0; i < calls; i++) performance.now();
}

function cross(floors: Floors): void {
  for (let i = 0; i < calls; i++) floors.empty();
}

function fence(region: Region): void {
  for (let i = 0; i < calls; i++) region.fence();
}

function submitFence(queue: Queue): void {
  for (let i = 0; i < calls; i++) {
    queue.fence();
    queue.submit();
  }
}

const emptyCall: Floor = {
  title: 'a plain Node-API call that does nothing',
  operations: calls,
  native: true,
  open: (_window, floors) => ({ batch: () => cross(floors), close: () => undefined }),
};

export const workloads: Workload[] = [
  {
    name: 'floor/timer/hrtime',
    title: 'process.hrtime.bigint(), which times every batch here',
    operations: calls,
    bytes: 0,
    windowBytes: 0,
    floor: {
      title: 'performance.now()',
      operations: calls,
      open: () => ({ batch: readOtherClock, close: () => undefined }),
    },
    open: () => ({ batch: readClock, close: () => undefined }),
  },
  {
    name: 'floor/crossing/fence',
    title: 'region.fence(): the least that a call of the engine does',
    operations: calls,
    bytes: 0,
    windowBytes: 4096,
    floor: emptyCall,
    open(engine, window) {
      const region = engine.mapFile(window.path);
      return { batch: () => fence(region), counters: () => region.stats(), close: () => region.close() };
    },
  },
  {
    name: 'floor/batch/one-fence',
    title: 'a batch that holds nothing but one fence, submitted',
    operations: calls,
    bytes: 0,
    windowBytes: 4096,
    floor: emptyCall,
    open(engine, window) {
      const region = engine.mapFile(window.path);
      const queue = region.queue({ depth: 16 });
      return { batch: () => submitFence(queue), counters: () => region.stats(), close: () => region.close() };
    },
  },
];
