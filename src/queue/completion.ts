// What became of a batch.
import type { ErrorValues, IsmioError } from '../errors.js';
import { type Answer, failure } from '../region/failure.js';
import type { Rules } from '../region/rules.js';
import { Double, Field, Opcode, type State, states, statuses, Word } from '../wire.js';

/** What a batch did. Counts are of this batch alone. */
export interface Completion {
  /** Queued operations in the batch. */
  readonly operations: number;
  /** Accesses the device saw: loads + stores + storeBlocks. */
  readonly issued: number;
  readonly loads: number;
  readonly stores: number;
  readonly storeBlocks: number;
  /** Bytes moved, in either direction. */
  readonly bytes: number;
  /** Times payload was copied between the caller's buffers and the accesses. */
  readonly copies: number;
  /** Writes that were joined to the one before them and planned together with it. */
  readonly merged: number;
  /** Accesses tried again because the device was busy. */
  readonly retries: number;
}

/** What became of one operation of a batch that failed. */
export interface OperationOutcome {
  /** Index in the batch, from 0. */
  readonly index: number;
  readonly kind: 'store' | 'write' | 'load' | 'fence';
  readonly offset: number;
  readonly length: number;
  /** 'partial': its first `bytesDone` bytes went through. 'skipped': it was not begun. */
  readonly state: State;
  readonly bytesDone: number;
}

/** The error a batch is rejected with. */
export interface BatchError extends IsmioError {
  readonly completion: Completion;
  /** The operations from the first that is not done on; every one before it is done. */
  readonly operations: readonly OperationOutcome[];
}

/** Read word by word: a queue that is submitted often would else make more garbage than anything. */
export function completionFrom(answer: Answer): Completion {
  const loads = answer[Field.loads] as number;
  const stores = answer[Field.stores] as number;
  const storeBlocks = answer[Field.storeBlocks] as number;
  return {
    operations: answer[Field.operations] as number,
    issued: loads + stores + storeBlocks,
    loads,
    stores,
    storeBlocks,
    bytes: answer[Field.bytes] as number,
    copies: answer[Field.copies] as number,
    merged: answer[Field.merged] as number,
    retries: answer[Field.retries] as number,
  };
}

export const nothingDone: Completion = Object.freeze({
  operations: 0,
  issued: 0,
  loads: 0,
  stores: 0,
  storeBlocks: 0,
  bytes: 0,
  copies: 0,
  merged: 0,
  retries: 0,
});

const kinds: Readonly<Record<number, OperationOutcome['kind']>> = {
  [Opcode.store]: 'store',
  [Opcode.write]: 'write',
  [Opcode.load]: 'load',
};

/** The ring's entries, as typed arrays over them; `at` counts for ever. */
export interface Entries {
  readonly doubles: Float64Array;
  readonly words: Uint32Array;
  readonly mask: number;
}

/** An operation as it stands in its entry, before anything happened to it. */
export function operationAt(
  entries: Entries,
  at: number,
): { kind: OperationOutcome['kind']; offset: number; length: number } {
  const double = (at & entries.mask) << 2;
  const word = entries.words[(double << 1) | Word.opcode] as number;
  const kind = kinds[word & 0xff] ?? 'fence';
  if (kind === 'fence') return { kind, offset: 0, length: 0 };
  const length = kind === 'store' ? word >>> 8 : (entries.doubles[double | Double.length] as number);
  return { kind, offset: entries.doubles[double] as number, length };
}

function outcomeAt(entries: Entries, from: number, index: number): OperationOutcome {
  const at = (from + index) | 0;
  const double = (at & entries.mask) << 2;
  const state = states[entries.words[(double << 1) | Word.source] as number] as State;
  const bytesDone = entries.doubles[double | Double.position] as number;
  return { index, ...operationAt(entries, at), state, bytesDone };
}

/** The error for the batch that began at `from` and whose answer is not ok. */
export function batchError(
  answer: Answer,
  entries: Entries,
  from: number,
  region: { readonly name: string; readonly rules: Rules },
): BatchError {
  const completion = completionFrom(answer);
  const operations: OperationOutcome[] = [];
  for (let index = answer[Field.unfinished] as number; index < completion.operations; index++) {
    operations.push(outcomeAt(entries, from, index));
  }
  const index = answer[Field.index] as number;
  const culprit = operations.find((operation) => operation.index === index) ?? operations[0];
  const { kind = 'operation', offset = 0, length = 0, bytesDone = 0 } = culprit ?? {};
  const more: ErrorValues = { index, bytesDone, completion, operations };
  const stopped = statuses[answer[Field.status] as number] === 'aborted';
  const what = `${stopped ? 'batch stopped at ' : ''}operation ${index} of ${completion.operations}, a ${kind}`;
  return failure({ what, offset, length, region: region.name, rules: region.rules }, answer, more) as BatchError;
}
