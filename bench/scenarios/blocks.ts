// 4 KiB blocks and reads, against the same loop in C++.
import { allocBuffer, mapFile, type Queue, type Region } from 'ismio';
import { type Batch, compare, timed } from '../compare.js';
import { type Floors, floors } from '../floors.js';
import type { Effort, Outcome, Scenario } from '../scenario.js';
import { makeWindow } from '../window.js';

const windowBytes = 1 << 20;
const block = 4096;
const blocks = 4096; // in one batch: 16 times round the window
const depth = 4096;

function queued(queue: Queue, source: Uint8Array): void {
  for (let i = 0; i < blocks; i++) {
    const offset = (i * block) & (windowBytes - 1);
    queue.write(offset, source, offset, block);
  }
  queue.submit();
}

/** The same blocks, as writes of the whole window, which the planner cuts. */
function planned(queue: Queue, source: Uint8Array): void {
  for (let i = 0; i < blocks; i += windowBytes / block) queue.write(0, source);
  queue.submit();
}

function written(region: Region, source: Uint8Array): void {
  for (let i = 0; i < blocks; i++) region.write((i * block) & (windowBytes - 1), source);
}

function read(region: Region, target: Uint8Array): void {
  for (let i = 0; i < blocks; i++) region.read((i * block) & (windowBytes - 1), target);
}

type Loop = 'copyLoop' | 'storeLoop' | 'loadLoop';

function measure(kind: 'memory' | 'device', loop: Loop, subjectOf: (region: Region) => () => number) {
  return async ({ rounds, time }: Effort): Promise<Outcome> => {
    const window = makeWindow(windowBytes);
    try {
      floors.open(window.path, window.bytes);
      using region = mapFile(window.path, { kind });
      const subject: Batch = { operations: blocks, run: subjectOf(region) };
      const floor: Batch = { operations: blocks, run: () => (floors as Floors)[loop](blocks, block) };
      const comparison = await compare(subject, floor, rounds, time);
      const before = region.stats();
      subject.run();
      const after = region.stats();
      const issued = after.storeBlocks + after.stores + after.loads - before.storeBlocks - before.stores - before.loads;
      const note = `${((block / comparison.subject.ns) * 1.073741824 ** -1).toFixed(1)} GiB/s, ${region.access}`;
      return { value: comparison.ratio, unit: 'x', comparison, issued, bytes: after.bytes - before.bytes, note };
    } finally {
      window.remove();
    }
  };
}

function through(how: (queue: Queue, source: Uint8Array) => void) {
  return (region: Region): (() => number) => {
    const queue = region.queue({ depth });
    const source = allocBuffer(windowBytes).fill(0x5a);
    return () => timed(() => how(queue, source));
  };
}

export const blockScenarios: Scenario[] = [
  {
    name: 'blocks/queue-memory',
    subject: '4 KiB blocks from allocBuffer, one operation each, memory region',
    floor: 'a C++ memcpy loop over the same 1 MiB window',
    target: { atLeast: 0.95 },
    run: measure('memory', 'copyLoop', through(queued)),
  },
  {
    name: 'blocks/planned-memory',
    subject: '4 KiB blocks from allocBuffer, planned from writes of 1 MiB, memory region',
    floor: 'a C++ memcpy loop over the same 1 MiB window',
    target: { atLeast: 0.95 },
    run: measure('memory', 'copyLoop', through(planned)),
  },
  {
    name: 'blocks/write-memory',
    subject: 'region.write of 4 KiB from an ordinary Uint8Array',
    floor: 'a C++ memcpy loop over the same 1 MiB window',
    target: { atLeast: 0.75 },
    run: measure('memory', 'copyLoop', (region) => {
      const source = new Uint8Array(block).fill(0x5a);
      return () => timed(() => written(region, source));
    }),
  },
  {
    name: 'blocks/queue-device',
    subject: '4 KiB blocks from allocBuffer, one operation each, device mapping',
    floor: 'a C++ loop of the device-safe kernel',
    target: { atLeast: 0.95 },
    run: measure('device', 'storeLoop', through(queued)),
  },
  {
    name: 'blocks/planned-device',
    subject: '4 KiB blocks from allocBuffer, planned from writes of 1 MiB, device mapping',
    floor: 'a C++ loop of the device-safe kernel',
    target: { atLeast: 0.95 },
    run: measure('device', 'storeLoop', through(planned)),
  },
  {
    name: 'blocks/read-device',
    subject: 'region.read of 4 KiB, device mapping',
    floor: 'a C++ loop of 8-byte loads',
    target: { atLeast: 0.95 },
    run: measure('device', 'loadLoop', (region) => {
      const target = new Uint8Array(block);
      return () => timed(() => read(region, target));
    }),
  },
];
