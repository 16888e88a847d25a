// Queues against a plain array of bytes: whatever is queued, in whatever mode, ends as if it had been done one by one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Completion, emulate, info, mapFile, type Queue, type Region, type RegionStats, type Rules } from 'ismio';
import { anyRules } from './support/arbitraries.js';
import { contents } from './support/bytes.js';
import { temporaryFile } from './support/files.js';
import { accessesOf, anyOperations, anyQueue, apply, claim, modelSize, type Operation } from './support/operations.js';
import { scaled } from './support/scale.js';

type Step = Operation | { readonly kind: 'submit' } | { readonly kind: 'drain' };

const steps: fc.Arbitrary<Step[]> = fc
  .tuple(
    anyOperations(60),
    fc.array(fc.tuple(fc.nat(60), fc.constantFrom('submit' as const, 'drain' as const)), { maxLength: 6 }),
  )
  .map(([operations, ends]) => {
    const all: Step[] = [...operations];
    for (const [at, kind] of ends) all.splice(at, 0, { kind });
    return all;
  });

/** Does the steps to a queue and to the model, and compares wherever both stand still. */
class Run {
  readonly #region: Region;
  readonly #queue: Queue;
  readonly #exact: boolean;
  readonly #model = new Uint8Array(modelSize);
  readonly #loads: { target: Uint8Array; expected: Uint8Array }[] = [];
  #operations = 0;
  #waiting: Operation[] = [];

  constructor(region: Region, queue: Queue) {
    this.#region = region;
    this.#queue = queue;
    this.#exact = queue.merge === 'none';
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'submit') return this.#ended(this.#queue.submit());
    if (step.kind === 'drain') return this.#ended(await this.#queue.drain());
    const number = this.#operations++;
    let { taken, target } = claim(this.#queue, step, number);
    if (!taken) {
      this.#ended(this.#queue.submit());
      ({ taken, target } = claim(this.#queue, step, number));
      assert.ok(taken, 'an empty queue has room for every operation that fits it at all');
    }
    apply(this.#model, step, number);
    this.#waiting.push(step);
    if (target !== null) {
      this.#loads.push({ target, expected: this.#model.slice(step.offset, step.offset + step.length) });
    }
    assert.equal(this.#queue.queued, this.#waiting.length);
  }

  async end(): Promise<void> {
    this.#ended(await this.#queue.drain());
  }

  #ended(completion: Completion): void {
    const alone = this.#waiting.reduce((sum, operation) => sum + accessesOf(this.#region, operation), 0);
    const { operations, issued, loads, stores, storeBlocks } = completion;
    assert.equal(operations, this.#waiting.length);
    assert.equal(issued, loads + stores + storeBlocks);
    assert.ok(issued <= alone, `${issued} accesses, where ${alone} would do without merging`);
    if (this.#exact) {
      assert.equal(issued, alone);
      assert.equal(completion.merged, 0);
      assert.equal(
        completion.bytes,
        this.#waiting.reduce((sum, operation) => sum + operation.length, 0),
      );
    }
    this.#waiting = [];
    assert.equal(this.#queue.queued, 0);
    assert.equal(this.#queue.inFlight, 0);
    assert.deepEqual(contents(this.#region), this.#model);
    for (const { target, expected } of this.#loads.splice(0)) {
      assert.deepEqual(target.slice(), expected, 'a load sees every write that was queued before it');
    }
  }
}

/** How a region with these rules is opened; it has only zeros. */
type Open = (rules: Rules) => Region;

async function checkQueuesOf(open: Open, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(anyRules(8), anyQueue, steps, async (rules, options, all) => {
      using region = open(rules);
      using queue = region.queue(options);
      const run = new Run(region, queue);
      for (const step of all) await run.step(step);
      await run.end();
    }),
    { numRuns },
  );
}

test('any operations in any mode end as if done one by one, in no more accesses', async () => {
  await checkQueuesOf((rules) => emulate({ size: modelSize, rules }), scaled(2500));
});

for (const kind of ['memory', 'device'] as const) {
  for (const burst of kind === 'device' && info().kernels.burst !== null ? [false, true] : [false]) {
    test(`the same on a mapped file of kind '${kind}'${burst ? ' with bursts' : ''}`, async (t) => {
      const path = temporaryFile(t, modelSize);
      const open: Open = (rules) => {
        const region = mapFile(path, { kind, burst, rules });
        region.write(0, new Uint8Array(modelSize));
        return region;
      };
      await checkQueuesOf(open, scaled(400));
    });
  }
}

test('registers are never merged, whatever the queue asks for', async () => {
  await fc.assert(
    fc.asyncProperty(anyRules(8), anyQueue, steps, async (rules, options, all) => {
      using region = emulate({ size: modelSize, rules: { ...rules, merge: 'registers' } });
      using queue = region.queue(options);
      assert.equal(queue.merge, 'none');
      const run = new Run(region, queue);
      for (const step of all) await run.step(step);
      await run.end();
    }),
    { numRuns: scaled(300) },
  );
});

test('the counts of a batch are what the counts of the region grew by', () => {
  fc.assert(
    fc.property(anyRules(8), anyQueue, anyOperations(40), (rules, options, operations) => {
      using region = emulate({ size: modelSize, rules });
      using queue = region.queue({ ...options, depth: 64, bytes: 4096 });
      region.store64(0, 1n);
      const before = region.stats();
      for (const [number, operation] of operations.entries()) claim(queue, operation, number);
      const { loads, stores, storeBlocks, bytes, merged, retries } = queue.submit();
      const after = region.stats();
      const grown = (name: Exclude<keyof RegionStats, 'stages'>): number => after[name] - before[name];
      assert.deepEqual(
        [loads, stores, storeBlocks, bytes, merged, retries],
        [grown('loads'), grown('stores'), grown('storeBlocks'), grown('bytes'), grown('merged'), grown('retries')],
      );
    }),
    { numRuns: scaled(500) },
  );
});
