// Exact counts of crossings and copies, workload by workload: what the counter gate of a comparison relies on.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { allocBuffer, emulate, Pool, type Queue, type QueueOptions, type Region } from 'ismio';

const size = 2 ** 20;
const native = join(import.meta.dirname, '../../native');

interface Counts {
  readonly crossings: number;
  readonly copies: number;
}

/** How crossings and copies grow while `work` runs. */
async function counted(region: Region, work: () => unknown): Promise<Counts> {
  const before = region.stats();
  await work();
  const after = region.stats();
  return { crossings: after.crossings - before.crossings, copies: after.copies - before.copies };
}

/** Of one batch. */
async function inQueue(
  options: QueueOptions,
  fill: (queue: Queue) => void,
  how: 'submit' | 'drain' = 'submit',
): Promise<Counts> {
  using region = emulate({ size });
  const queue = region.queue({ depth: 1024, ...options });
  fill(queue);
  let copies = 0;
  const counts = await counted(region, async () => {
    copies = (await queue[how]()).copies;
  });
  assert.equal(counts.copies, copies, 'the completion says the same as the region');
  return counts;
}

/** 512 stores, `step` bytes from one to the next. */
function words(step: number): (queue: Queue) => void {
  return (queue) => {
    for (let i = 0; i < 512; i++) assert.ok(queue.storeWords(i * step, i, 0));
  };
}

test('each access called on a region is one crossing and copies nothing', async () => {
  using region = emulate({ size });
  const bytes = new Uint8Array(10_000);
  const calls: (() => unknown)[] = [
    () => region.load8(1),
    () => region.load64(8),
    () => region.store16(2, 1),
    () => region.store64(8, 1n),
    () => region.storeBlock(0, bytes.subarray(0, 64)),
    () => region.write(3, bytes),
    () => region.read(3, bytes),
    () => region.fence(),
  ];
  for (const call of calls) assert.deepEqual(await counted(region, call), { crossings: 1, copies: 0 }, String(call));
});

test('an access that the device refuses has crossed; one that is refused before has not', async () => {
  using region = emulate({ size, rules: { maxStoreBlock: 64 } });
  const refused = (): void => assert.throws(() => region.storeBlock(0, new Uint8Array(65)));
  assert.deepEqual(await counted(region, refused), { crossings: 1, copies: 0 });
  const outside = (): void => assert.throws(() => region.store64(size, 1n));
  assert.deepEqual(await counted(region, outside), { crossings: 0, copies: 0 });
});

test('calls that reach no region do not count: stats, plan, an empty submit', async () => {
  using region = emulate({ size });
  const queue = region.queue();
  const ask = (): void => {
    region.stats();
    region.plan(0, 9000);
    queue.submit();
  };
  assert.deepEqual(await counted(region, ask), { crossings: 0, copies: 0 });
});

test('stores that nothing joins are one crossing and no copy, whether the queue merges or not', async () => {
  assert.deepEqual(await inQueue({}, words(8)), { crossings: 1, copies: 0 });
  assert.deepEqual(await inQueue({ merge: 'adjacent' }, words(16)), { crossings: 1, copies: 0 });
  assert.deepEqual(await inQueue({ merge: 'any' }, words(16)), { crossings: 1, copies: 0 });
});

test('512 merged stores are 512 copies into the gather buffer, in every mode', async () => {
  const once = { crossings: 1, copies: 512 };
  assert.deepEqual(await inQueue({ merge: 'adjacent' }, words(8)), once);
  assert.deepEqual(await inQueue({ merge: 'any' }, words(8)), once);
  assert.deepEqual(await inQueue({ merge: 'any', order: 'relaxed' }, words(8)), once);
  assert.deepEqual(await inQueue({ merge: 'adjacent' }, words(8), 'drain'), once);
});

test('a block from allocBuffer is not copied, one from an ordinary array once', async () => {
  const write = (source: Uint8Array) => (queue: Queue) => void assert.ok(queue.write(0, source));
  for (const merge of ['none', 'adjacent', 'any'] as const) {
    for (const how of ['submit', 'drain'] as const) {
      const ours = await inQueue({ merge }, write(allocBuffer(4096)), how);
      assert.deepEqual(ours, { crossings: 1, copies: 0 }, `${merge}, ${how}`);
      const ordinary = await inQueue({ merge }, write(new Uint8Array(4096)), how);
      assert.deepEqual(ordinary, { crossings: 1, copies: 1 }, `${merge}, ${how}`);
    }
  }
});

