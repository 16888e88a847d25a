// The window that stores go to: a file on tmpfs, mapped by the engine and by the floors alike.
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const tmpfsMagic = 0x01021994; // linux/magic.h, TMPFS_MAGIC

export interface Window {
  readonly path: string;
  readonly bytes: number;
  remove(): void;
}

function onTmpfs(folder: string): boolean {
  try {
    return statfsSync(folder).type === tmpfsMagic;
  } catch {
    return false;
  }
}

export function makeWindow(bytes: number): Window {
  const parent = ['/dev/shm', tmpdir()].find(onTmpfs) ?? tmpdir();
  const folder = mkdtempSync(join(parent, 'ismio-bench-'));
  const path = join(folder, 'window');
  writeFileSync(path, Buffer.alloc(bytes));
  return { path, bytes, remove: () => rmSync(folder, { recursive: true }) };
}
