// What a recorder is told by the queues it listens to. Nobody listens unless `record` was called.
import type { BatchError } from './outcomes.js';
import type { Entries } from './ring.js';
import type { SourceBytes } from './sources.js';

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
