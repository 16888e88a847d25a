// The JSON documents in a recording, checked: nothing is believed because of its name.
import { Damage } from './bytes.js';
import type { End, Metadata, Outcome } from './format.js';

type Unknown = Readonly<Record<string, unknown>>;

export function checkMetadata(value: unknown): Metadata {
  const { version, started, payload, loads = false } = object(value, 'the metadata');
  if (typeof version !== 'string' || version.length > 64) throw new Damage('metadata.version is no short string');
  if (typeof started !== 'string' || Number.isNaN(Date.parse(started))) throw new Damage('metadata.started is no date');
  if (typeof payload !== 'boolean') throw new Damage('metadata.payload is neither true nor false');
  if (typeof loads !== 'boolean') throw new Damage('metadata.loads is neither true nor false');
  if (loads && !payload) throw new Damage('metadata with what was loaded and not what was stored');
  return { version, started, payload, loads };
}

export function checkEnd(value: unknown): End {
  const end = object(value, 'the end');
  const { failures } = end;
  if (!Array.isArray(failures)) throw new Damage('end.failures is no array');
  const batches = whole(end['batches'], 'end.batches');
  return {
    operations: whole(end['operations'], 'end.operations'),
    bytes: whole(end['bytes'], 'end.bytes'),
    batches,
    nanoseconds: whole(end['nanoseconds'], 'end.nanoseconds'),
    failures: failures.map((failure) => {
      const [batch, outcomes] = Array.isArray(failure) ? failure : [];
      if (!Array.isArray(outcomes)) throw new Damage('a failure in the end has no outcomes');
      if (!(whole(batch, 'the batch of a failure') < batches))
        throw new Damage(`a failure of batch ${batch} of ${batches}`);
      return [batch, checkOutcomes(outcomes.map(checkOutcome))];
    }),
  };
}

function checkOutcome(value: unknown): Outcome {
  if (!Array.isArray(value) || value.length !== 4) throw new Damage('an outcome in the end is no four numbers');
  const outcome = value.map((number) => whole(number, 'a number of an outcome')) as [number, number, number, number];
  return outcome;
}

/** Of one batch, of which they are in order. */
export function checkOutcomes(outcomes: Outcome[]): Outcome[] {
  let end = 0;
  for (const [first, count, state] of outcomes) {
    if (state < 1 || state > 3) throw new Damage(`no outcome has the state ${state}`);
    if (first < end) throw new Damage('the outcomes of a batch are not in order');
    end = first + count;
  }
  return outcomes;
}

function object(value: unknown, what: string): Unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Damage(`${what} is no object`);
  return value as Unknown;
}

function whole(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new Damage(`${what} is no whole number from 0 on`);
}
