// An operation of a recording, as those who read one meet it.
import type { Fence } from '../addon/wire.js';
import type { OperationKind, Origin } from './format.js';

/** One operation of a recording, as the program asked for it. */
export interface RecordedOperation {
  /** 'submit' and 'drain' hand over what was queued before; 'settled' tells that the queue's oldest drain has ended. */
  readonly kind: OperationKind | 'submit' | 'drain' | 'settled';
  /** 'direct': a call of the region. 'queued': a call of a queue. 'pooled': a transfer of a pool. */
  readonly origin: Origin;
  /** Number of the region in the recording. */
  readonly region: number;
  /** Number of the queue; null for what was not queued. */
  readonly queue: number | null;
  /** Where in the region it begins, in bytes. */
  readonly offset: number;
  /** How many bytes it was to move. */
  readonly length: number;
  /** Nanoseconds since the recording began. A queued operation has that of its batch. */
  readonly time: number;
  /**
   * The bytes that it stored, or loaded: of a load that failed those that went through. Null where there are none, or none were
   * recorded. So it is with a queued load of which nobody knows what it gave, or whose batch ended more than 2^16 operations
   * or 64 MiB of bytes later.
   */
  readonly payload: Uint8Array | null;
  /** Of one that failed, and was not queued: how much of it went through before. */
  readonly bytesDone: number | null;
  /** Of a fence: what it was for; else null. */
  readonly purpose: Fence | null;
}
