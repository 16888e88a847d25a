// Queues as the controller sees them. The host writes commands up to the tail it rings, the controller takes them from the head;
// the other way round for completions, where each round through the queue has the other phase bit.
//
//   submission   [ . . c c c c . . ]   head: the next that is taken; tail: as the host rang it
//   completion   [ . . w w n n . . ]   head: as the host rang it; written: what it can see; tail: what is ready to be written
import { type Host, HostPages } from './host.js';
import { bytesOf } from './specification.js';

/** Commands of one submission queue that may be in progress at once. */
const mostCommands = 128;
/** Entries that are fetched at once. */
export const mostFetched = 32;

/** A command in progress. An object is used for one command after the other. */
export class Command {
  readonly queue: SubmissionQueue;
  readonly pages: HostPages;
  opcode = 0;
  /** Bits 8 to 15 of dword 0: whether it is fused, and how it names its data. */
  flags = 0;
  id = 0;
  namespace = 0;
  first = 0n;
  second = 0n;
  /** Dwords 10 to 15. */
  readonly words = new Uint32Array(6);
  /** Dword 0 of its completion. */
  result = 0;
  /** To be called with the outcome, once, where that comes later. */
  readonly end: (outcome: number) => void;

  constructor(queue: SubmissionQueue, host: Host, ended: (command: Command, outcome: number) => void) {
    this.queue = queue;
    this.pages = new HostPages(host);
    this.end = (outcome) => ended(this, outcome);
  }

  /** A submission entry (4.2), of a copy that the host cannot change. */
  decode(entry: DataView, at: number): void {
    const word = entry.getUint32(at, true);
    this.opcode = word & 0xff;
    this.flags = (word >>> 8) & 0xff;
    this.id = word >>> 16;
    this.namespace = entry.getUint32(at + 4, true);
    this.first = entry.getBigUint64(at + 24, true);
    this.second = entry.getBigUint64(at + 32, true);
    for (let i = 0; i < 6; i++) this.words[i] = entry.getUint32(at + 40 + 4 * i, true);
    this.result = 0;
    this.pages.live = true;
  }

  word(number: 10 | 11 | 12 | 13 | 14 | 15): number {
    return this.words[number - 10] as number;
  }
}

export interface QueuePlace {
  readonly id: number;
  readonly entries: number;
  readonly base: bigint;
}

export class SubmissionQueue implements QueuePlace {
  readonly id: number;
  readonly entries: number;
  readonly base: bigint;
  readonly completions: CompletionQueue;
  readonly #host: Host;
  readonly #ended: (command: Command, outcome: number) => void;
  readonly #all: Command[] = [];
  readonly #free: Command[] = [];
  readonly #most: number;
  head = 0;
  tail = 0;
  /** The tail at which the host is to ring, where it has doorbell buffers; -1 where it was not told yet. */
  armed = -1;
  /** The command that deletes it, which waits for those in progress. */
  deleting: Command | null = null;

  constructor(
    place: QueuePlace,
    completions: CompletionQueue,
    host: Host,
    ended: (command: Command, outcome: number) => void,
  ) {
    this.id = place.id;
    this.entries = place.entries;
    this.base = place.base;
    this.completions = completions;
    this.#host = host;
    this.#ended = ended;
    this.#most = Math.min(this.entries, mostCommands);
  }

  get inProgress(): number {
    return this.#all.length - this.#free.length;
  }

  /** How many entries can be taken now, in one piece. */
  get takeable(): number {
    const there = (this.tail < this.head ? this.entries : this.tail) - this.head;
    return Math.min(there, mostFetched, this.#most - this.inProgress);
  }

  /** The entries behind `head` are taken: they are the host's again when this is told by a completion. */
  advance(): void {
    this.head = this.head + 1 === this.entries ? 0 : this.head + 1;
  }

  claim(): Command {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const command = new Command(this, this.#host, this.#ended);
    this.#all.push(command);
    return command;
  }

  release(command: Command): void {
    command.pages.live = false;
    this.#free.push(command);
  }

  /** The controller was reset: commands in progress end without a trace. */
  abandon(): void {
    for (const command of this.#all) command.pages.live = false;
  }
}

export class CompletionQueue implements QueuePlace {
  readonly id: number;
  readonly entries: number;
  readonly base: bigint;
  /** The interrupt vector; null where interrupts are not enabled for it. */
  readonly vector: number | null;
  /** The controller was reset: the host's memory is not touched any more. */
  abandoned = false;
  /** Submission queues that complete here. */
  users = 0;
  head = 0;
  /** Bytes as the host is to see them. */
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #written = 0;
  #tail = 0;
  #phase = 1;
  /** Completions that came while it was full: words 0, 2 and 3 of each, without a phase bit. */
  readonly #held: number[] = [];

  constructor(place: QueuePlace, vector: number | null) {
    this.id = place.id;
    this.entries = place.entries;
    this.base = place.base;
    this.vector = vector;
    this.#bytes = new Uint8Array(place.entries * bytesOf.completion);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** The host does not take what is there, so no more commands are taken for it. */
  get stuck(): boolean {
    return this.#held.length > 0;
  }

  get dirty(): boolean {
    return this.#written !== this.#tail;
  }

  /** A completion (4.6), which the host sees after `write`. */
  post(queue: SubmissionQueue, id: number, outcome: number, result: number): void {
    const where = (queue.head | (queue.id << 16)) >>> 0;
    const what = (id | (outcome << 17)) >>> 0;
    if (this.#held.length > 0 || this.#full) this.#held.push(result, where, what);
    else this.#put(result, where, what);
  }

  /** The host took all up to `head`. False: it cannot have. */
  took(head: number): boolean {
    const round = (from: number, to: number) => (to - from + this.entries) % this.entries;
    if (head >= this.entries || round(this.head, head) > round(this.head, this.#written)) return false;
    this.head = head;
    let at = 0;
    for (; at < this.#held.length && !this.#full; at += 3) {
      const [result, where, what] = this.#held.slice(at, at + 3) as [number, number, number];
      this.#put(result, where, what);
    }
    this.#held.splice(0, at);
    return true;
  }

  /**
   * Writes what was posted to the host. An entry is 16 bytes at a multiple of 16, which a copy never takes apart, so its phase
   * bit is not seen before the rest of it.
   */
  write(host: Host): void {
    while (this.#written !== this.#tail && !this.abandoned) {
      const end = this.#tail < this.#written ? this.entries : this.#tail;
      const [from, to] = [this.#written * bytesOf.completion, end * bytesOf.completion];
      host.write(this.base + BigInt(from), this.#bytes.subarray(from, to));
      this.#written = end === this.entries ? 0 : end;
    }
  }

  /** One entry stays free: a full queue would look as an empty one (4.1.2). */
  get #full(): boolean {
    return (this.#tail + 1 === this.entries ? 0 : this.#tail + 1) === this.head;
  }

  #put(result: number, where: number, what: number): void {
    const at = this.#tail * bytesOf.completion;
    this.#view.setUint32(at, result, true);
    this.#view.setUint32(at + 8, where, true);
    this.#view.setUint32(at + 12, (what | (this.#phase << 16)) >>> 0, true);
    this.#tail++;
    if (this.#tail < this.entries) return;
    this.#tail = 0;
    this.#phase ^= 1;
  }
}
