// The floors' addon: what plain C++, or a plain Node-API addon, does with the same mapping. See bench/native/floors.cc.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../src/package.js';

export interface Floors {
  /** Maps the file as the window, and as much ordinary memory as the source. */
  open(path: string, bytes: number): boolean;
  /** One plain Node-API call that makes one 8-byte store. */
  store(offset: number, low: number, high: number): void;
  /** The same, with the value as JavaScript has it. */
  storeBigInt(offset: number, value: bigint): void;
  /** Loops over the window in C++, block by block; nanoseconds in all. */
  copyLoop(blocks: number, bytes: number): number;
  storeLoop(blocks: number, bytes: number): number;
  loadLoop(blocks: number, bytes: number): number;
}

export const floors = createRequire(import.meta.url)(
  join(packageRoot, 'build', 'Release', 'ismio_floors.node'),
) as Floors;
