// One transfer of the pool, with a crew that stands in for its threads.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Crew } from '../src/pool/crew.js';
import { Job } from '../src/pool/job.js';
import { type Range, shardCount, shardsOf } from '../src/pool/shards.js';
import type { WriteTask } from '../src/pool/tasks.js';
import { emulate } from '../src/region/open.js';
import { idOf } from '../src/region/region.js';

const mebibyte = 2 ** 20;

/** Address space of this process, in bytes: proc(5), statm, counts pages. */
function mapped(): number {
  return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]) * 4096;
}

test('as many shards are counted as are cut', () => {
  const lengths = fc.record({ offset: fc.nat(100_000), length: fc.nat(100_000) });
  const counts = fc.property(lengths, fc.integer({ min: 1, max: 100_000 }), (whole, step) => {
    assert.equal(shardCount(whole, step), [...shardsOf(whole, step)].length);
  });
  fc.assert(counts);
});

test('a transfer of one shard has memory for one, however many threads the pool has', async () => {
  using region = emulate({ size: 2 * mebibyte });
  const sent: WriteTask[] = [];
  const crew = {
    send(task: WriteTask) {
      sent.push(task);
      Atomics.store(task.progress, task.slot, BigInt(task.length));
      return { ended: Promise.resolve(null), callOff: () => undefined };
    },
  } as unknown as Crew;
  const bytes = new Uint8Array(mebibyte);
  const make = (shard: Range, controls: object): WriteTask =>
    ({ kind: 'write', region: idOf(region), ...shard, bytes: 0, position: 0, staged: false, ...controls }) as WriteTask;
  const plan = { make, staged: { kind: 'write', bytes, start: 0 } as const, stores: true, holds: bytes };
  const job = new Job(crew, region, { offset: 0, length: mebibyte }, 256, mebibyte, plan);
  const before = mapped();
  assert.deepEqual(await job.run(undefined), { bytes: mebibyte, shards: 1 });
  assert.equal(sent.length, 1);
  assert.ok(mapped() - before < 64 * mebibyte, `${(mapped() - before) / mebibyte} MiB more are mapped`);
});
