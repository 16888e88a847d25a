// A device whose accesses take time: what merging saves when the device is what one waits for. The cost is synthetic.
import { allocBuffer, emulate, Pool } from 'ismio';
import { compare, timed, timedAsync } from '../compare.js';
import type { Effort, Outcome, Scenario } from '../scenario.js';

const bytes = 65_536;
const words = bytes / 8;
const ideal = 512; // 8-byte stores in a 4 KiB store block

/** 64 KiB as one batch, merged, against one store each, when every access costs `cost` ns. Part of the ideal 512x. */
async function partOfIdeal(cost: number, rounds: number): Promise<{ part: number; merged: number; perWord: number }> {
  using region = emulate({ size: bytes, cost: { store: cost, storeBlock: cost } });
  const queue = region.queue({ depth: words, merge: 'adjacent' });
  const merged = (): number =>
    timed(() => {
      for (let i = 0; i < words; i++) queue.storeWords(i * 8, i, 0);
      queue.submit();
    });
  const perWord = (): number =>
    timed(() => {
      for (let i = 0; i < words; i++) region.store32(i * 8, i);
    });
  const { ratio, subject, floor } = await compare(
    { operations: words, run: merged },
    { operations: words, run: perWord },
    rounds,
    30, // enough batches for the compiler to have seen the loop
  );
  return { part: ratio / ideal, merged: subject.ns * words, perWord: floor.ns * words };
}

async function mergedAgainstPerWord({ rounds }: Effort): Promise<Outcome> {
  const few = Math.min(3, rounds);
  const at: string[] = [];
  for (const cost of [1000, 10_000]) {
    const { part } = await partOfIdeal(cost, few);
    at.push(`${part.toFixed(2)} at ${cost / 1000} us`);
  }
  const { part } = await partOfIdeal(100_000, few);
  return { value: part, unit: 'of ideal', note: `synthetic 100 us per access; ${at.join(', ')}`, bytes };
}

async function poolScaling({ rounds, time }: Effort): Promise<Outcome> {
  const length = 1 << 20;
  using region = emulate({ size: length, cost: { storeBlock: 1_000_000 } });
  const source = allocBuffer(length);
  await using one = new Pool({ threads: 1 });
  await using two = new Pool({ threads: 2 });
  const through = (pool: Pool) => ({
    operations: length / 4096,
    run: () => timedAsync(() => pool.write(region, 0, source)),
  });
  const comparison = await compare(through(two), through(one), rounds, time);
  return {
    value: comparison.ratio,
    unit: 'x',
    comparison,
    bytes: length,
    note: 'synthetic 1 ms per store block, most of it asleep',
  };
}

export const emulated: Scenario[] = [
  {
    name: 'emulated/merged',
    subject: '64 KiB as merged 8-byte stores, emulated, synthetic cost',
    floor: 'one store each; ideal is 512x',
    target: { atLeast: 0.95 },
    run: mergedAgainstPerWord,
  },
  {
    name: 'pool/scaling',
    subject: 'pool of 2 threads, emulated, synthetic cost',
    floor: 'pool of 1 thread',
    target: { atLeast: 1.8 },
    run: poolScaling,
  },
];
