// The fresh process of a probe: loads the package that it is told, and prints the figures as JSON; or, on stderr, why there are none.
import { loadEngine } from '../engine.js';
import type { Effort } from '../probe.js';
import { drainDelay, excessOperations, memoryGrowth } from './measures.js';

const measures = { drainDelay, excessOperations, memoryGrowth };

export type MeasureName = keyof typeof measures;

const [packageRoot, name, effort] = process.argv.slice(2) as [string, MeasureName, string];
try {
  const engine = await loadEngine(packageRoot);
  process.stdout.write(JSON.stringify(await measures[name](engine, JSON.parse(effort) as Effort)));
} catch (error) {
  process.stderr.write(String((error as Error)?.message ?? error));
  process.exitCode = 1;
}
