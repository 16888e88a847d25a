// Builds that do a little more than they have to: the counters find it, every time. `node dist/bench/checks/gates.js [times]`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeArms } from '../compare/arms.js';
import { gateCounters } from '../compare/gates.js';
import { countsOf } from '../compare/processes.js';
import { loadWorkloads } from '../suites/index.js';
import { buildVariant, oneMoreCopy, oneMoreStore } from './variants.js';

const times = Number(process.argv[2] ?? 20);
const side = { spec: '', kind: 'directory', version: '', commit: null } as const;
const quick = (await loadWorkloads()).filter((workload) => workload.quick === true).map(({ name }) => name);

async function regressions(arms: { base: string; head: string }): Promise<string[]> {
  const base = await countsOf(arms.base, quick);
  const head = await countsOf(arms.head, quick, base);
  const counted = quick.flatMap((name) => {
    const [before, after] = [base.get(name)?.counters, head.get(name)?.counters];
    return before && after ? [{ name, base: before, head: after }] : [];
  });
  const changed = gateCounters(counted, 0).filter(({ verdict }) => verdict === 'regressed');
  return changed.map(({ name, counter, base: from, head: to }) => `${name}: ${counter} ${from} -> ${to}`);
}

const scratch = mkdtempSync(join(tmpdir(), 'ismio-gates-'));
try {
  const base = buildVariant(null, scratch);
  for (const variant of [oneMoreStore, oneMoreCopy]) {
    const folders = [base, buildVariant(variant, scratch)].map((folder) => ({ ...side, folder }));
    const arms = makeArms(
      folders[0] as (typeof folders)[0],
      folders[1] as (typeof folders)[0],
      mkdtempSync(join(scratch, 'arms-')),
    );
    let found = 0;
    let last: string[] = [];
    for (let i = 0; i < times; i++) {
      last = await regressions(arms);
      if (last.length > 0) found++;
    }
    console.log(`${variant.title}: found in ${found} of ${times}\n  ${last.join('\n  ')}`);
    if (found < times) process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
