// A batch that failed says what became of each of its operations, and the region's bytes agree.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BatchError, type Completion, emulate, type Fault, IsmioError, type Region } from 'ismio';
import { anyRules } from './support/arbitraries.js';
import { contents } from './support/bytes.js';
import { rejectsCode, thrownBy, throwsCode } from './support/errors.js';
import { anyOperations, anyQueue, apply, claimAll, modelSize, type Operation } from './support/operations.js';
import { bytesDoneOf } from './support/outcomes.js';
import { scaled } from './support/scale.js';

const fault: fc.Arbitrary<Fault> = fc.record({
  nth: fc.integer({ min: 1, max: 20 }),
  access: fc.constantFrom('any' as const, 'store' as const, 'storeBlock' as const, 'load' as const),
  cc: fc.constantFrom(1 as const, 3 as const),
  times: fc.constant(1),
});

/** What the loads that are done have, by the model. */
function checkRegionAndLoads(
  region: Region,
  operations: readonly Operation[],
  bytesDone: readonly number[],
  targets: ReadonlyMap<number, Uint8Array>,
): void {
  const model = new Uint8Array(modelSize);
  for (const [number, operation] of operations.entries()) {
    apply(model, operation, number, bytesDone[number]);
    const done = bytesDone[number] as number;
    const target = targets.get(number)?.slice(0, done);
    if (target === undefined) continue;
    assert.deepEqual(target, model.slice(operation.offset, operation.offset + done), `load ${number}`);
  }
  assert.deepEqual(contents(region), model);
}

test('states and bytes done agree with the bytes of the region, in every mode', async (t) => {
  let failures = 0;
  await fc.assert(
    fc.asyncProperty(
      anyRules(8),
      anyQueue,
      anyOperations(16),
      fault,
      fc.boolean(),
      async (rules, options, operations, line, drained) => {
        using region = emulate({ size: modelSize, rules, faults: [line] });
        const queue = region.queue({ ...options, depth: 32, bytes: 4096 });
        const targets = claimAll(queue, operations);
        let error: BatchError | null = null;
        try {
          if (drained) await queue.drain();
          else queue.submit();
        } catch (thrown) {
          error = thrown as BatchError;
        }
        if (error === null) return;
        failures++;
        assert.equal(error.code, line.cc === 1 ? 'ERR_ISMIO_DEVICE' : 'ERR_ISMIO_INVALID_HANDLE');
        const bytesDone = bytesDoneOf(error, operations);
        // What is read back here may meet the fault; it strikes once, and has.
        checkRegionAndLoads(region, operations, bytesDone, targets);

        queue.storeWords(0, 1, 2);
        assert.equal(queue.submit().stores, 1, 'the queue goes on');
        assert.equal(region.load64(0), 0x2_0000_0001n);
      },
    ),
    { numRuns: scaled(4000) },
  );
  t.diagnostic(`${failures} batches failed and agreed`);
});

test('the counts of a failed batch are those of what went through', () => {
  using region = emulate({ size: 4096, faults: [{ access: 'store', nth: 4, cc: 1, status: 0x2a }] });
  const queue = region.queue();
  for (let i = 0; i < 6; i++) queue.storeWords(i * 64, i + 1, 0);
  const error = thrownBy(() => queue.submit()) as unknown as BatchError;
  const counts: Completion = {
    operations: 6,
    issued: 3,
    loads: 0,
    stores: 3,
    storeBlocks: 0,
    bytes: 24,
    copies: 0,
    merged: 0,
    retries: 0,
  };
  assert.deepEqual(error.completion, counts);
  assert.deepEqual(
    error.operations.map(({ state }) => state),
    ['failed', 'skipped', 'skipped'],
  );
  assert.equal(error.index, 3);
  assert.equal(error.offset, 192);
  assert.equal(error.length, 8);
  assert.equal(error.conditionCode, 1);
  assert.equal(error.deviceStatus, 0x2a);
  assert.equal(error.errno, 'EIO');
  assert.equal(error.region, 'emulated region');
  assert.match(error.message, /operation 3 of 6/);
  assert.equal(region.stats().errors, 1);
});

test('a failed batch is not repeated: the next one has only what was queued after it', async () => {
  using region = emulate({ size: 4096, faults: [{ nth: 1, cc: 1 }] });
  const queue = region.queue();
  queue.storeWords(0, 1, 1);
  queue.storeWords(8, 2, 2);
  await rejectsCode(queue.drain(), IsmioError, 'ERR_ISMIO_DEVICE', { index: 0 });
  assert.equal(queue.queued, 0);
  queue.storeWords(16, 3, 3);
  assert.equal((await queue.drain()).operations, 1);
  assert.deepEqual([region.load32(0), region.load32(8), region.load32(16)], [0, 0, 3]);
});

test('one store block that carries several writes fails for all of them', () => {
  using region = emulate({ size: 4096, faults: [{ access: 'storeBlock', nth: 1, cc: 1 }] });
  const queue = region.queue({ merge: 'adjacent' });
  for (let i = 0; i < 4; i++) queue.storeWords(i * 8, 7, 7);
  const error = thrownBy(() => queue.submit()) as unknown as BatchError;
  assert.deepEqual(
    error.operations.map(({ state }) => state),
    ['failed', 'failed', 'failed', 'failed'],
  );
  assert.equal(error.index, 0);
  assert.deepEqual(contents(region, 0, 32), new Uint8Array(32));
});

test('a write that is cut into pieces is partly done when a later piece fails', () => {
  using region = emulate({ size: 4096, rules: { maxStoreBlock: 64 }, faults: [{ nth: 3, cc: 3 }] });
  const queue = region.queue();
  queue.write(0, new Uint8Array(200).fill(5));
  const error = thrownBy(() => queue.submit()) as unknown as BatchError;
  assert.equal(error.code, 'ERR_ISMIO_INVALID_HANDLE');
  assert.equal(error.conditionCode, 3);
  assert.deepEqual(error.operations, [
    { index: 0, kind: 'write', offset: 0, length: 200, state: 'partial', bytesDone: 128 },
  ]);
  assert.deepEqual(contents(region, 0, 200), new Uint8Array(200).fill(5, 0, 128));
});

test('loads that were done before a failure have their bytes', () => {
  using region = emulate({ size: 4096, faults: [{ access: 'load', nth: 3, cc: 1 }] });
  region.write(0, new Uint8Array(64).fill(9));
  const queue = region.queue();
  const done = new Uint8Array(8);
  const partly = new Uint8Array(16).fill(0xaa);
  queue.load(0, done);
  queue.load(8, partly);
  const error = thrownBy(() => queue.submit()) as unknown as BatchError;
  assert.deepEqual(done, new Uint8Array(8).fill(9));
  assert.deepEqual(partly, new Uint8Array(16).fill(9, 0, 8).fill(0xaa, 8));
  assert.deepEqual(error.operations, [
    { index: 1, kind: 'load', offset: 8, length: 16, state: 'partial', bytesDone: 8 },
  ]);
});

test('the error of a lost region says so for every batch that follows', () => {
  using region = emulate({ size: 4096, faults: [{ nth: 2, lost: true }] });
  const queue = region.queue();
  queue.storeWords(0, 1, 1);
  queue.storeWords(8, 1, 1);
  throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_REGION_LOST', { index: 1 });
  queue.load(0, new Uint8Array(8));
  throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_REGION_LOST', { index: 0 });
  throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
});
