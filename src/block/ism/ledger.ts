// What writers were promised: how much of what was answered is on the medium for sure, and whether the next flush has to say that it may
// not be.

export class Ledger {
  /** Writes that were answered, or may have been done, and of them those that are on the medium, or that a flush will tell of. */
  #answered = 0;
  #covered = 0;
  #loss: string | null = null;

  /** How many writes were answered. */
  get answered(): number {
    return this.#answered;
  }

  /** A write was answered; or it was not, and is perhaps done. */
  wrote(): void {
    this.#answered++;
  }

  /** A flush was answered, which was asked when there were so many. */
  flushed(answered: number): void {
    this.#covered = Math.max(this.#covered, answered);
  }

  /** What was answered and is not on the medium may be lost. */
  mayBeLost(why: string): void {
    if (this.#answered === this.#covered) return;
    this.#covered = this.#answered; // what is answered from now on is not told of by that
    this.#loss = why;
  }

  /** Why the next flush fails. It is told once. */
  takeLoss(): string | null {
    const loss = this.#loss;
    this.#loss = null;
    return loss;
  }
}
