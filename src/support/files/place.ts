// Where a path leads: what the system does with a name, step by step, because the answer decides how it may be written to.
import type { Stats } from 'node:fs';
import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

export type Place =
  /** A descriptor that this process has open, such as /dev/stdout, /dev/fd/3, or a link to one. */
  | { readonly what: 'descriptor'; readonly descriptor: number }
  /** A pipe, a device, a socket. */
  | { readonly what: 'stream'; readonly path: string }
  /** A regular file, or none yet: the one that links lead to. */
  | { readonly what: 'file'; readonly path: string; readonly there: Stats | null };

/** As many links as Linux follows in one name: MAXSYMLINKS of include/linux/namei.h. */
const mostLinks = 40;

/** An error as the system's own calls throw it. */
function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** @throws what the system says, and EISDIR for a folder */
export function placeOf(path: string): Place {
  if (path.endsWith('/')) throw refusal('EISDIR');
  const end = followed(path);
  if (typeof end === 'number') return { what: 'descriptor', descriptor: end };
  const there = statSync(end, { throwIfNoEntry: false }) ?? null;
  if (there?.isDirectory() === true) throw refusal('EISDIR');
  // The descriptor of another process looks like a link to a file, which somebody else has open and goes on writing to.
  const othersDescriptor = /^\/proc\/\d+(\/task\/\d+)?\/fd\/\d+$/.test(end);
  if (othersDescriptor || (there !== null && !there.isFile())) return { what: 'stream', path: end };
  return { what: 'file', path: end, there };
}

/** The path behind all links, or the number of a descriptor of this process. */
function followed(path: string): string | number {
  let at = resolve(path);
  for (let links = 0; links <= mostLinks; links++) {
    const folder = realpathSync(dirname(at));
    const here = join(folder, basename(at));
    if (isDescriptors(folder)) return descriptorOf(basename(at));
    if (/^\/proc\/\d+(\/task\/\d+)?\/fd$/.test(folder)) return here;
    const target = linkAt(here);
    if (target === null) return here;
    at = resolve(folder, target);
  }
  throw refusal('ELOOP');
}

/** Whether the folder is where the system lists this process's descriptors. Not by its number: namespaces have others. */
function isDescriptors(folder: string): boolean {
  if (!folder.startsWith('/proc/')) return false;
  const own = realpathSync('/proc/self');
  return folder === `${own}/fd` || (folder.startsWith(`${own}/task/`) && folder.endsWith('/fd'));
}

function descriptorOf(name: string): number {
  const descriptor = /^\d{1,9}$/.test(name) ? Number(name) : -1;
  if (descriptor < 0) throw refusal('ENOENT');
  fstatSync(descriptor);
  return descriptor;
}

/** Null for what is no link, or not there. */
function linkAt(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EINVAL' || code === 'ENOENT') return null;
    throw error;
  }
}

/** Throws where the descriptor was opened for reading alone: EBADF, as a write would. */
export function checkDescriptor(descriptor: number): void {
  const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
  const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '1', 8);
  const access = flags & (constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR);
  if (access === constants.O_RDONLY) throw refusal('EBADF');
}

/** Throws where the file, which is there, cannot be opened for writing. */
export function checkOpens(path: string): void {
  closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
}
