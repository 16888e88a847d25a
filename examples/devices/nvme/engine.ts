// Takes commands from the queues, has them executed, and completes them.
//
// Memory of the host may be reached by messages, and while one of those is waited for, accesses to the registers are answered: the
// host may ring, or reset the controller, in the middle of anything here that reads or writes its memory. So commands are taken and
// completions written by `serve` alone, which never runs within itself, and looks after each such call whether it is still on.
import { held } from './admin.js';
import type { DoorbellBuffers } from './doorbells.js';
import { type Host, isHostError } from './host.js';
import { later } from './io.js';
import type { Logs } from './logs.js';
import { type AdminQueues, QueueSet } from './queue-set.js';
import { type Command, mostFetched, type SubmissionQueue } from './queues.js';
import { bytesOf, event, outcome } from './specification.js';

/** Commands of one queue that are taken in one turn of the event loop. */
const mostInTurn = 128;

export interface EngineParts {
  readonly host: Host;
  /** Pairs of I/O queues. */
  readonly queues: number;
  readonly logs: Logs;
  readonly doorbells: DoorbellBuffers;
  /** Whether the medium takes commands now. */
  readonly ready: () => boolean;
  readonly execute: (command: Command) => number;
  /** Nothing is in progress any more. */
  readonly idle: () => void;
  /** The queues cannot be reached. */
  readonly failed: () => void;
}

