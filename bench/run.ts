// A run of the benchmark: what is chosen, each in a process of its own, and what comes back as one document.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { IsmioError } from '../src/support/errors.js';
import { packageRoot } from '../src/support/package.js';
import { reasonIn } from '../src/support/reason.js';
import type { ChildAnswer, ChildRequest } from './child.js';
import { commitOf } from './commit.js';
import { versionOf } from './engine.js';
import { environment } from './environment.js';
import { measuredFrom, type Turns } from './measure.js';
import type { Effort, Probe } from './probe.js';
import { probes } from './probes/index.js';
import { type BenchReport, type BenchResult, benchSchema } from './results.js';
import { loadWorkloads, suites } from './suites/index.js';
import { reached } from './target.js';
import { makeWindow } from './window.js';
import type { Workload } from './workload.js';

export interface BenchOptions {
  /** Only what has such a name. */
  readonly filter?: RegExp;
  /** Only the handful that is marked so, with less time for each. */
  readonly quick?: boolean;
  /** Modules with workloads to measure instead of the package's own, which then have no probes beside them. */
  readonly suites?: readonly URL[];
  /** Told before each is measured. */
  onStart?(name: string, done: number, total: number): void;
  /** Told what a reader of the results should know besides them. */
  onNote?(note: string): void;
}

interface Thoroughness {
  readonly turns: Turns;
  readonly effort: Effort;
}

const thorough: Thoroughness = { turns: { rounds: 15, milliseconds: 40 }, effort: { rounds: 20, share: 1 } };
const fleeting: Thoroughness = { turns: { rounds: 5, milliseconds: 15 }, effort: { rounds: 5, share: 0.05 } };

type Entry = Workload | Probe;

export function isProbe(entry: Entry): entry is Probe {
  return 'run' in entry;
}

/**
 * What the options choose, in the order of the table.
 * @throws IsmioError ERR_ISMIO_USAGE where that is nothing
 */
export async function chosenEntries(options: BenchOptions): Promise<Entry[]> {
  const own = options.suites === undefined;
  const all: Entry[] = [...(await loadWorkloads('', options.suites ?? suites)), ...(own ? probes : [])];
  const { filter, quick = false } = options;
  const chosen = all.filter(
    (entry) => (filter?.test(entry.name) ?? true) && (!quick || (!isProbe(entry) && entry.quick === true)),
  );
  if (chosen.length > 0) return chosen;
  const which = filter === undefined ? '' : ` matches ${filter}`;
  throw new IsmioError(
    'ERR_ISMIO_USAGE',
    `no ${quick ? 'quick ' : ''}benchmark${which || ' was found'}; ismio bench --list shows them`,
  );
}

export async function runBench(options: BenchOptions = {}): Promise<BenchReport> {
  const chosen = await chosenEntries(options);
  const began = new Date();
  const where = environment();
  const how = options.quick === true ? fleeting : thorough;
  const results: BenchResult[] = [];
  const skipped: { name: string; reason: string }[] = [];
  for (const [index, entry] of chosen.entries()) {
    options.onStart?.(entry.name, index, chosen.length);
    const outcome = await measureEntry(entry, options, how).catch((cause: unknown) => {
      throw failed(entry.name, cause);
    });
    if ('skipped' in outcome) skipped.push({ name: entry.name, reason: outcome.skipped });
    else results.push(outcome.result);
  }
  return {
    schema: benchSchema,
    version: versionOf(packageRoot),
    commit: commitOf(packageRoot, (why) => options.onNote?.(why)),
    started: began.toISOString(),
    seconds: (Date.now() - began.getTime()) / 1000,
    quick: options.quick === true,
    environment: where,
    results,
    skipped,
  };
}

type Outcome = { readonly result: BenchResult } | { readonly skipped: string };

async function measureEntry(entry: Entry, options: BenchOptions, how: Thoroughness): Promise<Outcome> {
  if (isProbe(entry)) return { result: await probed(entry, how.effort) };
  const urls = (options.suites ?? suites).map(({ href }) => href);
  const window = makeWindow(entry.windowBytes);
  try {
    const request = { name: entry.name, suites: urls, turns: how.turns, windowPath: window.path };
    const answer = await inChild(request);
    if ('failed' in answer) throw answer.failed;
    return answer;
  } finally {
    window.remove();
  }
}

const childPath = fileURLToPath(new URL('./child.js', import.meta.url));

/** What a workload prints goes to stderr, so that the results stay alone on stdout. */
async function inChild(request: ChildRequest): Promise<ChildAnswer> {
  const child = fork(childPath, { serialization: 'advanced', stdio: ['ignore', 2, 'pipe', 'ipc'], execArgv: [] });
  let said: ChildAnswer | null = null;
  child.once('message', (answer) => {
    said = answer as ChildAnswer;
    child.disconnect();
  });
  // Not 'close': that never comes where this side has closed the channel.
  const ended = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>;
  child.send(request);
  const [[code, signal], complaint] = await Promise.all([ended, passedOn(child.stderr as Readable)]);
  if (said !== null) return said;
  const how = `its process ended with ${signal ?? `exit code ${code}`}`;
  const why = reasonIn(complaint);
  throw new Error(why === undefined ? how : `${how}: ${why}`);
}

/** Shows what is said there, and keeps the end of it. */
async function passedOn(stream: Readable): Promise<string> {
  let kept = '';
  for await (const text of stream.setEncoding('utf8')) {
    process.stderr.write(text);
    kept = (kept + text).slice(-20_000);
  }
  return kept;
}

async function probed(probe: Probe, effort: Effort): Promise<BenchResult> {
  const { name, title, unit, against, target, note } = probe;
  const measured = measuredFrom(await probe.run(packageRoot, effort));
  return {
    name,
    title: against === undefined ? title : `${title}, against ${against}`,
    unit,
    measured,
    operations: 1,
    bytes: 0,
    issued: null,
    counters: null,
    floor: null,
    ratio: null,
    target: target ?? null,
    reached: reached(target, unit === 'operations' ? measured.distribution.max : measured.median),
    scale: null,
    stages: null,
    note: note ?? null,
  };
}

function failed(name: string, cause: unknown): IsmioError {
  const { message = String(cause) } = cause as Error;
  return new IsmioError('ERR_ISMIO_BENCH', `${name} could not be measured: ${message}`, { benchmark: name }, cause);
}
