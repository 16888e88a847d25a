// The recordings that come with the package.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectRecording, replay } from 'ismio';
import { packageRoot } from './support/child.js';

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
