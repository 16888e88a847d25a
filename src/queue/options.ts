// A queue's options, checked.
import type { Rules } from '../access/rules.js';
import { layout } from '../addon/wire.js';
import { checkBetween, checkCallback, checkFlag, checkOptions, checkWord } from '../support/check.js';
import type { IsmioError } from '../support/errors.js';
import type { Completion } from './completion.js';

/** When a queue submits by itself. */
export interface FlushPolicy {
  /** Submit when so many operations are queued. */
  ops?: number;
  /** Submit when so many bytes are queued. */
  bytes?: number;
  /** Submit at the end of the event loop's turn in which the first operation was queued. */
  turn?: boolean;
}

/** How `region.queue` makes a queue. */
export interface QueueOptions {
  /** Operations that can be queued or in flight at once, 1 to 2^20. Default 1024. */
  depth?: number;
  /** Memory for sources that have to be copied until they are stored, in bytes. Default 1 MiB. */
  bytes?: number;
  /**
   * Which queued writes may be joined into one store block. 'adjacent': a write that begins where the one before it ends.
   * 'any': any that touch or overlap. Default 'none'; always 'none' where the region's rules say 'registers'.
   */
  merge?: 'none' | 'adjacent' | 'any';
  /**
   * 'strict': stores are issued in the order in which they were queued. 'relaxed': with merge 'any', writes between two
   * fences may be issued in any order; of writes to the same byte the last one wins. Default 'strict'.
   */
  order?: 'strict' | 'relaxed';
  /** When the queue submits by itself. Default: never. */
  flush?: FlushPolicy;
  /** Told of every batch that the flush policy submitted. Without it, the error of such a batch is thrown by the next call. */
  onFlush?: (error: IsmioError | null, completion: Completion) => void;
}

export interface QueueSettings {
  readonly depth: number;
  readonly bytes: number;
  readonly merge: 'none' | 'adjacent' | 'any';
  readonly order: 'strict' | 'relaxed';
  readonly flush: { readonly ops: number; readonly bytes: number; readonly turn: boolean } | null;
  readonly onFlush: QueueOptions['onFlush'] | undefined;
}

export const mergeModes = ['none', 'adjacent', 'any'] as const;

const names = ['depth', 'bytes', 'merge', 'order', 'flush', 'onFlush'];

export function checkQueueOptions(options: QueueOptions, region: { readonly rules: Rules }): QueueSettings {
  checkOptions(options, names, 'queue');
  const depth = checkBetween(options.depth ?? 1024, 'depth', 1, layout.largestDepth);
  const bytes = checkBetween(options.bytes ?? 1 << 20, 'bytes', 8, 2 ** 32);
  const merge = checkWord(options.merge ?? 'none', 'merge', mergeModes);
  const order = checkWord(options.order ?? 'strict', 'order', ['strict', 'relaxed']);
  checkCallback(options.onFlush, 'onFlush');
  return {
    depth,
    bytes: Math.ceil(bytes / 8) * 8,
    merge: region.rules.merge === 'registers' ? 'none' : merge,
    order,
    flush: checkFlush(options.flush),
    onFlush: options.onFlush,
  };
}

function checkFlush(flush: FlushPolicy | undefined): QueueSettings['flush'] {
  if (flush === undefined) return null;
  checkOptions(flush, ['ops', 'bytes', 'turn'], 'flush');
  const { ops, bytes, turn } = flush;
  const atTurn = checkFlag(turn ?? false, 'flush.turn');
  if (ops === undefined && bytes === undefined && !atTurn) return null;
  return {
    ops: ops === undefined ? Number.POSITIVE_INFINITY : checkBetween(ops, 'flush.ops', 1, layout.largestDepth),
    bytes:
      bytes === undefined ? Number.POSITIVE_INFINITY : checkBetween(bytes, 'flush.bytes', 1, Number.MAX_SAFE_INTEGER),
    turn: atTurn,
  };
}
