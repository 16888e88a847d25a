// Single accesses of mapped memory, which are made in JavaScript without a call: what holds of calls holds of them.
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { after, describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { emulate, IsmioError, type MapFileOptions, mapFile, Pool, type Region, type RegionStats } from 'ismio';
import { contents } from './support/bytes.js';
import { runModule } from './support/child.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile, temporaryFolder } from './support/files.js';
import { madeInPlace, orders } from './support/in-place.js';
import { scaled } from './support/scale.js';

const size = 64 * 1024;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const pool = new Pool({ threads: 1 });
after(() => pool.close({ force: true }));

function mapped(t: TestContext, options: MapFileOptions = {}): Region {
  const region = mapFile(temporaryFile(t, size), options);
  t.after(() => region.close());
  return region;
}

/** How the counts grow while `work` runs. */
function growth(region: Region, work: () => unknown): Partial<RegionStats> {
  const before = region.stats();
  work();
  const now = region.stats();
  const names = ['loads', 'stores', 'storeBlocks', 'bytes', 'errors', 'crossings'] as const;
  return Object.fromEntries(names.map((name) => [name, now[name] - before[name]]));
}

const counts = { loads: 0, stores: 0, storeBlocks: 0, bytes: 0, errors: 0, crossings: 0 };

describe('what is made without a call', () => {
  const regions: Readonly<Record<string, (t: TestContext) => Region>> = {
    'mapped memory': (t) => mapped(t),
    'mapped memory, read only': (t) => mapped(t, { writable: false }),
    'a device mapping': (t) => mapped(t, { kind: 'device' }),
    'a file by pread': (t) => mapped(t, { access: 'pread' }),
    'an emulated region': () => emulate({ size }),
    'an emulated region of kind memory': () => emulate({ size, kind: 'memory' }),
  };
  for (const [what, open] of Object.entries(regions)) {
    test(`is counted by its width, and is no crossing: ${what}`, (t) => {
      const region = open(t);
      for (const order of [orders.native, orders.other]) {
        const calls = (access: 'load' | 'store', which = order) => ({
          crossings: madeInPlace(region, access, which) ? 0 : 1,
        });
        const loads = { ...counts, loads: 1, ...calls('load') };
        assert.deepEqual(
          growth(region, () => region.load8(1)),
          { ...loads, bytes: 1, ...calls('load', orders.native) },
        );
        assert.deepEqual(
          growth(region, () => region.load16(2, order)),
          { ...loads, bytes: 2 },
        );
        assert.deepEqual(
          growth(region, () => region.load32(4n, order)),
          { ...loads, bytes: 4 },
        );
        assert.deepEqual(
          growth(region, () => region.load64(8, order)),
          { ...loads, bytes: 8 },
        );
        if (!region.writable) continue;
        const stores = { ...counts, stores: 1, ...calls('store') };
        assert.deepEqual(
          growth(region, () => region.store8(1, 1)),
          { ...stores, bytes: 1, ...calls('store', orders.native) },
        );
        assert.deepEqual(
          growth(region, () => region.store16(2, 1, order)),
          { ...stores, bytes: 2 },
        );
        assert.deepEqual(
          growth(region, () => region.store32(4, 1, order)),
          { ...stores, bytes: 4 },
        );
        assert.deepEqual(
          growth(region, () => region.store64(8, 1n, order)),
          { ...stores, bytes: 8 },
        );
      }
    });
  }

  test('is not what is refused: it counts nowhere, and nothing is stored', (t) => {
    const region = mapped(t);
    const refused = [
      () => region.store32(2, 1),
      () => region.store32(size, 1),
      () => region.store32(0, -1),
      () => region.store64(0, 2n ** 64n),
      () => region.store64(0, -1n),
      () => region.store16(0, 1, 'middle' as 'le'),
      () => region.load64(size - 4),
    ];
    for (const act of refused)
      assert.deepEqual(
        growth(region, () => assert.throws(act)),
        counts,
        String(act),
      );
    assert.deepEqual(contents(region), new Uint8Array(size));
  });

  test('is no store to a region that was opened to read', (t) => {
    const region = mapped(t, { writable: false });
    region.load32(0);
    const refused = (): unknown => throwsCode(() => region.store32(0, 1), IsmioError, 'ERR_ISMIO_READ_ONLY');
    assert.deepEqual(growth(region, refused), { ...counts, errors: 1, crossings: 1 });
  });

  test('is no store where the rules know store blocks alone', (t) => {
    const region = mapped(t, { rules: { singleStores: false, alignment: 'relaxed' } });
    assert.deepEqual(
      growth(region, () => region.store64(0, 5n)),
      { ...counts, storeBlocks: 1, bytes: 8, crossings: 1 },
    );
    assert.equal(region.load64(0), 5n);
  });

  test('is what lies in the first 8 MiB; what lies behind is the same by calls', (t) => {
    const end = 2 ** 23;
    using region = mapFile(temporaryFile(t, end + 4096));
    const store = (place: number) => () => region.store64(place, BigInt(place), orders.native);
    assert.deepEqual(growth(region, store(end - 8)), { ...counts, stores: 1, bytes: 8 });
    assert.deepEqual(growth(region, store(end)), { ...counts, stores: 1, bytes: 8, crossings: 1 });
    assert.deepEqual(
      [region.load64(end - 8, orders.native), region.load64(end, orders.native)],
      [BigInt(end - 8), BigInt(end)],
    );
  });

  test('takes its time where stages are timed', (t) => {
    const region = mapped(t);
    region.store32(0, 1, orders.native);
    region.timeStages(true);
    assert.equal(growth(region, () => region.store32(0, 2, orders.native)).crossings, 1);
    assert.ok((region.stats().stages?.device ?? 0) > 0);
    region.timeStages(false);
    assert.equal(growth(region, () => region.store32(0, 3, orders.native)).crossings, 0);
  });
});

test('each of a million stores is in the memory before the next access, also in compiled code', (t) => {
  const path = temporaryFile(t, size);
  using here = mapFile(path);
  using there = mapFile(path);
  const many = scaled(1_000_000);
  for (let i = 1; i <= many; i++) {
    here.store32(8, i);
    here.store64(16, BigInt(i));
    if (there.load32(8) !== i || there.load64(16) !== BigInt(i)) assert.fail(`the store of ${i} was not seen`);
    there.store16(0, i & 0xffff);
    if (here.load16(0) !== (i & 0xffff)) assert.fail(`the load was older than the store of ${i}`);
  }
  assert.equal(here.stats().stores, 2 * many);
  assert.equal(here.stats().bytes, (4 + 8 + 2) * many);
});

test('a loop of loads sees what another thread stores', async (t) => {
  const region = mapped(t);
  const answered = pool.run(
    ([there]) => {
      while (there?.load32(0) !== 1);
      there.store32(4, 2);
    },
    { regions: [region] },
  );
  region.store32(0, 1);
  while (region.load32(4) !== 2);
  await answered;
});

test('each thread counts its own, exactly, and they are told by any thread and after the end', async (t) => {
  const path = temporaryFile(t, size);
  const region = mapFile(path);
  const many = 10_000;
  const stored = (): Promise<unknown> =>
    pool.run(
      ([there], { args }) => {
        for (let i = 0; i < (args[0] as number); i++) there?.store32(4 * (i % 64), i);
        return there?.stats().stores;
      },
      { regions: [region], args: [many] },
    );
  for (let i = 0; i < many; i++) region.load8(i);
  assert.equal(await stored(), many);
  assert.equal(await stored(), 2 * many, 'the counters of a thread that is done go to the next that comes');
  const { loads, stores, bytes } = region.stats();
  assert.deepEqual({ loads, stores, bytes }, { loads: many, stores: 2 * many, bytes: many + 8 * many });
  region.close();
  assert.deepEqual(region.stats().bytes, bytes);
});

test('a region that another thread closes is closed here at the next access', async (t) => {
  const region = mapFile(temporaryFile(t, size));
  const code = pool.run(
    ([there]) => {
      there?.store32(0, 1);
      try {
        for (;;) there?.load32(4);
      } catch (error) {
        return (error as IsmioError).code;
      }
    },
    { regions: [region] },
  );
  while (region.load32(0) !== 1) await turn();
  region.close();
  assert.equal(await code, 'ERR_ISMIO_CLOSED');
});

test('memory that goes under a loop of loads in another thread is told there, and here', async (t) => {
  const path = temporaryFile(t, size);
  using region = mapFile(path);
  const reason = pool.run(
    ([there]) => {
      there?.store32(0, 1);
      try {
        for (;;) there?.load32(4096);
      } catch (error) {
        return (error as IsmioError)['reason'] as string;
      }
    },
    { regions: [region] },
  );
  while (region.load32(0) !== 1) await turn();
  truncateSync(path, 0);
  assert.equal(await reason, 'truncated');
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'truncated' });
});

