// What the kernel says this process has.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Resources {
  readonly descriptors: number;
  readonly threads: number;
  /** Mappings of files of the tests, and eventfds and epolls, by what the kernel calls them. */
  readonly ours: readonly string[];
}

/** Descriptors, threads, and everything of them and of the mappings whose name has `mark`. */
export function resources(mark: string): Resources {
  const descriptors = readdirSync('/proc/self/fd').map(nameOf);
  const mappings = readFileSync('/proc/self/maps', 'utf8').split('\n');
  const ours = [...descriptors, ...mappings].filter((name) => name.includes(mark)).sort();
  return { descriptors: descriptors.length, threads: readdirSync('/proc/self/task').length, ours };
}

/** The folder that is read is one of them, and has gone by then. */
function nameOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return '';
  }
}
