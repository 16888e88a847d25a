// The window that stores go to: a file on tmpfs, mapped by the engine and by the floors alike.
import { statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { passingFolder, scratchAdvice } from './folders.js';
import { attempt } from './outputs/write.js';
import type { Window } from './workload.js';

const tmpfsMagic = 0x01021994; // linux/magic.h, TMPFS_MAGIC

export type { Window };

export interface OwnWindow extends Window {
  remove(): void;
}

function onTmpfs(folder: string): boolean {
  try {
    return statfsSync(folder).type === tmpfsMagic;
  } catch {
    return false;
  }
}

/**
 * Where memory begins makes several percent of a copy, so it must not differ from one process to the next. WebAssembly
 * has its memory at the beginning of a page.
 */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (pages: { initial: number }) => { buffer: ArrayBuffer } };
};
const ordinary = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer).fill(0x5a);

export function makeWindow(bytes: number): OwnWindow {
  const parent = ['/dev/shm', tmpdir()].find(onTmpfs) ?? tmpdir();
  const folder = passingFolder(join(parent, 'ismio-bench-'), scratchAdvice);
  const path = join(folder.path, 'window');
  attempt(path, () => writeFileSync(path, Buffer.alloc(bytes)), 'make room there');
  return { ...windowAt(path, bytes), remove: folder.remove };
}

/** The window that another process has made. */
export function windowAt(path: string, bytes: number): Window {
  return { path, bytes, ordinary };
}
