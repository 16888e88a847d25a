// Network links of a function, and whether one of them is the only one that is up.
import { join } from 'node:path';
import { isThere, names, readNumber, readText, realPath } from './tree.js';

/** Linux include/uapi/linux/if.h, IFF_UP. */
const up = 1;

/**
 * @param folder the function's folder in sysfs, with all links followed
 * @returns the links of the function that are up, if no link elsewhere is; else none
 */
export function onlyLinks(folder: string, sysfs: string): string[] {
  const all = names(join(sysfs, 'class/net')).filter((name) => isUp(join(sysfs, 'class/net', name)));
  const own = all.filter((name) => realPath(join(sysfs, 'class/net', name))?.startsWith(`${folder}/`) === true);
  return own.length === all.length ? own : [];
}

/** Bridges, tunnels and the loopback have no device behind them: they lead nowhere by themselves. */
function isUp(link: string): boolean {
  if (!isThere(join(link, 'device'))) return false;
  const state = readText(join(link, 'operstate'));
  // Drivers that do not tell the state of the line say 'unknown'.
  return state === 'up' || (state === 'unknown' && ((readNumber(join(link, 'flags')) ?? 0) & up) !== 0);
}
