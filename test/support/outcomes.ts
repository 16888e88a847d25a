// What the error of a batch says of its operations, held against the operations that were queued.
import assert from 'node:assert/strict';
import type { BatchError, OperationOutcome } from 'ismio';
import type { Operation } from './operations.js';

const lengthOf = (operation: Operation): number => operation.length;

function checkOutcome(outcome: OperationOutcome, index: number, operation: Operation): void {
  const { kind, offset, length, state, bytesDone } = outcome;
  assert.deepEqual(
    { kind, offset, length },
    { kind: operation.kind, offset: operation.offset, length: operation.length },
  );
  assert.equal(outcome.index, index);
  if (state === 'done') assert.equal(bytesDone, length);
  else if (state === 'partial') assert.ok(bytesDone > 0 && bytesDone < length, `${bytesDone} of ${length}`);
  else assert.equal(bytesDone, 0);
}

/** How many bytes of each operation are done, by what the error says of the batch; what it says is checked on the way. */
export function bytesDoneOf(error: BatchError, operations: readonly Operation[]): number[] {
  const { operations: outcomes, completion } = error;
  assert.equal(completion.operations, operations.length);
  assert.ok(outcomes.length > 0, 'the operation that failed is among them');
  const first = operations.length - outcomes.length;
  for (const [i, outcome] of outcomes.entries()) checkOutcome(outcome, first + i, operations[first + i] as Operation);
  const culprit = outcomes.find(({ index }) => index === error.index);
  assert.ok(culprit?.state === 'failed' || culprit?.state === 'partial', `operation ${error.index} is at fault`);
  assert.equal(error.bytesDone, culprit.bytesDone);
  assert.equal(error.offset, culprit.offset);
  assert.equal(error.length, culprit.length);
  return [...operations.slice(0, first).map(lengthOf), ...outcomes.map(({ bytesDone }) => bytesDone)];
}
