// Room in the queue's own memory, which the caller fills in place: the bytes are stored from where they were made.
import { IsmioError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';

/** The write that a reservation is for. */
export interface Reserved {
  /** Where it goes in the region. */
  readonly offset: number;
  /** Where its bytes are in the staging memory. */
  readonly position: number;
  readonly length: number;
  /** What the staging memory keeps it by. */
  readonly held: number;
}

/** What becomes of reservations: their queue. One for all of them, so that none has functions of its own. */
export interface Reserving {
  /** Room in the ring; false when it is full. */
  claim(): boolean;
  /** Queues the write, which may set off an automatic flush, and with it code of the caller. */
  queue(reserved: Reserved): void;
  /** Gives the room back. */
  cancel(reserved: Reserved): void;
}

/** Room for a write, made by `queue.reserve`. It keeps its place in the queue's memory until it is committed or cancelled. */
export class Reservation {
  /** A symbol: with it, posting a reservation to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /**
   * To be filled by the caller, from an offset that is a multiple of 8, so that wider views fit on it:
   * `new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8)`. It has whatever was there before. Once the write is
   * queued the bytes are the queue's, until its batch has ended.
   */
  readonly bytes: Uint8Array;
  readonly #queue: Reserving;
  #reserved: Reserved | null;

  /** @internal */
  constructor(bytes: Uint8Array, queue: Reserving, reserved: Reserved) {
    this.bytes = bytes;
    this.#queue = queue;
    this.#reserved = reserved;
  }

  /**
   * Queues the write of the bytes, behind whatever was queued before this call. False when the queue is full: submit or drain,
   * and call again; the bytes stay.
   * @throws IsmioError ERR_ISMIO_RESERVATION where it was committed or cancelled before, ERR_ISMIO_CLOSED
   */
  commit(): boolean {
    const reserved = this.#reserved;
    if (reserved === null) throw ended();
    if (!this.#queue.claim()) return false;
    this.#reserved = null;
    this.#queue.queue(reserved);
    return true;
  }

  /** Gives the room back, and queues nothing. Does nothing where it was committed or cancelled before. */
  cancel(): void {
    const reserved = this.#reserved;
    this.#reserved = null;
    if (reserved !== null) this.#queue.cancel(reserved);
  }

  /** Cancels what was not committed. */
  [Symbol.dispose](): void {
    this.cancel();
  }
}

function ended(): IsmioError {
  return new IsmioError('ERR_ISMIO_RESERVATION', 'the reservation was committed or cancelled before; make another');
}
