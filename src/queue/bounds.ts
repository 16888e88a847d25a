// Where stores and writes of a queue may go in its region.
import { impossible, thrown } from '../access/failure.js';
import type { RegionLike } from '../access/region-like.js';
import { blocksOnly, possible } from '../access/rules.js';
import { checkAligned, type Whole } from '../support/check.js';
import { notANumber } from './arguments.js';
import type { QueueSettings } from './options.js';

export class Bounds {
  /** Bytes of the region. */
  readonly size: number;
  /** The last offset of an 8-byte store; -1 where some are impossible. */
  readonly last: number;
  /** Whether some writes are impossible, and nothing may join them. */
  readonly looksAtWrites: boolean;
  /** Of the region, in messages. */
  readonly name: string;
  readonly #region: RegionLike;

  constructor(region: RegionLike, merge: QueueSettings['merge']) {
    this.#region = region;
    this.size = region.size;
    this.name = region.name;
    this.looksAtWrites = merge === 'none' && blocksOnly(region.rules);
    this.last = this.looksAtWrites ? -1 : region.size - 8;
  }

  /** The place of one store. */
  checkPlace(offset: Whole, width: number): number {
    const place = checkAligned(offset, width, this.size, this.name);
    if (this.looksAtWrites) this.checkPossible('store', place, width);
    return place;
  }

  /** Checks the first and the last of the stores: then all between them are legal as well. */
  checkEnds(first: number, stride: number, start: number, count: number): number {
    if (typeof first !== 'number') throw notANumber('first', first);
    this.checkPlace(first + start * stride, 8);
    this.checkPlace(first + (start + count - 1) * stride, 8);
    return first;
  }

  /** Where the region takes store blocks alone and nothing is merged, what cannot be carried is known when it is queued. */
  checkPossible(what: 'store' | 'write', offset: number, length: number): void {
    const { rules } = this.#region;
    if (possible(rules, offset, length)) return;
    throw thrown(impossible({ what, offset, length, region: this.name, rules }));
  }
}
