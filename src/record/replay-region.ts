// What a replay asks of the region that it replays on, and of the queues on it: whatever offers these can stand in for one.
import type { RegionLike } from '../access/region-like.js';
import type { DrainOptions, Queue, QueueOptions } from '../queue/queue.js';
import type { RegionStats } from '../region/region.js';
import { type ErrorValues, shown, typeError } from '../support/errors.js';

/** What a replay asks of a queue. A `Queue` is one; errors are those of a `Queue`, a batch's with its `operations`. */
export interface ReplayQueue
  extends Pick<
    Queue,
    'store8' | 'store16' | 'store32' | 'store64' | 'storeMany' | 'write' | 'writeMany' | 'load' | 'fence'
  > {
  /** Executes what is queued, and throws what became of it. */
  submit(): unknown;
  /** Has what is queued executed by another thread; rejected with what became of it. */
  drain(options?: DrainOptions): Promise<unknown>;
  /** Ends the queue: what is in flight on it is stopped. */
  close(): unknown;
}

/** What a replay asks of a region. A `Region` is one; so is what forwards to one. */
export interface ReplayRegion extends RegionLike {
  /** 'emulated': what it holds counts as memory that the replay takes. */
  readonly access?: string;
  /** Makes a queue on the region, as a recorded one was made. */
  queue(options: QueueOptions): ReplayQueue;
  /** Counts of its accesses so far, for the report. */
  stats(): Pick<RegionStats, 'loads' | 'stores' | 'storeBlocks' | 'bytes' | 'merged' | 'retries'>;
  /** Ends the region. Called where the replay has had it opened. */
  close(): unknown;
}

const accesses = ['load8', 'load16', 'load32', 'load64', 'store8', 'store16', 'store32', 'store64'] as const;
const methods = [...accesses, 'read', 'storeBlock', 'write', 'fence', 'queue', 'stats', 'close'] as const;

/**
 * @param orElse what else it could be
 * @throws TypeError ERR_ISMIO_ARGUMENT_TYPE that says what is missing
 */
export function checkReplayRegion(value: unknown, what: string, orElse = ''): ReplayRegion {
  const wrong = (text: string): unknown =>
    typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be ${text}`, { [what]: value } as ErrorValues);
  if (value === null || typeof value !== 'object') throw wrong(`a region${orElse}, not ${shown(value)}`);
  const region = value as ReplayRegion;
  const missing: string[] = methods.filter((name) => typeof region[name] !== 'function');
  if (!Number.isSafeInteger(region.size)) missing.unshift('size');
  if (typeof region.name !== 'string') missing.unshift('name');
  if (missing.length > 0) throw wrong(`a region, or offer what one does; it has no ${missing.join(', ')}`);
  return region;
}
