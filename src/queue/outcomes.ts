// What became of the operations of a batch that failed. Native code writes it down once, in memory of the batch's own, and
// here it is read when somebody asks: a batch of a million operations would else become a million objects that nobody wants.
import { type Answer, failure } from '../access/failure.js';
import type { Rules } from '../access/rules.js';
import { Field, layout, Opcode, OutcomeAt, type State, states, statuses } from '../addon/wire.js';
import type { ErrorValues, IsmioError } from '../support/errors.js';
import { type Completion, completionFrom } from './completion.js';
import { renamed, type Stopped } from './stopped.js';

/** What became of one operation of a batch that failed. */
export interface OperationOutcome {
  /** Index in the batch, from 0. */
  readonly index: number;
  /** What was queued: 'store' of one word, 'write' and 'load' of bytes, 'fence'. */
  readonly kind: 'store' | 'write' | 'load' | 'fence';
  /** Where in the region it begins, in bytes. */
  readonly offset: number;
  /** How many bytes it was to move. */
  readonly length: number;
  /** 'partial': its first `bytesDone` bytes went through. 'skipped': it was not begun. */
  readonly state: State;
  /** How many of its bytes, from the first on, went through. */
  readonly bytesDone: number;
}

/** The error a batch is rejected with. */
export interface BatchError extends IsmioError {
  /** What went through before the batch ended. */
  readonly completion: Completion;
  /**
   * The operations from the first that is not done on; every one before it is done. They become objects when they are first
   * looked at, which takes some 100 ns for each: of a batch of 2^20 operations 0.1 to 0.3 s, in which nothing else runs.
   */
  readonly operations: readonly OperationOutcome[];
}

const kinds: Readonly<Record<number, OperationOutcome['kind']>> = {
  [Opcode.store]: 'store',
  [Opcode.write]: 'write',
  [Opcode.load]: 'load',
};

const doublesEach = layout.outcomeBytes / 8;
const wordsEach = layout.outcomeBytes / 4;

export class Outcomes {
  /** The first operation that is not done for certain. */
  readonly first: number;
  /** How many there are, from the first on. */
  readonly count: number;
  readonly #doubles: Float64Array;
  readonly #words: Uint32Array;

  /** @param memory undefined where the system had none: then nothing is known of the operations from the first on */
  constructor(answer: Answer, memory: ArrayBuffer | undefined) {
    const told = memory ?? new ArrayBuffer(0);
    this.first = answer[Field.unfinished] as number;
    this.count = told.byteLength / layout.outcomeBytes;
    this.#doubles = new Float64Array(told);
    this.#words = new Uint32Array(told);
  }

  /** Of the operation with this index in the batch; undefined for one that is done. */
  at(index: number): OperationOutcome | undefined {
    const row = index - this.first;
    if (row < 0 || row >= this.count) return undefined;
    const double = row * doublesEach;
    const word = row * wordsEach;
    return {
      index,
      kind: kinds[this.#words[word + OutcomeAt.opcode] as number] ?? 'fence',
      offset: this.#doubles[double + OutcomeAt.offset] as number,
      length: this.#doubles[double + OutcomeAt.length] as number,
      state: states[this.#words[word + OutcomeAt.state] as number] as State,
      bytesDone: this.#doubles[double + OutcomeAt.done] as number,
    };
  }

  /** Bytes of the operation with this index that went through; undefined where all did. */
  bytesDone(index: number): number | undefined {
    const row = index - this.first;
    if (row < 0) return undefined;
    return row < this.count ? this.#doubles[row * doublesEach + OutcomeAt.done] : 0;
  }

  all(): OperationOutcome[] {
    return Array.from({ length: this.count }, (_, row) => this.at(this.first + row) as OperationOutcome);
  }
}

/**
 * The error for the batch whose answer is not ok.
 * @param stopped on whose word, if it was stopped on one
 */
export function batchError(
  answer: Answer,
  outcomes: Outcomes,
  region: { readonly name: string; readonly rules: Rules },
  stopped: Stopped | null,
): BatchError {
  const completion = completionFrom(answer);
  const index = answer[Field.index] as number;
  const { kind = 'operation', offset = 0, length = 0, bytesDone = 0 } = outcomes.at(index) ?? {};
  const more: ErrorValues = { index, bytesDone, completion };
  const aborted = statuses[answer[Field.status] as number] === 'aborted';
  const what = `${aborted ? 'batch stopped at ' : ''}operation ${index} of ${completion.operations}, a ${kind}`;
  const error = failure({ what, offset, length, region: region.name, rules: region.rules }, answer, more);
  const unknown = outcomes.count < completion.operations - outcomes.first;
  if (unknown) error.message += `. There was no memory to tell what became of the operations from ${outcomes.first} on`;
  return withOperations(aborted && stopped !== null ? renamed(error, stopped) : error, outcomes) as BatchError;
}

/** `operations` are made when they are first looked at. */
function withOperations(error: Error, outcomes: Outcomes): Error {
  let made: readonly OperationOutcome[] | null = null;
  const get = (): readonly OperationOutcome[] => {
    made ??= outcomes.all();
    return made;
  };
  return Object.defineProperty(error, 'operations', { get, enumerable: true, configurable: true });
}
