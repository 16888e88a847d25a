// ismio compare: two builds, three gates, one verdict. docs/compare.md tells what is done and why.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IsmioError } from '../../src/support/errors.js';
import { packageRoot } from '../../src/support/package.js';
import { versionOf } from '../engine.js';
import { environment } from '../environment.js';
import { passingFolder, scratchAdvice } from '../folders.js';
import { instructionsOf } from '../instructions.js';
import {
  type ComparedCount,
  type ComparedInstructions,
  type ComparedTime,
  type CompareReport,
  compareSchema,
  type Verdict,
} from '../results.js';
import { loadWorkloads, suitesFrom } from '../suites/index.js';
import type { Workload } from '../workload.js';
import { type Arms, makeArms } from './arms.js';
import type { CountResult } from './counting.js';
import { compareFresh, freshNames } from './fresh.js';
import { type Counted, countedByOne, gateCounters, gateInstructions, scenariosOfOne } from './gates.js';
import type { CompareOptions, Watcher } from './options.js';
import { countsOf } from './processes.js';
import { type BuiltSide, prepareSide } from './sides.js';
import { compareTimes } from './times.js';

type Skipped = CompareReport['skipped'][number];

export async function compare(options: CompareOptions, watcher: Watcher): Promise<CompareReport> {
  const began = new Date();
  const where = environment();
  const chosen = await choose(options);
  const scratch = passingFolder(join(tmpdir(), 'ismio-compare-'), scratchAdvice);
  try {
    const base = await prepareSide(options.base, scratch.path, watcher.say);
    const head = await prepareSide(options.head, scratch.path, watcher.say);
    const skipped: Skipped[] = [];
    const instructions = await instructionGate(base, head, options, watcher, skipped);
    const arms = makeArms(base, head, scratch.path);
    const { counters, measurable } = await counterGate(arms, shortEnough(chosen, skipped), options, watcher, skipped);
    const times = await timeGate(arms, measurable, options, watcher, skipped);
    if (times.length + (options.times ? 0 : counters.length) === 0) throw nothingCompared(skipped);
    return {
      schema: compareSchema,
      version: versionOf(packageRoot),
      started: began.toISOString(),
      seconds: (Date.now() - began.getTime()) / 1000,
      quick: options.quick,
      seed: options.seed,
      options: optionsTold(options),
      base: told(base),
      head: told(head),
      environment: where,
      ...overall([...counters, ...instructions, ...times]),
      counters,
      instructions,
      times,
      skipped,
    };
  } finally {
    scratch.remove();
  }
}

/** Of the suites that compare the engine with itself: a peer's speed is no matter of ours. */
async function choose({ filter, quick, suites }: CompareOptions): Promise<Workload[]> {
  const own = suites === undefined;
  const all = (await loadWorkloads('', suitesFrom(suites))).filter(
    ({ name }) => !own || !/^(peers|floor)\//.test(name),
  );
  const matches = (name: string): boolean => filter?.test(name) ?? true;
  const chosen = all.filter(({ name, quick: isQuick }) => (!quick || isQuick === true) && matches(name));
  if (chosen.length > 0 || (own && freshNames.some(matches))) return chosen;
  const which = filter === undefined ? 'there is' : `matches ${filter}`;
  throw new IsmioError(
    'ERR_ISMIO_USAGE',
    `no ${quick ? 'quick ' : ''}benchmark that compares ${which}; ismio bench --list shows them`,
  );
}

/** A verdict of nothing would be a pass. */
function nothingCompared(skipped: readonly Skipped[]): IsmioError {
  const reasons = skipped.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  return new IsmioError('ERR_ISMIO_BENCH', `no benchmark could be compared: ${reasons}`, { skipped });
}

/** A batch that moves more than this lasts far longer than a slice; it is there for `ismio bench`. */
const mostBytes = 1 << 24;

function shortEnough(chosen: readonly Workload[], skipped: Skipped[]): Workload[] {
  for (const { name, bytes } of chosen) {
    if (bytes > mostBytes) skipped.push({ name, reason: `a batch of ${bytes} bytes is too long for a slice` });
  }
  return chosen.filter(({ bytes }) => bytes <= mostBytes);
}

