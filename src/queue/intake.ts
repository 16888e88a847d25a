// Whether a queue takes one more: it is open, has no error of an automatic flush to tell, and has room.
import type { RegionLike } from '../access/region-like.js';
import { native } from '../addon/binding.js';
import type { QueueHandle } from '../addon/handles.js';
import { type ErrorValues, IsmioError } from '../support/errors.js';
import type { Flusher } from './flusher.js';
import type { Ring } from './ring.js';

export class Intake {
  readonly #region: RegionLike;
  readonly #handle: QueueHandle;
  readonly #ring: Ring;
  readonly #flusher: Flusher | null;
  #closed = false;

  /** @param flusher null where nothing is flushed by itself */
  constructor(region: RegionLike, handle: QueueHandle, ring: Ring, flusher: Flusher | null) {
    this.#region = region;
    this.#handle = handle;
    this.#ring = ring;
    this.#flusher = flusher;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The part of a claim that looks: whether there is room for one more. */
  claim(): boolean {
    this.checkUsable();
    if (this.#ring.timed && this.#ring.filled === 0) native.enqueueBegins(this.#handle);
    return this.#ring.claim();
  }

  /** Whether an automatic flush has left something to throw, or a callback has closed the queue: what was taken is taken. */
  get interrupted(): boolean {
    return this.#closed || this.#flusher?.holds === true;
  }

  /** @throws IsmioError ERR_ISMIO_CLOSED; the error of an automatic flush that nobody has been told yet */
  checkUsable(): void {
    if (this.#closed) throw this.closedError();
    const error = this.#flusher?.take() ?? null;
    if (error !== null) throw error;
  }

  closedError(values: ErrorValues = {}): IsmioError {
    const region = this.#region.name;
    return new IsmioError('ERR_ISMIO_CLOSED', `the queue on ${region} is closed`, { region, ...values });
  }

  /** Takes nothing from now on: each claim looks, and finds that it is closed. */
  close(): void {
    this.#closed = true;
    this.#ring.halt();
  }
}
