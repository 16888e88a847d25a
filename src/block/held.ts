// Blocks that somebody reads and writes again: who wants one of them meanwhile waits.

interface Hold {
  readonly first: number;
  readonly end: number;
  readonly done: Promise<unknown>;
}

/** Ranges of blocks that are held, each by one at a time, in the order in which they were asked for. */
export class Held {
  readonly #holds = new Set<Hold>();

  /** Runs `act` when nobody has any of the blocks from `first` on, up to `end`; others that want one wait until it is done. */
  async alone<Result>(first: number, end: number, act: () => Promise<Result>): Promise<Result> {
    const before = [...this.#holds].filter((hold) => hold.first < end && first < hold.end).map(({ done }) => done);
    let release: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hold: Hold = { first, end, done };
    this.#holds.add(hold); // in the queue before it waits: who comes later waits for it
    try {
      if (before.length > 0) await Promise.all(before);
      return await act();
    } finally {
      this.#holds.delete(hold);
      release();
    }
  }
}
