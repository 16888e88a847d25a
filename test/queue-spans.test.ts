// Blocks that lie one behind the other, in the region and in their source, reach the backend together: that shows nowhere.
import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { allocBuffer, type BatchError, emulate, IsmioError, mapFile, type Queue } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { thrownBy, throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';
import { scaled } from './support/scale.js';

const size = 1 << 18;
const source = allocBuffer(size);
source.set(pattern(size));

interface Write {
  readonly offset: number;
  readonly start: number;
  readonly length: number;
}

/** Mostly one behind the other, now and then somewhere else, in the region or in the source. */
const anyWrites = fc
  .record({
    length: fc.constantFrom(16, 24, 64, 128, 4096),
    jumps: fc.array(fc.tuple(fc.nat(7), fc.nat(40), fc.nat(40)), { minLength: 1, maxLength: 60 }),
  })
  .map(({ length, jumps }): Write[] => {
    let offset = 0;
    let start = 0;
    return jumps.map(([chance, inRegion, inSource]) => {
      if (chance === 0) offset = inRegion * length;
      if (chance === 1) start = inSource * length;
      const write = { offset, start, length };
      offset += length;
      start += length;
      return write;
    });
  });

function queueAll(queue: Queue, writes: readonly Write[]): void {
  for (const { offset, start, length } of writes) assert.ok(queue.write(offset, source, start, length));
}

function modelOf(writes: readonly Write[], done: (index: number) => number, into = new Uint8Array(size)): Uint8Array {
  for (const [index, { offset, start }] of writes.entries()) {
    into.set(source.subarray(start, start + done(index)), offset);
  }
  return into;
}

test('each write is one store block, whatever lies beside it, on every kind of mapping', (t) => {
  for (const kind of ['memory', 'device'] as const) {
    using region = mapFile(temporaryFile(t, size), { kind });
    const queue = region.queue();
    const model = new Uint8Array(size);
    fc.assert(
      fc.property(anyWrites, (writes) => {
        queueAll(queue, writes);
        const { operations, storeBlocks, stores, bytes, copies } = queue.submit();
        const moved = writes.length * (writes[0] as Write).length;
        assert.deepEqual([operations, storeBlocks, stores, bytes, copies], [writes.length, writes.length, 0, moved, 0]);
        modelOf(writes, (index) => (writes[index] as Write).length, model);
        assert.deepEqual(contents(region), model);
      }),
      { numRuns: scaled(60) },
    );
  }
});

test('of a batch that fails in the middle each write is told as what happened to it, with other batches behind', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyWrites,
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom('none', 'adjacent'),
      async (writes, nth, merge) => {
        using region = emulate({ size, faults: [{ access: 'storeBlock', nth, cc: 1 }] });
        const queue = region.queue({ merge });
        queueAll(queue, writes);
        const first = queue.drain().then(
          () => null,
          (error: BatchError) => error,
        );
        queue.storeWords(size - 8, 1, 0);
        const second = queue.drain();
        const error = await first;
        await second.catch(() => undefined);
        const told = new Map(error?.operations.map(({ index, bytesDone }) => [index, bytesDone]));
        const done = (index: number): number => told.get(index) ?? (writes[index] as Write).length;
        const model = modelOf(writes, done);
        model[size - 8] = region.load8(size - 8);
        assert.deepEqual(contents(region), model);
      },
    ),
    { numRuns: scaled(200) },
  );
});

test('a mapping that goes in the middle of blocks is told, and no more is called done than was stored', (t) => {
  for (const kind of ['memory', 'device'] as const) {
    for (const keep of [0, 4096, 40_960, 131_072]) {
      const path = temporaryFile(t, size);
      using region = mapFile(path, { kind });
      const queue = region.queue();
      const writes = Array.from({ length: 64 }, (_, i) => ({ offset: i * 4096, start: i * 4096, length: 4096 }));
      queueAll(queue, writes);
      truncateSync(path, keep);
      const error = thrownBy(() => queue.submit()) as BatchError;
      assert.ok(error instanceof IsmioError && error.code === 'ERR_ISMIO_REGION_LOST', String(error));
      const whole = writes.length - error.operations.filter(({ state }) => state !== 'done').length;
      assert.ok(whole * 4096 <= keep, `${whole} blocks of a file of ${keep} bytes`);
      assert.deepEqual(readFileSync(path).subarray(0, whole * 4096), Buffer.from(source.subarray(0, whole * 4096)));
      throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
    }
  }
});

test('writes of megabytes are stopped between their blocks, and told how far they came', async () => {
  using region = emulate({ size: 1 << 22, cost: { storeBlock: 200_000 } });
  const queue = region.queue();
  queue.write(0, allocBuffer(1 << 22).fill(7));
  const controller = new AbortController();
  const draining = queue.drain({ signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  const error = await draining.then(
    () => null,
    (thrown: BatchError) => thrown,
  );
  assert.equal(error?.code, 'ERR_ISMIO_ABORTED');
  const done = error.operations[0]?.bytesDone ?? 0;
  assert.ok(done % 4096 === 0 && done < 1 << 22, String(done));
  const stored = contents(region);
  assert.ok(stored.subarray(0, done).every((byte) => byte === 7) && stored.subarray(done).every((byte) => byte === 0));
});
