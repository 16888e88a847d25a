// What counting costs: this engine against one whose counters do nothing. `node dist/bench/checks/overhead.js`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from '../compare/compare.js';
import { compareText } from '../compare/text.js';
import { quickOptions } from './runs.js';
import { buildVariant, noCounters } from './variants.js';

const scratch = mkdtempSync(join(tmpdir(), 'ismio-overhead-'));
try {
  const [base, head] = [buildVariant(noCounters, scratch), buildVariant(null, scratch)];
  // What does not count has nothing to be gated by.
  const report = await compare(
    { ...quickOptions, base, head, seed: 1, counterTolerance: null },
    { say: () => undefined, progress: () => undefined },
  );
  const most = Math.max(...report.times.filter(({ unit }) => unit === 'ns/op').map(({ overall }) => overall.ratio));
  console.log(
    `${compareText(report)}\ncounters cost at most ${((most - 1) * 100).toFixed(1)} % in any of the quick benchmarks`,
  );
  process.exitCode = most < 1.02 ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
