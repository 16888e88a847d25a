// Why a function had better stay where it is.
import { join } from 'node:path';
import { disksInUse } from './disks.js';
import { functionFolder, type PciFunction } from './functions.js';
import { onlyLinks } from './links.js';
import type { PciRoots } from './machine.js';
import { isBridge, isVfioDriver } from './names.js';
import { realPath } from './tree.js';
import { vfioUsers } from './users.js';

/** A sentence for each reason; none where the function can be taken from its driver without harm that is known of. */
export function usesOf(it: PciFunction, roots: Required<PciRoots>): string[] {
  if (isBridge(it.classCode)) return [`${it.bdf} is a bridge: VFIO drives none, and what is behind it would be lost`];
  const folder = realPath(functionFolder(roots.sysfs, it.bdf));
  if (folder === null || it.driver === null) return [];
  const links = onlyLinks(folder, roots.sysfs).map((name) => `${name} is the only network link that is up`);
  return [...disksInUse(folder, roots), ...links, ...openedIn(it, roots)];
}

/** The kernel lets no VFIO driver go until whoever has the function open closes it: the write would wait for that. */
export function openedIn(it: PciFunction, roots: Required<PciRoots>): string[] {
  if (it.vfio === null && !isVfioDriver(it.driver)) return [];
  const users = vfioUsers(roots);
  const files = [`vfio/devices/${it.vfio?.name}`, `vfio/${it.iommuGroup?.id}`].map((file) => join(roots.dev, file));
  return files.flatMap((path) =>
    (users.get(path) ?? []).map(({ pid, command }) => `${path} is open in ${command} (process ${pid})`),
  );
}
