// A build with a calibrated delay in one path, many times: it has to be found, and there only.
// `node dist/bench/checks/slowdown.js [percent] [times]`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeArms } from '../compare/arms.js';
import { runRound } from '../compare/processes.js';
import { midmean } from '../statistics/bootstrap.js';
import { quickOptions, runMany } from './runs.js';
import { buildVariant, slowReads } from './variants.js';

const percent = Number(process.argv[2] ?? 5);
const times = Number(process.argv[3] ?? 20);

/** The one of the quick benchmarks that reads in runs of 8-byte loads. */
const path = 'access/read-4KiB/device';

const scratch = mkdtempSync(join(tmpdir(), 'ismio-slowdown-'));
try {
  const [base, head] = [buildVariant(slowReads(false), scratch), buildVariant(slowReads(true), scratch)];
  const turns = await calibrate(base, head);
  console.log(`a delay in front of every run of 8-byte loads: ${turns} turns of an empty loop make ${percent} %`);
  process.env['ISMIO_CHECK_DELAY'] = String(turns);
  const all = await runMany(times, { ...quickOptions, base, head }, ({ times: compared }) => {
    const { overall } = compared.find(({ name }) => name === path) as (typeof compared)[number];
    console.log(`  ${path}: ${overall.ratio.toFixed(3)} [${overall.low.toFixed(3)}, ${overall.high.toFixed(3)}]`);
  });
  const right = all.filter(({ regressed, improved }) => regressed?.join() === path && improved === undefined).length;
  const missed = all.filter((found) => !Object.values(found).flat().includes(path)).length;
  console.log(
    `${percent} % slower ${path}: found there and nowhere else in ${right} of ${times}, taken for a pass in ${missed}`,
  );
  process.exitCode = right >= (percent >= 10 ? 1 : 0.95) * times && missed === 0 ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/**
 * Turns of the delay's loop that make the wanted share. Found step by step, because the CPU does a few turns beside other
 * work, and only longer loops cost what they take.
 */
async function calibrate(base: string, head: string): Promise<number> {
  const side = { spec: '', kind: 'directory', version: '', commit: null } as const;
  const arms = makeArms({ ...side, folder: base }, { ...side, folder: head }, mkdtempSync(join(scratch, 'arms-')));
  const slowerBy = async (turns: number): Promise<number> => {
    process.env['ISMIO_CHECK_DELAY'] = String(turns);
    const round = await runRound(arms, [path], { ...quickOptions.effort, openings: 8 }, turns, () => undefined);
    const share = midmean((round.get(path) ?? []).map(({ overBase }) => overBase)) - 1;
    console.log(`${turns} turns: ${(share * 100).toFixed(2)} %`);
    return share;
  };
  const wanted = percent / 100;
  let [low, high] = [0, 50];
  while ((await slowerBy(high)) < wanted) [low, high] = [high, high * 2];
  while (high - low > 4) {
    const middle = Math.round((low + high) / 2);
    if ((await slowerBy(middle)) < wanted) low = middle;
    else high = middle;
  }
  return high;
}
