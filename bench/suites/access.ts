// Accesses without a queue, one call each: 8 bytes to 64 KiB on every backend, and so with every access kernel.
import type { Region } from 'ismio';
import type { Floors } from '../floors.js';
import type { Engine, Running, Window, Workload } from '../workload.js';
import { type Blocks, nativeLoop, noPread, oneSource, openFloors } from './native-floor.js';

const windowBytes = 1 << 20;
const words = 1024;

interface Size {
  readonly name: string;
  readonly bytes: number;
  /** In one batch: some tens of microseconds. */
  readonly operations: number;
}

const sizes: readonly Size[] = [
  { name: '8B', bytes: 8, operations: 1024 },
  { name: '64B', bytes: 64, operations: 1024 },
  { name: '512B', bytes: 512, operations: 512 },
  { name: '4KiB', bytes: 4096, operations: 256 },
  { name: '64KiB', bytes: 65_536, operations: 16 },
];

interface Backend {
  readonly name: 'emulated' | 'memory' | 'device' | 'burst' | 'pread';
  readonly title: string;
  readonly storeFloor: 'copyLoop' | 'storeLoop' | 'burstLoop' | 'pwriteLoop';
  readonly loadFloor: 'copyBackLoop' | 'loadLoop' | 'preadLoop';
  missing?(engine: Engine): string | null;
  open(engine: Engine, window: Window): Region;
}

/** What was never stored to takes no memory where it is emulated, and a read of it goes a shorter way. */
function filled(region: Region): Region {
  region.write(0, new Uint8Array(windowBytes));
  return region;
}

const backends: readonly Backend[] = [
  {
    name: 'emulated',
    title: 'emulated',
    storeFloor: 'copyLoop',
    loadFloor: 'loadLoop',
    open: (engine) => filled(engine.emulate({ size: windowBytes })),
  },
  {
    name: 'memory',
    title: 'memory mapping',
    storeFloor: 'copyLoop',
    loadFloor: 'copyBackLoop',
    open: (engine, window) => engine.mapFile(window.path),
  },
  {
    name: 'device',
    title: 'device mapping',
    storeFloor: 'storeLoop',
    loadFloor: 'loadLoop',
    open: (engine, window) => engine.mapFile(window.path, { kind: 'device' }),
  },
  {
    name: 'burst',
    title: 'device mapping with bursts',
    storeFloor: 'burstLoop',
    loadFloor: 'loadLoop',
    missing: (engine) => (engine.info().kernels.burst === null ? 'this CPU has no 64-byte bursts' : null),
    open: (engine, window) => engine.mapFile(window.path, { kind: 'device', burst: true }),
  },
  {
    name: 'pread',
    title: 'file by pread and pwrite',
    storeFloor: 'pwriteLoop',
    loadFloor: 'preadLoop',
    missing: noPread,
    open: (engine, window) => engine.mapFile(window.path, { access: 'pread' }),
  },
];

function write(region: Region, source: Uint8Array, operations: number): void {
  const { length } = source;
  for (let i = 0; i < operations; i++) region.write(i * length, source);
}

function read(region: Region, target: Uint8Array, operations: number): void {
  const { length } = target;
  for (let i = 0; i < operations; i++) region.read(i * length, target);
}

function storeBlock(region: Region, source: Uint8Array, operations: number): void {
  const { length } = source;
  for (let i = 0; i < operations; i++) region.storeBlock(i * length, source);
}

const words32 = {
  store(region: Region): void {
    for (let at = 0; at < words * 4; at += 4) region.store32(at, 0x5a5a5a5a);
  },
  load(region: Region): void {
    for (let at = 0; at < words * 4; at += 4) region.load32(at);
  },
};

const words64 = {
  store(region: Region): void {
    for (let at = 0; at < words * 8; at += 8) region.store64(at, 0x5a5a5a5an);
  },
  load(region: Region): void {
    for (let at = 0; at < words * 8; at += 8) region.load64(at);
  },
};

/** One access of this backend after the other. */
function running(region: Region, batch: () => void): Running {
  return { batch, counters: () => region.stats(), close: () => region.close() };
}

function onBackend(backend: Backend) {
  const { missing } = backend;
  return { windowBytes, ...(missing === undefined ? {} : { missing }) };
}

/** Points that are more than a point of a curve. */
const targets: Readonly<Record<string, Pick<Workload, 'quick' | 'target'>>> = {
  'access/write-4KiB/memory': { quick: true, target: { atLeast: 0.75 } },
  'access/read-4KiB/device': { quick: true, target: { atLeast: 0.95 } },
};

function sameBlocks({ name }: Backend, operations: number, bytes: number): Blocks {
  // A system call moves a block, or a page of loads, at most.
  const piece = name === 'pread' ? Math.min(bytes, 4096) : bytes;
  return { operations, bytes, piece, memory: (window) => oneSource(window, bytes) };
}

