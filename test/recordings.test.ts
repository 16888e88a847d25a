// The recordings that come with the package.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectRecording, replay } from 'ismio';
import { packageRoot, runModule } from './support/child.js';

for (const [name, region, kind] of [
  ['tar', 'archive', 'queued write'],
  ['sqlite', 'database', 'queued write'],
  ['terminal', 'console', 'queued store'],
] as const) {
  test(`${name} replays in every merge mode, to the same bytes`, async () => {
    const path = join(packageRoot, 'bench/recordings', `${name}.ismrec`);
    const { kinds, regions } = await inspectRecording(path);
    assert.deepEqual(
      regions.map((one) => one.name),
      [region],
    );
    assert.ok((kinds[kind] ?? 0) > 50);
    const sums = new Set<string | undefined>();
    for (const merge of ['none', 'adjacent', 'any'] as const) {
      for (const handOver of ['recorded', 'submit', 'drain'] as const) {
        const report = await replay(path, { merge, handOver, order: merge === 'any' ? 'relaxed' : 'strict' });
        assert.equal(report.regions[0]?.verified?.uncertain, 0);
        sums.add(report.regions[0]?.verified?.sha256);
      }
    }
    assert.equal(sums.size, 1);
  });
}

test('an iteration that a program begins and leaves neither ends it nor leaves the file open', async () => {
  // Node.js 26 ends a program whose FileHandle is collected while it is open.
  const source = `
    import { readlinkSync, readdirSync } from 'node:fs';
    import { setImmediate } from 'node:timers/promises';
    import { readRecording } from 'ismio';
    const path = ${JSON.stringify(join(packageRoot, 'bench/recordings/tar.ismrec'))};
    const open = () => readdirSync('/proc/self/fd').filter((number) => {
      try { return readlinkSync('/proc/self/fd/' + number) === path; } catch { return false; }
    }).length;
    await (async () => { console.log((await readRecording(path).next()).done, open()); })();
    for (let turn = 0; turn < 1000 && open() > 0; turn++) {
      await setImmediate();
      gc();
    }
    console.log(open());`;
  const { code, stdout, stderr } = await runModule(source, { flags: ['--expose-gc'] });
  assert.deepEqual([code, stdout, stderr], [0, 'false 1\n0\n', '']);
});
