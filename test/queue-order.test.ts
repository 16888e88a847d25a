// Which accesses a batch makes, one by one. A region that fails at its n-th access shows what the n - 1 before it did.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BatchError, emulate, type QueueOptions, type Region, type Rules } from 'ismio';
import { anyRules } from './support/arbitraries.js';
import { contents } from './support/bytes.js';
import { anyOperations, anyQueue, apply, claimAll, modelSize, type Operation } from './support/operations.js';
import { legalStore, legalStoreBlock } from './support/oracle.js';
import { scaled } from './support/scale.js';

interface Batch {
  readonly rules: Rules;
  readonly options: QueueOptions;
  readonly operations: readonly Operation[];
}

const batches = (order: 'strict' | 'relaxed'): fc.Arbitrary<Batch> =>
  fc.record({
    rules: anyRules(8),
    options: anyQueue.map((options) => ({ ...options, order, depth: 32, bytes: 4096 })),
    operations: anyOperations(14),
  });

/** The region's bytes after each access of the batch, from before the first to after the last. */
function statesOf({ rules, options, operations }: Batch): Uint8Array[] {
  const states: Uint8Array[] = [];
  for (let nth = 1; ; nth++) {
    using region = emulate({ size: modelSize, rules, faults: [{ nth, cc: 1, times: 1 }] });
    const queue = region.queue(options);
    claimAll(queue, operations);
    let failed = false;
    try {
      queue.submit();
    } catch (error) {
      assert.equal((error as BatchError).code, 'ERR_ISMIO_DEVICE');
      assert.equal((error as BatchError).completion.issued, nth - 1);
      failed = true;
    }
    states.push(failed ? contents(region) : contentsPastFault(region));
    if (!failed) return states;
  }
}

/** The fault was not met by the batch, so it may be met by the read. It strikes once. */
function contentsPastFault(region: Region): Uint8Array {
  try {
    return contents(region);
  } catch {
    return contents(region);
  }
}

/** First and last place at which two states differ; null where they do not. */
function difference(before: Uint8Array, after: Uint8Array): { offset: number; length: number } | null {
  const differs = (_: number, at: number): boolean => before[at] !== after[at];
  const first = after.findIndex(differs);
  if (first < 0) return null;
  return { offset: first, length: after.findLastIndex(differs) + 1 - first };
}

function checkEveryAccessIsLegal(batch: Batch, states: readonly Uint8Array[]): void {
  for (const [n, after] of states.entries()) {
    const before = states[n - 1];
    const change = before === undefined ? null : difference(before, after);
    if (change === null) continue;
    const { offset, length } = change;
    const legal = legalStore(offset, length) || legalStoreBlock(batch.rules, offset, length);
    assert.ok(legal, `access ${n} stored ${length} bytes at ${offset}`);
  }
}

/** Whether these bytes are what some first operations leave, and a first part of the one after them. */
function isProgramOrder(operations: readonly Operation[], state: Uint8Array): boolean {
  const model = new Uint8Array(modelSize);
  for (const [number, operation] of operations.entries()) {
    for (let bytes = 0; bytes <= operation.length; bytes++) {
      const partly = model.slice();
      apply(partly, operation, number, bytes);
      if (Buffer.compare(partly, state) === 0) return true;
    }
    apply(model, operation, number);
  }
  return Buffer.compare(model, state) === 0;
}

test("order 'strict': every access is legal, and after each the region is as program order leaves it", () => {
  fc.assert(
    fc.property(batches('strict'), (batch) => {
      const states = statesOf(batch);
      checkEveryAccessIsLegal(batch, states);
      for (const [n, state] of states.entries()) {
        assert.ok(
          isProgramOrder(batch.operations, state),
          `after ${n} accesses: ${Buffer.from(state).toString('hex')}`,
        );
      }
    }),
    { numRuns: scaled(700) },
  );
});

test("order 'relaxed': every access is legal, and after the last the region is as program order leaves it", () => {
  fc.assert(
    fc.property(batches('relaxed'), (batch) => {
      const states = statesOf(batch);
      checkEveryAccessIsLegal(batch, states);
      const model = new Uint8Array(modelSize);
      for (const [number, operation] of batch.operations.entries()) apply(model, operation, number);
      assert.deepEqual(states.at(-1), model);
    }),
    { numRuns: scaled(700) },
  );
});

test("order 'relaxed': nothing moves across a fence", () => {
  fc.assert(
    fc.property(batches('relaxed'), fc.nat(14), (batch, at) => {
      const operations = batch.operations.toSpliced(at, 0, { kind: 'fence', offset: 0, length: 0 });
      const states = statesOf({ ...batch, operations });
      const fences = operations.flatMap((operation, number) => (operation.kind === 'fence' ? [number] : []));
      for (const fence of fences) {
        const model = new Uint8Array(modelSize);
        for (const [number, operation] of operations.slice(0, fence).entries()) apply(model, operation, number);
        assert.ok(
          states.some((state) => Buffer.compare(state, model) === 0),
          `the region never stands as the operations before ${fence} leave it`,
        );
      }
    }),
    { numRuns: scaled(300) },
  );
});