export class Engine {
  readonly queues: QueueSet;
  readonly #parts: EngineParts;
  readonly #fetched = new Uint8Array(mostFetched * bytesOf.submission);
  readonly #entries = new DataView(this.#fetched.buffer);
  #on = false;
  #inProgress = 0;
  #serving = false;
  #scheduled = false;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.queues = new QueueSet(parts.queues, parts.host, (command, how) => this.#ended(command, how));
  }

  /** Commands and flushes that have not ended, those of before a reset as well. */
  get inProgress(): number {
    return this.#inProgress;
  }

  start(queues: AdminQueues): void {
    this.queues.start(queues);
    this.#on = true;
  }

  /** What is in progress ends without a trace. */
  stop(): void {
    this.#on = false;
    this.queues.drop();
    this.#parts.logs.reset();
    this.#parts.doorbells.reset();
  }

  /** Something that is no command begins, and calls what this answers when it has ended. */
  begin(): () => void {
    this.#inProgress++;
    return () => this.#end();
  }

  rung(doorbell: number, value: number): void {
    if (!this.#on) return;
    const id = doorbell >>> 1;
    const told = doorbell % 2 === 0 ? this.#rungTail(id, value) : this.#rungHead(id, value);
    if (told !== null) {
      this.#parts.logs.note(null, 0xffff, outcome.invalidField);
      this.#parts.logs.happened(told, (command, what) => this.tell(command, what));
    }
    this.#serve();
  }

  /** Answers what is wrong. */
  #rungTail(id: number, value: number): number | null {
    const queue = this.queues.submissions[id] ?? null;
    if (queue === null) return event.noSuchDoorbell;
    // The register only says that there is something new in the buffer, which may be further by now.
    if (id > 0 && this.#parts.doorbells.inUse) return null;
    if (value >= queue.entries) return event.invalidDoorbell;
    queue.tail = value;
    return null;
  }

  #rungHead(id: number, value: number): number | null {
    const queue = this.queues.completions[id] ?? null;
    if (queue === null) return event.noSuchDoorbell;
    if (id > 0 && this.#parts.doorbells.inUse) return null;
    return queue.took(value) ? null : event.invalidDoorbell;
  }

  /** Takes the commands that there are, and writes the completions. */
  #serve(): void {
    if (this.#serving || !this.#on) return;
    this.#serving = true;
    try {
      this.#look();
      for (const queue of this.queues.submissions) if (queue !== null) this.#take(queue);
      this.#write();
      this.#arm();
      if (this.#isMore) this.#schedule();
    } catch (error) {
      // Queues that cannot be reached (9.5).
      if (!isHostError(error)) throw error;
      this.#failed();
    } finally {
      this.#serving = false;
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // When all that has ended in this turn of the event loop was told, so that one interrupt is for all of it.
    setImmediate(() => {
      this.#scheduled = false;
      this.#serve();
    });
  }

  get #isMore(): boolean {
    const { submissions, completions } = this.queues;
    return (
      completions.some((queue) => queue?.dirty) ||
      submissions.some((queue) => queue !== null && this.#takeable(queue) > 0)
    );
  }

  #takeable(queue: SubmissionQueue): number {
    const waits = queue.deleting !== null || queue.completions.stuck || !this.#parts.ready();
    return waits ? 0 : queue.takeable;
  }

  #isThere(queue: SubmissionQueue): boolean {
    return this.queues.submissions[queue.id] === queue;
  }

  #take(queue: SubmissionQueue): void {
    for (let left = mostInTurn; left > 0 && this.#isThere(queue); ) {
      const count = Math.min(left, this.#takeable(queue));
      if (count === 0) return;
      const bytes = this.#fetched.subarray(0, count * bytesOf.submission);
      this.#parts.host.read(queue.base + BigInt(queue.head * bytesOf.submission), bytes);
      left -= count;
      for (let i = 0; i < count && this.#isThere(queue) && queue.deleting === null; i++) {
        const command = queue.claim();
        command.decode(this.#entries, i * bytesOf.submission);
        queue.advance();
        this.#inProgress++;
        this.#execute(command);
      }
    }
  }

  #execute(command: Command): void {
    // Fused commands, and data that is named by other things than pages (4.2).
    let how: number = outcome.invalidField;
    if ((command.flags & 0xc3) === 0) {
      try {
        how = this.#parts.execute(command);
      } catch (error) {
        if (!isHostError(error)) throw error;
        how = outcome.dataTransfer;
      }
    }
    if (how === held) this.#release(command);
    else if (how !== later) this.#ended(command, how);
  }

  #ended(command: Command, how: number): void {
    const { queue } = command;
    if (command.pages.live) {
      if (how !== outcome.success) {
        this.#parts.logs.note(queue, command.id, how, command.word(10), command.namespace);
      }
      queue.completions.post(queue, command.id, how, command.result);
    }
    this.#release(command);
    this.queues.finishDeleting(queue);
    if (!this.#serving) this.#schedule();
  }

  #release(command: Command): void {
    command.queue.release(command);
    this.#end();
  }

  /** Completes a command that waited for an event. */
  tell(command: number, what: number): void {
    const queue = this.queues.submissions[0];
    queue?.completions.post(queue, command, outcome.success, what);
  }

  /** One interrupt for all that a queue has new. */
  #write(): void {
    for (const queue of this.queues.completions) {
      if (queue === null || !queue.dirty) continue;
      queue.write(this.#parts.host);
      if (queue.vector !== null && !queue.abandoned) this.#parts.host.interrupt(queue.vector);
    }
  }

  /** What the host wrote into the doorbell buffers: a doorbell there that cannot be has no event that would tell of it. */
  #look(): void {
    const { doorbells } = this.#parts;
    if (!doorbells.inUse) return;
    doorbells.look();
    for (const queue of this.queues.submissions) {
      if (queue === null || queue.id === 0) continue;
      const tail = doorbells.tail(queue);
      if (tail < queue.entries) queue.tail = tail;
      else this.#failed();
    }
    for (const queue of this.queues.completions) {
      if (queue?.stuck && queue.id > 0 && !queue.took(doorbells.head(queue))) this.#failed();
    }
  }

  /** The host is to ring when it goes on from where it is, which is looked at once more. */
  #arm(): void {
    if (!this.#parts.doorbells.inUse) return;
    for (const queue of this.queues.submissions)
      if (queue !== null && queue.id > 0) this.#parts.doorbells.armTail(queue);
    for (const queue of this.queues.completions) if (queue?.stuck && queue.id > 0) this.#parts.doorbells.armHead(queue);
    this.#look();
  }

  #end(): void {
    this.#inProgress--;
    if (this.#inProgress === 0) this.#parts.idle();
  }

  #failed(): void {
    this.stop();
    this.#parts.failed();
  }
}
