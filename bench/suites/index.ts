// The table of all workloads, and of the modules that they are in.
import { checkedWorkloads, suiteError } from '../check-workloads.js';
import type { Workload } from '../workload.js';

const names = [
  'headline',
  'floor',
  'planner',
  'queue',
  'drain',
  'access',
  'pool',
  'peers',
  'device',
  'vfio-user',
  'ism',
  'console',
];

/** Every suite's module, in the order of the table. */
export const suites: readonly URL[] = names.map((name) => new URL(`./${name}.js`, import.meta.url));

/** The suites that are meant: those of these URLs, or the package's own. */
export function suitesFrom(hrefs: readonly string[] | undefined): readonly URL[] {
  return hrefs === undefined ? suites : hrefs.map((href) => new URL(href));
}

/**
 * Loads suites.
 * @throws IsmioError ERR_ISMIO_SUITE where one cannot be loaded, or holds something else
 * @param query behind the modules' URLs, such as '?arm=head': each makes another copy of every function in them
 */
export async function loadWorkloads(query = '', modules: readonly URL[] = suites): Promise<Workload[]> {
  const workloads: Workload[] = [];
  for (const { href } of modules) {
    const taken = new Set(workloads.map(({ name }) => name));
    workloads.push(...checkedWorkloads(href, await load(href, query), taken));
  }
  return workloads;
}

async function load(href: string, query: string): Promise<{ workloads?: unknown }> {
  try {
    return (await import(`${href}${query}`)) as { workloads?: unknown };
  } catch (cause) {
    const { name = 'thrown', message = String(cause) } = (cause ?? {}) as Partial<Error>;
    throw suiteError(href, `cannot be loaded: ${name}: ${message}`, cause);
  }
}
