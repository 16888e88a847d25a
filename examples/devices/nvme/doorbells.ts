// Doorbell buffers (5.7, 7.13): two pages of the host's memory. It writes its doorbells into one, and rings a register only where
// that passes the index that the controller wrote into the other. Each register that is not rung is a message less.
//
// The host writes its doorbell, then reads the index; the controller writes the index, then reads the doorbell: one of them sees the
// other's. Between the two, the calls into native code take a lock, which keeps them in order.
import type { Host } from './host.js';
import type { Command, CompletionQueue, SubmissionQueue } from './queues.js';
import { bytesOf, outcome } from './specification.js';

const pageMask = BigInt(bytesOf.page - 1);
/** Bytes of the doorbells of one pair of queues: the tail, then the head. */
const pairBytes = 8;

export class DoorbellBuffers {
  readonly #host: Host;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #word = new Uint8Array(4);
  readonly #wordView = new DataView(this.#word.buffer);
  #doorbells: bigint | null = null;
  #indexes = 0n;

  /** For queues with ids up to `last`. */
  constructor(host: Host, last: number) {
    this.#host = host;
    this.#bytes = new Uint8Array((last + 1) * pairBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Whether the host has set them up. The admin queue is rung by its registers all the same. */
  get inUse(): boolean {
    return this.#doorbells !== null;
  }

  /** Memory that had to be asked for by messages would cost more than it saves. */
  set(command: Command): number {
    const { first, second } = command;
    if (((first | second) & pageMask) !== 0n) return outcome.invalidPageOffset;
    if (this.#host.view(first, bytesOf.page) === null || this.#host.view(second, bytesOf.page) === null) {
      return outcome.invalidField;
    }
    this.#doorbells = first;
    this.#indexes = second;
    return outcome.success;
  }

  reset(): void {
    this.#doorbells = null;
  }

  /** Looks at all of them, for `tail` and `head`. */
  look(): void {
    this.#host.read(this.#doorbells as bigint, this.#bytes);
  }

  tail(queue: SubmissionQueue): number {
    return this.#view.getUint32(queue.id * pairBytes, true);
  }

  head(queue: CompletionQueue): number {
    return this.#view.getUint32(queue.id * pairBytes + 4, true);
  }

  /** From now on the host rings when it goes on from there. */
  armTail(queue: SubmissionQueue): void {
    if (queue.armed === queue.tail) return;
    queue.armed = queue.tail;
    this.#arm(queue.id * pairBytes, queue.tail);
  }

  armHead(queue: CompletionQueue): void {
    this.#arm(queue.id * pairBytes + 4, queue.head);
  }

  #arm(offset: number, index: number): void {
    this.#wordView.setUint32(0, index, true);
    this.#host.write(this.#indexes + BigInt(offset), this.#word);
  }
}
