// Every operation of a queue comes to exactly one end, and every error is told exactly once, whatever is claimed, submitted,
// drained, flushed and closed in whatever order on a device that fails. The account is kept from outside: what the calls
// answer, what the channel says of each batch, and what the region holds.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { type BatchError, type BatchMessage, type Completion, emulate, type Queue, type Region } from 'ismio';
import { contents } from './support/bytes.js';
import { scaled } from './support/scale.js';

const most = 400;

type End = 'waiting' | 'done' | 'failed' | 'skipped' | 'dropped' | 'refused';

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('store' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('stores' as const, 'writes' as const), count: fc.nat(12) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('submit' as const, 'drain' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('turn' as const, 'flushed' as const, 'settle' as const) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

const policy = fc.record(
  { ops: fc.integer({ min: 1, max: 6 }), bytes: fc.integer({ min: 1, max: 64 }), turn: fc.boolean() },
  { requiredKeys: [] },
);

class Account {
  readonly #region: Region;
  readonly #queue: Queue;
  /** What became of the store to each place. */
  readonly #ends: End[] = [];
  /** Places taken and in no batch yet, in order. */
  readonly #waiting: number[] = [];
  readonly #drains: Promise<unknown>[] = [];
  /** Errors that batches had, and those that somebody was told. */
  readonly #had: Error[] = [];
  readonly #told: Error[] = [];

  constructor(size: number, seed: number, depth: number, flush: object, telling: boolean) {
    const faults = { seed, script: [{ access: 'any', chance: 0.1, cc: 1 }] } as const;
    this.#region = emulate({ size, faults });
    const onFlush = (error: Error | null, completion: Completion): void => {
      if (error !== null) this.#told.push(error);
      assert.ok(completion.operations > 0);
    };
    this.#queue = this.#region.queue({ depth, bytes: 128, flush, ...(telling && { onFlush }) });
  }

  readonly batch = ({ queue, completion, error }: BatchMessage): void => {
    if (queue !== this.#queue) return;
    const places = this.#waiting.splice(0, completion.operations);
    assert.equal(places.length, completion.operations, 'a batch has what was taken before it');
    for (const place of places) this.#ends[place] = 'done';
    if (error === null) return;
    this.#had.push(error);
    for (const { index, state } of (error as BatchError).operations) {
      assert.notEqual(state, 'partial', 'a store has no parts');
      this.#ends[places[index] as number] = state as End;
    }
  };

  async step(step: Step): Promise<void> {
    const queue = this.#queue;
    switch (step.kind) {
      case 'submit':
        return void this.#call(() => queue.submit());
      case 'drain':
        return void this.#drains.push(queue.drain().catch((error: Error) => this.#told.push(error)));
      case 'flushed':
        return void (await queue.flushed.catch((error: Error) => this.#told.push(error)));
      case 'turn':
        return turn();
      case 'settle':
        return void (await Promise.all(this.#drains.splice(0)));
      default:
        return this.#claim(step.kind, 'count' in step ? step.count : 1);
    }
  }

  async end(): Promise<void> {
    const dropped = this.#call(
      () => this.#queue.close(),
      (error) => (error as { dropped?: number }).dropped ?? 0,
    );
    await Promise.all(this.#drains);
    assert.equal(this.#waiting.length, dropped, 'close counts what was never handed over');
    for (const place of this.#waiting) this.#ends[place] = 'dropped';
    assert.ok(!this.#ends.includes('waiting'));
    assert.deepEqual(new Set(this.#told), new Set(this.#had), 'every error is told');
    assert.equal(this.#told.length, this.#had.length, 'and only once');
    const { stores, storeBlocks } = this.#region.stats();
    assert.equal(stores + storeBlocks, this.#ends.filter((end) => end === 'done').length, 'each is stored once');
    const words = new BigUint64Array(1);
    for (const [place, end] of this.#ends.entries()) {
      words[0] = BigInt(this.#loaded(place));
      assert.equal(words[0] !== 0n, end === 'done', `the store to word ${place}, which is ${end}`);
    }
    this.#region.close();
  }

  /** A load may fail as well. */
  #loaded(place: number): number {
    for (;;) {
      try {
        return contents(this.#region, place * 8, 8)[0] as number;
      } catch {
        // tried again: only stores are counted
      }
    }
  }

  #claim(kind: 'store' | 'stores' | 'writes', wanted: number): void {
    const first = this.#ends.length;
    const count = Math.min(wanted, most - first);
    for (let i = 0; i < count; i++) this.#ends.push('refused');
    const offsets = Float64Array.from({ length: count }, (_, i) => (first + i) * 8);
    const claims = {
      store: () => (count === 0 ? 0 : Number(this.#queue.storeWords(first * 8, 1, 1))),
      stores: () => this.#queue.storeMany(offsets, new BigUint64Array(count).fill(1n)),
      writes: () => this.#queue.writeMany(offsets, 8, new Uint8Array(count * 8).fill(1)),
    };
    // Those that are taken may be executed before the call returns.
    for (let i = 0; i < count; i++) this.#waiting.push(first + i);
    const before = this.#waiting.length;
    const taken = this.#call(claims[kind], () => 0);
    assert.ok(before >= taken);
    const refused = new Set(Array.from({ length: count - taken }, (_, i) => first + taken + i));
    this.#waiting.splice(0, this.#waiting.length, ...this.#waiting.filter((place) => !refused.has(place)));
    for (let place = first; place < first + taken; place++) {
      if (this.#ends[place] === 'refused') this.#ends[place] = 'waiting';
    }
    for (const place of refused) assert.equal(this.#ends[place], 'refused', 'what was not taken is in no batch');
  }

  /** What it answers; where it throws the error of a batch, `thrown` of that. */
  #call<Answer>(act: () => Answer, thrown: (error: Error) => Answer = () => 0 as Answer): Answer {
    try {
      return act();
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_ISMIO_QUEUE_BUSY') return thrown(error as Error);
      assert.ok((error as Error).constructor.name === 'IsmioError', String((error as Error).stack));
      this.#told.push(error as Error);
      return thrown(error as Error);
    }
  }
}

test('whatever is done in whatever order, each operation has one end and each error one hearer', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(2 ** 31),
      fc.integer({ min: 1, max: 40 }),
      fc.oneof(policy, fc.constant({})),
      fc.boolean(),
      fc.array(step, { maxLength: 80 }),
      async (seed, depth, flush, telling, steps) => {
        const account = new Account(most * 8, seed, depth, flush, telling);
        const listen = (message: unknown): void => account.batch(message as BatchMessage);
        diagnostics.subscribe('ismio:batch', listen);
        try {
          for (const one of steps) await account.step(one);
          await account.end();
        } finally {
          diagnostics.unsubscribe('ismio:batch', listen);
        }
      },
    ),
    { numRuns: scaled(1500), includeErrorInReport: true },
  );
});
