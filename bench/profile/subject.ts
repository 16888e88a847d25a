// What is profiled: a workload of the benchmark by its name, or a recording by its file. Opened so that the regions which it
// opens are known: their stages are to be timed.
import { existsSync } from 'node:fs';
import type * as ismio from 'ismio';
import { IsmioError } from '../../src/support/errors.js';
import { packageRoot } from '../../src/support/package.js';
import { loadEngine } from '../engine.js';
import { loadWorkloads, suitesFrom } from '../suites/index.js';
import type { Engine, Running, Window, Workload } from '../workload.js';
import { near } from './near.js';

export interface Opened {
  readonly running: Running;
  readonly regions: readonly ismio.Region[];
}

export interface Subject {
  readonly name: string;
  readonly title: string;
  /** Operations of one batch, and the payload bytes that they move. */
  readonly operations: number;
  readonly bytes: number;
  readonly windowBytes: number;
  open(window: Window): Promise<Opened>;
}

/**
 * @param given the engine of the build that is profiled; without, the package's own
 * @param suites URLs of modules with workloads, instead of the package's own
 * @throws IsmioError ERR_ISMIO_USAGE with names that are near, where there is no such workload and no such file
 */
export async function subjectFor(what: string, given?: Engine, suites?: readonly string[]): Promise<Subject> {
  const engine = given ?? (await loadEngine(packageRoot));
  const workloads = await loadWorkloads('', suitesFrom(suites));
  const workload = workloads.find(({ name }) => name === what);
  if (workload !== undefined) return fromWorkload(workload, engine);
  if (existsSync(what)) return fromRecording(what, engine);
  const names = near(
    what,
    workloads.map(({ name }) => name),
  );
  throw new IsmioError(
    'ERR_ISMIO_USAGE',
    `there is no workload and no recording ${what}. Near it: ${names.join(', ')}; ismio bench --list shows all`,
    { workload: what, near: names },
  );
}

/** A workload, opened with an engine that notes its regions. */
export function fromWorkload(workload: Workload, of: Engine): Subject {
  const missing = workload.missing?.(of) ?? null;
  if (missing !== null) throw new IsmioError('ERR_ISMIO_BENCH', `${workload.name} cannot run here: ${missing}`);
  const { name, title, operations, bytes, windowBytes } = workload;
  return {
    name,
    title,
    operations,
    bytes,
    windowBytes,
    async open(window) {
      const { engine, regions } = watched(of);
      return { running: await workload.open(engine, window), regions };
    },
  };
}

/** The engine, and the regions that are opened through it. */
function watched(of: Engine): { engine: Engine; regions: ismio.Region[] } {
  const regions: ismio.Region[] = [];
  const noting =
    <Arguments extends unknown[]>(open: (...rest: Arguments) => ismio.Region) =>
    (...rest: Arguments): ismio.Region => {
      const region = open(...rest);
      regions.push(region);
      return region;
    };
  const { emulate, mapFile, openResource } = of;
  const opening = { emulate: noting(emulate), mapFile: noting(mapFile), openResource: noting(openResource) };
  return { engine: { ...of, ...opening }, regions };
}

/** Each batch is one replay of the whole, at full speed, on the same emulated regions. */
async function fromRecording(path: string, engine: Engine): Promise<Subject> {
  const { operations, bytes } = await engine.inspectRecording(path);
  return {
    name: path,
    title: 'a recording, replayed at full speed on emulated regions',
    operations,
    bytes,
    windowBytes: 0,
    async open() {
      const opened = new Map<number, ismio.Region>();
      const regions: ismio.Region[] = [];
      const regionFor = (recorded: ismio.RecordedRegion): ismio.Region => {
        const known = opened.get(recorded.number);
        if (known !== undefined) return known;
        const { size, rules, kind, name } = recorded;
        const region = engine.emulate({ size, rules, kind, name });
        // A replay closes what its function has opened. This one is for all replays: close does nothing until the last.
        Object.defineProperty(region, 'close', { value: () => undefined, configurable: true });
        opened.set(recorded.number, region);
        regions.push(region);
        return region;
      };
      const batch = async (): Promise<void> => {
        await engine.replay(path, { region: regionFor, verify: false });
      };
      await batch(); // which opens the regions
      return { running: { batch, close: () => regions.forEach(closeAtLast) }, regions };
    },
  };
}

function closeAtLast(region: ismio.Region): void {
  Reflect.deleteProperty(region, 'close');
  region.close();
}
