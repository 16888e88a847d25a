// Disks of a function that are in use: mounted, or swapped to, themselves or through what is built on them.
import { closeSync, constants, openSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { PciRoots } from './machine.js';
import { linkName, names, readText, realPath } from './tree.js';

/** What the kernel says is mounted or swapped to, by the name of the block device. */
interface Uses {
  /** Block device by number, '8:1'. */
  readonly byNumber: ReadonlyMap<string, string>;
  /** By name, 'sda1': of file systems whose number is their own, as btrfs, and of swaps. */
  readonly byName: ReadonlyMap<string, string>;
}

/** The disks of this machine, and what they are used for. */
export interface Disks {
  /** Disks and partitions, each with where it really is in sysfs. */
  readonly devices: ReadonlyMap<string, string>;
  readonly uses: Uses;
}

export function readDisks({ sysfs, dev, proc }: Required<PciRoots>): Disks {
  return { devices: blockDevices(sysfs), uses: readUses(sysfs, dev, proc) };
}

/**
 * @param folder the function's folder in sysfs, with all links followed
 * @param isHeld whether the kernel holds a block device for somebody
 * @returns a sentence for each use, such as 'sda1 is mounted at /'
 */
export function disksInUse(
  folder: string,
  { sysfs, dev }: Required<PciRoots>,
  { devices, uses }: Disks,
  isHeld = isHeldByKernel,
): string[] {
  const under = new Map([...devices].filter(isUnder(folder, sysfs)));
  const found = [...withHolders(under.keys(), sysfs)].flatMap((name) => {
    const number = readText(join(sysfs, 'class/block', name, 'dev')) ?? '';
    const use = uses.byNumber.get(number) ?? uses.byName.get(name);
    return use === undefined ? [] : [`${named(name, sysfs)} ${use}`];
  });
  if (found.length > 0) return found;
  const held = leaves(under, sysfs).filter((name) => isHeld(join(dev, name.replaceAll('!', '/'))));
  return held.map((name) => `${name} is held by something else, such as a ZFS pool or another mount namespace`);
}

/** What is neither divided into partitions nor built upon: who holds one of these uses it. */
function leaves(devices: ReadonlyMap<string, string>, sysfs: string): string[] {
  const paths = [...devices.values()];
  return [...devices]
    .filter(([, path]) => !paths.some((other) => other.startsWith(`${path}/`)))
    .map(([name]) => name)
    .filter((name) => names(join(sysfs, 'class/block', name, 'holders')).length === 0);
}

/** Opens it as one who wants it alone, for a moment: Linux refuses that while a file system, md or the like has it (open(2)). */
function isHeldByKernel(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBUSY';
  }
}

function blockDevices(sysfs: string): Map<string, string> {
  const folder = join(sysfs, 'class/block');
  const found = names(folder).map((name) => [name, realPath(join(folder, name))] as const);
  return new Map(found.filter((entry): entry is readonly [string, string] => entry[1] !== null));
}

/** NVMe with multipath puts the disk under a subsystem that has links to its controllers, and these are under functions. */
function isUnder(folder: string, sysfs: string): (device: readonly [string, string]) => boolean {
  const prefix = `${folder}/`;
  const subsystems = join(sysfs, 'class/nvme-subsystem');
  const shared = names(subsystems).filter((subsystem) =>
    names(join(subsystems, subsystem)).some((entry) => {
      const controller = /^nvme[0-9]+$/.test(entry) ? realPath(join(subsystems, subsystem, entry)) : null;
      return controller?.startsWith(prefix) === true;
    }),
  );
  return ([, path]) => path.startsWith(prefix) || shared.some((subsystem) => path.includes(`/${subsystem}/`));
}

/** Device mapper and md, however deep: `holders` names what is built on a device. */
function withHolders(devices: Iterable<string>, sysfs: string): Set<string> {
  const all = new Set(devices);
  for (const name of all) {
    // What is added here is visited, too: a Set walks on to its new end.
    for (const holder of names(join(sysfs, 'class/block', name, 'holders'))) all.add(holder);
  }
  return all;
}

function named(name: string, sysfs: string): string {
  const mapped = readText(join(sysfs, 'class/block', name, 'dm/name'));
  return mapped === null || mapped === '' ? name : `${name} (${mapped})`;
}

function readUses(sysfs: string, dev: string, proc: string): Uses {
  const byNumber = new Map<string, string>();
  const byName = new Map<string, string>();
  for (const { number, at, source } of mounts(join(proc, 'self/mountinfo'))) {
    const use = `is mounted at ${at}`;
    byNumber.set(number, byNumber.get(number) ?? use);
    const name = source.startsWith('/dev/') ? deviceName(source, dev) : null;
    if (name !== null) byName.set(name, byName.get(name) ?? use);
  }
  for (const line of (readText(join(proc, 'swaps')) ?? '').split('\n').slice(1)) {
    const name = line.startsWith('/dev/') ? deviceName(unescaped(line.split(/\s+/)[0] ?? ''), dev) : null;
    if (name !== null) byName.set(name, 'is swapped to');
  }
  for (const name of btrfsDevices(sysfs)) byName.set(name, byName.get(name) ?? 'belongs to a mounted btrfs');
  return { byNumber, byName };
}

/** Linux Documentation/filesystems/proc.rst, 3.5: number and place are fields 3 and 5, the source is second behind '-'. */
function mounts(path: string): { number: string; at: string; source: string }[] {
  return (readText(path) ?? '').split('\n').flatMap((line) => {
    const [before = '', behind = ''] = line.split(' - ');
    const [, , number, , at] = before.split(' ');
    const source = behind.split(' ')[1];
    return number === undefined || at === undefined || source === undefined
      ? []
      : [{ number, at: unescaped(at), source: unescaped(source) }];
  });
}

/** Blanks and backslashes are written as three octal digits. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** /dev/mapper/root is a link to ../dm-0. */
function deviceName(path: string, dev: string): string {
  return linkName(join(dev, path.slice('/dev/'.length))) ?? basename(path);
}

/** A btrfs over several devices is mounted by one of them; sysfs lists them all. */
function btrfsDevices(sysfs: string): string[] {
  const folder = join(sysfs, 'fs/btrfs');
  return names(folder).flatMap((id) => names(join(folder, id, 'devices')));
}
