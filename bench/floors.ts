// The floors' addon: what plain C++, or a plain Node-API addon, does with the same mapping. See bench/native/floors.cc.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../src/support/package.js';

/**
 * Blocks in C++, of so many bytes: the first at an offset of the window, each so far behind the one before. On the other side
 * it goes round the memory that it was told to use.
 */
type Loop = (blocks: number, bytes: number, first: number, distance: number) => void;

export interface Floors {
  /** One plain Node-API call that does nothing. */
  empty(): void;
  /** Maps the file as the window. */
  open(path: string, bytes: number): boolean;
  /** What the loops read from or write to. */
  use(memory: Uint8Array): void;
  /** One plain Node-API call that makes one 8-byte store. */
  store(offset: number, low: number, high: number): void;
  /** One plain Node-API call that makes one 4-byte store. */
  storeWord(offset: number, value: number): void;
  /** One plain Node-API call that makes one 4-byte load. */
  loadWord(offset: number): number;
  /** One 8-byte store, with the value as JavaScript has it. */
  storeBigInt(offset: number, value: bigint): void;
  /** One plain Node-API call that makes one 8-byte load. */
  loadBigInt(offset: number): bigint;
  /** One pwrite or pread of 8 bytes for each call. */
  pwriteBigInt(offset: number, value: bigint): void;
  preadBigInt(offset: number): bigint;
  /** Library copies into the window and out of it. */
  readonly copyLoop: Loop;
  readonly copyBackLoop: Loop;
  /** The device-safe kernel of the engine, and the one with bursts, which not every CPU has. */
  readonly storeLoop: Loop;
  readonly burstLoop?: Loop;
  /** 8-byte loads. */
  readonly loadLoop: Loop;
  /** One pwrite or pread for each block. */
  readonly pwriteLoop: Loop;
  readonly preadLoop: Loop;
  /** A C process at the other end, until `hangUp`: one at a time. See bench/native/processes.cc. */
  startAnswerer(): void;
  startTaker(): void;
  startRinger(): void;
  hangUp(): void;
  /** One request of the answerer, and its reply. */
  roundTrip(): void;
  /** So many times 64 messages of 4 KiB to the taker; returns when all have been taken. */
  sendBlocks(times: number): void;
  /** Has the ringer write to its eventfd. */
  ring(): void;
  /** Called for each ring, by the event loop. */
  hear(callback: () => void): void;
  /** Rings, and reads the eventfd itself. */
  ringAndWait(): void;
  /** A C process that takes what is in a ring of shared memory, until `endRing`. See bench/native/shared_ring.cc. */
  startRing(): void;
  /** So many times 64 KiB through it; returns when all have been taken. */
  sendPieces(pieces: number): void;
  endRing(): void;
}

/** Where it may be: built in this checkout, or shipped. As with the addon itself, the C library decides which loads. */
export function floorsPaths(): string[] {
  const shipped = join(packageRoot, 'prebuilds', `${process.platform}-${process.arch}`);
  return [
    join(packageRoot, 'build', 'Release', 'ismio_floors.node'),
    join(shipped, 'floors.glibc.node'),
    join(shipped, 'floors.musl.node'),
  ];
}

/** The addon; or, where none was built or shipped for this platform, why there is none. */
export function loadFloors(paths: readonly string[] = floorsPaths()): Floors | string {
  const require = createRequire(import.meta.url);
  const looked: string[] = [];
  for (const path of paths) {
    try {
      return require(path) as Floors;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND') looked.push(`${path}: ${message.split('\n')[0]}`);
    }
  }
  const found = looked.length === 0 ? '' : ` (${looked.join('; ')})`;
  return `no floors' addon for ${process.platform}-${process.arch}${found}; a checkout builds one: npm run build:native`;
}
