// How work in a pool ends before it is done: by a signal, and by close with its timeout and force.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { emulate, IsmioError, Pool, type TransferError } from 'ismio';
import { runModule } from './support/child.js';
import { rejectsCode } from './support/errors.js';

/** Tells through the shared word that it runs, and returns once it is asked to. */
const obedient = async (
  _: unknown,
  { args, stopped }: { args: readonly unknown[]; stopped(): boolean },
): Promise<string> => {
  const [begun] = args as [Int32Array];
  Atomics.store(begun, 0, 1);
  while (!stopped()) await new Promise((resolve) => setTimeout(resolve, 1));
  return 'returned';
};

/** Tells through the shared word that it runs, and looks at nothing. */
const deaf = (_: unknown, { args }: { args: readonly unknown[] }): never => {
  const [begun] = args as [Int32Array];
  Atomics.store(begun, 0, 1);
  for (;;) Atomics.add(begun, 1, 1);
};

function sharedWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

async function untilSet(words: Int32Array): Promise<void> {
  while (Atomics.load(words, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('a run whose signal is aborted', () => {
  test('before a worker has begun it is rejected at once, and never begun', async () => {
    const pool = new Pool({ threads: 1 });
    const busy = sharedWords();
    const never = sharedWords();
    const first = pool.run(obedient, { args: [busy] });
    await untilSet(busy);
    const { signal, abort } = controller();
    const runs = Array.from({ length: 5 }, () => pool.run(obedient, { args: [never], signal }));
    assert.equal(pool.queueSize, 5);
    abort('enough');
    for (const run of runs) {
      const { cause } = await rejectsCode(run, IsmioError, 'ERR_ISMIO_ABORTED');
      assert.equal(cause, 'enough');
    }
    assert.equal(pool.running, 1, 'the worker has not returned meanwhile: nobody waited for it');
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await pool.close();
    assert.equal(await first, 'returned');
    assert.equal(never[0], 0);
  });

  test('while its worker still starts up is rejected at once', async () => {
    const pool = new Pool({ threads: 1 });
    const never = sharedWords();
    const { signal, abort } = controller();
    const run = pool.run(obedient, { args: [never], signal });
    assert.deepEqual([pool.running, pool.queueSize], [1, 0], 'it was handed over');
    abort();
    await rejectsCode(run, IsmioError, 'ERR_ISMIO_ABORTED');
    assert.equal(await pool.run(() => 7), 7);
    assert.equal(never[0], 0);
    await pool.close();
  });

  test('before it was called is never begun', async () => {
    const pool = new Pool({ threads: 1 });
    await pool.run(() => 1); // the worker is up, and would be quick
    const never = sharedWords();
    const { cause } = await rejectsCode(
      pool.run(obedient, { args: [never], signal: AbortSignal.abort('mine') }),
      IsmioError,
      'ERR_ISMIO_ABORTED',
    );
    assert.equal(cause, 'mine');
    await pool.close();
    assert.equal(never[0], 0);
  });

  test('while it runs is told through stopped, and resolves with what the function returns', async () => {
    const pool = new Pool({ threads: 1 });
    const words = sharedWords();
    const { signal, abort } = controller();
    const run = pool.run(obedient, { args: [words], signal });
    await untilSet(words);
    abort();
    assert.equal(await run, 'returned');
    await pool.close();
  });

  test('leaves no listener behind when its arguments are refused', async () => {
    const pool = new Pool({ threads: 1 });
    const { signal } = controller();
    const closed = emulate({ size: 8 });
    closed.close();
    for (const options of [{ regions: [closed] }, { args: [() => 1] }, { regions: 5 as never }]) {
      await assert.rejects(pool.run(() => 1, { ...options, signal }));
    }
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await pool.close();
  });
});

test('a transfer that is aborted behind a busy worker ends at once, with nothing done', async () => {
  const pool = new Pool({ threads: 1 });
  const busy = sharedWords();
  const first = pool.run(obedient, { args: [busy] });
  await untilSet(busy);
  using region = emulate({ size: 65_536 });
  const { signal, abort } = controller();
  const transfer = pool.write(region, 0, new Uint8Array(65_536), { signal });
  abort();
  const { notDone } = (await rejectsCode(transfer, IsmioError, 'ERR_ISMIO_ABORTED')) as unknown as TransferError;
  assert.deepEqual(notDone, [{ offset: 0, length: 65_536 }]);
  await pool.close();
  assert.equal(await first, 'returned');
  assert.equal(region.stats().storeBlocks, 0);
});

describe('close', () => {
  test('asks functions to return, and calls off what was not begun', async () => {
    const pool = new Pool({ threads: 1 });
    const words = sharedWords();
    const run = pool.run(obedient, { args: [words] });
    await untilSet(words);
    const waiting = rejectsCode(
      pool.run(() => 1),
      IsmioError,
      'ERR_ISMIO_CLOSED',
    );
    assert.equal(pool.closed, false);
    await pool.close();
    assert.equal(pool.closed, true);
    assert.equal(await run, 'returned');
    await waiting;
    assert.deepEqual([pool.running, pool.queueSize], [0, 0]);
    await rejectsCode(
      pool.run(() => 1),
      IsmioError,
      'ERR_ISMIO_CLOSED',
    );
    await pool.close();
  });

  test('with a timeout says what still runs, and may then be forced', async () => {
    const pool = new Pool({ threads: 1 });
    const words = sharedWords();
    const run = rejectsCode(pool.run(deaf, { args: [words] }), IsmioError, 'ERR_ISMIO_CLOSED');
    await untilSet(words);
    const { message } = await rejectsCode(pool.close({ timeout: 10 }), IsmioError, 'ERR_ISMIO_TIMEOUT', {
      timeout: 10,
      running: ['the function deaf'],
    });
    assert.match(message, /force: true/);
    await rejectsCode(
      pool.run(() => 1),
      IsmioError,
      'ERR_ISMIO_CLOSED',
    );
    await pool.close({ timeout: 0, force: true });
    assert.match((await run).message, /cut off/);
  });

  test('by force ends every function, and one that listens returns', async () => {
    const pool = new Pool({ threads: 2 });
    const [one, two] = [sharedWords(), sharedWords()];
    const obeys = pool.run(obedient, { args: [one] });
    const cut = rejectsCode(pool.run(deaf, { args: [two] }), IsmioError, 'ERR_ISMIO_CLOSED');
    await Promise.all([untilSet(one), untilSet(two)]);
    await pool.close({ force: true });
    assert.equal(await obeys, 'returned');
    await cut;
    const last = two[1];
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(two[1], last, 'its thread has ended');
  });

  test('by force releases one that waits for a close without an end', async () => {
    const pool = new Pool({ threads: 1 });
    const words = sharedWords();
    const cut = rejectsCode(pool.run(deaf, { args: [words] }), IsmioError, 'ERR_ISMIO_CLOSED');
    await untilSet(words);
    const patient = pool.close();
    await pool.close({ timeout: 0, force: true });
    await Promise.all([patient, cut]);
  });

  test('by force cuts no transfer: it ends between two accesses, with a true account', async () => {
    const pool = new Pool({ threads: 1, shardBytes: 4096 });
    using region = emulate({ size: 65_536, cost: { storeBlock: 20e6 } });
    const source = new Uint8Array(65_536).fill(7);
    let onProgress = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      onProgress = resolve;
    });
    const transfer = rejectsCode(pool.write(region, 0, source, { onProgress }), IsmioError, 'ERR_ISMIO_CLOSED');
    await begun;
    await pool.close({ timeout: 0, force: true });
    const { done, notDone } = (await transfer) as unknown as TransferError;
    assert.equal(done.length, 1);
    assert.equal(done[0]?.length, region.stats().storeBlocks * 4096);
    assert.equal((done[0]?.length ?? 0) + (notDone[0]?.length ?? 0), 65_536);
    const found = new Uint8Array(1);
    region.read((done[0]?.length as number) - 1, found);
    assert.equal(found[0], 7);
  });

  test('checks its options', async () => {
    const pool = new Pool({ threads: 1 });
    for (const timeout of [-1, 1.5, Number.NaN, 2 ** 31]) {
      await rejectsCode(pool.close({ timeout }), RangeError, 'ERR_ISMIO_OPTION');
    }
    await rejectsCode(pool.close({ timeout: '5' } as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
    await rejectsCode(pool.close({ force: 1 } as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
    await rejectsCode(pool.close(5 as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
    assert.equal(await pool.run(() => 1), 1, 'a close that was refused has closed nothing');
    await pool.close();
  });
});

test('eleven transfers with one signal, and eleven without, are no leak to warn of', async () => {
  const { stdout, stderr } = await runModule(`
    import { emulate, Pool } from 'ismio';
    const region = emulate({ size: 65536 });
    const pool = new Pool({ threads: 2 });
    const { signal } = new AbortController();
    const eleven = (start) => Promise.all(Array.from({ length: 11 }, start));
    await eleven((_, i) => pool.write(region, 4096 * i, new Uint8Array(8)));
    await eleven((_, i) => pool.write(region, 4096 * i, new Uint8Array(8), { signal }));
    await eleven(() => pool.run(() => 1, { signal }));
    await pool.close();
    console.log('done');`);
  assert.deepEqual([stdout, stderr], ['done\n', '']);
});

function controller(): { signal: AbortSignal; abort(reason?: unknown): void } {
  const made = new AbortController();
  return { signal: made.signal, abort: (reason) => made.abort(reason) };
}
