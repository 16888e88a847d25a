// Two copies of the addon in one process, as two versions of a dependency would bring them.
import assert from 'node:assert/strict';
import { copyFileSync, truncateSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { emulate, IsmioError, info, mapFile } from 'ismio';
import { runModule } from './support/child.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile, temporaryFolder } from './support/files.js';
import { startWorker } from './support/workers.js';

function copyOfAddon(t: TestContext): string {
  const copy = join(temporaryFolder(t), 'copy.node');
  copyFileSync(info().binary, copy);
  return copy;
}

/** A mapped file whose loss is still to come. */
function checkThatLossIsNoticed(t: TestContext): void {
  const path = temporaryFile(t, 8192);
  using region = mapFile(path);
  truncateSync(path, 0);
  throwsCode(() => region.load64(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
}

test('each copy notices the loss of its own regions, whichever was loaded first', async (t) => {
  checkThatLossIsNoticed(t);
  const copy = copyOfAddon(t);
  const worker = startWorker({ name: 'loseRegion', path: temporaryFile(t, 8192) }, { ISMIO_BINARY: copy });
  assert.deepEqual(await worker.said, { binary: copy, code: 'ERR_ISMIO_REGION_LOST' });
  checkThatLossIsNoticed(t);
  await worker.ended;
  checkThatLossIsNoticed(t);
});

test('a copy that only an ended thread used does not take the others with it', async (t) => {
  for (let i = 0; i < 3; i++) {
    const env = { ISMIO_BINARY: copyOfAddon(t) };
    const worker = startWorker({ name: 'loseRegion', path: temporaryFile(t, 8192) }, env);
    assert.deepEqual(await worker.said, { binary: env.ISMIO_BINARY, code: 'ERR_ISMIO_REGION_LOST' });
    await worker.ended;
    checkThatLossIsNoticed(t);
  }
});

interface Addon {
  traits(region: number): unknown;
  attach(id: number): unknown;
  close(region: number, everywhere: boolean): void;
  closeQueue(queue: number): void;
}

test('copies share no state: the numbers of one mean nothing to the other', (t) => {
  using region = emulate({ size: 64 });
  const queue = region.queue();
  queue.storeWords(0, 1, 2);
  const other = createRequire(import.meta.url)(copyOfAddon(t)) as Addon;
  for (let number = 0; number < 64; number++) {
    assert.equal(other.traits(number), undefined);
    assert.equal(other.attach(number), undefined);
    other.closeQueue(number);
    other.close(number, true);
  }
  assert.equal(queue.submit().stores, 1);
  assert.equal(region.load64(0), 0x2_0000_0001n);
});

test('a bus error that is none of ours ends the process as it would without us', async (t) => {
  const path = temporaryFile(t, 8192);
  const child = await runModule(`
    import { mapFile } from 'ismio';
    const region = mapFile(${JSON.stringify(path)});
    process.kill(process.pid, 'SIGBUS');
    setTimeout(() => console.log('still here', region.size), 1000);
  `);
  assert.equal(child.signal, 'SIGBUS', child.stdout + child.stderr);
});
