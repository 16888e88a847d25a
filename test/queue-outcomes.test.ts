// Batches that fail with others behind them, on a queue that goes on being filled: what each operation was told is what
// the region holds in the end, and nobody is told of another batch's operations.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BatchError, emulate, type Queue, type QueueOptions, type Region } from 'ismio';
import { runModule } from './support/child.js';
import { apply, byteOf, claim, modelSize, type Operation } from './support/operations.js';
import { bytesDoneOf } from './support/outcomes.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

interface Queued {
  readonly operation: Operation;
  readonly number: number;
  readonly target: Uint8Array | null;
}

interface Batch {
  readonly queued: Queued[];
  error: BatchError | null;
}

const modes: QueueOptions[] = [
  { merge: 'none' },
  { merge: 'adjacent' },
  { merge: 'any' },
  { merge: 'any', order: 'relaxed' },
];
const widths = [1, 2, 4, 8, 8, 8, 8] as const;
const batchesInRound = 500;
const batchesWanted = 100_000;

function anyOperation(below: (limit: number) => number): Operation {
  const kind = below(12);
  if (kind === 0) return { kind: 'fence', offset: 0, length: 0 };
  if (kind < 7) {
    const length = widths[below(widths.length)] as 1 | 2 | 4 | 8;
    return { kind: 'store', offset: below(modelSize / length) * length, length, words: below(2) === 0 };
  }
  const length = 1 + below(48);
  return { kind: kind < 10 ? 'write' : 'load', offset: below(modelSize - length), length, own: below(2) === 0 };
}

/** Fills a queue while its batches are under way, as a producer that never waits if it need not. */
class Producer {
  readonly batches: Batch[] = [];
  #waiting: Queued[] = [];
  #drains: Promise<void>[] = [];
  #inFlight = 0;

  constructor(
    readonly queue: Queue,
    readonly below: (limit: number) => number,
  ) {}

  async put(operation: Operation, number: number): Promise<void> {
    for (;;) {
      const { taken, target } = claim(this.queue, operation, number);
      if (taken) {
        this.#waiting.push({ operation, number, target });
        return;
      }
      if (this.#waiting.length > 0) this.handOver();
      else await this.#drains.shift();
    }
  }

  handOver(): void {
    if (this.#waiting.length === 0) return;
    const batch: Batch = { queued: this.#waiting, error: null };
    this.#waiting = [];
    this.batches.push(batch);
    if (this.#inFlight === 0 && this.below(3) === 0) {
      try {
        this.queue.submit();
      } catch (error) {
        batch.error = error as BatchError;
      }
      return;
    }
    this.#inFlight++;
    const ended = (error: BatchError | null): void => {
      batch.error = error;
      this.#inFlight--;
    };
    this.#drains.push(
      this.queue.drain().then(
        () => ended(null),
        (error) => ended(error as BatchError),
      ),
    );
  }

  async end(): Promise<void> {
    this.handOver();
    await Promise.all(this.#drains);
    assert.equal(this.queue.inFlight, 0);
    assert.equal(this.queue.queued, 0);
  }
}

/** The bytes of a region of which one access in some fails. */
function contentsInSpite(region: Region): Uint8Array {
  const bytes = new Uint8Array(modelSize);
  for (let at = 0; at < modelSize; ) {
    try {
      bytes[at] = region.load8(at);
      at++;
    } catch {} // again
  }
  return bytes;
}

/** Every batch in its turn, to the bytes that its error says. */
function judge(batches: readonly Batch[], region: Region): void {
  const model = new Uint8Array(modelSize);
  for (const { queued, error } of batches) {
    const operations = queued.map(({ operation }) => operation);
    const done = error === null ? operations.map(({ length }) => length) : bytesDoneOf(error, operations);
    for (const [index, { operation, number, target }] of queued.entries()) {
      apply(model, operation, number, done[index]);
      if (target === null) continue;
      const end = done[index] as number;
      assert.deepEqual(target.slice(0, end), model.slice(operation.offset, operation.offset + end), `load ${number}`);
    }
  }
  assert.deepEqual(contentsInSpite(region), model);
}

for (const mode of modes) {
  test(`failed batches with others behind are told as what happened to them: ${JSON.stringify(mode)}`, async (t) => {
    let batches = 0;
    let failures = 0;
    const rounds = scaled(batchesWanted / batchesInRound / modes.length);
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.constantFrom(8, 32, 200), async (seed, depth) => {
        const below = sequence(seed);
        const rules = { maxStoreBlock: 32, boundary: 64 };
        const faults = { seed: 1 + below(1_000_000), script: [{ chance: 0.03, cc: 1 as const, status: 3 }] };
        using region = emulate({ size: modelSize, rules, faults });
        const queue = region.queue({ ...mode, depth, bytes: 4096 });
        const producer = new Producer(queue, below);
        for (let number = 0; producer.batches.length < batchesInRound; number++) {
          await producer.put(anyOperation(below), number);
          if (below(5) === 0) producer.handOver();
        }
        await producer.end();
        judge(producer.batches, region);
        batches += producer.batches.length;
        failures += producer.batches.filter(({ error }) => error !== null).length;
      }),
      { numRuns: rounds },
    );
    t.diagnostic(`${failures} of ${batches} batches failed`);
    assert.ok(failures > batches / 50, 'else this would have judged nothing');
  });
}

test('a failed batch tells its own operations when its entries were filled anew before it was told', async () => {
  using region = emulate({ size: 4096, faults: [{ nth: 2, cc: 1 }] });
  const queue = region.queue({ depth: 4 });
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 4; i++) queue.storeWords(i * 8, 1, 0);
  const first = queue.drain().catch((error: BatchError) => error);
  while (!queue.storeWords(1024, 2, 0)) Atomics.wait(waiting, 0, 0, 1); // the event loop stands still
  while (queue.write(2048, new Uint8Array([byteOf(1)])));
  const error = (await first) as BatchError;
  assert.deepEqual(
    error.operations.map(({ index, kind, offset, length, state }) => [index, kind, offset, length, state]),
    [
      [1, 'store', 8, 8, 'failed'],
      [2, 'store', 16, 8, 'skipped'],
      [3, 'store', 24, 8, 'skipped'],
    ],
  );
});

