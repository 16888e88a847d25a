// What becomes of what is queued: it is handed over as a batch, executed here or on the queue's own thread, and settled in the
// order of the batches. What the queue's calls fill - ring, staging memory, sources - is theirs until then.
import { batches, type Moments, momentsOf, now, thisThread } from '../access/channels.js';
import type { RegionLike } from '../access/region-like.js';
import { answers, native } from '../addon/binding.js';
import { noHandle, type QueueHandle } from '../addon/handles.js';
import { Field } from '../addon/wire.js';
import { onAbort } from '../support/abort.js';
import { nothingToDrain } from './arguments.js';
import { type Completion, completionFrom, nothingDone } from './completion.js';
import type { Flusher } from './flusher.js';
import { type LoadBack, loadBack } from './loadback.js';
import { type BatchTold, tellBatch } from './message.js';
import { type BatchError, batchError, Outcomes } from './outcomes.js';
import type { Ring } from './ring.js';
import { ownSource, type SourceBytes, Sources } from './sources.js';
import type { Staging } from './staging.js';
import type { Stopped } from './stopped.js';
import type { QueueTap } from './tap.js';
import { Ticket } from './ticket.js';

/** Queues with a batch in flight: somebody waits for it, even when nobody holds the queue. */
const draining = new Set<object>();

/** Of this thread. */
let queuesMade = 0;

const none: readonly LoadBack[] = Object.freeze([]);

export class Batches {
  /** Who listens to what is handed over; null for nobody. */
  tap: QueueTap | null = null;
  /** Of what is queued, those that go by way of the staging memory. */
  readonly loads: LoadBack[] = [];
  /** Null where nothing is flushed by itself. */
  flusher: Flusher | null = null;
  readonly sources: Sources;

  readonly #owner: object;
  readonly #region: RegionLike;
  #handle: QueueHandle;
  readonly #ring: Ring;
  readonly #staging: Staging;
  /** Among the queues of this thread, for people. */
  readonly #number: number;
  #closed = false;
  #tickets: Ticket[] = [];
  #nextTicket = 0;

  constructor(owner: object, region: RegionLike, handle: QueueHandle, ring: Ring, staging: Staging) {
    this.#owner = owner;
    this.#region = region;
    this.#handle = handle;
    this.#ring = ring;
    this.#staging = staging;
    this.#number = ++queuesMade;
    this.sources = new Sources(handle);
  }

