// Accesses without a queue: one call each, on every backend.
import type { Region } from 'ismio';
import type { Engine, Running, Window, Workload } from '../workload.js';

const windowBytes = 1 << 20;
const block = 4096;
const blocks = windowBytes / block;
const words = 1024;

function write(region: Region, source: Uint8Array): void {
  for (let at = 0; at < windowBytes; at += block) region.write(at, source);
}

function read(region: Region, target: Uint8Array): void {
  for (let at = 0; at < windowBytes; at += block) region.read(at, target);
}

function storeBlocks(region: Region, source: Uint8Array): void {
  for (let at = 0; at < windowBytes; at += block) region.storeBlock(at, source);
}

function store64(region: Region): void {
  for (let at = 0; at < words * 8; at += 8) region.store64(at, 0x5a5a5a5an);
}

function load64(region: Region): bigint {
  let sum = 0n;
  for (let at = 0; at < words * 8; at += 8) sum ^= region.load64(at);
  return sum;
}

function on(
  regionOf: (engine: Engine, window: Window) => Region,
  batchOf: (region: Region, window: Window) => () => unknown,
) {
  return (engine: Engine, window: Window): Running => {
    const region = regionOf(engine, window);
    const batch = batchOf(region, window) as Running['batch'];
    return { batch, counters: () => region.stats(), close: () => region.close() };
  };
}

const memory = (engine: Engine, window: Window): Region => engine.mapFile(window.path);
const device = (engine: Engine, window: Window): Region => engine.mapFile(window.path, { kind: 'device' });
const emulated = (engine: Engine): Region => engine.emulate({ size: windowBytes });

export const workloads: Workload[] = [
  {
    name: 'access/write-4KiB/memory',
    title: 'region.write of 4 KiB from an ordinary Uint8Array',
    operations: blocks,
    bytes: windowBytes,
    windowBytes,
    quick: true,
    open: on(memory, (region, { ordinary }) => {
      const source = ordinary.subarray(0, block);
      return () => write(region, source);
    }),
  },
  {
    name: 'access/read-4KiB/device',
    title: 'region.read of 4 KiB, device mapping',
    operations: blocks,
    bytes: windowBytes,
    windowBytes,
    quick: true,
    open: on(device, (region, { ordinary }) => {
      const target = ordinary.subarray(0, block);
      return () => read(region, target);
    }),
  },
  {
    name: 'access/store64/device',
    title: 'region.store64, one call each, device mapping',
    operations: words,
    bytes: words * 8,
    windowBytes,
    quick: true,
    open: on(device, (region) => () => store64(region)),
  },
  {
    name: 'access/load64/device',
    title: 'region.load64, one call each, device mapping',
    operations: words,
    bytes: words * 8,
    windowBytes,
    quick: true,
    open: on(device, (region) => () => load64(region)),
  },
  {
    name: 'access/block-4KiB/emulated',
    title: 'region.storeBlock of 4 KiB, emulated',
    operations: blocks,
    bytes: windowBytes,
    windowBytes,
    quick: true,
    open: on(emulated, (region, { ordinary }) => {
      const source = ordinary.subarray(0, block);
      return () => storeBlocks(region, source);
    }),
  },
];
