// What waits for a session of its disk, or for a slot in it: what was never asked, and what was in flight when a session was lost.
// Of the latter nobody knows whether it was done.
import type { Ledger } from './ledger.js';
import type { Operation } from './operation.js';
import { changes } from './wire.js';

export class Backlog {
  readonly #ledger: Ledger;
  readonly #waiting: Operation[] = [];
  /** What was asked in a session that has ended, and may have been done in it. */
  readonly #perhapsDone = new WeakSet<Operation>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  get length(): number {
    return this.#waiting.length;
  }

  push(operation: Operation): void {
    this.#waiting.push(operation);
  }

  /** The next to be asked, of which there has to be one. */
  shift(): Operation {
    return this.#waiting.shift() as Operation;
  }

  /** These were in flight in a session that has ended. */
  lost(operations: readonly Operation[]): void {
    for (const operation of operations) this.#perhapsDone.add(operation);
  }

  /** They are asked again, before anything else. */
  replay(operations: readonly Operation[]): void {
    this.#waiting.unshift(...operations);
  }

  /** Fails these, and all that waits. */
  failAll(error: Error, operations: readonly Operation[] = []): void {
    this.fail([...operations, ...this.#waiting.splice(0)], error);
  }

  /** Fails those that wait and may have been done, where they are changes of the disk. */
  failDoubtful(error: Error): void {
    const doubtful = this.#waiting.filter((one) => this.#isDoubtful(one));
    for (const operation of doubtful) this.#waiting.splice(this.#waiting.indexOf(operation), 1);
    this.fail(doubtful, error);
  }

  /** A change that may have been done counts as a write: whoever flushes is told when it may be lost. */
  fail(operations: readonly Operation[], error: Error): void {
    for (const operation of operations) {
      if (this.#isDoubtful(operation)) this.#ledger.wrote();
      operation.ended({ error });
    }
  }

  #isDoubtful(operation: Operation): boolean {
    return this.#perhapsDone.has(operation) && changes.has(operation.command);
  }
}
