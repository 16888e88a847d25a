// node dist/bench/checks/replay.js [--operations N]: how fast a recording of 10^7 operations is replayed, against the same
// operations issued directly, and what memory that takes.
//
// Three recordings: queued 8-byte stores, and queued writes of 64 to 512 bytes with and without payload. The bytes are such
// as nothing makes shorter, so the writes with payload come from a file of 2.5 GiB, which the second core reads. Replays
// and direct issues take turns in this process; the figure is the median of the ratios of neighbours. A replay is timed
// from its first operation to its last, with everything that it reads and inflates. Not in it is the check of the bytes,
// which the direct issue does not do either; a replay with the check follows, to show what that takes and that it passes.
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allocBuffer, emulate, type Region, record, replay } from 'ismio';
import { median } from 'simple-statistics';

const atLeast = 0.8;
const mostGrowth = 64 * 2 ** 20;
const rounds = 5;
const windowBytes = 2 ** 20;
const depth = 1024;

interface Work {
  readonly title: string;
  readonly payload: boolean;
  issue(region: Region, operations: number): void;
}

const words = randomFillSync(new Uint32Array(2 ** 21));
const bytes = randomFillSync(allocBuffer(256 * 2 ** 20));

const works: readonly Work[] = [
  {
    title: 'queued 8-byte stores',
    payload: true,
    issue(region, operations) {
      const queue = region.queue({ depth });
      for (let done = 0; done < operations; done++) {
        const at = (2 * done) % words.length;
        const [low, high] = [words[at] as number, words[at + 1] as number];
        while (!queue.storeWords((8 * done) % windowBytes, low, high)) queue.submit();
      }
      queue.submit();
      queue.close();
    },
  },
  {
    title: 'queued writes of 64 to 512 bytes, without payload',
    payload: false,
    issue: issueWrites,
  },
  { title: 'queued writes of 64 to 512 bytes, with payload', payload: true, issue: issueWrites },
];

function issueWrites(region: Region, operations: number): void {
  const queue = region.queue({ depth });
  let at = 0;
  let random = 1;
  for (let done = 0; done < operations; done++) {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0; // Numerical Recipes' generator
    const length = 64 + ((random >>> 23) % 449);
    if (at + length > bytes.length) at = 0;
    while (!queue.write((random >>> 8) % (windowBytes - 512), bytes, at, length)) queue.submit();
    at += length;
  }
  queue.submit();
  queue.close();
}

/** Nanoseconds for one operation, issued directly. */
function issue(work: Work, operations: number): number {
  using region = emulate({ size: windowBytes });
  const began = performance.now();
  work.issue(region, operations);
  return ((performance.now() - began) * 1e6) / operations;
}

/** Of resident memory, the least and the most that a replay had. */
class Resident {
  least = Number.POSITIVE_INFINITY;
  most = 0;

  look(): void {
    const { rss } = process.memoryUsage();
    this.least = Math.min(this.least, rss);
    this.most = Math.max(this.most, rss);
  }
}

async function check(work: Work, path: string, operations: number): Promise<boolean> {
  make(work, path, operations);
  const ratios: number[] = [];
  let resident = new Resident();
  for (let round = 0; round <= rounds; round++) {
    const direct = issue(work, operations);
    const now = new Resident();
    const { seconds } = await replay(path, { verify: false, onProgress: () => now.look() });
    const replayed = (seconds * 1e9) / operations;
    if (round === 0) continue; // compiles, and allocates what it keeps
    resident = now.most - now.least > resident.most - resident.least ? now : resident;
    ratios.push(direct / replayed);
    console.log(
      `  direct ${direct.toFixed(1)} ns, replayed ${replayed.toFixed(1)} ns: ${(direct / replayed).toFixed(2)}`,
    );
  }
  const { seconds, regions } = await replay(path);
  const sum = regions[0]?.verified?.sha256.slice(0, 16);
  console.log(`  with the check ${((seconds * 1e9) / operations).toFixed(1)} ns; SHA-256 ${sum}..`);
  const ratio = median(ratios);
  const growth = resident.most - resident.least;
  const reached = ratio >= atLeast && growth <= mostGrowth;
  const memory = `memory within ${(growth / 2 ** 20).toFixed(1)} MiB (at most ${mostGrowth / 2 ** 20})`;
  console.log(
    `${reached ? 'reached' : 'MISSED'}: ${ratio.toFixed(2)} of the direct speed (at least ${atLeast}), ${memory}\n`,
  );
  return reached;
}

function make(work: Work, path: string, operations: number): void {
  using region = emulate({ size: windowBytes });
  const recorder = record(region, path, { payload: work.payload });
  work.issue(region, operations);
  recorder.close();
  const size = statSync(path).size;
  console.log(`${operations.toLocaleString('en')} ${work.title}: a recording of ${(size / 2 ** 20).toFixed(0)} MiB`);
}

async function main(operations: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ismio-replay-'));
  try {
    let reached = true;
    for (const work of works) reached = (await check(work, join(folder, 'recording'), operations)) && reached;
    process.exitCode = reached ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [option, value] = process.argv.slice(2);
await main(option === '--operations' ? Number(value) : 1e7);
