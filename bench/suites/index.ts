// The table of all workloads, and of the modules that they are in.
import type { Workload } from '../workload.js';

const names = ['headline', 'floor', 'planner', 'queue', 'drain', 'access', 'pool', 'peers'];

/** Every suite's module, in the order of the table. */
export const suites: readonly URL[] = names.map((name) => new URL(`./${name}.js`, import.meta.url));

/**
 * Loads suites.
 * @param query behind the modules' URLs, such as '?arm=head': each makes another copy of every function in them
 */
export async function loadWorkloads(query = '', modules: readonly URL[] = suites): Promise<Workload[]> {
  const workloads: Workload[] = [];
  for (const { href } of modules) {
    const suite = (await import(`${href}${query}`)) as { workloads: Workload[] };
    workloads.push(...suite.workloads);
  }
  return workloads;
}
