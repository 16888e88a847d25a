// What the queues and the direct accesses of one replay share.
import type { Allowance } from './allowance.js';
import type { Batch } from './batch.js';
import type { Buffers } from './buffers.js';
import type { Contests } from './contests.js';
import type { Recall } from './recall.js';
import type { Turns } from './turns.js';
import type { Verifier } from './verifier.js';

export interface ReplayContext {
  readonly verifier: Verifier | null;
  /** Null where what is loaded is not compared with what was loaded when it was recorded. */
  readonly recall: Recall | null;
  /** Null where nothing is compared. */
  readonly contests: Contests | null;
  readonly buffers: Buffers;
  readonly allowance: Allowance;
  readonly turns: Turns;
  readonly inFlight: Set<Batch>;
  /** Where loads go that nobody looks at. */
  readonly unseen: Uint8Array;
  /** An operation that the device refused; throws what is no answer of a device. */
  failed(error: Error): void;
  /** A batch that did not fit and went in two parts. */
  split(): void;
}
