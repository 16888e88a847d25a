// The main job, in whichever runtime runs this: regions, queues, faults, a lost mapping, a pool, interrupts, threads that end with
// all of it open. It ends by itself; its last lines say how it went, as node's test runner does.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allocBuffer, emulate, info, mapFile, openVfio, Pool } from '../../src/index.js';
import { type Ending, endings, endThread } from '../support/endings.js';
import { interruptedFunction, StandInKernel } from '../support/kernel.js';
import { resources } from '../support/resources.js';

const { bun, deno, node } = process.versions as Record<string, string | undefined>;
const folder = mkdtempSync('/dev/shm/ismio-smoke-');
const path = join(folder, 'bytes');
const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await sleep(5);
  assert.ok(condition(), 'it did not come to it within 10 seconds');
}

function refused(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return codeOf(error);
  }
}

const steps: Record<string, () => unknown> = {
  'a region stores, loads and reads back'() {
    using region = emulate({ size: 4096 });
    region.store64(8, 0x1234_5678_9abc_def0n);
    assert.equal(region.load32(12), 0x1234_5678);
    const bytes = new Uint8Array(8);
    region.read(8, bytes);
    assert.equal(bytes[0], 0xf0);
    assert.equal(
      refused(() => region.load8(4096)),
      'ERR_ISMIO_OUT_OF_RANGE',
    );
  },

  'a mapped file keeps what is written'() {
    writeFileSync(path, new Uint8Array(8192));
    for (const access of ['mmap', 'pread'] as const) {
      using region = mapFile(path, { access });
      region.write(100, new Uint8Array(300).fill(7));
      assert.deepEqual([region.load8(99), region.load8(100), region.load8(399), region.load8(400)], [0, 7, 7, 0]);
    }
  },

  'a queue is submitted'() {
    using region = emulate({ size: 4096 });
    using queue = region.queue({ merge: 'adjacent' });
    for (let i = 0; i < 32; i++) queue.storeWords(i * 8, i, i);
    queue.write(1024, allocBuffer(256).fill(3));
    assert.equal(queue.submit().storeBlocks, 2);
    assert.deepEqual([region.load32(8), region.load8(1279)], [1, 3]);
  },

  async 'a queue is drained while the event loop turns'() {
    using region = emulate({ size: 4096, cost: { store: 1e6 } });
    using queue = region.queue();
    for (let i = 0; i < 300; i++) queue.storeWords(i * 8, i, i);
    const target = new Uint8Array(8);
    queue.load(8, target);
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const { stores } = await queue.drain();
    clearInterval(timer);
    assert.equal(stores, 300);
    assert.equal(target[0], 1);
    assert.ok(turns > 1, `${turns} turns in 300 ms`);
  },

  async 'a batch that fails says where'() {
    using region = emulate({ size: 4096, faults: [{ access: 'store', nth: 3, cc: 1 }] });
    using queue = region.queue();
    for (let i = 0; i < 5; i++) queue.storeWords(i * 8, i, i);
    const error = await queue.drain().then(
      () => null,
      (thrown: unknown) => thrown as { code: string; index: number },
    );
    assert.deepEqual([error?.code, error?.index], ['ERR_ISMIO_DEVICE', 2]);
  },

  async 'a drain is aborted'() {
    using region = emulate({ size: 4096, cost: { store: 1e7 } });
    using queue = region.queue();
    for (let i = 0; i < 500; i++) queue.storeWords(i * 8, i, i);
    const error = await queue.drain({ signal: AbortSignal.timeout(20) }).catch(codeOf);
    assert.equal(error, 'ERR_ISMIO_ABORTED');
  },

  'a mapping that is lost is an error'() {
    writeFileSync(path, new Uint8Array(8192));
    using region = mapFile(path);
    truncateSync(path, 0);
    for (let i = 0; i < 3; i++) {
      assert.equal(
        refused(() => region.load64(0)),
        'ERR_ISMIO_REGION_LOST',
      );
    }
    writeFileSync(path, new Uint8Array(8192));
  },

  async 'a pool writes and reads'() {
    using region = emulate({ size: 2 ** 24 });
    const pool = new Pool({ threads: 2 });
    try {
      await pool.write(region, 0, new Uint8Array(2 ** 22).fill(5));
      const target = allocBuffer(2 ** 22);
      await pool.read(region, 0, target);
      assert.ok(target.every((byte) => byte === 5));
    } finally {
      await pool.close();
    }
  },

  async 'interrupts are counted and told'() {
    await withKernel(async (kernel) => {
      using device = openVfio(interruptedFunction.bdf, kernel.paths);
      const msi = device.irq('msi');
      const counts = [0, 0, 0, 0];
      msi.on('interrupt', ({ vector, count }) => {
        counts[vector] = (counts[vector] ?? 0) + count;
      });
      for (let round = 1; round <= 20; round++) {
        msi.enable();
        for (let i = 0; i < 50; i++) kernel.interrupt(1, i % 4);
        await until(() => msi.signalled === round * 50);
        msi.disable();
      }
      assert.deepEqual(counts, [260, 260, 240, 240]);
    });
  },

  async 'iterations over interrupts end when they are disabled'() {
    await withKernel(async (kernel) => {
      using device = openVfio(interruptedFunction.bdf, kernel.paths);
      const msi = device.irq('msi');
      msi.enable(1);
      let taken = 0;
      setTimeout(() => kernel.interrupt(1, 0, 3), 10);
      for await (const { count } of msi) {
        taken += count;
        msi.disable();
      }
      assert.equal(taken, 3);
    });
  },

  async 'what a thread had open goes with it, however it ends'() {
    await withKernel(async ({ trees }) => {
      const leave = (ending: Ending, api: 'group' | 'cdev') => endThread({ ending, api, path, trees });
      await leave('return', 'cdev');
      const before = resources(trees.root);
      for (const ending of endings) for (const api of ['group', 'cdev'] as const) await leave(ending, api);
      await until(() => resources(trees.root).ours.length === 0);
      await until(() => resources(folder).ours.length === 0);
      const { descriptors, threads } = resources(trees.root);
      assert.ok(threads <= before.threads + 2, `${threads} threads, ${before.threads} before`);
      // Deno 2.9 itself leaves an eventfd and an epoll open for each thread that calls process.exit.
      if (deno === undefined)
        assert.ok(descriptors <= before.descriptors + 4, `${descriptors} descriptors, ${before.descriptors} before`);
    });
  },
};

async function withKernel(use: (kernel: StandInKernel) => Promise<void>): Promise<void> {
  const ends: (() => void)[] = [];
  const kernel = StandInKernel.install({ after: (end) => ends.push(end) }, { functions: [interruptedFunction] });
  try {
    await use(kernel);
  } finally {
    for (const end of ends) end();
  }
}

console.log(bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node.js ${node}`, info().binary);
const only = process.argv[2];
let failed = 0;
let passed = 0;
for (const [name, step] of Object.entries(steps)) {
  if (only !== undefined && !name.includes(only)) continue;
  const began = performance.now();
  try {
    await step();
    passed++;
    console.log(`ok - ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    failed++;
    console.log(`not ok - ${name}:`, error);
  }
}
rmSync(folder, { recursive: true });
console.log(`# pass ${passed}\n# fail ${failed}`);
process.exitCode = failed === 0 ? 0 : 1;
