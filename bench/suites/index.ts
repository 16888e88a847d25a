// The table of all workloads.
import type { Workload } from '../workload.js';

/** Every suite's module, in the order of the table. */
export const suites: Readonly<Record<string, URL>> = Object.fromEntries(
  ['planner', 'queue', 'access'].map((name) => [name, new URL(`./${name}.js`, import.meta.url)]),
);

/**
 * Loads every suite.
 * @param query behind the modules' URLs: another query makes another copy of every function in them
 */
export async function loadWorkloads(query = ''): Promise<Workload[]> {
  const workloads: Workload[] = [];
  for (const url of Object.values(suites)) {
    const suite = (await import(`${url.href}${query}`)) as { workloads: Workload[] };
    workloads.push(...suite.workloads);
  }
  return workloads;
}
