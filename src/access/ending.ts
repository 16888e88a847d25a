// How the end of a queue, or of a region with its queues, is told. It always takes place; what was queued and will not be
// done, and the error of an automatic flush that nobody has been told yet, are never lost without a word.

/** What is left to tell. */
export interface Ending {
  /** How many operations were queued and never submitted. */
  readonly dropped: number;
  /** Of an automatic flush. */
  readonly error: Error | null;
}

export const nothingLeft: Ending = Object.freeze({ dropped: 0, error: null });

/** Of several queues: the first error, which says how many there are besides. */
export function together(endings: readonly Ending[]): Ending {
  const dropped = endings.reduce((sum, ending) => sum + ending.dropped, 0);
  const [error = null, ...others] = endings.flatMap((ending) => ending.error ?? []);
  const laterErrors = others.reduce((sum, other) => sum + 1 + laterThan(other), error === null ? 0 : laterThan(error));
  if (laterErrors > 0) Object.assign(error as Error, { laterErrors });
  return { dropped, error };
}

function laterThan(error: Error): number {
  return (error as { laterErrors?: number }).laterErrors ?? 0;
}

/** For `close`: whoever calls it can read how many operations were dropped. */
export function closedWith({ dropped, error }: Ending): number {
  if (error === null) return dropped;
  throw dropped === 0 ? error : Object.assign(error, { dropped });
}

/**
 * For the end of a `using` block, where nobody reads an answer. An error would take the place of the one that may have ended
 * the block, with all that was queued until then: so it is a warning, which the program can listen to ('warning').
 */
export function disposedWith(ending: Ending, region: string): void {
  const dropped = closedWith(ending);
  if (dropped === 0) return;
  const what = dropped === 1 ? 'operation that was queued was' : 'operations that were queued were';
  process.emitWarning(`${dropped} ${what} never submitted: the queue on ${region} was disposed of`, {
    type: 'IsmioWarning',
    code: 'ISMIO_DROPPED',
    detail:
      'Submit or drain before the block ends; call close(), which returns their number, where they are not wanted.',
  });
}
