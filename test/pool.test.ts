// The pool: transfers in shards, exact accounts of what was done, workers that die.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { allocBuffer, emulate, IsmioError, Pool, type Range, type Region, type TransferError } from 'ismio';

const pool = new Pool({ threads: 2, shardBytes: 8192 });
after(() => pool.close());

function random(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length));
}

function contents(region: Region, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  region.read(offset, bytes);
  return bytes;
}

async function failureOf(transfer: Promise<unknown>, code: string): Promise<TransferError> {
  const error = await transfer.then(
    () => assert.fail('it went through'),
    (thrown: unknown) => thrown,
  );
  assert.equal((error as IsmioError).code, code);
  return error as TransferError;
}

/** What the error says is done has the bytes of `source`, what it says is not done has none, and the two make the whole. */
function checkAccount(error: TransferError, region: Region, offset: number, source: Uint8Array): void {
  const said = [
    ...error.done.map((range) => ({ ...range, done: true })),
    ...error.notDone.map((range) => ({ ...range, done: false })),
  ];
  said.sort((a, b) => a.offset - b.offset);
  let at = offset;
  for (const range of said) {
    assert.equal(range.offset, at, 'ranges neither overlap nor leave a gap');
    const expected = range.done
      ? source.subarray(at - offset, at - offset + range.length)
      : new Uint8Array(range.length);
    assert.deepEqual(contents(region, at, range.length), new Uint8Array(expected));
    at += range.length;
  }
  assert.equal(at, offset + source.length);
}

const sources: [string, (bytes: Uint8Array) => Uint8Array][] = [
  ['an ordinary buffer', (bytes) => new Uint8Array(bytes)],
  [
    'a part of a larger buffer',
    (bytes) => Buffer.concat([Buffer.alloc(5), bytes, Buffer.alloc(3)]).subarray(5, 5 + bytes.length),
  ],
  [
    'memory from allocBuffer',
    (bytes) => {
      const memory = allocBuffer(bytes.length + 9).subarray(9);
      memory.set(bytes);
      return memory;
    },
  ],
  [
    'a shared buffer',
    (bytes) => {
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 2), 2);
      shared.set(bytes);
      return shared;
    },
  ],
];

for (const [what, make] of sources) {
  test(`bytes of ${what} are written and read back`, async () => {
    using region = emulate({ size: 1 << 20 });
    const bytes = random(100_003);
    const transfer = await pool.write(region, 4001, make(bytes));
    assert.equal(transfer.bytes, bytes.length);
    assert.deepEqual(contents(region, 4001, bytes.length), bytes);
    assert.deepEqual(contents(region, 3900, 101), new Uint8Array(101), 'nothing before');
    assert.deepEqual(contents(region, 4001 + bytes.length, 100), new Uint8Array(100), 'nothing behind');
    const target = make(new Uint8Array(bytes.length));
    await pool.read(region, 4001, target);
    assert.deepEqual(new Uint8Array(target), bytes);
  });
}

test('shards end where store blocks end: a transfer takes no more store blocks than one write', async () => {
  using region = emulate({ size: 1 << 20 });
  const { shards } = await pool.write(region, 100, allocBuffer(500_000));
  assert.ok(shards > 50, `${shards} shards`);
  assert.equal(region.stats().storeBlocks, region.plan(100, 500_000).length);
});

test('a transfer of nothing is done at once', async () => {
  using region = emulate({ size: 4096 });
  assert.deepEqual(await pool.write(region, 4096, new Uint8Array(0)), { bytes: 0, shards: 0 });
});

test('progress is told shard by shard, up to the whole', async () => {
  using region = emulate({ size: 1 << 20 });
  const seen: number[] = [];
  const ranges: Range[] = [];
  const { shards } = await pool.write(region, 0, allocBuffer(100_000), {
    onProgress: ({ bytes, total, shard }) => {
      assert.equal(total, 100_000);
      seen.push(bytes);
      ranges.push(shard);
    },
  });
  assert.equal(seen.length, shards);
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  assert.equal(seen.at(-1), 100_000);
  assert.equal(
    ranges.reduce((sum, { length }) => sum + length, 0),
    100_000,
  );
});

test('a callback that throws stops the transfer, and the account is true', async () => {
  using region = emulate({ size: 1 << 20, cost: { storeBlock: 100_000 } });
  const source = random(400_000);
  const thrown = new Error('enough');
  const transfer = pool.write(region, 0, source, {
    onProgress: () => {
      throw thrown;
    },
  });
  const error = await failureOf(transfer, 'ERR_ISMIO_CALLBACK');
  assert.equal(error.cause, thrown);
  checkAccount(error, region, 0, source);
  assert.ok(error.notDone.length > 0);
});

