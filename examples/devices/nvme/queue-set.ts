// The queues there are, and the commands that make and delete them (5.3 to 5.6).
import type { Host } from './host.js';
import { later } from './io.js';
import { type Command, CompletionQueue, SubmissionQueue } from './queues.js';
import { bytesOf, limit, outcome } from './specification.js';

/** Flags of the commands that make queues, in their dword 11. */
const flag = { contiguous: 1, interrupts: 2 } as const;

const pageMask = BigInt(bytesOf.page - 1);

export interface AdminQueues {
  readonly submission: bigint;
  readonly completion: bigint;
  readonly submissionEntries: number;
  readonly completionEntries: number;
}

export class QueueSet {
  /** By their ids: 0 is the admin queue. */
  readonly submissions: (SubmissionQueue | null)[];
  readonly completions: (CompletionQueue | null)[];
  /** Pairs of I/O queues that there may be; each has an interrupt vector, behind the one of the admin queue. */
  readonly most: number;
  readonly #host: Host;
  readonly #ended: (command: Command, outcome: number) => void;

  constructor(most: number, host: Host, ended: (command: Command, outcome: number) => void) {
    this.most = most;
    this.#host = host;
    this.#ended = ended;
    this.submissions = Array<SubmissionQueue | null>(most + 1).fill(null);
    this.completions = Array<CompletionQueue | null>(most + 1).fill(null);
  }

  /** Whether there are I/O queues. */
  get created(): boolean {
    return this.completions.some((queue, id) => id > 0 && queue !== null);
  }

  start(queues: AdminQueues): void {
    const completions = new CompletionQueue({ id: 0, entries: queues.completionEntries, base: queues.completion }, 0);
    const place = { id: 0, entries: queues.submissionEntries, base: queues.submission };
    this.#join(new SubmissionQueue(place, completions, this.#host, this.#ended));
    this.completions[0] = completions;
  }

  /** The controller was reset: there are no queues any more. */
  drop(): void {
    for (const queue of this.submissions) queue?.abandon();
    for (const queue of this.completions) if (queue !== null) queue.abandoned = true;
    this.submissions.fill(null);
    this.completions.fill(null);
  }

  createCompletions(command: Command): number {
    const [id, entries, flags] = [command.word(10) & 0xffff, (command.word(10) >>> 16) + 1, command.word(11)];
    if (!this.#isFree(this.completions, id)) return outcome.invalidQueueId;
    const wrong = wrongPlace(command, entries);
    if (wrong !== outcome.success) return wrong;
    const vector = flags >>> 16;
    if (vector > this.most) return outcome.invalidVector;
    const interrupts = (flags & flag.interrupts) !== 0;
    this.completions[id] = new CompletionQueue({ id, entries, base: command.first }, interrupts ? vector : null);
    return outcome.success;
  }

  createSubmissions(command: Command): number {
    const [id, entries, flags] = [command.word(10) & 0xffff, (command.word(10) >>> 16) + 1, command.word(11)];
    if (!this.#isFree(this.submissions, id)) return outcome.invalidQueueId;
    const other = flags >>> 16;
    if (other > this.most) return outcome.invalidQueueId;
    const completions = other === 0 ? null : (this.completions[other] ?? null);
    if (completions === null) return outcome.invalidCompletionQueue;
    const wrong = wrongPlace(command, entries);
    if (wrong !== outcome.success) return wrong;
    this.#join(new SubmissionQueue({ id, entries, base: command.first }, completions, this.#host, this.#ended));
    return outcome.success;
  }

  /** Commands in progress are completed first, so that the host has its memory back when this is. */
  deleteSubmissions(command: Command): number {
    const id = command.word(10) & 0xffff;
    const queue = id === 0 ? null : (this.submissions[id] ?? null);
    if (queue === null || queue.deleting !== null) return outcome.invalidQueueId;
    if (queue.inProgress === 0) {
      this.#part(queue);
      return outcome.success;
    }
    queue.deleting = command;
    return later;
  }

  /** A queue that is being deleted has nothing in progress any more. */
  finishDeleting(queue: SubmissionQueue): void {
    const command = queue.deleting;
    if (command === null || queue.inProgress > 0) return;
    if (this.submissions[queue.id] === queue) this.#part(queue);
    queue.deleting = null;
    command.end(outcome.success);
  }

  deleteCompletions(command: Command): number {
    const id = command.word(10) & 0xffff;
    const queue = id === 0 ? null : (this.completions[id] ?? null);
    if (queue === null) return outcome.invalidQueueId;
    if (queue.users > 0) return outcome.invalidQueueDeletion;
    this.completions[id] = null;
    return outcome.success;
  }

  #join(queue: SubmissionQueue): void {
    queue.completions.users++;
    this.submissions[queue.id] = queue;
  }

  #part(queue: SubmissionQueue): void {
    queue.completions.users--;
    this.submissions[queue.id] = null;
  }

  #isFree(queues: readonly unknown[], id: number): boolean {
    return id > 0 && id <= this.most && queues[id] === null;
  }
}

/** Queues of other pages than those of one piece are not there (CAP.CQR). */
function wrongPlace(command: Command, entries: number): number {
  if (entries < 2 || entries > limit.entries) return outcome.invalidQueueSize;
  if ((command.word(11) & flag.contiguous) === 0) return outcome.invalidField;
  return (command.first & pageMask) === 0n ? outcome.success : outcome.invalidPageOffset;
}
