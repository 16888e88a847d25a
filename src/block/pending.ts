// What has to end before a disk may be closed: its memory, or file, is the work's until then.

export class Pending {
  readonly #works = new Set<Promise<unknown>>();

  /** Answers the work itself, whose failure is told to whoever has that. */
  track<Result>(work: Promise<Result>): Promise<Result> {
    this.#works.add(work);
    const ended = () => this.#works.delete(work);
    work.then(ended, ended);
    return work;
  }

  /** Resolves when all that is there now has ended, however it did. */
  ended(): Promise<unknown> {
    return Promise.allSettled(this.#works);
  }
}
