// Moves into DMBs of peers: stores to the window, in the fewest blocks, of which the last alone carries the signal.
import type { Completion } from '../../queue/completion.js';
import type { QueueOptions } from '../../queue/options.js';
import type { DrainOptions, Queue } from '../../queue/queue.js';
import type { PlannedStore } from '../../region/plan.js';
import type { Region } from '../../region/region.js';
import { type BytesLike, checkBetween } from '../../support/check.js';
import { rangeError } from '../../support/errors.js';
import { colours, largestDmb, movePlace } from '../wire.js';
import type { MoveOptions } from './options.js';

export class Moves {
  /** Whether the function takes blocks of 16 bytes or more alone, whose offset and length are multiples of 8. */
  readonly strict: boolean;
  readonly window: Region;
  readonly #step: number;
  /** The DMB that was moved into last, and where it begins: to make a number of a bigint costs as much as all other checks. */
  #token = 0n;
  #start = 0;

  constructor(window: Region) {
    const { maxStoreBlock, boundary, alignment } = window.rules;
    this.window = window;
    this.strict = alignment === 'strict';
    this.#step = Math.min(2 ** Math.floor(Math.log2(maxStoreBlock)), boundary);
  }

  /** As `Ism.move`, of a driver that is open. */
  move(token: bigint, offset: number, bytes: BytesLike, { signal }: MoveOptions): void {
    const length = this.check(offset, bytes, signal);
    if (signal === undefined) {
      this.window.write(this.place(token, offset), bytes);
      return;
    }
    const last = this.lastBlock(token, offset, length);
    if (last === offset) {
      this.window.storeBlock(this.place(token, offset, signal), bytes);
      return;
    }
    this.window.write(this.place(token, offset), part(bytes, 0, last - offset));
    this.window.storeBlock(this.place(token, last, signal), part(bytes, last - offset, length));
  }

  /** Where a move goes, in the window. */
  place(token: bigint, offset: number, signal?: number): number {
    if (token !== this.#token) {
      this.#start = movePlace(token, 0);
      this.#token = token;
    }
    return movePlace(this.#start, offset, signal);
  }

  /** @returns how many bytes are moved */
  check(offset: number, bytes: BytesLike, signal: number | undefined): number {
    const length = bytes.byteLength;
    checkBetween(offset, 'offset', 0, largestDmb - length);
    if (length === 0) throw rangeError('ERR_ISMIO_OPTION', 'a move has at least one byte', { length });
    if (signal !== undefined) checkBetween(signal, 'signal', 0, colours - 1);
    return length;
  }

  /** Where the block that signals begins. */
  lastBlock(token: bigint, offset: number, length: number): number {
    if (!this.strict) {
      const end = offset + length;
      return Math.max(offset, end - 1 - ((end - 1) % this.#step));
    }
    const place = this.place(token, offset);
    const { offset: last } = this.window.plan(place, length).at(-1) as PlannedStore;
    return offset + last - place;
  }
}

/**
 * Moves that wait to be made together: many cross into native code, or go over a socket, at once. Made by `ism.queue()`. What holds
 * for a queue of a region holds here (docs/api/queue.md).
 */
export class MoveQueue {
  readonly #moves: Moves;
  readonly #queue: Queue;

  /** @internal */
  constructor(moves: Moves, options: QueueOptions) {
    this.#moves = moves;
    this.#queue = moves.window.queue(options);
  }

  /** Store operations that are queued and not submitted: a move with a signal that takes several blocks is two. */
  get queued(): number {
    return this.#queue.queued;
  }

  get closed(): boolean {
    return this.#queue.closed;
  }

  /**
   * Queues a move. False when there is no room: submit or drain, and move again. Of a move of several blocks with a signal, those
   * before the last may be queued by then, and are once more by the next call: they move the same bytes.
   * @throws as `ism.move`, before anything is moved; ERR_ISMIO_CLOSED
   */
  move(token: bigint, offset: number, bytes: BytesLike, { signal }: MoveOptions = {}): boolean {
    const length = this.#moves.check(offset, bytes, signal);
    if (signal === undefined) return this.#queue.write(this.#moves.place(token, offset), bytes);
    const last = this.#moves.lastBlock(token, offset, length);
    if (last > offset && !this.#queue.write(this.#moves.place(token, offset), bytes, 0, last - offset)) return false;
    return this.#queue.write(this.#moves.place(token, last, signal), bytes, last - offset, length - (last - offset));
  }

  /** Makes all that are queued, now, on this thread. @throws IsmioError as `queue.submit` */
  submit(): Completion {
    return this.#queue.submit();
  }

  /** Makes all that are queued on a thread of the queue's own. */
  drain(options?: DrainOptions): Promise<Completion> {
    return this.#queue.drain(options);
  }

  /** @returns how many operations were queued and will never be made */
  close(): number {
    return this.#queue.close();
  }

  [Symbol.dispose](): void {
    this.#queue[Symbol.dispose]();
  }
}

function part(bytes: BytesLike, from: number, to: number): Uint8Array {
  return new Uint8Array(
    bytes instanceof ArrayBuffer || bytes instanceof SharedArrayBuffer ? bytes : bytes.buffer,
    byteStart(bytes) + from,
    to - from,
  );
}

function byteStart(bytes: BytesLike): number {
  return 'byteOffset' in bytes ? bytes.byteOffset : 0;
}
