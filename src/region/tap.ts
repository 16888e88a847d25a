// What a recorder is told by the regions and queues it listens to. Nobody listens unless `record` was called.
import type { BatchError } from '../queue/outcomes.js';
import type { Queue } from '../queue/queue.js';
import type { Entries } from '../queue/ring.js';
import type { Fence } from '../wire.js';

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

/** Memory that writes of a batch are from, and loads go to. */
export interface SourceBytes {
  /** What tells it from other memory; null for memory of the queue, of which each operation has a place of its own. */
  readonly memory: object | null;
  /** All of it; of length 0 where the program has freed it since. */
  readonly bytes: Uint8Array;
  /**
   * A copy of these bytes, which the addon holds until the batch has ended.
   * @throws TypeError ERR_ISMIO_DETACHED after that
   */
  copy(from: number, length: number): Uint8Array;
}

/** A batch as it is handed over: the entries [from, to), and where their sources are. */
export interface HandedOver {
  readonly entries: Entries;
  readonly from: number;
  readonly to: number;
  sourceAt(slot: number): SourceBytes;
}

export interface QueueTap {
  handedOver(how: 'submit' | 'drain', batch: HandedOver): void;
  /** The batch that began at this entry has ended, with this error if it failed. What it loaded is where `sourceAt` said. */
  settled(from: number, error: BatchError | null): void;
  /** Resolves when what was handed over has been read from the program's buffers, which must not change before; null where it has. */
  reading(): Promise<void> | null;
  closed(): void;
}
