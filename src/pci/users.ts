// Which processes have a file of VFIO open. Only those are seen whose /proc/PID/fd may be read: root sees all.
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { names, readText } from './tree.js';

/** A process that has a file open. */
export interface FileUser {
  /** The process id, in the namespace of this process. */
  readonly pid: number;
  /** What the process calls itself (comm), 15 characters at most. */
  readonly command: string;
}

/** By the path of the file. Descriptors of a device that came out of a group have no path, the group's own has. */
export function vfioUsers({ dev, proc }: { dev: string; proc: string }): Map<string, FileUser[]> {
  const users = new Map<string, FileUser[]>();
  const prefix = join(dev, 'vfio/');
  for (const entry of names(proc)) {
    if (!/^[0-9]+$/.test(entry)) continue;
    for (const path of new Set(openFiles(join(proc, entry, 'fd')))) {
      if (!path.startsWith(prefix)) continue;
      const user = { pid: Number(entry), command: readText(join(proc, entry, 'comm')) ?? 'unknown' };
      users.set(path, [...(users.get(path) ?? []), user]);
    }
  }
  return users;
}

function openFiles(folder: string): string[] {
  return names(folder).flatMap((entry) => {
    try {
      return [readlinkSync(join(folder, entry))];
    } catch {
      return []; // closed meanwhile
    }
  });
}