describe('copy', () => {
  test('moves bytes from one region to another, and within one', async () => {
    using from = emulate({ size: 1 << 20 });
    using to = emulate({ size: 1 << 20 });
    const bytes = random(300_001);
    from.write(77, bytes);
    await pool.copy(from, 77, to, 1234, bytes.length);
    assert.deepEqual(contents(to, 1234, bytes.length), bytes);
    await pool.copy(to, 1234, to, 500_000, bytes.length);
    assert.deepEqual(contents(to, 500_000, bytes.length), bytes);
  });

  test('refuses a source and target that overlap, takes ones that touch', async () => {
    using region = emulate({ size: 65_536 });
    await assert.rejects(pool.copy(region, 0, region, 99, 100), { name: 'RangeError', code: 'ERR_ISMIO_OVERLAP' });
    await assert.rejects(pool.copy(region, 99, region, 0, 100), { code: 'ERR_ISMIO_OVERLAP' });
    await pool.copy(region, 0, region, 100, 100);
  });

  test('names the access that failed, in the source or in the target', async () => {
    using bad = emulate({ size: 65_536, faults: [{ range: [20_000, 20_008], cc: 1, status: 9 }] });
    using good = emulate({ size: 65_536 });
    const reading = await failureOf(pool.copy(bad, 0, good, 0, 65_536), 'ERR_ISMIO_DEVICE');
    assert.match(reading.message, /^read /);
    const writing = await failureOf(pool.copy(good, 0, bad, 0, 65_536), 'ERR_ISMIO_DEVICE');
    assert.match(writing.message, /^write /);
    assert.equal(writing.deviceStatus, 9);
  });
});

describe('a transfer that fails', () => {
  test('at one place: the account agrees with the bytes in the region', async () => {
    using region = emulate({
      size: 1 << 20,
      faults: [{ range: [300_000, 300_001], access: 'storeBlock', cc: 1, status: 4 }],
    });
    const source = random(600_000);
    const error = await failureOf(pool.write(region, 0, source), 'ERR_ISMIO_DEVICE');
    assert.equal(error.deviceStatus, 4);
    checkAccount(error, region, 0, source);
  });

  test('by its signal: it stops between two accesses, and the account is true', async () => {
    using region = emulate({ size: 1 << 20, cost: { storeBlock: 500_000 } });
    const source = random(800_000);
    const controller = new AbortController();
    setTimeout(() => controller.abort('enough'), 30);
    const error = await failureOf(pool.write(region, 0, source, { signal: controller.signal }), 'ERR_ISMIO_ABORTED');
    assert.equal(error.cause, 'enough');
    checkAccount(error, region, 0, source);
    assert.ok(error.notDone.length > 0);
  });

  test('by a signal that was aborted before: nothing is issued', async () => {
    using region = emulate({ size: 65_536 });
    const error = await failureOf(
      pool.write(region, 0, random(65_536), { signal: AbortSignal.abort() }),
      'ERR_ISMIO_ABORTED',
    );
    assert.equal(region.stats().storeBlocks, 0);
    assert.deepEqual(error.notDone, [{ offset: 0, length: 65_536 }]);
  });

  test('because the region is closed: it ends, and the pool goes on', async () => {
    const region = emulate({ size: 1 << 20, cost: { storeBlock: 500_000 } });
    const transfer = pool.write(region, 0, random(800_000));
    setTimeout(() => region.close(), 20);
    await failureOf(transfer, 'ERR_ISMIO_CLOSED');
    using other = emulate({ size: 65_536 });
    assert.equal((await pool.write(other, 0, random(65_536))).bytes, 65_536);
  });

  test('because the pool is closed: it ends between two accesses', async () => {
    const own = new Pool({ threads: 2, shardBytes: 8192 });
    using region = emulate({ size: 1 << 20, cost: { storeBlock: 500_000 } });
    const source = random(800_000);
    const failed = failureOf(own.write(region, 0, source), 'ERR_ISMIO_CLOSED');
    setTimeout(() => void own.close(), 20);
    checkAccount(await failed, region, 0, source);
    await assert.rejects(own.write(region, 0, source), { code: 'ERR_ISMIO_CLOSED' });
    await own.close();
  });
});

