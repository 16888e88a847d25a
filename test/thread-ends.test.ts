// Threads that end with devices, queues and regions open, in every way there is: nothing of them stays in the process.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endings, endThread } from './support/endings.js';
import { interruptedFunction, StandInKernel } from './support/kernel.js';
import { type Resources, resources } from './support/resources.js';

/** How many in all. ISMIO_THREAD_ENDS=1000 is what a release is checked with. */
const threads = Number(process.env['ISMIO_THREAD_ENDS'] ?? 2 * endings.length);

/** A thread of Node.js goes a moment after it has said that it has ended. */
async function settled(mark: string, threads: number): Promise<Resources> {
  for (let i = 0; i < 200; i++) {
    const now = resources(mark);
    if (now.ours.length === 0 && now.threads <= threads) return now;
    await sleep(10);
  }
  return resources(mark);
}

test(`${threads} threads that end in every way leave no descriptor, mapping or thread behind`, async (t) => {
  const { trees } = StandInKernel.install(t, { functions: [interruptedFunction] });
  const path = join(trees.root, 'bytes');
  writeFileSync(path, new Uint8Array(2 ** 16));
  const end = (ending: (typeof endings)[number], i: number) =>
    endThread({ ending, api: i % 2 === 0 ? 'group' : 'cdev', path, trees });
  await end('return', 0);
  const before = await settled(trees.root, 0);
  for (let done = 0; done < threads; done += 2) {
    const [first, second] = [done, done + 1].map((i) => endings[Math.floor(i / 2) % endings.length] as 'return');
    await Promise.all([end(first as 'return', 0), end(second as 'return', 1)]);
  }
  const after = await settled(trees.root, before.threads);
  assert.deepEqual(after.ours, [], 'files of the devices and regions, open or mapped');
  assert.equal(after.descriptors, before.descriptors);
  assert.ok(after.threads <= before.threads, `${after.threads} threads, ${before.threads} before`);
});
