// What has to be installed on the host.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs, and the Debian package that brings each: { cpio: 'cpio' }. */
export type Tools = Readonly<Record<string, string>>;

/** Throws, with the command that would help, when one of the programs is missing. */
export function need(tools: Tools): void {
  const missing = Object.entries(tools).filter(([program]) => !found(program));
  if (missing.length === 0) return;
  const programs = missing.map(([program]) => program).join(', ');
  const names = [...new Set(missing.map(([, name]) => name))].join(' ');
  throw new Error(`the guests need ${programs}: apt-get install --no-install-recommends ${names}`);
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