describe('run', () => {
  test('calls a function in a worker, with the regions and arguments', async () => {
    using region = emulate({ size: 4096 });
    const sum = await pool.run(
      ([attached], { args }) => {
        (attached as Region).store32(0, 40);
        return (attached as Region).load32(0) + (args[0] as number);
      },
      { regions: [region], args: [2] },
    );
    assert.equal(sum, 42);
    assert.equal(region.load32(0), 40, 'the same memory, not a copy');
  });

  test('calls the default export of a module', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ismio-pool-'));
    const file = join(folder, 'task.mjs');
    writeFileSync(file, 'export default async ([region]) => region.size;');
    using region = emulate({ size: 12_345 });
    try {
      assert.equal(await pool.run(pathToFileURL(file), { regions: [region] }), 12_345);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('hands on what the function throws', async () => {
    const thrown = pool.run(() => {
      throw new RangeError('not like this');
    });
    await assert.rejects(thrown, (error: IsmioError) => {
      assert.equal(error.code, 'ERR_ISMIO_WORKER');
      assert.match(String(error.cause), /not like this/);
      return true;
    });
  });

  test('refuses what cannot cross to a worker', async () => {
    await assert.rejects(pool.run('text' as never), { code: 'ERR_ISMIO_ARGUMENT_TYPE' });
    await assert.rejects(pool.run({ method() {} }.method), { code: 'ERR_ISMIO_ARGUMENT_TYPE' });
  });

  test('tells the function that it should stop', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    const turns = pool.run(
      async (_, context) => {
        let turns = 0;
        while (!context.stopped() && turns < 10_000) {
          turns++;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        return turns;
      },
      { signal: controller.signal },
    );
    assert.ok((await turns) < 10_000);
  });

  test('a worker that ends is an error of its own, and the pool goes on', async () => {
    const own = new Pool({ threads: 1 });
    await assert.rejects(
      own.run(() => process.exit(3)),
      (error: IsmioError) => {
        assert.ok(error instanceof IsmioError);
        assert.equal(error.code, 'ERR_ISMIO_WORKER_DIED');
        return true;
      },
    );
    assert.equal(await own.run(() => 7), 7);
    await own.close();
  });
});

test('a worker that dies in the middle of a transfer leaves a true account, and the pool goes on', async () => {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker): void => void workers.push(worker);
  process.on('worker', onWorker);
  const own = new Pool({ threads: 2, shardBytes: 8192 });
  using region = emulate({ size: 1 << 20, cost: { storeBlock: 500_000 } });
  const source = random(800_000);
  await own.run(() => null); // the workers are up
  const transfer = failureOf(own.write(region, 0, source), 'ERR_ISMIO_WORKER_DIED');
  setTimeout(() => void workers[0]?.terminate(), 20);
  const error = await transfer;
  process.removeListener('worker', onWorker);
  checkAccount(error, region, 0, source);
  assert.ok(error.done.length > 0 && error.notDone.length > 0);
  assert.equal((await own.write(region, 0, source.subarray(0, 8192))).bytes, 8192);
  await own.close();
});

test('a buffer that is detached meanwhile is told', async () => {
  using region = emulate({ size: 1 << 20, cost: { storeBlock: 200_000, load: 5_000 } });
  for (const kind of ['write', 'read'] as const) {
    const bytes = new Uint8Array(400_000);
    const transfer = failureOf(pool[kind](region, 0, bytes), 'ERR_ISMIO_DETACHED');
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    assert.ok((await transfer).notDone.length > 0);
  }
});

test('options are checked', async () => {
  assert.throws(() => new Pool({ threads: 0 }), { name: 'RangeError', code: 'ERR_ISMIO_OPTION' });
  assert.throws(() => new Pool({ threads: 1.5 }), { code: 'ERR_ISMIO_OPTION' });
  assert.throws(() => new Pool({ thread: 1 } as never), { code: 'ERR_ISMIO_OPTION' });
  using region = emulate({ size: 4096 });
  await assert.rejects(pool.write(region, 4000, new Uint8Array(100)), {
    name: 'RangeError',
    code: 'ERR_ISMIO_OUT_OF_RANGE',
  });
  await assert.rejects(pool.write(region, 0, 'text' as never), { name: 'TypeError', code: 'ERR_ISMIO_ARGUMENT_TYPE' });
  await assert.rejects(pool.write(region, 0, new Uint8Array(8), { onProgress: 5 } as never), {
    code: 'ERR_ISMIO_ARGUMENT_TYPE',
  });
  await assert.rejects(pool.write(region, 0, new Uint8Array(8), { sginal: 5 } as never), { code: 'ERR_ISMIO_OPTION' });
});

test('the module of the workers is where the pool looks for it', () => {
  assert.ok(existsSync(new URL('../src/pool/worker.js', import.meta.url)));
});