/** Mappings of this file in the process. */
const mappingsOf = (path: string): number =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes(path)).length;

test('the mapping goes when the region is closed, and an access then says so', (t) => {
  const path = temporaryFile(t, size);
  const region = mapFile(path);
  region.store32(0, 1);
  assert.equal(mappingsOf(path), 1);
  region.close();
  assert.equal(mappingsOf(path), 0);
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_CLOSED');
  throwsCode(() => region.store32(0, 1), IsmioError, 'ERR_ISMIO_CLOSED');
});

test('the mapping goes when a region that nobody closed is collected', async (t) => {
  const path = temporaryFile(t, size);
  (() => mapFile(path).store32(0, 1))();
  for (let i = 0; i < 100 && mappingsOf(path) > 0; i++) {
    collect();
    await turn();
  }
  assert.equal(mappingsOf(path), 0);
});

test('V8 collects nothing for mapped memory that was closed, and is told of a part of a long mapping', async (t) => {
  const path = join(temporaryFolder(t), 'window');
  writeFileSync(path, '');
  truncateSync(path, 2 ** 30);
  const collections = new PerformanceObserver(() => undefined);
  collections.observe({ entryTypes: ['gc'] });
  for (let i = 0; i < 200; i++) {
    using region = mapFile(path);
    region.load32(0);
  }
  await turn();
  const kinds = collections
    .takeRecords()
    .map((entry) => (entry as unknown as { detail: { kind: number } }).detail.kind);
  collections.disconnect();
  const major = kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MAJOR).length;
  assert.ok(major < 5, `${major} collections for 200 mappings of a GiB`);
});

test('threads and programs end with regions open that were accessed so', async (t) => {
  const path = temporaryFile(t, size);
  const { code, signal, stderr } = await runModule(`
    import { mapFile } from 'ismio';
    import { Worker } from 'node:worker_threads';
    const open = (path) => { const region = mapFile(path); region.store32(0, region.load32(0) + 1); return region; };
    const text = 'const { workerData } = require("node:worker_threads"); import("ismio").then(({ mapFile }) => (' + open + ')(workerData));';
    const worker = new Worker(text, { eval: true, execArgv: [], workerData: ${JSON.stringify(path)} });
    worker.on('exit', () => { globalThis.kept = Array.from({ length: 8 }, () => open(${JSON.stringify(path)})); });`);
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  using region = mapFile(path);
  assert.equal(region.load32(0), 9);
});
