// The times of the stages: on and off, and what goes where. Nothing here depends on how fast the machine is: a time is only
// compared with synthetic cost that it must hold, or with the time around it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulate, Pool, type Region, type StageTimes } from 'ismio';

const size = 2 ** 20;
/** Nanoseconds of each access. */
const cost = { load: 20_000, store: 20_000, storeBlock: 20_000 };
const names = ['enqueue', 'merge', 'plan', 'copy', 'device', 'completion', 'stamps'];

function stagesOf(region: Region): StageTimes {
  const { stages } = region.stats();
  assert.ok(stages !== null);
  return stages;
}

/** The stages of `work`, and the nanoseconds around it. */
async function timed(region: Region, work: () => unknown): Promise<{ stages: StageTimes; around: number }> {
  region.timeStages(false);
  region.timeStages(true);
  const began = process.hrtime.bigint();
  await work();
  const around = Number(process.hrtime.bigint() - began);
  return { stages: stagesOf(region), around };
}

function sum({ enqueue, merge, plan, copy, device, completion }: StageTimes): number {
  return enqueue + merge + plan + copy + device + completion;
}

test('stages are null until they are switched on, and again when they are off', () => {
  using region = emulate({ size });
  assert.equal(region.stats().stages, null);
  region.timeStages(true);
  region.store64(0, 1n);
  const stages = stagesOf(region);
  assert.deepEqual(Object.keys(stages), names);
  assert.ok(stages.device > 0 && stages.stamps > 0);
  region.timeStages(false);
  assert.equal(region.stats().stages, null);
});

test('switching on begins at zero; switching on again while on changes nothing', () => {
  using region = emulate({ size, cost });
  region.timeStages(true);
  region.store64(0, 1n);
  const once = stagesOf(region);
  region.timeStages(true);
  assert.ok(stagesOf(region).device >= once.device * 0.99); // the rate of the ticks is measured anew
  region.timeStages(false);
  region.timeStages(true);
  assert.deepEqual(
    Object.values(stagesOf(region)),
    names.map(() => 0),
  );
});

test('a direct access spends its time in the device, a read or write also in planning', async () => {
  using region = emulate({ size, cost });
  const words = await timed(region, () => {
    for (let i = 0; i < 5; i++) region.store64(i * 8, 1n);
  });
  assert.ok(words.stages.device >= 5 * cost.store * 0.99);
  const write = await timed(region, () => region.write(0, new Uint8Array(5 * 4096)));
  assert.ok(write.stages.device >= 5 * cost.storeBlock * 0.99);
  assert.ok(write.stages.plan > 0);
  for (const { stages, around } of [words, write]) assert.ok(sum(stages) <= around * 1.01);
});

for (const how of ['submit', 'drain'] as const) {
  test(`a batch by ${how} has every stage of its way, and no more time than there was`, async () => {
    using region = emulate({ size, cost });
    const queue = region.queue({ depth: 4096, merge: 'adjacent' });
    const batch = async (): Promise<void> => {
      for (let i = 0; i < 2048; i++) assert.ok(queue.storeWords(i * 8, i, 0));
      assert.ok(queue.write(2048 * 8, new Uint8Array(100)));
      await queue[how]();
    };
    region.timeStages(true);
    await batch(); // the queue notices
    const { stages, around } = await timed(region, async () => {
      for (let i = 0; i < 4; i++) await batch();
    });
    for (const name of names) assert.ok(stages[name as keyof StageTimes] > 0, name);
    assert.ok(stages.device >= 4 * 5 * cost.storeBlock * 0.99);
    assert.ok(sum(stages) <= around * 1.01, `${sum(stages)} of ${around}`);
  });
}

test('a queue that is made while stages are timed times its first batch from the first claim on', async () => {
  using region = emulate({ size });
  const { stages } = await timed(region, () => {
    const queue = region.queue();
    queue.storeWords(0, 1, 2);
    queue.submit();
  });
  assert.ok(stages.enqueue > 0 && stages.completion > 0);
});

test('a full queue that is timed is full all the same', () => {
  using region = emulate({ size });
  region.timeStages(true);
  const queue = region.queue({ depth: 2 });
  for (let batch = 0; batch < 3; batch++) {
    assert.deepEqual(
      [0, 8, 16].map((offset) => queue.storeWords(offset, 1, 2)),
      [true, true, false],
    );
    assert.equal(queue.submit().operations, 2);
  }
});

test('shards of a pool are timed in their workers, and copies on their way to them', async () => {
  const pool = new Pool({ threads: 2, shardBytes: 16384 });
  using region = emulate({ size, cost });
  const { stages } = await timed(region, () => pool.write(region, 0, new Uint8Array(65536)));
  assert.ok(stages.device >= 16 * cost.storeBlock * 0.99);
  assert.ok(stages.copy > 0 && stages.plan > 0);
  await pool.close();
});

test('what is timed is a true or a false, of a region that is open', () => {
  const region = emulate({ size, name: 'gone' });
  assert.throws(() => region.timeStages('yes' as never), { code: 'ERR_ISMIO_ARGUMENT_TYPE' });
  region.close();
  assert.throws(() => region.timeStages(true), { code: 'ERR_ISMIO_CLOSED' });
});
