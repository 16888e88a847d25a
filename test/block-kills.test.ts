// A disk over ISM whose fabric, target or initiator is killed in the middle of requests, or whose target is restarted, again and again:
// every read is explained by what was asked and answered.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Part, ProcessHouse, parts } from './support/block-house.js';
import { Writers } from './support/block-writers.js';
import { until } from './support/console-line.js';
import { temporaryFolder } from './support/files.js';
import { History } from './support/history.js';
import { sequence } from './support/random.js';
import { sectorBytes } from './support/stamps.js';

/** Rounds, of which each kills one, or two. 500 before a release. */
const rounds = Number(process.env['ISMIO_BLOCK_KILLS'] ?? 4);
const only = process.env['ISMIO_SEED'];
const seeds = only === undefined ? Array.from({ length: rounds }, (_, seed) => seed) : [Number(only)];
/** Of which each has processes of its own. */
const roundsOfHouse = 8;

const sectors = 96;
const longest = 24; // 4 KiB and more go by slots of data
const client = 'w';

type Trouble = Part | 'restart of the target';

/** The first rounds have one of each; others what comes, and one in four two of them. */
function troublesOf(seed: number, draw: (limit: number) => number): readonly Trouble[] {
  const all: readonly Trouble[] = [...parts, 'restart of the target'];
  const first = all[seed < all.length ? seed : draw(all.length)] as Trouble;
  const others = parts.filter((part) => part !== first);
  const isTwo = seed >= all.length && draw(4) === 0 && first !== 'restart of the target';
  return isTwo ? [first, others[draw(others.length)] as Part] : [first];
}

async function round(house: ProcessHouse, seed: number, told: Map<string, number>): Promise<void> {
  const draw = sequence(seed);
  const history = new History({ mayTear: true });
  const writers = new Writers({ history, draw, sectors, longest, client });
  const begun = history.zero(client, 0, sectors);
  await house.disk.zero(0, sectors * sectorBytes, false);
  history.done(begun);
  const running = writers.run(house.disk, 8);
  await setTimeout(draw(60));
  const troubles = troublesOf(seed, draw);
  for (const trouble of troubles) {
    if (trouble === 'restart of the target') await house.stopTarget();
    else await house.kill(trouble);
    told.set(trouble, (told.get(trouble) ?? 0) + 1);
    await setTimeout(draw(40));
  }
  // In their order: the initiator ends where it finds no target.
  for (const part of parts) {
    const isAway = troubles.includes(part) || (part === 'target' && troubles.includes('restart of the target'));
    if (isAway) await house.start(part);
    if (isAway && part === 'initiator') history.fence(client);
  }
  const { answered } = history;
  await until(() => history.answered > answered + 40, 'requests that are answered again');
  writers.stop();
  await running;
  await writers.flush(house.disk);
  await writers.readAll(house.disk);
  history.check();
  assert.equal(writers.counts.refused, 0);
  if (!troubles.includes('initiator')) assert.equal(writers.counts.unknown, 0, 'what was in flight is asked again');
  for (const [name, count] of Object.entries(writers.counts)) told.set(name, (told.get(name) ?? 0) + count);
}

test('kills of a fabric, a target and an initiator, and restarts: every read is explained', async (t) => {
  const told = new Map<string, number>();
  let house: ProcessHouse | null = null;
  after(() => house?.close());
  for (const [i, seed] of seeds.entries()) {
    if (i % roundsOfHouse === 0) {
      await house?.close();
      const direct = Math.floor(seed / roundsOfHouse) % 2 === 1;
      house = await ProcessHouse.open({ folder: temporaryFolder(t), size: sectors * sectorBytes, direct });
    }
    const current = house as ProcessHouse;
    await round(current, seed, told).catch((cause: unknown) => {
      throw new Error(`ISMIO_SEED=${seed}: ${(cause as Error).message}\n${current.said}`, { cause });
    });
  }
  t.diagnostic([...told].map(([name, count]) => `${name} ${count}`).join(', '));
});
