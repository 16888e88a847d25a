// The window that stores go to: a file on tmpfs, mapped by the engine and by the floors alike.
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  const folder = mkdtempSync(join(parent, 'ismio-bench-'));
  const path = join(folder, 'window');
  const remove = (): void => {
    process.off('exit', remove);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', remove); // of a run that ends before its time
  writeFileSync(path, Buffer.alloc(bytes));
  return { ...windowAt(path, bytes), remove };
}

/** The window that another process has made. */
export function windowAt(path: string, bytes: number): Window {
  return { path, bytes, ordinary };
}
