// What a recorder is told by the regions it listens to. Nobody listens unless `record` was called.
import type { Fence } from '../addon/wire.js';
import type { Queue } from '../queue/queue.js';

export type DirectKind = 'load' | 'store' | 'storeBlock' | 'read' | 'write' | 'fence';

export interface RegionTap {
  /** `value` in the byte order that was asked for; so it is of a store. */
  loaded(offset: number, width: number, value: number | bigint, bigEndian: boolean): void;
  stored(offset: number, width: number, value: number | bigint, bigEndian: boolean): void;
  /** @param source what a write or store block has put there; of a read, what it filled */
  moved(kind: 'storeBlock' | 'read' | 'write', offset: number, bytes: Uint8Array): void;
  fenced(purpose: Fence): void;
  /** An access that failed, and how many bytes of it went through before. */
  failed(kind: DirectKind, offset: number, length: number, bytesDone: number, bytes: Uint8Array | null): void;
  /** What of a pool's transfer went through: the bytes [from, from + length). None where the program has freed them since. */
  pooled(kind: 'read' | 'write', offset: number, length: number, bytes: Uint8Array, from: number): void;
  /** Of a copy within or into this region, what went through. */
  copied(offset: number, length: number, sourceId: number, sourceOffset: number): void;
  opened(queue: Queue): void;
  closed(): void;
}
