// Errors of automatic flushes that nobody has asked for yet. As long as its queue lives, each waits for whoever comes first.
// Where nobody can come any more, because the queue was collected or the process ends, a warning says it, and a process that
// names no exit code of its own ends with 1: what it queued was not done.
import { atExit } from '../support/exit.js';

/** The first error that nobody has been told. */
export interface Untold {
  readonly error: Error;
  /** The name of the queue's region. */
  readonly region: string;
  /** How many came after it. */
  later: number;
}

const all = new Set<Untold>();
let notAtExit: (() => void) | null = null;

const collected = new FinalizationRegistry<Untold>((untold) => {
  forget(untold);
  process.emitWarning(warning(untold));
});

/** @param owner with it goes whoever could have been told */
export function remember(owner: object, error: Error, region: string): Untold {
  const untold: Untold = { error, region, later: 0 };
  void error.stack; // until V8 has made a text of it, the stack keeps what its functions were called on: the queue
  all.add(untold);
  collected.register(owner, untold, untold);
  notAtExit ??= atExit(tellAll);
  return untold;
}

/** Somebody is told. */
export function forget(untold: Untold): void {
  collected.unregister(untold);
  all.delete(untold);
  if (all.size > 0) return;
  notAtExit?.();
  notAtExit = null;
}

/** Nothing that is to come later comes any more, so whoever listens to warnings is called at once. */
function tellAll(): void {
  for (const untold of [...all]) {
    forget(untold);
    process.emit('warning', warning(untold));
  }
}

function warning({ error, region, later }: Untold): Error {
  process.exitCode ??= 1;
  const code = (error as { code?: string }).code ?? error.name;
  const more = later === 0 ? '' : `; so did ${later} after it`;
  const text = `an automatic flush of a queue on ${region} failed, and nobody was told: ${code}: ${error.message}${more}`;
  return Object.assign(new Error(text, { cause: error }), {
    name: 'IsmioWarning',
    code: 'ISMIO_UNTOLD',
    detail: 'Await queue.flushed, give the queue an onFlush, or close it: each tells the error.',
  });
}
