// What has to be installed on the host.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs, or paths of files, and the Debian package that brings each: { cpio: 'cpio' }. */
export type Tools = Readonly<Record<string, string>>;

/** Throws, with the command that would help with all of them, when any is missing. */
export function need(tools: Tools): void {
  const missing = Object.entries(tools).filter(([name]) => !(name.includes('/') ? existsSync(name) : found(name)));
  if (missing.length === 0) return;
  const things = missing.map(([name]) => name).join(', ');
  const names = [...new Set(missing.map(([, name]) => name))].join(' ');
  throw new Error(`the guests need ${things}: apt-get install --no-install-recommends ${names}`);
}

function found(program: string): boolean {
  // A user's PATH often leaves out the folders of the administrator's programs.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => runs(join(folder, program)));
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
