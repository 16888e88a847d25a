// Network links of a function, and whether one of them is the only one that is up.
import { join } from 'node:path';
import { isThere, names, readNumber, readText, realPath } from './tree.js';

/** Linux include/uapi/linux/if.h, IFF_UP. */
const up = 1;

/** The links of this machine that are up and lead somewhere, with where each really is in sysfs. */
export type Links = ReadonlyMap<string, string>;

export function readLinks(sysfs: string): Links {
  const folder = join(sysfs, 'class/net');
  const up = names(folder).filter((name) => isUp(join(folder, name)));
  return new Map(up.map((name) => [name, realPath(join(folder, name)) ?? '']));
}

/**
 * @param folder the function's folder in sysfs, with all links followed
 * @returns the links of the function that are up, if no link elsewhere is; else none
 */
export function onlyLinks(folder: string, links: Links): string[] {
  const own = [...links].filter(([, path]) => path.startsWith(`${folder}/`)).map(([name]) => name);
  return own.length === links.size ? own : [];
}

/** Bridges, tunnels and the loopback have no device behind them: they lead nowhere by themselves. */
function isUp(link: string): boolean {
  if (!isThere(join(link, 'device'))) return false;
  const state = readText(join(link, 'operstate'));
  // Drivers that do not tell the state of the line say 'unknown'.
  return state === 'up' || (state === 'unknown' && ((readNumber(join(link, 'flags')) ?? 0) & up) !== 0);
}
