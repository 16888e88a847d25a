// The probes: each starts fresh processes with the package that it is told.
import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { reasonIn } from '../../src/support/reason.js';
import { entryOf } from '../engine.js';
import type { Effort, Probe } from '../probe.js';
import type { MeasureName } from './child.js';

const childPath = fileURLToPath(new URL('./child.js', import.meta.url));

/** The figures of a measure, taken in a process that has loaded nothing else. */
function inChild(name: MeasureName): Probe['run'] {
  return async (packageRoot, effort) => {
    const words = [childPath, packageRoot, name, JSON.stringify(effort)];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [said, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
    if ((await ended) === 0) return JSON.parse(said) as number[];
    throw new Error(reasonIn(complaint) ?? 'its process was killed');
  };
}

/** Milliseconds from the start of a process to its end. */
function lifetime(code: string): number {
  const before = process.hrtime.bigint();
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  if (status !== 0) throw new Error(reasonIn(stderr) ?? 'its process was killed');
  return Number(process.hrtime.bigint() - before) / 1e6;
}

/** By how much a process that imports the package lives longer than one that does nothing, pair by pair. */
async function startUp(packageRoot: string, { rounds }: Effort): Promise<number[]> {
  const code = `import ${JSON.stringify(entryOf(packageRoot))};`;
  return Array.from({ length: rounds }, () => {
    const empty = lifetime('');
    return lifetime(code) - empty;
  });
}

export const probes: readonly Probe[] = [
  {
    name: 'process/start-up/import',
    title: "a script with import 'ismio'",
    unit: 'ms',
    against: 'an empty script',
    target: { atMost: 25 },
    run: startUp,
  },
  {
    name: 'process/drain-1GiB/delay',
    title: 'event loop delay during a drain of 1 GiB, p99',
    unit: 'ms',
    target: { atMost: 2 },
    note: "perf_hooks' monitorEventLoopDelay, its own timer of 1 ms included",
    run: inChild('drainDelay'),
  },
  {
    name: 'process/memory/growth',
    title: 'resident memory after 10^8 operations through one queue',
    unit: 'MiB',
    against: 'that after the first tenth of them',
    target: { atMost: 16 },
    run: inChild('memoryGrowth'),
  },
  {
    name: 'process/count/adjacent',
    title: 'device operations for n sequential 8-byte stores, over the least there can be',
    unit: 'operations',
    against: 'ceil(8n / maxStoreBlock)',
    target: { atMost: 0 },
    note: '9 sizes, 1 to 100,000 stores; exact',
    run: inChild('excessOperations'),
  },
];
