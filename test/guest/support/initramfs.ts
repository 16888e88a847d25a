// The first file system of a guest: a cpio archive, "newc", uncompressed, because decompression is slow under emulation.
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from './run.js';

export interface InitramfsOptions {
  /** A folder to put everything in; it has to be empty, or hold what shall be in the archive already. */
  readonly root: string;
  /** The shell script that the kernel starts. */
  readonly init: string;
  /** Place in the guest, and the host's file: { '/bin/busybox': '/../busybox' }. */
  readonly files?: Readonly<Record<string, string>>;
  /** The archive. */
  readonly output: string;
}

export async function buildInitramfs({ root, init, files = {}, output }: InitramfsOptions): Promise<void> {
  for (const [place, file] of Object.entries(files)) {
    mkdirSync(join(root, dirname(place)), { recursive: true });
    copyFileSync(file, join(root, place));
  }
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'mnt']) mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, 'init'), init);
  chmodSync(join(root, 'init'), 0o755);
  const list = await run('find', ['.', '-mindepth', '1', '-print0'], { cwd: root });
  const archive = relative(root, output);
  await run('cpio', ['--create', '--null', '--format=newc', '--owner=0:0', '--quiet', '--file', archive], {
    cwd: root,
    input: list,
  });
}