  /** Operations handed to the drain thread and not yet settled. */
  get inFlight(): number {
    const oldest = this.#tickets[0];
    return oldest === undefined ? 0 : (this.#ring.published - oldest.from) | 0;
  }

  /** Batches handed to the drain thread and not yet settled. */
  get draining(): number {
    return this.#tickets.length;
  }

  /** A piece of the staging memory is not wanted any more: where no batch is to come that gives back what it had, that is now. */
  giveBack(held: number): void {
    this.#staging.settle(held);
    if (this.#idle) this.#staging.release(this.#staging.mark);
  }

  /** Executes everything queued, now, on this thread. */
  submit(): Completion {
    if (this.#ring.filled === 0) return nothingDone;
    const from = this.#ring.published;
    const to = this.#publish('submit');
    const loads = this.#takeLoads();
    const sources = this.sources.handOver();
    const handedOver = this.#observe();
    const failed = native.submit(this.#handle, from, to);
    const completion = completionFrom(answers);
    const moments = handedOver === null ? null : momentsOf(handedOver);
    const error = this.#outcome(failed !== undefined, from, loads, null);
    this.#settled(this.#staging.mark);
    this.sources.release(sources);
    if (this.#ring.timed) this.#completed();
    // Whoever is told may use the queue: nothing of this batch is left to do.
    if (moments !== null) this.#tell('submit', moments, completion, error);
    if (error !== null) throw error;
    return completion;
  }

  /** Executes everything queued on the queue's own thread. */
  drain(signal: AbortSignal | undefined): Promise<Completion> {
    if (this.#ring.filled === 0 && this.#tickets.length === 0) {
      const reading = this.tap === null ? null : this.tap.reading();
      return reading === null ? nothingToDrain(signal) : reading.then(() => nothingToDrain(signal));
    }
    const from = this.#ring.published;
    const to = this.#publish('drain');
    const [loads, sources] = [this.#takeLoads(), this.sources.handOver()];
    const ticket = new Ticket(this.#nextTicket, from, to, this.#staging.mark, loads, sources, this.#observe());
    this.#nextTicket = (ticket.number + 1) >>> 0;
    this.#tickets.push(ticket);
    draining.add(this.#owner);
    native.drain(this.#handle, from, to, ticket.number, signal?.aborted === true);
    if (this.#ring.timed) this.#ring.halt();
    if (signal === undefined) return ticket.promise;
    return ticket.promise.finally(onAbort(signal, () => this.#cancel(ticket, 'ERR_ISMIO_ABORTED', signal.reason)));
  }

  /** Batches in flight stop between two accesses; the queue ends with the last of them. */
  close(): void {
    this.#closed = true;
    this.loads.length = 0;
    for (const ticket of this.#tickets) this.#cancel(ticket, 'ERR_ISMIO_CLOSED', undefined);
    if (this.#tickets.length === 0) this.#end();
  }

  /** Called by the addon when the oldest batch in flight has ended; its report is in the answers. */
  settle(number: number): void {
    const ticket = this.#tickets.shift();
    if (ticket === undefined || ticket.number !== number) return;
    const completion = completionFrom(answers);
    const moments = ticket.handedOver === null ? null : momentsOf(ticket.handedOver);
    const error = this.#outcome(answers[Field.status] !== 0, ticket.from, ticket.loads, ticket.stopped);
    // What was given back since the batch was handed over lies behind its mark.
    this.#settled(this.#idle ? this.#staging.mark : ticket.mark);
    if (this.#ring.timed) this.#completed();
    const reading = this.tap === null ? null : this.tap.reading();
    const end = (): void => {
      this.sources.release(ticket.sources);
      if (error === null) ticket.resolve(completion);
      else ticket.reject(error);
    };
    if (reading === null) end();
    else void reading.then(end);
    if (this.#tickets.length === 0) {
      draining.delete(this.#owner);
      if (this.#closed) this.#end();
    }
    // Whoever is told may use the queue: nothing of this batch is left to do. The promise's own readers come later.
    if (moments !== null) this.#tell('drain', moments, completion, error);
    if (this.#tickets.length === 0 && !this.#closed) this.flusher?.idle();
  }

  /** Whether nothing is queued or in flight. */
  get #idle(): boolean {
    return this.#tickets.length === 0 && this.#ring.filled === 0;
  }

  #cancel(ticket: Ticket, code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED', cause: unknown): void {
    ticket.stop(code, cause);
    native.stop(this.#handle, ticket.number);
  }

  /** Hands what is queued over: from here on the entries are the addon's. */
  #publish(how: 'submit' | 'drain'): number {
    this.flusher?.published();
    const ring = this.#ring;
    ring.endSeries();
    if (this.tap !== null) {
      native.unfold(this.#handle, ring.published, ring.tail);
      this.tap.handedOver(how, { entries: ring, from: ring.published, to: ring.tail, sourceAt: this.#sourceAt });
    }
    return ring.publish();
  }

  readonly #sourceAt = (slot: number): SourceBytes => this.sources.sourceAt(slot) ?? ownSource(this.#staging.bytes);

  /** Before a batch is handed over: the moment, if somebody observes. */
  #observe(): number | null {
    const observed = batches.hasSubscribers;
    this.#ring.observe(observed);
    return observed ? now() : null;
  }

  #tell(how: BatchTold['how'], moments: Moments, completion: Completion, error: Error | null): void {
    const thread = how === 'submit' ? thisThread : `${thisThread} drain ${this.#number}`;
    tellBatch({ region: this.#region, queue: this.#owner, how, thread, ...moments, completion, error });
  }

  /** Where stages are timed: the caller has what a batch came to, and the next claim begins another. */
  #completed(): void {
    native.completed(this.#handle);
    this.#ring.halt();
  }

  /** The error of a batch whose report is in the answers, if it has one. Loads get their bytes. */
  #outcome(failed: boolean, from: number, loads: readonly LoadBack[], stopped: Stopped | null): Error | null {
    const outcomes = failed ? new Outcomes(answers, native.takeOutcomes(this.#handle)) : null;
    const error: BatchError | null = outcomes === null ? null : batchError(answers, outcomes, this.#region, stopped);
    if (this.tap !== null) this.tap.settled(from, error);
    const gone = loads.length === 0 ? null : loadBack(loads, this.#staging, from, outcomes);
    if (error !== null && gone !== null) error.cause ??= gone;
    return error ?? gone;
  }

  #settled(mark: number): void {
    this.#ring.ended();
    this.#staging.release(mark);
  }

  #takeLoads(): readonly LoadBack[] {
    return this.loads.length === 0 ? none : this.loads.splice(0);
  }

  #end(): void {
    this.sources.forget();
    native.closeQueue(this.#handle);
    this.#handle = noHandle;
    if (this.tap !== null) this.tap.closed();
  }
}