test('what became of a million operations costs nothing until somebody looks, and is right where one looks', () => {
  const depth = 1 << 20;
  using region = emulate({ size: depth * 8, faults: [{ nth: 1, cc: 1 }] });
  const queue = region.queue({ depth });
  const offsets = { first: 0 };
  assert.equal(queue.storeMany(offsets, new Uint32Array(depth * 2)), depth);
  let error: BatchError | null = null;
  try {
    queue.submit();
  } catch (thrown) {
    error = thrown as BatchError;
  }
  const descriptor = Object.getOwnPropertyDescriptor(error, 'operations');
  assert.equal(typeof descriptor?.get, 'function');
  assert.equal(error?.operations.length, depth);
  assert.deepEqual(error?.operations.at(-1), {
    index: depth - 1,
    kind: 'store',
    offset: (depth - 1) * 8,
    length: 8,
    state: 'skipped',
    bytesDone: 0,
  });
  assert.equal(error?.operations, error?.operations, 'they are made once');
});

test('a failed batch of many loads is settled in a time that grows with their number, not with its square', async () => {
  const timeOf = async (count: number): Promise<number> => {
    using region = emulate({ size: count * 8, faults: [{ access: 'load', nth: 1, cc: 1 }] });
    const queue = region.queue({ depth: count, bytes: count * 8 });
    for (let i = 0; i < count; i++) assert.ok(queue.load(i * 8, new Uint8Array(8)));
    const began = performance.now();
    await assert.rejects(queue.drain(), { code: 'ERR_ISMIO_DEVICE' });
    return performance.now() - began;
  };
  await timeOf(1 << 12);
  const [small, large] = [await timeOf(1 << 13), await timeOf(1 << 17)];
  assert.ok(large < small * 16 * 6, `16 times as many took ${(large / small).toFixed(0)} times as long`);
});

test('what goes wrong while a batch is settled is an uncaught exception, and not a promise that never ends', async () => {
  const script = `
    import { emulate } from 'ismio';
    process.on('uncaughtException', (error) => { console.log(error.message); process.exit(7); });
    const queue = emulate({ size: 4096 }).queue();
    queue.storeWords(0, 1, 0);
    const { shift } = Array.prototype;
    Array.prototype.shift = function () {
      if (this[0]?.promise === undefined) return shift.call(this);
      throw new Error('a fault of the package');
    };
    queue.drain();
  `;
  const { code, stdout } = await runModule(script);
  assert.deepEqual([code, stdout], [7, 'a fault of the package\n']);
});