test('parts of blocks that are merged are copied once more', async () => {
  const fill = (source: Uint8Array) => (queue: Queue) => {
    for (let i = 0; i < 8; i++) assert.ok(queue.write(i * 1024, source));
  };
  assert.deepEqual(await inQueue({ merge: 'adjacent' }, fill(allocBuffer(1024))), { crossings: 1, copies: 8 });
  assert.deepEqual(await inQueue({ merge: 'adjacent' }, fill(new Uint8Array(1024))), { crossings: 1, copies: 16 });
  assert.deepEqual(await inQueue({}, fill(new Uint8Array(1024))), { crossings: 1, copies: 8 });
});

test('of a long write that begins within a block, only the edges are gathered', async () => {
  const fill = (queue: Queue): void => {
    assert.ok(queue.storeWords(1024, 1, 2)); // gathered
    assert.ok(queue.write(1032, allocBuffer(3 * 4096))); // its head, up to 4096, and its tail are
  };
  assert.deepEqual(await inQueue({ merge: 'adjacent' }, fill), { crossings: 1, copies: 3 });
});

test('a load into allocBuffer memory is not copied, into an ordinary array once', async () => {
  const load = (target: Uint8Array) => (queue: Queue) => void assert.ok(queue.load(8, target));
  assert.deepEqual(await inQueue({}, load(allocBuffer(100))), { crossings: 1, copies: 0 });
  assert.deepEqual(await inQueue({}, load(new Uint8Array(100))), { crossings: 1, copies: 1 });
});

test('operations of 0 bytes copy nothing', async () => {
  const fill = (queue: Queue): void => {
    assert.ok(queue.write(0, new Uint8Array(0)));
    assert.ok(queue.load(0, new Uint8Array(0)));
  };
  assert.deepEqual(await inQueue({ merge: 'adjacent' }, fill), { crossings: 1, copies: 0 });
});

test('what a full queue refused was not copied; each batch has its own copies', async () => {
  using region = emulate({ size });
  const queue = region.queue({ depth: 64, bytes: 256 });
  const bytes = new Uint8Array(128);
  assert.deepEqual(
    [0, 128, 256].map((offset) => queue.write(offset, bytes)),
    [true, true, false],
  );
  assert.equal(queue.submit().copies, 2);
  assert.ok(queue.write(0, bytes));
  assert.equal((await queue.drain()).copies, 1);
  assert.deepEqual([region.stats().crossings, region.stats().copies], [2, 3]);
});

test('of a batch that fails, every copy that was made counts', () => {
  using region = emulate({ size, faults: [{ access: 'storeBlock', nth: 2, cc: 1 }] });
  const queue = region.queue();
  for (let i = 0; i < 4; i++) queue.write(i * 4096, new Uint8Array(4096));
  queue.load(0, new Uint8Array(8)); // never made, so nothing comes back
  assert.throws(() => queue.submit(), { code: 'ERR_ISMIO_DEVICE' });
  assert.deepEqual([region.stats().crossings, region.stats().copies], [1, 4]);
});

test('each shard of a pool is a crossing, and a copy where the bytes are ordinary', async () => {
  const pool = new Pool({ threads: 2, shardBytes: 65536 });
  using region = emulate({ size });
  using target = emulate({ size });
  const bytes = 4 * 65536;
  const sources: [Uint8Array, number][] = [
    [allocBuffer(bytes), 0],
    [new Uint8Array(new SharedArrayBuffer(bytes)), 0],
    [new Uint8Array(bytes), 4],
  ];
  for (const [source, copies] of sources) {
    assert.deepEqual(await counted(region, () => pool.write(region, 0, source)), { crossings: 4, copies });
    assert.deepEqual(await counted(region, () => pool.read(region, 0, source)), { crossings: 4, copies });
  }
  const copying = (): unknown => pool.copy(region, 0, target, 0, bytes);
  assert.deepEqual(await counted(target, copying), { crossings: 4, copies: 4 });
  assert.deepEqual(await counted(region, copying), { crossings: 4, copies: 0 });
  await pool.close();
});

test('native code copies payload in one place, which counts', () => {
  const folders = ['plan', 'exec', 'region', 'memory', 'binding'];
  const files = folders.flatMap((folder) => readdirSync(join(native, folder)).map((file) => join(folder, file)));
  const copying = files.flatMap((file) =>
    readFileSync(join(native, file), 'utf8')
      .split('\n')
      .filter((line) => /\b(memcpy|memmove|copy_n|copy_backward|std::copy)\b/.test(line))
      .filter((line) => !/\/\/ a (value|recording's|device's)/.test(line))
      .map(() => file),
  );
  assert.deepEqual([...new Set(copying)], ['plan/payload.h']);
});
