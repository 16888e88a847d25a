// Fences by purpose: on a region and in a queue.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emulate, mapFile } from 'ismio';
import { throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';

const purposes = ['full', 'beforeDoorbell', 'afterStatus'] as const;

test('each purpose is a fence on a region and in a queue, which nothing is merged across', (t) => {
  for (const region of [emulate({ size: 4096 }), mapFile(temporaryFile(t, 4096), { kind: 'device' })]) {
    for (const purpose of purposes) {
      region.fence(purpose);
      const queue = region.queue({ merge: 'any', order: 'relaxed' });
      queue.store64(0, 1n);
      assert.equal(queue.fence(purpose), true);
      queue.store64(8, 2n);
      const { stores, storeBlocks } = queue.submit();
      assert.deepEqual([stores, storeBlocks], [2, 0]);
    }
    region.close();
  }
});

test('a purpose that there is not is refused, and queues nothing', () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  throwsCode(() => region.fence('doorbell' as never), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => queue.fence('doorbell' as never), RangeError, 'ERR_ISMIO_OPTION');
  assert.equal(queue.submit().operations, 0);
});
