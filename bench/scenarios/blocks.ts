// 4 KiB blocks and reads, against the same loop in C++.
import { allocBuffer, mapFile, type Queue, type Region } from '../../src/index.js';
import { type Batch, compare, timed } from '../compare.js';
import { type Floors, floors } from '../floors.js';
import type { Effort, Outcome, Scenario } from '../scenario.js';
import { makeWindow } from '../window.js';

const windowBytes = 1 << 20;
const block = 4096;
const blocks = 4096; // in one batch: 16 times round the window
const depth = 4096;

function queued(queue: Queue, source: Uint8Array): number {
  return timed(() => {
    for (let i = 0; i < blocks; i++) {
      const offset = (i * block) & (windowBytes - 1);
      queue.write(offset, source, offset, block);
    }
    queue.submit();
  });
}

function written(region: Region, source: Uint8Array): number {
  return timed(() => {
    for (let i = 0; i < blocks; i++) region.write((i * block) & (windowBytes - 1), source);
  });
}

function read(region: Region, target: Uint8Array): number {
  return timed(() => {
    for (let i = 0; i < blocks; i++) region.read((i * block) & (windowBytes - 1), target);
  });
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

function queuedBlocks(region: Region): () => number {
  const queue = region.queue({ depth });
  const source = allocBuffer(windowBytes).fill(0x5a);
  return () => queued(queue, source);
}

export const blockScenarios: Scenario[] = [
  {
    name: 'blocks/queue-memory',
    subject: '4 KiB blocks from allocBuffer, queued, memory region',
    floor: 'a C++ memcpy loop over the same 1 MiB window',
    target: { atLeast: 0.95 },
    run: measure('memory', 'copyLoop', queuedBlocks),
  },
  {
    name: 'blocks/write-memory',
    subject: 'region.write of 4 KiB from an ordinary Uint8Array',
    floor: 'a C++ memcpy loop over the same 1 MiB window',
    target: { atLeast: 0.75 },
    run: measure('memory', 'copyLoop', (region) => {
      const source = new Uint8Array(block).fill(0x5a);
      return () => written(region, source);
    }),
  },
  {
    name: 'blocks/queue-device',
    subject: '4 KiB blocks from allocBuffer, queued, device mapping',
    floor: 'a C++ loop of the device-safe kernel',
    target: { atLeast: 0.95 },
    run: measure('device', 'storeLoop', queuedBlocks),
  },
  {
    name: 'blocks/read-device',
    subject: 'region.read of 4 KiB, device mapping',
    floor: 'a C++ loop of 8-byte loads',
    target: { atLeast: 0.95 },
    run: measure('device', 'loadLoop', (region) => {
      const target = new Uint8Array(block);
      return () => read(region, target);
    }),
  },
];
