// Why a function had better stay where it is: one rule for `ismio bind`, which refuses, and for the doctor, who does not advise it.
import { join } from 'node:path';
import { disksInUse, readDisks } from './disks.js';
import { functionFolder, groupFile, type PciFunction } from './functions.js';
import { onlyLinks, readLinks } from './links.js';
import type { PciRoots } from './machine.js';
import { isBridge, isVfioDriver } from './names.js';
import { realPath } from './tree.js';
import { vfioUsers } from './users.js';

/** A sentence for each reason; none where the function can be taken from its driver without harm that is known of. */
export type UsesOf = (it: PciFunction) => string[];

/** What holds for functions of this machine. Its disks, links and open files are read when first wanted, and once. */
export function usesOn(roots: Required<PciRoots>): UsesOf {
  const disks = once(() => readDisks(roots));
  const links = once(() => readLinks(roots.sysfs));
  const opened = openedOn(roots);
  return (it) => {
    if (isBridge(it.classCode)) return [`${it.bdf} is a bridge: VFIO drives none, and what is behind it would be lost`];
    const folder = realPath(functionFolder(roots.sysfs, it.bdf));
    if (folder === null || it.driver === null) return [];
    const only = onlyLinks(folder, links()).map((name) => `${name} is the only network link that is up`);
    return [...disksInUse(folder, roots, disks()), ...only, ...opened(it)];
  };
}

/** The kernel lets no VFIO driver go until whoever has the function open closes it: the write would wait for that. */
export function openedOn(roots: Required<PciRoots>): UsesOf {
  const users = once(() => vfioUsers(roots));
  return (it) => {
    if (it.vfio === null && !isVfioDriver(it.driver)) return [];
    const own = [
      ...(it.vfio === null ? [] : [`vfio/devices/${it.vfio.name}`]),
      ...(it.iommuGroup === null ? [] : [groupFile(it.iommuGroup)]),
    ].map((file) => join(roots.dev, file));
    return own.flatMap((path) =>
      (users().get(path) ?? []).map(({ pid, command }) => `${path} is open in ${command} (process ${pid})`),
    );
  };
}

function once<Value extends object>(read: () => Value): () => Value {
  let value: Value | null = null;
  return () => {
    value ??= read();
    return value;
  };
}