function writes(backend: Backend, { name, bytes, operations }: Size): Workload {
  const full = `access/write-${name}/${backend.name}`;
  return {
    name: full,
    title: `region.write of ${bytes} bytes from an ordinary Uint8Array, ${backend.title}`,
    operations,
    bytes: operations * bytes,
    ...onBackend(backend),
    ...targets[full],
    scale: { curve: `access/write/${backend.name}`, at: bytes, unit: 'bytes' },
    floor: nativeLoop(backend.storeFloor, sameBlocks(backend, operations, bytes)),
    open(engine, window) {
      const region = backend.open(engine, window);
      const source = oneSource(window, bytes);
      return running(region, () => write(region, source, operations));
    },
  };
}

function reads(backend: Backend, { name, bytes, operations }: Size): Workload {
  const full = `access/read-${name}/${backend.name}`;
  return {
    name: full,
    title: `region.read of ${bytes} bytes, ${backend.title}`,
    operations,
    bytes: operations * bytes,
    ...onBackend(backend),
    ...targets[full],
    scale: { curve: `access/read/${backend.name}`, at: bytes, unit: 'bytes' },
    floor: nativeLoop(backend.loadFloor, sameBlocks(backend, operations, bytes)),
    open(engine, window) {
      const region = backend.open(engine, window);
      const target = oneSource(window, bytes);
      return running(region, () => read(region, target, operations));
    },
  };
}

function blocks(backend: Backend): Workload {
  const [operations, bytes] = [256, 4096];
  return {
    name: `access/block-4KiB/${backend.name}`,
    title: `region.storeBlock of 4096 bytes, ${backend.title}`,
    operations,
    bytes: operations * bytes,
    quick: backend.name === 'emulated',
    ...onBackend(backend),
    floor: nativeLoop(backend.storeFloor, sameBlocks(backend, operations, bytes)),
    open(engine, window) {
      const region = backend.open(engine, window);
      const source = oneSource(window, bytes);
      return running(region, () => storeBlock(region, source, operations));
    },
  };
}

/** A batch of plain calls, by the name of the access. */
const plainCalls: Readonly<Record<string, { readonly title: string; run(floors: Floors): void }>> = {
  store32: {
    title: 'one plain Node-API call per store',
    run({ storeWord }) {
      for (let at = 0; at < words * 4; at += 4) storeWord(at, 0x5a5a5a5a);
    },
  },
  load32: {
    title: 'one plain Node-API call per load',
    run({ loadWord }) {
      for (let at = 0; at < words * 4; at += 4) loadWord(at);
    },
  },
  store64: {
    title: 'one plain Node-API call per store, the value a BigInt',
    run({ storeBigInt }) {
      for (let at = 0; at < words * 8; at += 8) storeBigInt(at, 0x5a5a5a5an);
    },
  },
  load64: {
    title: 'one plain Node-API call per load, the value a BigInt',
    run({ loadBigInt }) {
      for (let at = 0; at < words * 8; at += 8) loadBigInt(at);
    },
  },
  'store64/pread': {
    title: 'one plain Node-API call per store, the value a BigInt, by pwrite',
    run({ pwriteBigInt }) {
      for (let at = 0; at < words * 8; at += 8) pwriteBigInt(at, 0x5a5a5a5an);
    },
  },
  'load64/pread': {
    title: 'one plain Node-API call per load, the value a BigInt, by pread',
    run({ preadBigInt }) {
      for (let at = 0; at < words * 8; at += 8) preadBigInt(at);
    },
  },
};

/** Against the plain call that does the same, where there is one. */
function single(backend: Backend, access: string, bytes: number, run: (region: Region) => void): Workload[] {
  const plain = plainCalls[backend.name === 'pread' ? `${access}/pread` : access];
  if (plain === undefined) return [];
  const name = `access/${access}/${backend.name}`;
  return [
    {
      name,
      title: `region.${access}, one call each, ${backend.title}`,
      operations: words,
      bytes: words * bytes,
      quick: backend.name === 'device' && bytes === 8,
      ...onBackend(backend),
      ...leastOf(backend, access),
      floor: {
        title: plain.title,
        operations: words,
        native: true,
        open(window, floors) {
          openFloors(floors, window);
          return { batch: () => plain.run(floors), close: () => undefined };
        },
      },
      open(engine, window) {
        const region = backend.open(engine, window);
        return running(region, () => run(region));
      },
    },
  ];
}

/** Memory is accessed without a call, everything else by one. */
function leastOf({ name }: Backend, access: string): Pick<Workload, 'target' | 'note'> {
  if (name === 'pread' && access === 'store64') return { note: 'each store looks at the length of the file first' };
  const ofMemory = access.endsWith('32') ? 3 : 1.6;
  return { target: { atLeast: name === 'memory' ? ofMemory : 0.9 } };
}

function singles(backend: Backend): Workload[] {
  return [
    ...single(backend, 'store32', 4, words32.store),
    ...single(backend, 'load32', 4, words32.load),
    ...single(backend, 'store64', 8, words64.store),
    ...single(backend, 'load64', 8, words64.load),
  ];
}

/** Single accesses are the same with bursts and without. */
const withSingles = backends.filter(({ name }) => name !== 'burst');

export const workloads: Workload[] = [
  ...withSingles.flatMap(singles),
  ...backends.map(blocks),
  ...backends.flatMap((backend) => sizes.map((size) => writes(backend, size))),
  ...withSingles.flatMap((backend) => sizes.map((size) => reads(backend, size))),
];
