// sysfs and procfs as they are read here: what is not there, or is no number, is null, and a folder that is not there is
// empty. A function may go while it is being read, so that nothing of this is out of the ordinary.
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';

export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

/** At most 32 bits, as the ids of PCI and zPCI have: '0x1014', or '1'. */
export function readNumber(path: string): number | null {
  const text = readText(path);
  return text !== null && /^(0x[0-9a-f]{1,8}|[0-9]{1,9})$/i.test(text) ? Number(text) : null;
}

export function readBytes(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

/** The last part of what a link names, whether that is there or not. */
export function linkName(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

export function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Where a path leads, through all links; null where that is nowhere. */
export function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

export const isThere: (path: string) => boolean = existsSync;
