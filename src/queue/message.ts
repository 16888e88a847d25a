// What a queue tells of each batch, to whoever has subscribed to 'ismio:batch'.
import { batches, type Observed } from '../access/channels.js';
import type { RegionLike } from '../access/region-like.js';
import type { Completion } from './completion.js';

export interface BatchTold extends Observed {
  readonly region: RegionLike;
  readonly queue: object;
  /** 'submit': executed on the calling thread. 'drain': executed on the queue's own. */
  readonly how: 'submit' | 'drain';
  /** What it did; of a batch that failed, what it did until then. */
  readonly completion: Completion;
  /** Why the batch failed; null where all of it went through. */
  readonly error: Error | null;
}

/**
 * Whoever listens may use the queue and the region, submit and close: by now the batch is settled in every other respect. (What
 * a subscriber throws Node.js takes to 'uncaughtException', in a later tick.)
 */
export function tellBatch(batch: BatchTold): void {
  batches.publish(batch);
}