/** Why a workload is not to be compared; null where it is, or where head alone fails, which is a finding. */
function whyNot(base: CountResult, head: CountResult): string | null {
  if (base.missing !== null && base.missing === head.missing) return base.missing;
  if (base.missing !== null) return `base: ${base.missing}`;
  if (head.missing !== null) return `head: ${head.missing}`;
  if (base.failed === null) return null;
  return head.failed === null ? `base cannot run it: ${base.failed}` : `neither build can run it: ${base.failed}`;
}

async function counterGate(
  arms: { base: string; head: string },
  chosen: readonly Workload[],
  { counterTolerance, suites }: CompareOptions,
  watcher: Watcher,
  skipped: Skipped[],
): Promise<{ counters: ComparedCount[]; measurable: Workload[] }> {
  watcher.say('counting what each benchmark issues');
  const names = chosen.map(({ name }) => name);
  const base = await countsOf(arms.base, names, undefined, suites);
  const head = await countsOf(arms.head, names, base, suites);
  const counted: Counted[] = [];
  const measurable: Workload[] = [];
  for (const workload of chosen) {
    const { name } = workload;
    const [before, after] = [base.get(name), head.get(name)];
    const reason = before && after && whyNot(before, after);
    if (reason) {
      skipped.push({ name, reason });
      continue;
    }
    if (after?.failed)
      throw new IsmioError('ERR_ISMIO_BENCH', `${name} fails with head: ${after.failed}`, { benchmark: name });
    measurable.push(workload);
    if (before?.counters && after?.counters) counted.push({ name, base: before.counters, head: after.counters });
  }
  if (counterTolerance === null) {
    skipped.push({ name: 'counters', reason: 'switched off' });
    return { counters: [], measurable };
  }
  skipped.push(...countedByOne(counted));
  return { counters: gateCounters(counted, counterTolerance), measurable };
}

async function instructionGate(
  base: BuiltSide,
  head: BuiltSide,
  { instructionTolerance }: CompareOptions,
  watcher: Watcher,
  skipped: Skipped[],
): Promise<ComparedInstructions[]> {
  if (instructionTolerance === null) {
    skipped.push({ name: 'instructions', reason: 'switched off' });
    return [];
  }
  watcher.say('counting instructions of the native core');
  const [before, after] = [await instructionsOf(base.folder), await instructionsOf(head.folder)];
  for (const [side, found] of [
    ['base', before],
    ['head', after],
  ] as const) {
    if (!('missing' in found)) continue;
    skipped.push({ name: 'instructions', reason: `${side}: ${found.missing}` });
    return [];
  }
  if ('missing' in before || 'missing' in after) return [];
  skipped.push(...scenariosOfOne(before.counts, after.counts));
  return gateInstructions(before.counts, after.counts, instructionTolerance);
}

async function timeGate(
  arms: Arms,
  measurable: readonly Workload[],
  options: CompareOptions,
  watcher: Watcher,
  skipped: Skipped[],
): Promise<ComparedTime[]> {
  if (!options.times) {
    skipped.push({ name: 'times', reason: 'switched off' });
    return [];
  }
  const times = await compareTimes(arms, measurable, options, watcher);
  return options.suites === undefined ? [...times, ...(await compareFresh(arms, options, watcher))] : times;
}

const order: readonly Verdict[] = ['regressed', 'contaminated', 'inconclusive', 'improved', 'pass'];

/** The worst of all verdicts, and the exit code it makes. */
export function overall(parts: readonly { readonly verdict: Verdict }[]): { verdict: Verdict; exitCode: 0 | 1 | 2 } {
  const verdict = order.find((one) => parts.some((part) => part.verdict === one)) ?? 'pass';
  const exitCode = verdict === 'regressed' ? 1 : verdict === 'pass' || verdict === 'improved' ? 0 : 2;
  return { verdict, exitCode };
}

function optionsTold({ delta, level, effort }: CompareOptions): CompareReport['options'] {
  const { processes, openings, slices, sliceMilliseconds } = effort;
  return { delta, level, processes, slices: openings * slices, sliceMilliseconds };
}

function told({ spec, kind, version, commit }: BuiltSide): CompareReport['base'] {
  return { spec, kind, version, commit };
}
